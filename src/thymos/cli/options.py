"""Arguments and options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AllowMismatch", "Concepts", "ModelArgument", "ModelOptions", "Output", "Vectors"]

_PANEL = "Model"

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Repository id, local folder, or a packaged name ('bundled', 'minilm').",
        show_default=False,
    ),
]
Vectors = Annotated[
    Path, typer.Argument(metavar="VECTORS", help="Folder of a vector set, as `thymos extract` writes it.")
]
Concepts = Annotated[
    str | None,
    typer.Option(help="Concept file (.json, .yaml, .csv), or words separated by commas; default: the 171."),
]
AllowMismatch = Annotated[bool, typer.Option("--allow-mismatch", help="Take vectors that were made of other weights.")]


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded."""

    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.", rich_help_panel=_PANEL)] = (
        None
    )
    dtype: Annotated[
        str | None,
        typer.Option(help="float32, bfloat16 or float16; default: float32 on CPU.", rich_help_panel=_PANEL),
    ] = None
    device: Annotated[str | None, typer.Option(help="For example cpu, cuda, cuda:1.", rich_help_panel=_PANEL)] = None
    device_map: Annotated[
        str | None, typer.Option(help="Spread over devices, for example auto.", rich_help_panel=_PANEL)
    ] = None
    quantization: Annotated[
        str | None, typer.Option(help="4bit or 8bit (extra `quantization`).", rich_help_panel=_PANEL)
    ] = None
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code from the repository.", rich_help_panel=_PANEL)
    ] = False
    blocks: Annotated[
        str | None,
        typer.Option(help="Path of the list of blocks, for unknown architectures.", rich_help_panel=_PANEL),
    ] = None
    self_check: Annotated[
        bool,
        typer.Option("--self-check/--no-self-check", help="Prove the hook sites at load.", rich_help_panel=_PANEL),
    ] = True
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; default: torch's own.", rich_help_panel=_PANEL)
    ] = None


@dataclass(frozen=True)
class Output:
    """How results and progress are shown."""

    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False
