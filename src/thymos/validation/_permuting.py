"""One permutation test over all folds: labels permuted within topics, the reader fitted anew, the hits pooled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse, stats

from thymos.stats import PermutationResult
from thymos.validation.items import Items

__all__ = ["Fitted", "Null", "Refit", "fixed_null", "permute_within", "refit_means", "refitted_null"]

Fitted = Literal["refitted", "not refitted"]
"""Whether the reader was fitted anew for every set of permuted labels."""

_DRAWS_AT_ONCE = 2**21
"""Permuted labels held in memory at once."""
_NUMBERS_AT_ONCE = 2**23
"""Numbers of refitted directions held in memory at once (64 MiB of float64)."""
_MOST_WORK = 3e11
"""Multiplications spent on one test; a corpus of thousands of texts gets fewer permutations, never below the least."""
_LEAST = 199


class Null(NamedTuple):
    """Tests of top-1 recall and of macro AUROC on the same permutations."""

    top1: PermutationResult
    auroc: PermutationResult
    fitted: Fitted


@dataclass(frozen=True)
class Refit:
    """A reader that can be fitted to many sets of labels at once.

    Attributes:
        scores: Labels [times, items] -> for each fold its items and their scores [times, test, concepts].
        batch: Sets of labels it takes at once.
        work: Multiplications per set of labels.
    """

    scores: Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
    batch: int
    work: float

    def affordable(self, permutations: int) -> int:
        """How many permutations are made of those asked for."""
        return min(permutations, max(_LEAST, int(_MOST_WORK / self.work)))


def refitted_null(
    refit: Refit, items: Items, numbers: Int[np.ndarray, " items"], permutations: int, rng: np.random.Generator
) -> Null:
    """Permute the labels within topics, fit anew, and pool the hits (and the ranks) over folds.

    Exact: under the null hypothesis the labels of a topic are exchangeable, and the observed figure is one of the
    figures that the permuted labels give, whatever the folds have in common.
    """
    times = refit.affordable(permutations)
    weights = _rank_weights(items, numbers)
    observed = _pooled(refit.scores(items.labels[None]), items.labels[None], weights)[:, 0]
    null = np.empty((2, times))
    for start in range(0, times, refit.batch):
        drawn = permute_within(items.labels, items.topic_codes, min(refit.batch, times - start), rng)
        null[:, start : start + len(drawn)] = _pooled(refit.scores(drawn), drawn, weights)
    return _null(observed, null, "refitted", len(items))


def fixed_null(
    scores: Float[np.ndarray, "items concepts"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    permutations: int,
    rng: np.random.Generator,
) -> Null:
    """Permute the labels within topics, the scores as they are, and pool the hits (and the ranks) over folds.

    For readers that take too long to fit anew. Approximate: folds learn from each other's test labels, so that pooled
    figures vary more than this shows and p is too small. On chance data (differences of means, 72 and 144 texts, 400
    draws), 5 to 6% of the p of top-1 recall and 9 to 10% of those of the AUROC were at most 0.05.
    """
    ranked, own = _tables(scores, numbers)
    weights = _rank_weights(items, numbers)
    rows = np.arange(len(items))

    def pooled(labels: Int[np.ndarray, "times items"]) -> Float[np.ndarray, "2 times"]:
        hits = own[rows, labels].sum(axis=1)
        return np.stack([hits, (ranked[rows, labels] * weights[labels]).sum(axis=1)])

    observed = pooled(items.labels[None])[:, 0]
    null = np.empty((2, permutations))
    batch = max(1, _DRAWS_AT_ONCE // len(items))
    for start in range(0, permutations, batch):
        drawn = permute_within(items.labels, items.topic_codes, min(batch, permutations - start), rng)
        null[:, start : start + len(drawn)] = pooled(drawn)
    return _null(observed, null, "not refitted", len(items))


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


def refit_means(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    neutral: Float[np.ndarray, "k hidden"] | None,
) -> Refit:
    """Differences of means for many sets of labels: sums per fold and concept, then products with the test rows.

    Rows are turned into the space they span first, which changes no product and makes few texts cheap.
    """
    wide, axes = _compact(rows, neutral)
    folds, concepts, width = int(numbers.max()) + 1, len(items.concepts), wide.shape[1]
    # Permuting inside topics, and so inside folds, leaves these counts as they are.
    counts = np.bincount(numbers * concepts + items.labels, minlength=folds * concepts).reshape(folds, concepts)

    def scores(labels: Int[np.ndarray, "times items"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        times = len(labels)
        sums = group_sums(wide, numbers * concepts + labels, folds * concepts).reshape(times, folds, concepts, width)
        total = sums.sum(axis=1)
        for fold in range(folds):
            means = (total - sums[:, fold]) / (counts.sum(axis=0) - counts[fold])[:, None]
            centre = means.mean(axis=1)
            raw = means - centre[:, None]
            inside = raw @ axes.T
            squared = np.sum(raw**2, axis=2) - np.sum(inside**2, axis=2)
            raw = (raw - inside @ axes) / np.sqrt(np.maximum(squared, np.finfo(np.float64).tiny))[..., None]
            test = np.flatnonzero(numbers == fold)
            found = np.moveaxis((wide[test] @ raw.reshape(-1, width).T).reshape(len(test), times, concepts), 1, 0)
            found = found - np.einsum("tw,tcw->tc", centre, raw)[:, None]
            gaps = np.sum(wide[test] ** 2, axis=1) - 2 * centre @ wide[test].T + np.sum(centre**2, axis=1)[:, None]
            sizes = np.sqrt(np.maximum(gaps, 0.0))
            yield test, found / np.where(sizes > 0, sizes, 1.0)[..., None]

    batch = max(1, min(_NUMBERS_AT_ONCE // (folds * concepts * width), _DRAWS_AT_ONCE // (len(items) * concepts)))
    # Ranking a score costs about as much as a hundred multiplications.
    return Refit(scores, batch, len(items) * concepts * (width + 100.0))


def group_sums(
    rows: Float[np.ndarray, "items width"], groups: Int[np.ndarray, "times items"], count: int
) -> Float[np.ndarray, "sums width"]:
    """Sums of rows by group for many groupings: `count` rows for each of them, one grouping after the other."""
    times, items = groups.shape
    places = (groups + count * np.arange(times)[:, None]).reshape(-1)
    members = sparse.csr_matrix(
        (np.ones(times * items), (places, np.tile(np.arange(items), times))), shape=(times * count, items)
    )
    return np.asarray(members @ rows)


def _compact(
    rows: Float[np.ndarray, "items hidden"], neutral: Float[np.ndarray, "k hidden"] | None
) -> tuple[Float[np.ndarray, "items width"], Float[np.ndarray, "k width"]]:
    """Rows around their mean and the neutral components, in an orthonormal basis of the rows when that is smaller."""
    wide = rows.astype(np.float64)
    wide -= wide.mean(axis=0)
    axes = np.zeros((0, rows.shape[1])) if neutral is None else neutral.astype(np.float64)
    if len(wide) >= wide.shape[1]:
        return wide, axes
    basis, turned = np.linalg.qr(wide.T)
    return turned.T, axes @ basis


def _pooled(
    folds: Iterator[tuple[np.ndarray, np.ndarray]],
    labels: Int[np.ndarray, "times items"],
    weights: Float[np.ndarray, " concepts"],
) -> Float[np.ndarray, "2 times"]:
    found = np.zeros((2, len(labels)))
    for test, scores in folds:
        mine = labels[:, test]
        own = np.take_along_axis(scores, mine[..., None], axis=2)
        ties = (scores == own).sum(axis=2)
        found[0] += np.where((scores > own).any(axis=2), 0.0, 1.0 / ties).sum(axis=1)
        ranked = np.take_along_axis(stats.rankdata(scores, axis=1), mine[..., None], axis=2)[..., 0]
        found[1] += (ranked * weights[mine]).sum(axis=1)
    return found


def _tables(
    scores: Float[np.ndarray, "items concepts"], numbers: Int[np.ndarray, " items"]
) -> tuple[Float[np.ndarray, "items concepts"], Float[np.ndarray, "items concepts"]]:
    """Rank of each score among those of its fold, and what a hit on each concept is worth."""
    best = scores == scores.max(axis=1, keepdims=True)
    ranked = np.empty(scores.shape)
    for number in range(int(numbers.max()) + 1):
        ranked[numbers == number] = stats.rankdata(scores[numbers == number], axis=0)
    return ranked, best / best.sum(axis=1, keepdims=True)


def _rank_weights(items: Items, numbers: Int[np.ndarray, " items"]) -> Float[np.ndarray, " concepts"]:
    """What a rank is worth in the macro AUROC, but for a constant: one over the pairs compared of its concept."""
    folds, concepts = int(numbers.max()) + 1, len(items.concepts)
    counts = np.bincount(numbers * concepts + items.labels, minlength=folds * concepts).reshape(folds, concepts)
    pairs = (counts * (counts.sum(axis=1, keepdims=True) - counts)).sum(axis=0)
    weights: Float[np.ndarray, " concepts"] = np.where(pairs > 0, 1.0 / np.maximum(pairs, 1), 0.0)
    return weights


def _null(observed: Float[np.ndarray, " 2"], null: Float[np.ndarray, "2 times"], fitted: Fitted, count: int) -> Null:
    top1, auroc = (
        PermutationResult(
            float(value),
            # A sum in another order may differ in its last digit; that is still as high.
            (1 + int(np.sum(drawn >= value - 1e-9 * max(1.0, abs(float(value)))))) / (1 + len(drawn)),
            drawn,
            len(drawn),
        )
        for value, drawn in zip(observed / [count, 1], null / np.array([[count], [1]]), strict=True)
    )
    return Null(top1, auroc, fitted)
