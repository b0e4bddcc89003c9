"""`thymos read`: concept readings of text, chats and files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thymos.cli.lazy import job
from thymos.cli.options import AllowMismatch, ModelArgument, ModelOptions, Output, Vectors

__all__ = ["Calibration", "Source", "View", "read"]


@dataclass(frozen=True)
class Source:
    """What is read, and by what."""

    model: ModelArgument
    vectors: Vectors
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="The text, or - for standard input.")] = None
    file: Annotated[
        Path | None, typer.Option(help="A .txt file (one text), or a .jsonl or .parquet file (one text a row).")
    ] = None
    chat: Annotated[Path | None, typer.Option(help="A .json file with a list of messages: role and content each.")] = (
        None
    )


@dataclass(frozen=True)
class View:
    """How it is read and shown."""

    layers: Annotated[
        str | None, typer.Option(help="all, a depth such as 2/3, or a list; default: the chosen layer.")
    ] = None
    concept: Annotated[list[str] | None, typer.Option(help="Read this concept only; may be repeated.")] = None
    centred: Annotated[bool, typer.Option("--centred", help="Subtract the mean of the stories before the cosine.")] = (
        False
    )
    raw: Annotated[bool, typer.Option("--raw", help="Read with the directions before denoising.")] = False
    html: Annotated[Path | None, typer.Option(help="Write the token heat map to this page.")] = None
    allow_mismatch: AllowMismatch = False


@dataclass(frozen=True)
class Calibration:
    """Against what readings are called high or low."""

    reference: Annotated[Path | None, typer.Option(help="Give z-scores against this reference set.")] = None
    calibrate_on: Annotated[
        str | None,
        typer.Option(
            help="Make a reference set of this corpus; 'neutral': the shipped dialogues; 'twins': the battery's "
            "situations without the feeling, nearer to stories."
        ),
    ] = None
    save_reference: Annotated[Path | None, typer.Option(help="Keep it in this .safetensors file.")] = None


def read(source: Source, view: View, calibration: Calibration, options: ModelOptions, output: Output) -> None:
    """Read a text, a chat or a file: tokens by layers by concepts."""
    job("reading").read(source, view, calibration, options, output)
