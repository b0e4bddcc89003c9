"""A UMAP layout of the directions: an illustration, never evidence."""

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.extras import require
from thymos.geometry._checks import unit_rows

__all__ = ["umap_layout"]


def umap_layout(
    vectors: Float[np.ndarray, "concepts hidden"], *, neighbours: int = 15, spacing: float = 0.1, seed: int = 0
) -> Float[np.ndarray, "concepts 2"]:
    """Two coordinates per concept by UMAP on cosine distances.

    Args:
        vectors: One row per concept.
        neighbours: Size of the neighbourhood that is kept together; below the number of concepts.
        spacing: Smallest distance between points (`min_dist`).
        seed: Same seed, same picture on the same machine.

    Raises:
        MissingExtraError: umap-learn is not installed.
        UsageError: Fewer than four vectors, vectors that are not usable, or a neighbourhood out of range.

    Source: McInnes, Healy & Melville 2018, arXiv 1802.03426; Sofroniew et al. 2026 give no settings.
    """
    rows = unit_rows(vectors, least=4)
    if not 2 <= neighbours < len(rows):
        raise UsageError(f"neighbours is {neighbours}; valid values are 2 to {len(rows) - 1} for {len(rows)} concepts")
    umap = require("umap", "umap", "a UMAP layout")
    # One job, because a seed forces it; a random start, because the spectral one fails on tiny graphs.
    layout = umap.UMAP(
        n_neighbors=neighbours,
        min_dist=spacing,
        metric="cosine",
        init="spectral" if len(rows) > 20 else "random",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(layout.fit_transform(rows), dtype=np.float64)
