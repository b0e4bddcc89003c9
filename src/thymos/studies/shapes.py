"""Cosine matrices as records, and what can be asked of them without the vectors: only the angles are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.geometry import cosine_matrix
from thymos.stats import Interval, bootstrap_items
from thymos.studies.projections import standardised
from thymos.studies.trials import Record

__all__ = [
    "angles",
    "coordinates",
    "cosines_of",
    "pairs_of",
    "planted_cosines",
    "r_between",
    "residual",
    "shape_record",
    "shuffled_p",
]

_FEWEST = 8
"""Resamples of fewer concepts often hold no more than one pair."""
_LEAST = 1e-7
"""Eigenvalues below are rounding of the cosines that were written."""


def shape_record(vectors: Float[np.ndarray, "concepts hidden"], **about: Any) -> dict[str, Any]:
    """The angles between some vectors as plain values: seven digits of the upper triangle, row by row."""
    return {**about, "cosines": [float(f"{value:.7g}") for value in pairs_of(cosine_matrix(vectors)).tolist()]}


def cosines_of(record: Record, concepts: int) -> Float[np.ndarray, "concepts concepts"]:
    """The cosine matrix of a `shape_record`."""
    found = np.eye(concepts)
    rows, columns = np.triu_indices(concepts, 1)
    found[rows, columns] = found[columns, rows] = np.asarray(record["cosines"], np.float64)
    return found


def coordinates(cosines: Float[np.ndarray, "concepts concepts"]) -> Float[np.ndarray, "concepts rank"]:
    """Unit rows with the given angles: the vectors, up to a rotation, which no figure of geometry can see."""
    values, vectors = np.linalg.eigh(cosines)
    kept = values > _LEAST * len(cosines)
    rows = vectors[:, kept] * np.sqrt(values[kept])
    found: Float[np.ndarray, "concepts rank"] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def pairs_of(square: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " pairs"]:
    """Entries above the diagonal, row by row."""
    found: Float[np.ndarray, " pairs"] = square[np.triu_indices(len(square), 1)]
    return found


def r_between(first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"]) -> float:
    """Correlation of two matrices over the pairs of concepts."""
    return float(standardised(pairs_of(first)) @ standardised(pairs_of(second)))


def residual(square: Float[np.ndarray, "n n"], given: Sequence[Float[np.ndarray, "n n"]]) -> Float[np.ndarray, "n n"]:
    """A matrix with what other matrices explain linearly, over pairs of concepts, taken out."""
    values = pairs_of(square)
    design = np.column_stack([np.ones(len(values)), *(pairs_of(matrix) for matrix in given)])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    found = np.zeros(square.shape)
    rows, columns = np.triu_indices(len(square), 1)
    found[rows, columns] = found[columns, rows] = left
    return found


def angles(
    first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"], seed: int, resamples: int = 1000
) -> Interval | float:
    """`r_between` with an interval over concepts, unless they are too few for one.

    A concept beside its own copy is left out of a resample.
    """
    n = len(first)
    if n < _FEWEST:
        return r_between(first, second)
    rows, columns = np.triu_indices(n, 1)

    def drawn(concepts: Int[np.ndarray, " drawn"]) -> float:
        one, other = concepts[rows], concepts[columns]
        apart = one != other
        x, y = first[one[apart], other[apart]], second[one[apart], other[apart]]
        x, y = x - x.mean(), y - y.mean()
        size = float(np.linalg.norm(x) * np.linalg.norm(y))
        return float(x @ y / size) if size > 0 else float("nan")

    return bootstrap_items(drawn, n, resamples=resamples, seed=seed)


def shuffled_p(
    first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"], permutations: int, seed: int
) -> float:
    """The p-value of `r_between` over shuffled concept names."""
    rng = np.random.default_rng(seed)
    rows, columns = np.triu_indices(len(first), 1)
    target = standardised(first[rows, columns])
    observed = float(target @ standardised(second[rows, columns]))
    as_large = 0
    for _ in range(permutations):
        order = rng.permutation(len(first))
        as_large += float(target @ standardised(second[order[rows], order[columns]])) >= observed - 1e-12
    return (1 + as_large) / (1 + permutations)


def planted_cosines(truth: Mapping[str, Any], words: Sequence[str]) -> Float[np.ndarray, "n n"] | None:
    """Cosines of the planted appraisals of some concepts, centred over them; None where any is not planted."""
    points = truth.get("points", {})
    if not points or any(word not in points for word in words):
        return None
    rows = np.asarray([points[word] for word in words], np.float64)
    return cosine_matrix(rows - rows.mean(axis=0))
