"""From scores of items x concepts to hits and areas under the ROC curve."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from thymos.validation.items import Items


class Ranks(NamedTuple):
    """Where each item's own concept came."""

    best: Int[np.ndarray, " items"]
    """1 + number of concepts that scored higher."""
    ties: Int[np.ndarray, " items"]
    """Number of other concepts with exactly the same score."""


class Auroc(NamedTuple):
    """Macro one-against-rest AUROC, compared within folds only."""

    by_concept: Float[np.ndarray, " concepts"]
    influence: Float[np.ndarray, " items"]
    """First-order effect of each item on the macro mean; sums to 0."""


def own_ranks(scores: Float[np.ndarray, "items concepts"], labels: Int[np.ndarray, " items"]) -> Ranks:
    """Rank of each item's own concept among its scores."""
    own = scores[np.arange(len(labels)), labels][:, None]
    return Ranks(1 + (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1)


def expected_hits(ranks: Ranks, k: int) -> Float[np.ndarray, " items"]:
    """Chance that an item's own concept is among the first k when ties are broken at random: 0 or 1 without ties.

    Breaking ties in a fixed way would reward or punish baselines that often score 0 everywhere.
    """
    hits: Float[np.ndarray, " items"] = np.clip((k + 1.0 - ranks.best) / (ranks.ties + 1.0), 0.0, 1.0)
    return hits


def stratified_auroc(
    scores: Float[np.ndarray, "items concepts"], items: Items, numbers: Int[np.ndarray, " items"]
) -> Auroc:
    """One-against-rest AUROC per concept over pairs of items of the same fold.

    Scores of different folds come from different directions, so pairs across folds are not compared. The influence is
    the derivative of the macro mean with respect to an item's weight, times the number of items; resampling it is the
    item bootstrap to first order, at the price of one pass.
    """
    count, concepts = scores.shape
    wins = np.zeros((count, concepts))
    rivals = np.zeros((count, concepts))
    for number in range(int(numbers.max()) + 1):
        inside = np.flatnonzero(numbers == number)
        own = items.labels[inside]
        ranked = stats.rankdata(scores[inside], axis=0)
        for concept in np.unique(own):
            positive = own == concept
            column = scores[inside, concept]
            members = np.sort(column[positive])
            below = 0.5 * (members.searchsorted(column, "left") + members.searchsorted(column, "right"))
            positives = len(members)
            # A positive item wins over the others below it; against a negative item win the positives above it.
            wins[inside, concept] = np.where(positive, ranked[:, concept] - 0.5 - below, positives - below)
            rivals[inside, concept] = np.where(positive, len(own) - positives, positives)
    is_own = np.arange(concepts) == items.labels[:, None]
    pairs = np.where(is_own, rivals, 0.0).sum(axis=0)
    defined = pairs > 0
    safe = np.where(defined, pairs, 1.0)
    by_concept = np.where(defined, np.where(is_own, wins, 0.0).sum(axis=0) / safe, np.nan)
    slopes = np.where(defined, (wins - np.nan_to_num(by_concept) * rivals) / safe, 0.0)
    return Auroc(by_concept, slopes.sum(axis=1) * count / max(1, int(defined.sum())))
