"""`thymos card`, `export`, `push` and `pull`: vector sets for other people and other tools."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thymos.cli.lazy import job
from thymos.cli.options import Output, Vectors

__all__ = ["Card", "Export", "Pull", "Push", "card", "export", "pull", "push"]


@dataclass(frozen=True)
class Card:
    """Which card, and how it is shown."""

    vectors: Vectors
    readme: Annotated[bool, typer.Option("--readme", help="Print the README in Markdown.")] = False


@dataclass(frozen=True)
class Export:
    """What is exported."""

    vectors: Vectors
    out: Annotated[Path, typer.Option(help="File to write.")]
    format: Annotated[str | None, typer.Option(help="gguf, npz or pt; default: the ending of --out.")] = None
    concept: Annotated[str | None, typer.Option(help="Export this concept; needed for gguf.")] = None


@dataclass(frozen=True)
class Push:
    """What goes to the hub."""

    vectors: Vectors
    repository: Annotated[str, typer.Argument(metavar="NAME/REPOSITORY", help="Model repository on the hub.")]
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False
    message: Annotated[str | None, typer.Option(help="Commit message.")] = None


@dataclass(frozen=True)
class Pull:
    """What comes from the hub."""

    repository: Annotated[str, typer.Argument(metavar="NAME/REPOSITORY", help="Model repository on the hub.")]
    out: Annotated[Path, typer.Option(help="Folder to write the vector set to.")]
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")] = False


def card(card: Card, output: Output) -> None:
    """Show the card of a vector set."""
    job("sharing").card(card, output)


def export(export: Export, output: Output) -> None:
    """Write a vector set for other tools: llama.cpp (GGUF), NumPy or PyTorch."""
    job("sharing").export(export, output)


def push(push: Push, output: Output) -> None:
    """Upload a vector set to the Hugging Face hub."""
    job("sharing").push(push, output)


def pull(pull: Pull, output: Output) -> None:
    """Download a vector set from the Hugging Face hub."""
    job("sharing").pull(pull, output)
