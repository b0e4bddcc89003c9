"""One value against a sample of controls: how likely is it that it is one of them?"""

import numpy as np
from jaxtyping import Float
from scipy import stats

from thymos.errors import UsageError

__all__ = ["single_case_p"]


def single_case_p(value: float, controls: Float[np.ndarray, " controls"]) -> float:
    """Two-sided p-value of a single value against controls that are taken as normal (Crawford and Howell 1998).

    The rank among n controls cannot give a p below 1 / (1 + n), which no correction over many studies survives; the
    t distribution of one new value against a sample can. Effects of random directions are sums over many dimensions,
    so that the normal curve is a fair description; print their range beside it all the same.

    Args:
        value: The value, such as the effect of a concept's vector.
        controls: The same measure of the controls, such as random directions of equal norm.

    Returns:
        p; 1 or 0 where all controls are equal, depending on whether the value is equal to them.

    Raises:
        UsageError: Fewer than three controls, or values that are not finite.

    Source: Crawford and Howell (1998), doi:10.1076/clin.12.4.482.7241.
    """
    n = len(controls)
    if n < 3:
        raise UsageError(f"{n} controls say nothing about their spread; give at least 3")
    if not np.isfinite(controls).all() or not np.isfinite(value):
        raise UsageError("the value or a control is not finite; look for NaN in the activations")
    spread = float(np.std(controls, ddof=1)) * float(np.sqrt(1 + 1 / n))
    away = abs(value - float(np.mean(controls)))
    if spread == 0:
        return float(away == 0)
    return float(2 * stats.t.sf(away / spread, n - 1))
