"""From scores of items x concepts to hits, areas under the ROC curve and permutation p-values."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from thymos.validation.items import Items

_DRAWS_AT_ONCE = 2**21
"""Permuted labels held in memory at once."""


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


def fold_p_values(
    scores: Float[np.ndarray, "items concepts"],
    labels: Int[np.ndarray, " items"],
    topics: Int[np.ndarray, " items"],
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """p-values of top-1 recall and of macro AUROC in one fold, the labels permuted within topics.

    The scores stay fixed: they come from other topics, so given those the labels of a topic are exchangeable.
    """
    best = scores == scores.max(axis=1, keepdims=True)
    hit = best / best.sum(axis=1, keepdims=True)
    counts = np.bincount(labels, minlength=scores.shape[1])
    pairs = counts * (len(labels) - counts)
    ranked = stats.rankdata(scores, axis=0) / np.where(pairs > 0, pairs, np.inf)
    rows = np.arange(len(labels))
    observed = (hit[rows, labels].sum(), ranked[rows, labels].sum())
    as_large = np.zeros(2, dtype=np.int64)
    batch = max(1, _DRAWS_AT_ONCE // len(labels))
    for start in range(0, permutations, batch):
        drawn = permute_within(labels, topics, min(batch, permutations - start), rng)
        for place, (table, value) in enumerate(zip((hit, ranked), observed, strict=True)):
            null = table[rows, drawn].sum(axis=1)
            as_large[place] += int(np.sum(null >= value - 1e-9 * max(1.0, abs(float(value)))))
    found = (1.0 + as_large) / (1.0 + permutations)
    return float(found[0]), float(found[1])


def permute_within(
    labels: Int[np.ndarray, " items"], groups: Int[np.ndarray, " items"], times: int, rng: np.random.Generator
) -> Int[np.ndarray, "times items"]:
    """Labels permuted at random inside each group, several times."""
    home = np.argsort(groups, kind="stable")
    # Sorting by group plus a fraction shuffles inside groups and keeps the groups apart.
    away = np.argsort(groups + rng.random((times, len(labels))), axis=1)
    drawn = np.empty((times, len(labels)), dtype=labels.dtype)
    drawn[:, home] = labels[away]
    return drawn
