"""`DoseCurve`: the results of a dose experiment, its effects, its null and its picture."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from thymos.errors import UsageError, did_you_mean
from thymos.figures import AnyChart, Caption, dose_response
from thymos.stats import Interval

__all__ = ["ARMS", "RANDOM", "SPAN", "VECTOR", "BeyondRandom", "DoseCurve", "mean_intervals"]

VECTOR, RANDOM, SPAN = "vector", "random", "span"
ARMS = (VECTOR, RANDOM, SPAN)

_RESAMPLES = 2000


@dataclass(frozen=True)
class BeyondRandom:
    """An effect among those of control directions of equal length."""

    effect: float
    """Mean change of the probability."""
    rank: int
    """1 if no control moves the decision as far; the two directions of change count alike."""
    p: float
    """Two-sided: (1 + number of controls that move it at least as far) / (1 + number of controls)."""
    outside: bool
    """Whether the effect lies outside the range of all controls."""
    z: float
    """Distance from the controls' mean in their standard deviations; 0 where they do not differ."""
    n: int
    """Number of controls."""


@dataclass(frozen=True, eq=False)
class DoseCurve:
    """Probabilities of one outcome for every direction, strength and decision point."""

    outcome: str
    layers: tuple[int, ...]
    names: tuple[str, ...]
    """Vectors first, then "random 0", ..., then "in span 0", ..."""
    arms: tuple[str, ...]
    """"vector", "random" or "span", per direction."""
    strengths: Float[np.ndarray, " strengths"]
    """Fractions of the mean residual norm, ascending, with 0; per steered layer."""
    probabilities: Float[np.ndarray, "directions strengths points"]
    """All directions share strength 0: one pass through the same hook with nothing to add."""
    baseline: Float[np.ndarray, " points"]
    """Without any hook."""
    seed: int = 0
    """Of the bootstrap."""

    @property
    def zero(self) -> Float[np.ndarray, " points"]:
        """Probabilities under a zero dose through the same hook."""
        return self.probabilities[0, self._column(0.0)]

    @property
    def zero_gap(self) -> float:
        """Largest difference between a zero dose and no hook: rounding, unless something is wrong."""
        return float(np.abs(self.zero - self.baseline).max())

    @property
    def changes(self) -> Float[np.ndarray, "directions strengths"]:
        """Mean change of the probability against strength 0."""
        return (self.probabilities - self.zero).mean(axis=2)

    def effect(self, name: str, strength: float | int) -> Interval:
        """Paired difference to strength 0, with a bootstrap interval over decision points.

        Raises:
            UsageError: A name or a strength that is not part of the curve.
        """
        values = self.probabilities[self._row(name), self._column(strength)] - self.zero
        low, high = mean_intervals(values[None], self.seed)
        return Interval(float(values.mean()), float(low[0]), float(high[0]), n=len(values))

    def beyond_random(
        self, name: str, strength: float | int, against: Literal["random", "span"] = "random"
    ) -> BeyondRandom:
        """The effect of a vector among those of the control directions at the same strength.

        Args:
            name: A vector.
            strength: A strength of the curve.
            against: Random directions of the whole space, or of the span of the vectors.

        Raises:
            UsageError: A name or a strength that is not part of the curve, or no controls of the kind.
        """
        column = self._column(strength)
        effect = float(self.changes[self._row(name), column])
        controls = self.changes[[arm == against for arm in self.arms], column]
        n = len(controls)
        if n == 0:
            raise UsageError(
                f"the curve has no {against!r} controls; it has {', '.join(sorted(set(self.arms)))}; ask for some with "
                f"{'randoms' if against == RANDOM else 'in_span'}="
            )
        as_far = int((np.abs(controls) >= abs(effect)).sum())
        outside = effect > float(controls.max()) or effect < float(controls.min())
        spread = float(controls.std(ddof=1)) if n > 1 else 0.0
        z = (effect - float(controls.mean())) / spread if spread > 0 else 0.0
        return BeyondRandom(effect, 1 + as_far, (1 + as_far) / (1 + n), outside, z, n)

    def frame(self) -> pd.DataFrame:
        """Tidy data: one row per direction and strength.

        Returns:
            Columns `name`, `arm`, `strength`, `rate` (mean probability) with `low` and `high`, `difference` (to
            strength 0, paired) with `difference_low` and `difference_high`, `points`. 95% bootstrap intervals.
        """
        n, doses, points = self.probabilities.shape
        flat = self.probabilities.reshape(-1, points)
        low, high = mean_intervals(flat, self.seed)
        change_low, change_high = mean_intervals(flat - self.zero, self.seed)
        return pd.DataFrame(
            {
                "name": np.repeat(self.names, doses),
                "arm": np.repeat(self.arms, doses),
                "strength": np.tile(self.strengths, n),
                "rate": flat.mean(axis=1),
                "low": low,
                "high": high,
                "difference": self.changes.ravel(),
                "difference_low": change_low,
                "difference_high": change_high,
                "points": points,
            }
        )

    def chart_frame(self, *names: str) -> pd.DataFrame:
        """What `chart` draws: some vectors, and each kind of control as one arm with its central 95%."""
        vectors = names or tuple(name for name, arm in zip(self.names, self.arms, strict=True) if arm == VECTOR)
        rows = self.frame()
        parts = [rows[rows["name"] == self.names[self._row(name)]].assign(arm=name) for name in vectors]
        for arm, label in ((RANDOM, "random directions"), (SPAN, "random directions in the span")):
            means = self.probabilities[[a == arm for a in self.arms]].mean(axis=2)
            if len(means):
                low, high = np.quantile(means, [0.025, 0.975], axis=0)
                band = {"strength": self.strengths, "rate": means.mean(axis=0), "low": low, "high": high, "arm": label}
                parts.append(pd.DataFrame(band))
        return pd.concat([part[["arm", "strength", "rate", "low", "high"]] for part in parts], ignore_index=True)

    def chart(self, *names: str, caption: Caption | None = None) -> AnyChart:
        """Rate against strength, the controls in grey.

        Args:
            *names: Vectors that are drawn; default all. More than half a dozen are hard to read.
            caption: The words; made from the numbers if not given.
        """
        return dose_response(
            self.chart_frame(*names),
            caption=caption or self._caption(),
            behaviour=f"Probability of {self.outcome!r}",
            unsteered=float(self.zero.mean()),
        )

    def _caption(self) -> Caption:
        vectors = [place for place, arm in enumerate(self.arms) if arm == VECTOR]
        row, column = np.unravel_index(int(np.abs(self.changes[vectors]).argmax()), (len(vectors), len(self.strengths)))
        name, strength = self.names[vectors[int(row)]], float(self.strengths[int(column)])
        return Caption(
            question=f"Does the dose move the probability of {self.outcome!r}?",
            answer=f"At most by {self.effect(name, strength):+.2f} ({name} at {strength:+.2g}).",
            mark="One line is one direction; bands are 95% intervals over points, of controls the central 95%",
            n=f"n = {len(self.baseline)} decision points",
            chance=f"unsteered {float(self.zero.mean()):.2f}",
        )

    def _row(self, name: str) -> int:
        if name not in self.names:
            known = [n for n, arm in zip(self.names, self.arms, strict=True) if arm == VECTOR]
            raise UsageError(f"no vector {name!r}{did_you_mean(name, known)}; the curve has {', '.join(known)}")
        return self.names.index(name)

    def _column(self, strength: float | int) -> int:
        near = np.flatnonzero(np.isclose(self.strengths, strength, rtol=1e-9, atol=1e-12))
        if not len(near):
            raise UsageError(f"no strength {strength:g}; the curve has {', '.join(f'{s:g}' for s in self.strengths)}")
        return int(near[0])


def mean_intervals(
    values: Float[np.ndarray, "rows items"], seed: int, level: float = 0.95
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Percentile bootstrap intervals of many means over the same items: `stats.bootstrap` of each row, in one product.

    Args:
        values: One row per quantity.
        seed: Same seed, same resamples as `stats.bootstrap`.
        level: Confidence level.
    """
    items = values.shape[1]
    drawn = np.random.default_rng(seed).integers(0, items, (_RESAMPLES, items))
    counts = np.zeros((_RESAMPLES, items))
    np.add.at(counts, (np.arange(_RESAMPLES)[:, None], drawn), 1.0)
    tail = (1 - level) / 2
    low, high = np.empty(len(values)), np.empty(len(values))
    # A few rows at a time: all resampled means of a large scan would not fit into memory.
    for start in range(0, len(values), 512):
        some = slice(start, start + 512)
        low[some], high[some] = np.quantile(counts @ values[some].T / items, [tail, 1 - tail], axis=0)
    return low, high
