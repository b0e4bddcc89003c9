"""`thymos extract` and `thymos demo`: from a model to a vector set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from thymos.cli.lazy import job
from thymos.cli.options import Concepts, ModelArgument, ModelOptions, Output

__all__ = ["Corpora", "Demo", "Method", "Run", "demo", "extract"]

_TEXTS, _METHOD = "Texts", "Method"


@dataclass(frozen=True)
class Corpora:
    """The model and what it reads."""

    model: ModelArgument
    stories: Annotated[
        str | None,
        typer.Option(
            help="Labelled stories (.jsonl, .parquet), or 'battery' for the shipped ones; default: the model writes.",
            rich_help_panel=_TEXTS,
        ),
    ] = None
    neutral: Annotated[
        str | None,
        typer.Option(
            help="Neutral texts (.jsonl, .parquet); default: what the model brings, or the shipped dialogues.",
            rich_help_panel=_TEXTS,
        ),
    ] = None
    concepts: Concepts = None
    topics: Annotated[
        int | None,
        typer.Option(
            min=1, help="Topics, when the model writes its own stories; default: all.", rich_help_panel=_TEXTS
        ),
    ] = None
    per_cell: Annotated[
        int, typer.Option(min=1, help="Stories per concept and topic, when it writes.", rich_help_panel=_TEXTS)
    ] = 1
    while_generating: Annotated[
        bool,
        typer.Option(
            "--while-generating", help="Read the stories in the very pass that writes them.", rich_help_panel=_TEXTS
        ),
    ] = False


@dataclass(frozen=True)
class Method:
    """How texts become vectors."""

    layers: Annotated[
        str, typer.Option(help="all, a depth such as 2/3, or a list such as 3,5,7.", rich_help_panel=_METHOD)
    ] = "all"
    layer: Annotated[
        int | None,
        typer.Option(help="The chosen layer; default: the best one on held-out topics.", rich_help_panel=_METHOD),
    ] = None
    start_token: Annotated[
        int | None,
        typer.Option(min=1, help="First token of a story that is used, from 1; default: 50.", rich_help_panel=_METHOD),
    ] = None
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Cut longer texts to so many tokens.", rich_help_panel=_METHOD)
    ] = None
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens fed at once, padding included.", rich_help_panel=_METHOD)
    ] = None
    format: Annotated[
        Literal["raw", "chat"],
        typer.Option(help="Feed stories as plain text, or as an assistant's answer.", rich_help_panel=_METHOD),
    ] = "raw"
    estimator: Annotated[
        Literal["means", "probes"],
        typer.Option(help="Difference of means, or logistic probes.", rich_help_panel=_METHOD),
    ] = "means"
    neutral_unit: Annotated[
        Literal["tokens", "dialogues"],
        typer.Option(help="Neutral components of tokens, or of text means.", rich_help_panel=_METHOD),
    ] = "tokens"
    neutral_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of neutral variance removed.", rich_help_panel=_METHOD)
    ] = 0.5
    keep_texts: Annotated[
        int, typer.Option(min=0, help="Per-text means kept for validation.", rich_help_panel=_METHOD)
    ] = 4096
    memory_budget: Annotated[
        float, typer.Option(min=0.0, help="GiB for neutral matrices; above it: sketches.", rich_help_panel=_METHOD)
    ] = 4.0
    validate: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Validate afterwards.", rich_help_panel=_METHOD)
    ] = True
    seed: Annotated[int, typer.Option(help="Seed of everything random.", rich_help_panel=_METHOD)] = 0


@dataclass(frozen=True)
class Run:
    """Where it goes, and whether to ask first."""

    out: Annotated[Path, typer.Option(help="Folder of the vector set; OUT.run beside it keeps the run.")]
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start afresh, and replace what is at --out.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking.")] = False
    estimate: Annotated[bool, typer.Option("--estimate", help="Print the estimate and stop.")] = False


@dataclass(frozen=True)
class Demo:
    """What the demo runs on."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="'bundled' (the default), a folder of another training of it, or 'minilm'.",
            show_default=False,
        ),
    ] = None
    reader: Annotated[
        bool, typer.Option("--reader", help="Read with a small real encoder instead: the same as 'demo minilm'.")
    ] = False
    out: Annotated[Path, typer.Option(help="Folder for the vector set and report.html.")] = Path("demo")
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: torch's own.")] = None


def extract(corpora: Corpora, method: Method, run: Run, options: ModelOptions, output: Output) -> None:
    """Find the emotion vectors of a model: states what it will take, asks, extracts, validates."""
    job("extraction").extract(corpora, method, run, options, output)


def demo(demo: Demo, output: Output) -> None:
    """The paper's main line on the bundled model, beside what was planted in it; writes a report."""
    job("demo").demo(demo, output)
