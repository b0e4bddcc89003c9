"""From training rows to unit directions: mean differences, logistic probes, and sums per fold for speed."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from thymos.errors import ActivationError, CorpusError, UsageError
from thymos.validation.items import Items

__all__ = ["Estimator", "FoldSums", "check_rows", "fold_sums", "logistic_probe", "mean_difference", "unit_directions"]

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(training rows [texts, hidden], their labels [texts]) -> raw directions [concepts, hidden], one row per label."""

_ROWS_AT_ONCE = 4096
"""Rows turned into float64 at once; sums need the precision, memory does not need the copy."""


def mean_difference(
    rows: Float[np.ndarray, "texts hidden"], labels: Int[np.ndarray, " texts"]
) -> Float[np.ndarray, "concepts hidden"]:
    """Mean of each concept's texts minus the equal-weight mean over concepts.

    Args:
        rows: One row per text.
        labels: Concept index of each row; every index from 0 to the largest must occur.

    Source: Sofroniew et al. 2026, sec. "extraction", steps 2-3.
    """
    concepts = int(labels.max()) + 1
    sums, counts = _group_sums(rows, labels, concepts)
    means = sums / counts[:, None]
    centred: Float[np.ndarray, "concepts hidden"] = means - means.mean(axis=0)
    return centred


def logistic_probe(strength: float = 0.01, *, max_iterations: int = 300) -> Estimator:
    """An estimator: coefficient rows of an L2-regularised multinomial logistic regression on scaled rows.

    Args:
        strength: Inverse penalty (C of scikit-learn); rows are scaled to mean square 1 per dimension.
        max_iterations: Where the optimiser stops, converged or not.
    """

    def fit(
        rows: Float[np.ndarray, "texts hidden"], labels: Int[np.ndarray, " texts"]
    ) -> Float[np.ndarray, "concepts hidden"]:
        wide = rows.astype(np.float64)
        wide -= wide.mean(axis=0)
        wide /= float(np.sqrt(np.mean(wide**2))) or 1.0
        with warnings.catch_warnings():
            # Where it stopped is a setting here, not a surprise.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=strength, max_iter=max_iterations).fit(wide, labels)
        found = np.asarray(model.coef_, dtype=np.float64)
        found = np.vstack([-found, found]) if len(found) == 1 else found
        centred: Float[np.ndarray, "concepts hidden"] = found - found.mean(axis=0)
        return centred

    return fit


def unit_directions(
    raw: Float[np.ndarray, "concepts hidden"],
    neutral: Float[np.ndarray, "k hidden"] | None,
    concepts: Sequence[str],
) -> Float[np.ndarray, "concepts hidden"]:
    """Raw directions without their part in the neutral components, each of length 1, float64.

    Args:
        raw: One row per concept.
        neutral: Orthonormal rows to project out, or None.
        concepts: Names, for messages.

    Raises:
        UsageError: The number of rows is not the number of concepts, or the neutral rows are not orthonormal.
        CorpusError: A direction is zero.

    Source: Sofroniew et al. 2026, sec. "extraction", step 5.
    """
    if len(raw) != len(concepts):
        raise UsageError(
            f"the estimator returned {len(raw)} directions for {len(concepts)} concepts; it must return one each"
        )
    rows = raw.astype(np.float64)
    if neutral is not None and len(neutral):
        axes = neutral.astype(np.float64)
        if not np.allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-3):
            raise UsageError(
                "the neutral components are not orthonormal rows; give `neutral` as a vector set stores it"
            )
        rows = rows - (rows @ axes.T) @ axes
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(sizes > 0):
        name = concepts[int(np.argmin(sizes))]
        raise CorpusError(f"the direction of {name!r} is zero: its texts do not differ from those of other concepts")
    found: Float[np.ndarray, "concepts hidden"] = rows / sizes
    return found


def check_rows(rows: Float[np.ndarray, "items hidden"], items: Items) -> None:
    """Raise unless there is one finite row per item.

    Raises:
        UsageError: Another number of rows than items.
        ActivationError: NaN or infinity.
    """
    if len(rows) != len(items):
        raise UsageError(
            f"{len(rows)} rows for {len(items)} items; both must describe the same texts in the same order"
        )
    bad = np.flatnonzero(~np.isfinite(rows.sum(axis=1, dtype=np.float64)))
    if len(bad):
        raise ActivationError(
            f"{len(bad)} of {len(rows)} rows hold NaN or infinity, the first is row {bad[0]}; leave them out"
        )


@dataclass(frozen=True, eq=False)
class FoldSums:
    """Sums and counts of rows per fold and concept: training means of any set of folds without touching rows again."""

    sums: Float[np.ndarray, "folds concepts hidden"]
    counts: Int[np.ndarray, "folds concepts"]

    def means_without(self, *left_out: int) -> Float[np.ndarray, "concepts hidden"]:
        """Concept means over all folds but the named ones."""
        kept = [fold for fold in range(len(self.sums)) if fold not in left_out]
        means: Float[np.ndarray, "concepts hidden"] = (
            self.sums[kept].sum(axis=0) / self.counts[kept].sum(axis=0)[:, None]
        )
        return means


def fold_sums(rows: Float[np.ndarray, "items hidden"], items: Items, numbers: Int[np.ndarray, " items"]) -> FoldSums:
    """Sum the rows of every fold and concept in float64."""
    folds, concepts = int(numbers.max()) + 1, len(items.concepts)
    sums, counts = _group_sums(rows, numbers * concepts + items.labels, folds * concepts)
    return FoldSums(sums.reshape(folds, concepts, -1), counts.reshape(folds, concepts))


def _group_sums(
    rows: Float[np.ndarray, "items hidden"], groups: Int[np.ndarray, " items"], count: int
) -> tuple[Float[np.ndarray, "groups hidden"], Int[np.ndarray, " groups"]]:
    sums = np.zeros((count, rows.shape[1]))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        chunk = rows[part].astype(np.float64)
        places = (groups[part], np.arange(len(chunk)))
        members = sparse.csr_matrix((np.ones(len(chunk)), places), shape=(count, len(chunk)))
        sums += np.asarray(members @ chunk)
    return sums, np.bincount(groups, minlength=count)
