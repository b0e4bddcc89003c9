"""What follows from choices: ratings against readings, and what steering does to ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thymos.concepts import EMOTIONS
from thymos.stats import Interval, bootstrap, correlation
from thymos.studies.bench import Context
from thymos.studies.preference_pairs import Pushed, rating_changes
from thymos.studies.projections import standardised
from thymos.studies.protocol import Estimate, estimate

__all__ = [
    "LEAST_FOR_R",
    "Choices",
    "Effect",
    "effect_of",
    "matched_p",
    "norms_of",
    "null_changes",
    "r_estimate",
    "within",
]

LEAST_FOR_R = 4
"""Fewer points give no correlation worth printing."""


@dataclass(frozen=True, eq=False)
class Choices:
    """Choices without any dose, and the halves that are steered.

    Attributes:
        chosen: Entry [i, j]: probability of (A) where i is offered first.
        elo: Ratings.
        halves: True on steered activities, per split.
    """

    chosen: Float[np.ndarray, "n n"]
    elo: Float[np.ndarray, " n"]
    halves: Bool[np.ndarray, "splits n"]


@dataclass(frozen=True, eq=False)
class Effect:
    """What steering one direction does to the ratings of the steered activities.

    Attributes:
        change: Mean change over splits and steered activities, with an interval over activities.
        by_split: Mean change in each split.
    """

    change: Interval
    by_split: Float[np.ndarray, " splits"]


def effect_of(choices: Choices, pushed: Pushed, direction: int, strength: int, seed: int) -> Effect:
    """The effect of a direction that was run on every pair."""
    n = len(choices.elo)
    changes = np.full((len(choices.halves), n), np.nan)
    steered = (pushed.first[strength, direction], pushed.second[strength, direction])
    for row, half in zip(changes, choices.halves, strict=True):
        row[half] = rating_changes(choices.chosen, choices.elo, steered, half)
    # Every activity counts once, however often it was in the steered half.
    seen = np.isfinite(changes).any(axis=0)
    per_activity = np.nanmean(changes[:, seen], axis=0)
    return Effect(bootstrap(per_activity, seed=seed), np.nanmean(changes, axis=1))


def null_changes(choices: Choices, pushed: Pushed, arm: str, strength: int = 0) -> Float[np.ndarray, " directions"]:
    """Mean change under every direction of an arm, in the first split, which is all that controls are run on."""
    half = choices.halves[0]
    found = [
        float(
            rating_changes(
                choices.chosen,
                choices.elo,
                (pushed.first[strength, place], pushed.second[strength, place]),
                half,
            ).mean()
        )
        for place in pushed.of_arm(arm)
    ]
    return np.asarray(found, np.float64)


def within(values: Float[np.ndarray, "items ..."], groups: Sequence[str]) -> Float[np.ndarray, "items ..."]:
    """Values without the mean of their group."""
    codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    found = values.astype(np.float64).copy()
    for code in range(int(codes.max()) + 1):
        found[codes == code] -= found[codes == code].mean(axis=0)
    return found


def r_estimate(
    name: str, x: Float[np.ndarray, " items"], y: Float[np.ndarray, " items"], seed: int, **more: Any
) -> Estimate:
    """A correlation as an estimate; 0 without an interval where one side does not vary or items are too few."""
    usable = len(x) >= LEAST_FOR_R and bool(standardised(x).any()) and bool(standardised(y).any())
    if usable:
        return estimate(name, correlation(x, y, seed=seed), **more)
    note = f"{more.pop('note', '')}; no correlation is defined: too few points, or all alike".lstrip("; ")
    return estimate(name, 0.0, n=len(x), note=note, **more)


def matched_p(
    readings: Float[np.ndarray, "items vectors"],
    ratings: Float[np.ndarray, " items"],
    changes: Float[np.ndarray, " vectors"],
    permutations: int,
    seed: int,
) -> tuple[float, float]:
    """r(observation, steering) over vectors, and its p over shuffled activities.

    Vectors are not independent (most of them lie along one axis), so shuffling vectors would take too little for
    chance. Shuffling which activity has which rating leaves readings and vectors as they are.
    """
    columns, target = standardised(readings), standardised(changes)
    observed = float(standardised(columns.T @ standardised(ratings)) @ target)
    rng = np.random.default_rng(seed)
    shuffled = standardised(np.stack([rng.permutation(ratings) for _ in range(permutations)], axis=1))
    null = standardised(columns.T @ shuffled).T @ target
    return observed, float((1 + np.sum(null >= observed - 1e-12)) / (1 + permutations))


def norms_of(context: Context, words: Sequence[str], axis: str) -> Float[np.ndarray, " words"]:
    """Planted appraisal, or human rating, of each word; NaN where there is none.

    Args:
        context: Of the study.
        words: Concepts.
        axis: "valence" or "arousal".
    """
    if context.planted and "points" in context.truth:
        points: Mapping[str, Any] = context.truth["points"]
        column = list(context.truth["dimensions"]).index(axis)
        return np.asarray([points[w][column] if w in points else np.nan for w in words], np.float64)
    field = "pleasure" if axis == "valence" else axis
    known = [EMOTIONS[w].norms if w in EMOTIONS else None for w in words]
    return np.asarray([np.nan if one is None else getattr(one, field) for one in known], np.float64)
