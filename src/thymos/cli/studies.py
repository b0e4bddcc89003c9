"""`thymos study`: the experiments of the paper, one or all, on any model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from thymos.cli.lazy import job
from thymos.cli.options import ModelOptions, Output

__all__ = ["Studying", "study"]


@dataclass(frozen=True)
class Studying:
    """What is run, on what, and where it is written."""

    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A study, 'all', or 'list' to see them.", show_default=False)
    ] = "list"
    model: Annotated[str, typer.Option(help="Repository id, local folder, or a packaged name.")] = "bundled"
    vectors: Annotated[
        Path | None,
        typer.Option(help="Folder of the model's vectors; default: those that ship with the bundled model."),
    ] = None
    base: Annotated[list[str] | None, typer.Option(help="Further checkpoints to compare with; repeat it.")] = None
    out: Annotated[Path, typer.Option(help="Folder for logs, results.json and report.html.")] = Path("studies")
    preset: Annotated[Literal["quick", "full"], typer.Option(help="How many items.")] = "quick"
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, for example strength=0.1; repeat it.")] = (
        None
    )
    corpus: Annotated[str | None, typer.Option(help="A file of your own, for studies that read one.")] = None
    layer: Annotated[int | None, typer.Option(help="Where decisions are steered; default: the vectors' layer.")] = None
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew where a log is of another run.")] = False


def study(studying: Studying, options: ModelOptions, output: Output) -> None:
    """Run a study with its controls, or all of them; run the same command again to go on with an interrupted one."""
    job("studies").study(studying, options, output)
