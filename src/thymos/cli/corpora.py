"""`thymos stories`: have stories or neutral dialogues written, and audit them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thymos.cli.lazy import job
from thymos.cli.options import Concepts, ModelOptions, Output

__all__ = ["Audit", "Writing", "stories"]


@dataclass(frozen=True)
class Writing:
    """Who writes what."""

    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Model that writes; leave it out with --endpoint or --audit."),
    ] = None
    out: Annotated[
        Path | None, typer.Option(help="A .jsonl file; an interrupted one is gone on with by the same command.")
    ] = None
    concepts: Concepts = None
    topics: Annotated[
        int | None, typer.Option(min=1, help="Number of topics used, shipped or the model's own; default: all.")
    ] = None
    per_cell: Annotated[int, typer.Option(min=1, help="Stories per concept and topic, or dialogues per topic.")] = 1
    per_request: Annotated[int | None, typer.Option(min=1, help="Texts asked for at once; default: a cell.")] = None
    neutral: Annotated[bool, typer.Option("--neutral", help="Write neutral dialogues instead of stories.")] = False
    endpoint: Annotated[
        str | None, typer.Option(help="OpenAI-compatible address, for example http://localhost:8000/v1.")
    ] = None
    endpoint_model: Annotated[str | None, typer.Option(help="Name of the model at the endpoint.")] = None
    min_words: Annotated[int, typer.Option(min=0, help="Shorter texts are rejected.")] = 50
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer; default: 400 a text.")] = None
    seed: Annotated[int, typer.Option(help="Seed of the whole run.")] = 0


@dataclass(frozen=True)
class Audit:
    """Checking texts that are there."""

    audit: Annotated[
        Path | None, typer.Option(help="Audit this file (.jsonl, .parquet) for leaks and write nothing.")
    ] = None


def stories(writing: Writing, audit: Audit, options: ModelOptions, output: Output) -> None:
    """Have a model or an endpoint write stories, with the leak audit; or audit a file."""
    job("corpora").stories(writing, audit, options, output)
