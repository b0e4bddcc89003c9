"""Random directions, the control every steering and read-out result is compared with."""

import numpy as np
from jaxtyping import Float
from scipy import linalg

from thymos.errors import UsageError
from thymos.stats._checks import check_count, check_finite


def random_directions(n: int, hidden: int, seed: int = 0) -> Float[np.ndarray, "n hidden"]:
    """Directions drawn uniformly from the unit sphere.

    Args:
        n: How many; a control wants at least 20.
        hidden: Width of the residual stream.
        seed: Same seed, same directions.

    Returns:
        Float32 rows of length 1.

    Raises:
        UsageError: n or hidden is below 1.
    """
    check_count("n", n)
    check_count("hidden", hidden)
    drawn = np.random.default_rng(seed).standard_normal((n, hidden))
    return _unit_rows(drawn)


def directions_in_span(
    vectors: Float[np.ndarray, "vectors hidden"], n: int, seed: int = 0
) -> Float[np.ndarray, "n hidden"]:
    """Directions drawn uniformly from the unit sphere of the space that some vectors span.

    A concept vector must beat these too: a random direction of the whole space is nearly orthogonal to everything the
    model uses, so beating it says little.

    Args:
        vectors: The vectors that span the space; their lengths do not matter.
        n: How many directions.
        seed: Same seed, same directions.

    Returns:
        Float32 rows of length 1.

    Raises:
        UsageError: No vectors, NaN or infinity, vectors that are all zero, or n below 1.
    """
    check_count("n", n)
    check_finite("vectors", vectors)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not np.any(lengths > 0):
        raise UsageError(f"all {len(vectors)} vectors are zero; they span no direction")
    kept = vectors[lengths > 0].astype(np.float64) / lengths[lengths > 0, None]
    # Rank is judged at float32 resolution: the vectors were float32, so smaller singular values are rounding.
    basis = linalg.orth(kept.T, rcond=float(np.finfo(np.float32).eps) * max(kept.shape))
    drawn = np.random.default_rng(seed).standard_normal((n, basis.shape[1]))
    return _unit_rows(drawn @ basis.T)


def _unit_rows(rows: Float[np.ndarray, "n hidden"]) -> Float[np.ndarray, "n hidden"]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
