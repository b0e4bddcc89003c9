"""Scores by rule: one number per outcome, so that Inspect's means over epochs are rates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inspect_ai.scorer import Metric, SampleScore, Score, Value, metric

__all__ = ["rates", "score_of", "shares_of"]


def score_of(outcome: str, outcomes: Sequence[str], answer: str, flags: Mapping[str, bool], **more: Any) -> Score:
    """A score with 1 for the outcome and 0 for the others, and 0 or 1 for every flag.

    Args:
        outcome: What the rules say.
        outcomes: What they can say.
        answer: The reply.
        flags: Whatever else is counted.
        **more: Metadata.
    """
    value: dict[str, str | int | float | bool | None] = {name: float(name == outcome) for name in outcomes}
    value |= {name: float(held) for name, held in flags.items()}
    return Score(value=value, answer=answer, explanation=outcome, metadata={"outcome": outcome, **more})


def shares_of(scores: Sequence[SampleScore]) -> dict[str, list[float]]:
    """Values by name: each sample's share over its epochs."""
    found: dict[str, list[float]] = {}
    for one in scores:
        if isinstance(one.score.value, Mapping):
            for name, value in one.score.value.items():
                if isinstance(value, int | float):
                    found.setdefault(name, []).append(float(value))
    return found


@metric
def rates(by: str = "kind") -> Metric:
    """Rate and standard error of every outcome over samples, for each group of samples apart.

    A sample's epochs count once, as their mean; the standard error is over samples, so it is about other samples like
    these. It is left out where a group has one sample.

    Args:
        by: Metadata of the samples that groups them.
    """

    def measure(scores: list[SampleScore]) -> Value:
        groups: dict[str, list[SampleScore]] = {}
        for one in scores:
            groups.setdefault(str((one.sample_metadata or {}).get(by, "all")), []).append(one)
        found: dict[str, str | int | float | bool | None] = {}
        for group, some in groups.items():
            for name, values in shares_of(some).items():
                found[f"{group}: {name}"] = sum(values) / len(values)
                if len(values) > 1:
                    found[f"{group}: {name} (stderr)"] = _stderr(values)
        return found

    return measure


def _stderr(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))
