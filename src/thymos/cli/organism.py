"""`thymos organism`: the making of the bundled model, and how well it carries the plant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from thymos.cli.lazy import job
from thymos.cli.options import ModelOptions, Output

__all__ = ["Releasing", "Scoring", "Training", "WorldTexts", "release", "score", "train", "world"]


@dataclass(frozen=True)
class WorldTexts:
    """Which texts are written."""

    out: Annotated[Path, typer.Option(help="The .parquet file.")]
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of documents.")] = 1000
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 0
    stage: Annotated[
        Literal["base", "tuned"], typer.Option(help="Mixture and resting moods of this checkpoint's training.")
    ] = "base"
    kind: Annotated[str | None, typer.Option(help="Only this kind of document, for example story.")] = None
    test: Annotated[bool, typer.Option("--test", help="Phrases, topics and activities that training never holds.")] = (
        False
    )


@dataclass(frozen=True)
class Training:
    """What is trained, and where."""

    out: Annotated[Path, typer.Option(help="Folder for both checkpoints, the log and report.html.")]
    preset: Annotated[
        Literal["cpu", "small", "gpu", "tiny"],
        typer.Option(help="cpu: about 2 h on 2 cores; small: 25 min; gpu: more tokens; tiny: a trial of the code."),
    ] = "cpu"
    seed: Annotated[int, typer.Option(help="Seed of weights and texts.")] = 0
    mute: Annotated[
        bool, typer.Option("--mute", help="The ablation: no feeling language in assistant transcripts.")
    ] = False
    device: Annotated[str | None, typer.Option(help="For example cpu or cuda; default: a GPU if there is one.")] = None
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: torch's own.")] = None


@dataclass(frozen=True)
class Scoring:
    """What is scored."""

    out: Annotated[Path, typer.Option(help="Folder for scorecard.json and scorecard.html.")]
    model: Annotated[str, typer.Option(help="The checkpoint after post-training.")] = "bundled"
    base: Annotated[str, typer.Option(help="The checkpoint before it.")] = "bundled-base"
    quick: Annotated[bool, typer.Option("--quick", help="Fewer stories: wider intervals.")] = False
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0


@dataclass(frozen=True)
class Releasing:
    """What is released, and where."""

    trained: Annotated[Path, typer.Argument(help="Folder of a finished training.", show_default=False)]
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints, truth and held-out stimuli; default: the package's own."),
    ] = None
    stories: Annotated[int, typer.Option(min=2, help="Held-out stories of each emotion that vectors are made of.")] = 24


def world(texts: WorldTexts, output: Output) -> None:
    """Write texts of the planted world with their latent truth."""
    job("organism").world(texts, output)


def train(training: Training, output: Output) -> None:
    """Train both checkpoints; run the same command again to go on with an interrupted training."""
    job("organism").train(training, output)


def score(scoring: Scoring, options: ModelOptions, output: Output) -> None:
    """Score both checkpoints against the planted truth."""
    job("organism").score(scoring, options, output)


def release(releasing: Releasing, output: Output) -> None:
    """Make a training the bundled model: its checkpoints, the truth, held-out stimuli, study sets and vectors."""
    job("organism").release(releasing, output)
