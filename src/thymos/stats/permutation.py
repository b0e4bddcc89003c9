"""Permutation tests: one statistic, and the largest of many (family-wise p-values)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from scipy import stats

from thymos.errors import UsageError
from thymos.stats._checks import check_count

Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of a permutation test.

    Attributes:
        statistic: The value with the labels as they are.
        p: (1 + number of permutations at least as extreme) / (1 + permutations); never 0.
        null: The statistic under each permutation.
        permutations: Number of permutations.
    """

    statistic: float
    p: float
    null: Float[np.ndarray, " permutations"]
    permutations: int

    @property
    def smallest_p(self) -> float:
        """The smallest p this many permutations can give; a threshold below it cannot be reached."""
        return 1.0 / (1 + self.permutations)


@dataclass(frozen=True)
class MaxStatisticResult:
    """Outcome of a max-statistic permutation test over many columns (concepts, layers, positions).

    Attributes:
        statistics: The value of each column with the labels as they are.
        p: Family-wise p-value of each column, comparable with 0.05 as it is.
        null: The largest statistic over columns under each permutation.
        permutations: Number of permutations.
    """

    statistics: Float[np.ndarray, " columns"]
    p: Float[np.ndarray, " columns"]
    null: Float[np.ndarray, " permutations"]
    permutations: int

    @property
    def best(self) -> int:
        """Column with the smallest p; the first of them where several are equal."""
        return int(np.argmin(self.p))


def permutation_test(
    statistic: Callable[[np.ndarray], float],
    labels: Shaped[np.ndarray, " items"],
    *,
    permutations: int = 5000,
    seed: int = 0,
    alternative: Alternative = "greater",
) -> PermutationResult:
    """Test a statistic of the labels against shuffled labels.

    Any search that was done to get the statistic (best layer, best component) belongs inside `statistic`, or the
    p-value is too small.

    Args:
        statistic: Function of the labels, such as `lambda y: accuracy(scores, y)`.
        labels: One label per item: numbers, booleans or strings.
        permutations: Number of random permutations. With few items all of them are enumerated instead, without the
            one that changes nothing.
        seed: Same seed, same result.
        alternative: "greater" (large values are evidence), "less" or "two-sided" (twice the smaller tail).

    Raises:
        UsageError: Fewer than two labels, labels that are all equal, or a statistic that is not finite.

    Source: Phipson & Smyth 2010, doi 10.2202/1544-6115.1585 (why 1 is added); by `scipy.stats.permutation_test`.
    """
    _check_labels(labels, permutations)

    def of_order(order: Shaped[np.ndarray, " items"]) -> float:
        return _finite(float(statistic(labels[np.asarray(order, dtype=np.int64)])))

    result = stats.permutation_test(
        (np.arange(len(labels)),),
        of_order,
        permutation_type="pairings",
        vectorized=False,
        n_resamples=permutations,
        alternative=alternative,
        rng=np.random.default_rng(seed),
    )
    null = np.asarray(result.null_distribution, dtype=np.float64)
    if len(null) == _orders(len(labels)):
        # scipy enumerated every order, the identity first; it is the "1 +" of the formula already.
        null = null[1:]
    return PermutationResult(float(result.statistic), float(result.pvalue), null, len(null))


def max_statistic_permutation(
    statistics: Callable[[np.ndarray], Float[np.ndarray, " columns"]],
    labels: Shaped[np.ndarray, " items"],
    *,
    permutations: int = 5000,
    seed: int = 0,
    alternative: Alternative = "greater",
) -> MaxStatisticResult:
    """Test many statistics at once; each is compared with the largest of all under shuffled labels.

    This controls the chance of even one false finding over all columns and uses their correlation, so it is less
    strict than Bonferroni over concepts x layers x positions. The columns must be on one scale (correlations, AUROCs,
    t values); a column with a larger spread would set the null alone.

    Args:
        statistics: Function of the labels that returns one value per column.
        labels: One label per item.
        permutations: Number of random permutations.
        seed: Same seed, same result.
        alternative: "greater", "less" or "two-sided" (absolute values).

    Raises:
        UsageError: Fewer than two labels, labels that are all equal, or a statistic that is not finite.

    Source: Westfall & Young 1993, Resampling-Based Multiple Testing (single-step max T).
    """
    _check_labels(labels, permutations)
    fold: dict[Alternative, Callable[[np.ndarray], np.ndarray]] = {
        "greater": np.asarray,
        "less": np.negative,
        "two-sided": np.abs,
    }
    if alternative not in fold:
        raise UsageError(f"unknown alternative {alternative!r}; valid values are {', '.join(fold)}")
    observed = np.asarray(statistics(labels), dtype=np.float64)
    folded = fold[alternative](observed)
    _finite(float(np.sum(folded)))
    rng = np.random.default_rng(seed)
    null = np.empty(permutations, dtype=np.float64)
    for row in range(permutations):
        null[row] = _finite(float(np.max(fold[alternative](np.asarray(statistics(rng.permutation(labels)))))))
    # Ties that differ in the last bits only must count as ties, or p would be too small for discrete statistics.
    slack = 1e-12 * np.maximum(1.0, np.abs(folded))
    as_large = len(null) - np.searchsorted(np.sort(null), folded - slack, side="left")
    return MaxStatisticResult(observed, (1.0 + as_large) / (1.0 + permutations), null, permutations)


def _orders(n: int) -> int:
    return math.factorial(n)


def _check_labels(labels: Shaped[np.ndarray, " items"], permutations: int) -> None:
    check_count("permutations", permutations)
    if len(labels) < 2:
        raise UsageError(f"{len(labels)} labels cannot be permuted; at least 2 are needed")
    if labels.dtype.kind == "f" and not np.all(np.isfinite(labels)):
        raise UsageError("labels contain NaN or infinity; leave those items out")
    if np.all(labels == labels[0]):
        raise UsageError(f"all {len(labels)} labels are {labels[0]!r}; a permutation changes nothing, give two kinds")


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise UsageError(f"the statistic is {value} for some order of the labels; it must be a finite number")
    return value
