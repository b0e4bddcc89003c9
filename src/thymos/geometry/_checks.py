"""Checks and small steps shared by the geometry functions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError


def unit_rows(
    vectors: Float[np.ndarray, "concepts hidden"], *, least: int = 2, names: Sequence[str] | None = None
) -> Float[np.ndarray, "concepts hidden"]:
    """Rows scaled to length 1, float64.

    Lengths are removed before any picture is made: PCA of vectors of unequal length shows the lengths.

    Raises:
        UsageError: Too few rows, NaN or infinity, or a row of zeros.
    """
    if len(vectors) < least:
        raise UsageError(f"{len(vectors)} vectors are too few for this; at least {least} are needed")
    rows = vectors.astype(np.float64)
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(sizes[:, 0]) | (sizes[:, 0] == 0))
    if len(bad):
        name = f" ({names[bad[0]]!r})" if names is not None else ""
        raise UsageError(
            f"{len(bad)} of {len(rows)} vectors are zero or hold NaN or infinity, the first is row {bad[0]}{name}; "
            "leave them out"
        )
    found: Float[np.ndarray, "concepts hidden"] = rows / sizes
    return found


def upper(square: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " pairs"]:
    """Entries above the diagonal, row by row."""
    found: Float[np.ndarray, " pairs"] = square[np.triu_indices(len(square), 1)]
    return found


def check_permutations(permutations: int) -> None:
    """Raise unless at least one permutation is asked for.

    Raises:
        UsageError: It is not.
    """
    if permutations < 1:
        raise UsageError(f"permutations is {permutations}; it must be at least 1")


def p_value(observed: float, null: Float[np.ndarray, " permutations"]) -> float:
    """(1 + permutations at least as large) / (1 + permutations); ties up to rounding count as large."""
    slack = 1e-12 * max(1.0, abs(observed))
    return float((1 + np.sum(null >= observed - slack)) / (1 + len(null)))
