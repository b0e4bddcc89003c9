"""Confidence intervals: bootstrap over items, paired bootstrap, Wilson's interval for a proportion."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from thymos.errors import UsageError
from thymos.stats._checks import check_count, check_finite, check_level, check_same_length

Method = Literal["percentile", "bca"]

_DRAWS_AT_ONCE = 2**22
"""Item indices held in memory at once (32 MiB of int64); the resamples are worked off in batches of this size."""

_LEAST_DEFINED = 0.9
"""Share of resamples on which a statistic must be defined; an AUROC is not where one class was not drawn."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: The value on the sample itself.
        low: Lower end.
        high: Upper end.
        level: Confidence level, e.g. 0.95.
        n: Number of items behind it.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95
    n: int = field(kw_only=True)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")


def bootstrap(
    values: Float[np.ndarray, " items"],
    *,
    statistic: Callable[..., Any] = np.mean,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    method: Method = "percentile",
) -> Interval:
    """Interval of a statistic of one value per item, by resampling items.

    Items must be independent: average several readings of one item first.

    Args:
        values: One number per item.
        statistic: Array to number, such as `np.mean` or `np.median`.
        resamples: Number of bootstrap samples.
        seed: Same seed, same interval.
        level: Confidence level.
        method: "percentile", or "bca" (bias-corrected and accelerated), which is better for skewed statistics and
            costs one more evaluation per item.

    Raises:
        UsageError: Fewer than two items, NaN or infinity, or a level outside (0, 1).

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap; computed by `scipy.stats.bootstrap`.
    """
    check_finite("values", values, least=2)
    return bootstrap_items(
        lambda items: float(statistic(values[items])),
        len(values),
        resamples=resamples,
        seed=seed,
        level=level,
        method=method,
    )


def paired_bootstrap(
    a: Float[np.ndarray, " items"],
    b: Float[np.ndarray, " items"],
    *,
    statistic: Callable[..., Any] = np.mean,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of statistic(a) - statistic(b) where both were measured on the same items.

    Args:
        a: One number per item under the first condition.
        b: One number per item, same order, under the second condition.
        statistic: Array to number.
        resamples: Number of bootstrap samples; an item's two numbers are always drawn together.
        seed: Same seed, same interval.
        level: Confidence level.

    Raises:
        UsageError: Different lengths, fewer than two items, NaN or infinity, or a level outside (0, 1).
    """
    check_same_length(("a", "b"), a, b)
    check_finite("a", a, least=2)
    check_finite("b", b, least=2)
    return bootstrap_items(
        lambda items: float(statistic(a[items])) - float(statistic(b[items])),
        len(a),
        resamples=resamples,
        seed=seed,
        level=level,
    )


def bootstrap_items(
    statistic: Callable[[Int[np.ndarray, " items"]], float],
    n: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    method: Method = "percentile",
) -> Interval:
    """Interval of any statistic of n items, by resampling the items' indices.

    The other functions of this package are special cases. Use it directly when an item is more than one number.

    Args:
        statistic: Function of item indices (repeats allowed). It may return NaN where a resample leaves it undefined;
            such resamples are left out.
        n: Number of items.
        resamples: Number of bootstrap samples.
        seed: Same seed, same interval.
        level: Confidence level.
        method: "percentile" or "bca".

    Raises:
        UsageError: Fewer than two items, a level outside (0, 1), or a statistic that is undefined on the items
            themselves or on more than a tenth of the resamples.
    """
    check_level(level)
    check_count("resamples", resamples)
    if n < 2:
        raise UsageError(f"an interval over {n} items is not defined; at least 2 are needed")
    estimate = statistic(np.arange(n))
    if not np.isfinite(estimate):
        raise UsageError(f"the statistic is {estimate} on the {n} items; it must be a finite number")
    with warnings.catch_warnings():
        # scipy warns where BCa degenerates; that case is named in an error or resolved below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.bootstrap(
            (np.arange(n),),
            lambda items: statistic(np.asarray(items, dtype=np.int64)),
            n_resamples=resamples,
            batch=max(1, _DRAWS_AT_ONCE // n),
            vectorized=False,
            confidence_level=level,
            method="BCa" if method == "bca" else "percentile",
            rng=np.random.default_rng(seed),
        )
    drawn = np.asarray(result.bootstrap_distribution, dtype=np.float64)
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if np.isnan(low) or np.isnan(high):
        low, high = _resolve_undefined(drawn, level, method)
    # Interpolation between equal draws can end a rounding above the upper end.
    low, high = min(low, high), max(low, high)
    return Interval(float(estimate), low, high, level, n=n)


def _resolve_undefined(drawn: Float[np.ndarray, " resamples"], level: float, method: Method) -> tuple[float, float]:
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < _LEAST_DEFINED * len(drawn):
        raise UsageError(
            f"the statistic is undefined on {len(drawn) - len(defined)} of {len(drawn)} resamples; "
            "give more items, or more items of the rarer class"
        )
    if method == "bca" and np.ptp(defined) > 0:
        raise UsageError("the BCa interval is undefined for these items; use method='percentile'")
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return float(low), float(high)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion.

    It stays inside [0, 1] and is honest at 0 of n, where the usual normal interval has no width.

    Args:
        successes: Number of successes, 0 to n.
        n: Number of trials.
        level: Confidence level.

    Raises:
        UsageError: No trials, or a number of successes outside 0 to n.

    Source: Wilson 1927, doi 10.1080/01621459.1927.10502953; computed by `scipy.stats.binomtest`.
    """
    check_level(level)
    if n < 1:
        raise UsageError(f"a proportion of {n} trials is not defined; at least 1 is needed")
    if not 0 <= successes <= n:
        raise UsageError(f"{successes} successes in {n} trials; valid values are 0 to {n}")
    ends = stats.binomtest(int(successes), int(n)).proportion_ci(confidence_level=level, method="wilson")
    return Interval(successes / n, float(ends.low), float(ends.high), level, n=n)
