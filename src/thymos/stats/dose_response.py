"""Dose-response: how the rate of an outcome changes with steering strength."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, stats
from scipy.special import expit, log_expit

from thymos.errors import UsageError
from thymos.stats._checks import check_finite, check_level, check_same_length
from thymos.stats.intervals import Interval

_FINEST = 500
"""Half the number of intercepts tried per slope at most."""

_WIDEST = 1e6
"""Where the search for an end of the interval gives up, in log-odds per standard deviation of strength."""


@dataclass(frozen=True)
class DoseResponse:
    """A logistic fit of an outcome's rate on strength.

    Attributes:
        slope: Change in log-odds per unit of strength, with its profile-likelihood interval.
        intercept: Log-odds at strength 0.
        p: Two-sided p-value of slope 0, by penalised likelihood ratio.
        trials: Number of trials over all doses.
    """

    slope: Interval
    intercept: float
    p: float
    trials: int

    @property
    def half_dose(self) -> float:
        """Strength at which the fitted rate is one half; NaN for a flat curve."""
        return -self.intercept / self.slope.estimate if self.slope.estimate else float("nan")

    def rate(self, strength: Float[np.ndarray, " doses"]) -> Float[np.ndarray, " doses"]:
        """The fitted rate at some strengths."""
        return expit(self.intercept + self.slope.estimate * strength)


@dataclass(frozen=True)
class _Trials:
    """Centred and scaled doses with their counts, so that the optimiser sees numbers near 1."""

    dose: Float[np.ndarray, " doses"]
    successes: Float[np.ndarray, " doses"]
    n: Float[np.ndarray, " doses"]

    def objective(self, intercepts: Float[np.ndarray, " lines"], slope: float) -> Float[np.ndarray, " lines"]:
        """Penalised log-likelihood: Firth's penalty is half the log-determinant of the information matrix."""
        logits = intercepts[:, None] + slope * self.dose
        likelihood = self.successes * log_expit(logits) + (self.n - self.successes) * log_expit(-logits)
        weight = self.n * expit(logits) * expit(-logits)
        total = np.maximum(weight.sum(axis=1), np.finfo(float).tiny)
        # Written as total x spread about the weighted mean: the textbook difference of products cancels to nothing.
        middle = (weight @ self.dose) / total
        spread = (weight * (self.dose - middle[:, None]) ** 2).sum(axis=1)
        penalty = 0.5 * (np.log(total) + np.log(np.maximum(spread, np.finfo(float).tiny)))
        return np.asarray(likelihood.sum(axis=1) + penalty)

    def profile(self, slope: float) -> tuple[float, float]:
        """Best objective at a fixed slope, and the intercept that gives it."""
        reach = 20.0 + abs(slope) * float(np.abs(self.dose).max())
        # On steep curves the penalty has a bump between each two doses, so a local search alone may stop on a low one.
        grid = np.linspace(-reach, reach, 2 * int(min(reach, _FINEST)) + 1)
        top = float(grid[int(np.argmax(self.objective(grid, slope)))])
        step = float(grid[1] - grid[0])
        best = optimize.minimize_scalar(
            lambda intercept: -float(self.objective(np.array([intercept]), slope)[0]),
            bounds=(top - step, top + step),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return -float(best.fun), float(best.x)

    def best(self) -> tuple[float, float, float]:
        """Best objective over all lines, and the slope and the intercept that give it."""
        # Slopes up to 4,000 log-odds per standard deviation: separated doses that lie close together need them.
        grid = np.sinh(np.linspace(-9.0, 9.0, 37))
        top = int(np.argmax([self.profile(float(slope))[0] for slope in grid]))
        found = optimize.minimize_scalar(
            lambda slope: -self.profile(float(slope))[0],
            bounds=(float(grid[max(top - 1, 0)]), float(grid[min(top + 1, len(grid) - 1)])),
            method="bounded",
            options={"xatol": 1e-9},
        )
        slope = float(found.x)
        value, intercept = self.profile(slope)
        return value, slope, intercept


def dose_response(
    strength: Float[np.ndarray, " doses"],
    successes: Int[np.ndarray, " doses"],
    n: Int[np.ndarray, " doses"],
    *,
    level: float = 0.95,
) -> DoseResponse:
    """Fit a logistic curve to the rate of an outcome over steering strengths.

    Firth's penalised likelihood is used: steering often takes a rate from 0 of n to n of n, where the ordinary
    estimate is infinite and its interval useless. With plain data the two agree closely.

    Args:
        strength: Strength of each dose, e.g. as a fraction of the residual norm; negative values are fine.
        successes: Number of trials with the outcome at each dose.
        n: Number of trials at each dose.
        level: Confidence level of the slope's interval.

    Raises:
        UsageError: Different lengths, fewer than two different strengths, doses without trials, or a number of
            successes outside 0 to n.

    Source: Firth 1993, doi 10.1093/biomet/80.1.27; Heinze & Schemper 2002, doi 10.1002/sim.1047 (interval and p).
    """
    check_level(level)
    _check(strength, successes, n)
    total = int(n.sum())
    centre = float(np.average(strength, weights=n))
    scale = float(np.sqrt(np.average((strength - centre) ** 2, weights=n)))
    trials = _Trials((strength.astype(np.float64) - centre) / scale, successes.astype(float), n.astype(float))
    best, slope, intercept = trials.best()
    p = float(stats.chi2.sf(max(0.0, 2.0 * (best - trials.profile(0.0)[0])), df=1))
    drop = best - 0.5 * float(stats.chi2.ppf(level, df=1))
    low, high = (_end(trials, slope, drop, side) for side in (-1.0, 1.0))
    interval = Interval(slope / scale, low / scale, high / scale, level, n=total)
    return DoseResponse(interval, intercept - slope * centre / scale, p, total)


def _end(trials: _Trials, slope: float, drop: float, side: float) -> float:
    """The slope on one side of the best one where the profile has fallen to `drop`; infinite if it never does."""
    step = 0.5
    while trials.profile(slope + side * step)[0] > drop:
        step *= 2.0
        if step > _WIDEST:
            return side * float("inf")
    return float(
        optimize.brentq(lambda width: trials.profile(slope + side * width)[0] - drop, 0.0, step, xtol=1e-9) * side
        + slope
    )


def _check(
    strength: Float[np.ndarray, " strengths"],
    successes: Int[np.ndarray, " successes"],
    n: Int[np.ndarray, " n"],
) -> None:
    check_same_length(("strength", "successes"), strength, successes)
    check_same_length(("strength", "n"), strength, n)
    check_finite("strength", strength, least=2)
    if np.ptp(strength) == 0:
        raise UsageError(f"all {len(strength)} doses have strength {strength[0]:g}; at least two different are needed")
    if n.min() < 1:
        raise UsageError(f"dose {int(np.argmin(n))} has {n.min()} trials; at least 1 is needed, or leave the dose out")
    wrong = np.flatnonzero((successes < 0) | (successes > n))
    if len(wrong):
        dose = int(wrong[0])
        raise UsageError(f"dose {dose} has {successes[dose]} successes in {n[dose]} trials; valid are 0 to {n[dose]}")
