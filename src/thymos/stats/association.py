"""How strongly two things go together: correlation, partial correlation, area under the ROC curve."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy import stats

from thymos.errors import UsageError
from thymos.stats._checks import check_finite, check_same_length, check_varies
from thymos.stats.intervals import Interval, bootstrap_items

Kind = Literal["pearson", "spearman"]


@dataclass(frozen=True)
class Correlation:
    """A correlation with its interval and p-value.

    Attributes:
        interval: Coefficient with its bootstrap interval over items.
        p: Two-sided p-value of no correlation.
        kind: "pearson" or "spearman".
    """

    interval: Interval
    p: float
    kind: Kind

    @property
    def r(self) -> float:
        """The coefficient."""
        return self.interval.estimate

    @property
    def n(self) -> int:
        """Number of items."""
        return self.interval.n

    def __str__(self) -> str:
        return f"{self.interval} (n={self.n}, p={self.p:.2g})"


def correlation(
    x: Float[np.ndarray, " items"],
    y: Float[np.ndarray, " items"],
    *,
    kind: Kind = "pearson",
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Correlation:
    """Correlation over items with a bootstrap interval.

    Args:
        x: One number per item.
        y: One number per item, same order.
        kind: "pearson" (linear) or "spearman" (ranks).
        resamples: Number of bootstrap samples of items.
        seed: Same seed, same interval.
        level: Confidence level.

    Raises:
        UsageError: Different lengths, fewer than three items, NaN or infinity, or values that are all equal.
    """
    _check_pair(x, y, kind)
    test = stats.pearsonr(x, y) if kind == "pearson" else stats.spearmanr(x, y)
    interval = bootstrap_items(
        lambda items: _r(x[items], y[items], kind), len(x), resamples=resamples, seed=seed, level=level
    )
    return Correlation(interval, float(test.pvalue), kind)


def partial_correlation(
    x: Float[np.ndarray, " items"],
    y: Float[np.ndarray, " items"],
    controls: Float[np.ndarray, "items controls"],
    *,
    kind: Kind = "pearson",
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Correlation of what is left of x and y after a linear fit on the controls, with a 95% interval.

    With one 0/1 column per category as controls, this is the within-category correlation.

    Args:
        x: One number per item.
        y: One number per item.
        controls: One row per item; a constant is added, columns may be redundant.
        kind: "pearson", or "spearman" (x, y and the controls are ranked first).
        resamples: Number of bootstrap samples of items; the fits are repeated in each.
        seed: Same seed, same interval.

    Raises:
        UsageError: Different lengths, NaN or infinity, too few items for the number of controls, or an x or y that the
            controls explain completely.
    """
    _check_pair(x, y, kind)
    check_same_length(("x", "controls"), x, controls)
    check_finite("controls", controls)
    rank = int(np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), controls])))
    freedom = len(x) - 1 - rank
    if freedom < 1:
        raise UsageError(
            f"{len(x)} items are too few for {rank - 1} independent controls; at least {rank + 2} are needed"
        )
    columns = np.column_stack([x, y, controls])

    def residual_r(items: Int[np.ndarray, " items"]) -> float:
        drawn = columns[items]
        drawn = stats.rankdata(drawn, axis=0) if kind == "spearman" else drawn
        design = np.column_stack([np.ones(len(drawn)), drawn[:, 2:]])
        rest = drawn[:, :2] - design @ np.linalg.lstsq(design, drawn[:, :2], rcond=None)[0]
        # A residual of rounding errors only is no residual; its correlation would be noise.
        scale = np.ptp(drawn[:, :2], axis=0)
        if np.any(np.ptp(rest, axis=0) <= 1e-9 * scale):
            return float("nan")
        return _r(rest[:, 0], rest[:, 1], "pearson")

    r = residual_r(np.arange(len(x)))
    if np.isnan(r):
        raise UsageError("the controls explain x or y completely; nothing is left to correlate, drop some controls")
    interval = bootstrap_items(residual_r, len(x), resamples=resamples, seed=seed)
    t = r * np.sqrt(freedom / max(1.0 - r * r, np.finfo(float).tiny))
    return Correlation(interval, float(2.0 * stats.t.sf(abs(t), freedom)), kind)


def auroc(
    scores: Float[np.ndarray, " items"],
    labels: Bool[np.ndarray, " items"],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Area under the ROC curve: the chance that a positive item scores above a negative one; ties count half.

    Args:
        scores: One score per item.
        labels: True for positive items.
        resamples: Number of bootstrap samples of items.
        seed: Same seed, same interval.
        level: Confidence level.

    Raises:
        UsageError: Different lengths, NaN or infinity, or only one class.
    """
    check_same_length(("scores", "labels"), scores, labels)
    check_finite("scores", scores, least=2)
    if labels.all() or not labels.any():
        raise UsageError(f"all {len(labels)} labels are {bool(labels[0])}; an AUROC needs items of both classes")
    return bootstrap_items(
        lambda items: _auroc(scores[items], labels[items]), len(scores), resamples=resamples, seed=seed, level=level
    )


def macro_auroc(
    scores: Float[np.ndarray, "items classes"],
    labels: Int[np.ndarray, " items"],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """One-against-rest AUROC of each class, averaged over classes with equal weight.

    Args:
        scores: Score of each class (concept) for each item.
        labels: Column of each item's class.
        resamples: Number of bootstrap samples of items; a class that was not drawn is left out of that sample's mean.
        seed: Same seed, same interval.
        level: Confidence level.

    Raises:
        UsageError: Different lengths, NaN or infinity, a label that is no column, or a class without items.
    """
    check_same_length(("scores", "labels"), scores, labels)
    check_finite("scores", scores, least=2)
    classes = scores.shape[1]
    counts = _class_counts(labels, classes)
    if np.any(counts == 0):
        raise UsageError(
            f"class {int(np.argmin(counts))} of {classes} has no items; drop its column or add items of it"
        )
    if classes < 2:
        raise UsageError("a macro AUROC needs at least 2 classes, got 1")
    order = np.argsort(scores, axis=0, kind="stable")
    left, right = _tie_edges(scores, order, labels)
    own_class = labels[order] == np.arange(classes)

    def macro(items: Int[np.ndarray, " items"]) -> float:
        weight = np.bincount(items, minlength=len(labels)).astype(np.float64)
        # below[k, c]: weight of the items outside class c among the k lowest scores of column c.
        below = np.zeros((len(labels) + 1, classes))
        np.cumsum(np.where(own_class, 0.0, weight[order]), axis=0, out=below[1:])
        wins = weight * 0.5 * (below[left, labels] + below[right, labels])
        positives = np.bincount(labels, weights=weight, minlength=classes)
        pairs = positives * below[-1]
        drawn = pairs > 0
        if not drawn.any():
            return float("nan")
        return float(np.mean(np.bincount(labels, weights=wins, minlength=classes)[drawn] / pairs[drawn]))

    return bootstrap_items(macro, len(labels), resamples=resamples, seed=seed, level=level)


def _tie_edges(
    scores: Float[np.ndarray, "items classes"],
    order: Int[np.ndarray, "items classes"],
    labels: Int[np.ndarray, " items"],
) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " items"]]:
    """How many items score below, and how many at most as high as, each item in its own class's column."""
    left = np.empty(len(labels), dtype=np.int64)
    right = np.empty(len(labels), dtype=np.int64)
    for column in np.unique(labels):
        own = labels == column
        ranked = scores[order[:, column], column]
        left[own] = np.searchsorted(ranked, scores[own, column], side="left")
        right[own] = np.searchsorted(ranked, scores[own, column], side="right")
    return left, right


def _class_counts(labels: Int[np.ndarray, " items"], classes: int) -> Int[np.ndarray, " classes"]:
    if labels.min() < 0 or labels.max() >= classes:
        raise UsageError(
            f"labels run from {labels.min()} to {labels.max()}; valid values are 0 to {classes - 1}, one per column"
        )
    return np.bincount(labels, minlength=classes)


def _auroc(scores: Float[np.ndarray, " items"], labels: Bool[np.ndarray, " items"]) -> float:
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _r(x: Shaped[np.ndarray, " items"], y: Shaped[np.ndarray, " items"], kind: Kind) -> float:
    if kind == "spearman":
        x, y = stats.rankdata(x), stats.rankdata(y)
    x, y = x - x.mean(), y - y.mean()
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    # NaN marks a resample in which one side does not vary; the bootstrap leaves it out.
    return float(np.clip(x @ y / lengths, -1.0, 1.0)) if lengths > 0 else float("nan")


def _check_pair(x: Float[np.ndarray, " x"], y: Float[np.ndarray, " y"], kind: Kind) -> None:
    if kind not in ("pearson", "spearman"):
        raise UsageError(f"unknown kind of correlation {kind!r}; valid kinds are pearson, spearman")
    check_same_length(("x", "y"), x, y)
    for name, values in (("x", x), ("y", y)):
        check_finite(name, values, least=3)
        check_varies(name, values)
