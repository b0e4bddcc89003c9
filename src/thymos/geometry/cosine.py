"""Cosines between concepts, and an order that puts near concepts side by side."""

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from thymos.geometry._checks import unit_rows

__all__ = ["cosine_matrix", "linkage_order", "linkage_tree", "nearest"]


def cosine_matrix(vectors: Float[np.ndarray, "concepts hidden"]) -> Float[np.ndarray, "concepts concepts"]:
    """Cosine of every vector with every other; symmetric, exactly 1 on the diagonal.

    Args:
        vectors: One row per concept; lengths do not matter.

    Raises:
        UsageError: Fewer than two vectors, NaN or infinity, or a row of zeros.

    Source: Sofroniew et al. 2026, sec. "geometry".
    """
    rows = unit_rows(vectors)
    product = rows @ rows.T
    cosines: Float[np.ndarray, "concepts concepts"] = np.clip((product + product.T) / 2.0, -1.0, 1.0)
    np.fill_diagonal(cosines, 1.0)
    return cosines


def linkage_tree(vectors: Float[np.ndarray, "concepts hidden"]) -> Float[np.ndarray, "merges 4"]:
    """Average-linkage tree on 1 - cosine (the paper's linkage is unknown), leaves ordered so that neighbours are near.

    Raises:
        UsageError: See `cosine_matrix`.
    """
    apart = np.clip(1.0 - cosine_matrix(vectors), 0.0, None)
    np.fill_diagonal(apart, 0.0)
    return hierarchy.linkage(squareform(apart, checks=False), method="average", optimal_ordering=True)


def linkage_order(vectors: Float[np.ndarray, "concepts hidden"]) -> Int[np.ndarray, " concepts"]:
    """Rows in the order of the leaves of `linkage_tree`, for drawing the cosine matrix.

    Raises:
        UsageError: See `cosine_matrix`.
    """
    return np.asarray(hierarchy.leaves_list(linkage_tree(vectors)), dtype=np.int64)


def nearest(vectors: Float[np.ndarray, "concepts hidden"], concept: int, count: int = 5) -> list[tuple[int, float]]:
    """Rows with the highest cosine to one row, itself left out, as (row, cosine) pairs.

    Raises:
        UsageError: See `cosine_matrix`.
    """
    row = cosine_matrix(vectors)[concept]
    order = [int(other) for other in np.argsort(-row, kind="stable") if other != concept]
    return [(other, float(row[other])) for other in order[:count]]
