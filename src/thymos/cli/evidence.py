"""`thymos validate`, `geometry`, `compare` and `report`: what is known about a vector set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thymos.cli.lazy import job
from thymos.cli.options import AllowMismatch, Concepts, ModelArgument, ModelOptions, Output, Vectors

__all__ = ["Comparison", "Mapping", "Page", "Validating", "compare", "geometry", "report", "validate"]

_RunFolder = Annotated[Path | None, typer.Option(help="Run folder of the extraction; default: VECTORS.run.")]


@dataclass(frozen=True)
class Validating:
    """What is validated."""

    vectors: Vectors
    model: ModelArgument
    run: _RunFolder = None
    concepts: Concepts = None
    save: Annotated[bool, typer.Option("--save", help="Store the figures and the chosen layer in the card.")] = False
    seed: Annotated[int, typer.Option(help="Seed of folds and resamples.")] = 0
    allow_mismatch: AllowMismatch = False


@dataclass(frozen=True)
class Mapping:
    """What is mapped."""

    vectors: Vectors
    concepts: Concepts = None
    umap: Annotated[Path | None, typer.Option(help="Draw a UMAP view into this .png, .svg or .html file.")] = None
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0


@dataclass(frozen=True)
class Comparison:
    """What is compared."""

    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a vector set.")]
    second: Annotated[Path, typer.Argument(metavar="B", help="Folder of another one, of any model.")]
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0


@dataclass(frozen=True)
class Page:
    """What goes into the report."""

    vectors: Vectors
    model: ModelArgument
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html")
    run: _RunFolder = None
    concepts: Concepts = None
    text: Annotated[list[str] | None, typer.Option(help="A text to read; may be given several times.")] = None
    readings: Annotated[bool, typer.Option("--readings/--no-readings", help="Read new texts.")] = True
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0
    allow_mismatch: AllowMismatch = False


def validate(validating: Validating, options: ModelOptions, output: Output) -> None:
    """Validate a vector set on unseen topics, against chance and against readers of words."""
    job("evidence").validate(validating, options, output)


def geometry(mapping: Mapping, output: Output) -> None:
    """Map a vector set: cosines, clusters, axes against human norms, layers."""
    job("evidence").geometry(mapping, output)


def compare(comparison: Comparison, output: Output) -> None:
    """Set two vector sets side by side, of one model or of two."""
    job("evidence").compare(comparison, output)


def report(page: Page, options: ModelOptions, output: Output) -> None:
    """Write the HTML report of a vector set."""
    job("evidence").report(page, options, output)
