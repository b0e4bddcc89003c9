"""Corrections for many tests at once."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from thymos.errors import UsageError
from thymos.stats._checks import check_finite


def holm(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Holm's adjusted p-values: below 0.05, the chance of even one false finding is at most 0.05.

    Args:
        p_values: One p-value per test.

    Returns:
        Adjusted p-values in the same order.

    Raises:
        UsageError: No p-values, NaN, or a value outside [0, 1].

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    _check(p_values)
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values), dtype=np.float64)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def benjamini_hochberg(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Benjamini and Hochberg's adjusted p-values: of the findings below 0.05, at most 5% are expected to be false.

    Args:
        p_values: One p-value per test; the tests are independent or positively dependent.

    Returns:
        Adjusted p-values in the same order.

    Raises:
        UsageError: No p-values, NaN, or a value outside [0, 1].

    Source: Benjamini & Hochberg 1995, doi 10.1111/j.2517-6161.1995.tb02031.x; by `scipy.stats.false_discovery_control`.
    """
    _check(p_values)
    return np.asarray(stats.false_discovery_control(p_values.astype(np.float64), method="bh"), dtype=np.float64)


def _check(p_values: Float[np.ndarray, " tests"]) -> None:
    check_finite("p_values", p_values)
    if p_values.min() < 0 or p_values.max() > 1:
        raise UsageError(f"p-values lie from {p_values.min():g} to {p_values.max():g}; valid values are from 0 to 1")
