"""Ratings from pairwise choices: Bradley-Terry by maximum likelihood, on the Elo scale."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize
from scipy.sparse import csgraph
from scipy.special import expit

from thymos.errors import UsageError
from thymos.stats._checks import check_finite

ELO_CENTRE = 1500.0
ELO_PER_LOGIT = 400.0 / math.log(10.0)


@dataclass(frozen=True)
class Ratings:
    """Bradley-Terry ratings of a set of items.

    Attributes:
        strengths: Log-odds scale, mean 0: item i beats item j with probability sigmoid(strength_i - strength_j).
        comparisons: Total weight of the comparisons behind them.
    """

    strengths: Float[np.ndarray, " items"]
    comparisons: float

    @property
    def elo(self) -> Float[np.ndarray, " items"]:
        """Elo scale, mean 1500: 1500 + 400 / ln(10) x strength."""
        return ELO_CENTRE + ELO_PER_LOGIT * self.strengths


def average_orders(first_chosen: Float[np.ndarray, "items items"]) -> Float[np.ndarray, "items items"]:
    """Cancel the position bias of pairs that were asked in both orders.

    Args:
        first_chosen: Entry [i, j] is the probability that i is chosen when i is offered first and j second. The
            diagonal is ignored.

    Returns:
        Entry [i, j] is the probability that i is preferred to j, averaged over both orders; [i, j] + [j, i] = 1.

    Raises:
        UsageError: Not square, fewer than two items, NaN, or probabilities outside [0, 1].
    """
    chosen = _off_diagonal("first_chosen", first_chosen)
    if chosen.min() < 0 or chosen.max() > 1:
        raise UsageError(f"first_chosen has values from {chosen.min():g} to {chosen.max():g}; valid are 0 to 1")
    averaged = (chosen + 1.0 - chosen.T) / 2.0
    np.fill_diagonal(averaged, 0.0)
    return averaged


def position_bias(first_chosen: Float[np.ndarray, "items items"]) -> float:
    """How much more often than half the first option is chosen, over all ordered pairs; 0 is no bias.

    Args:
        first_chosen: As in `average_orders`.

    Raises:
        UsageError: Not square, fewer than two items, or NaN.
    """
    chosen = _off_diagonal("first_chosen", first_chosen)
    return float(chosen.sum() / (len(chosen) * (len(chosen) - 1)) - 0.5)


def bradley_terry(wins: Float[np.ndarray, "items items"], *, ridge: float = 1e-3) -> Ratings:
    """Maximum-likelihood Bradley-Terry ratings from (soft) wins.

    Args:
        wins: Entry [i, j] is how often i was preferred to j: a count or a probability, such as `average_orders`
            returns. The diagonal is ignored; pairs that were never asked are 0 in both places.
        ridge: Weight of the penalty on squared strengths. It keeps the rating of an item that won everything finite
            and is otherwise too small to matter.

    Returns:
        Strengths with mean 0, and `elo` with mean 1500.

    Raises:
        UsageError: Not square, fewer than two items, NaN, negative wins, a ridge that is not positive, or items that
            no chain of comparisons connects.

    Source: Bradley & Terry 1952, doi 10.2307/2334029; Sofroniew et al. 2026 print ratings whose mean is 1500.
    """
    wins = _off_diagonal("wins", wins)
    if wins.min() < 0:
        raise UsageError(f"wins has a negative value ({wins.min():g}); give counts or probabilities")
    if not ridge > 0:
        raise UsageError(f"ridge is {ridge}; it must be above 0, e.g. 0.001")
    asked = wins + wins.T
    parts, _ = csgraph.connected_components(asked > 0, directed=False)
    if parts > 1:
        raise UsageError(
            f"the comparisons fall into {parts} groups of items that never met; ratings across groups are undefined"
        )
    total = wins.sum(axis=1)

    def loss(strengths: Float[np.ndarray, " items"]) -> float:
        gaps = strengths[:, None] - strengths[None, :]
        return float(np.sum(wins * np.logaddexp(0.0, -gaps)) + 0.5 * ridge * strengths @ strengths)

    def gradient(strengths: Float[np.ndarray, " items"]) -> Float[np.ndarray, " items"]:
        expected = asked * expit(strengths[:, None] - strengths[None, :])
        return expected.sum(axis=1) - total + ridge * strengths

    def hessian(strengths: Float[np.ndarray, " items"]) -> Float[np.ndarray, "items items"]:
        chance = expit(strengths[:, None] - strengths[None, :])
        curvature = asked * chance * (1.0 - chance)
        return np.diag(curvature.sum(axis=1) + ridge) - curvature

    fit = optimize.minimize(
        loss, np.zeros(len(wins)), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-8}
    )
    strengths = np.asarray(fit.x, dtype=np.float64)
    return Ratings(strengths - strengths.mean(), float(wins.sum()))


def _off_diagonal(name: str, matrix: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    if matrix.shape[0] < 2:
        raise UsageError(f"{name} has {matrix.shape[0]} items; ratings need at least 2")
    if matrix.shape[0] != matrix.shape[1]:
        raise UsageError(f"{name} has shape {matrix.shape}; it must be square, items x items")
    matrix = matrix.astype(np.float64)
    np.fill_diagonal(matrix, 0.0)
    check_finite(name, matrix)
    return matrix
