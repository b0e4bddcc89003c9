"""`thymos steer`: the same prompt without and with a direction."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from thymos.cli.lazy import job
from thymos.cli.options import AllowMismatch, ModelArgument, ModelOptions, Output, Vectors

__all__ = ["Dosing", "Replies", "steer"]


@dataclass(frozen=True)
class Dosing:
    """What is added, where, and to which prompt."""

    model: ModelArgument
    vectors: Vectors
    prompt: Annotated[
        str | None, typer.Argument(metavar="[PROMPT]", help="The user's message; may be left out with --plan.")
    ] = None
    vector: Annotated[
        str, typer.Option(help="Recipe such as '0.05*calm - 0.02*angry', in fractions of the residual norm.")
    ] = ""
    layers: Annotated[
        str | None, typer.Option(help="all, a depth such as 2/3, or a list; default: the chosen layer.")
    ] = None
    where: Annotated[
        Literal["all", "prompt", "generated", "reply"], typer.Option(help="Positions that are steered.")
    ] = "all"
    plan: Annotated[
        bool, typer.Option("--plan", help="Measure what strengths of this direction cost on neutral text.")
    ] = False
    allow_mismatch: AllowMismatch = False


@dataclass(frozen=True)
class Replies:
    """How replies are written."""

    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest reply.")] = 128
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0
    top_p: Annotated[float, typer.Option(help="Nucleus sampling, 0 to 1.")] = 1.0
    seed: Annotated[int, typer.Option(help="Seed of both replies.")] = 0
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt as plain text, not as a chat.")] = False


def steer(dosing: Dosing, replies: Replies, options: ModelOptions, output: Output) -> None:
    """Generate with and without a direction, side by side, with the dose."""
    job("steering").steer(dosing, replies, options, output)
