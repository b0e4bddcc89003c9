"""Neutral components: the directions of token-to-token fluctuation that are projected out of concept vectors."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from thymos.errors import CorpusError, UsageError
from thymos.vectors.moments import Scatter, SketchScatter

__all__ = ["NeutralComponents", "neutral_components", "remove"]


@dataclass(frozen=True, eq=False)
class NeutralComponents:
    """Leading principal components of neutral rows at one layer."""

    basis: Float[np.ndarray, "k hidden"]
    """Orthonormal rows, float32."""
    share: float
    """Share of neutral variance that the basis holds."""

    @property
    def count(self) -> int:
        """K: how many components are removed."""
        return int(self.basis.shape[0])


def neutral_components(scatter: Scatter, share: float = 0.5) -> NeutralComponents:
    """The smallest number of principal components that hold a share of the neutral variance.

    Args:
        scatter: Scatter of neutral rows (tokens, or dialogue means).
        share: In [0, 1); 0 removes nothing. 0.5 in Sofroniew et al. 2026.

    Raises:
        UsageError: The share is outside [0, 1).
        CorpusError: The neutral rows do not vary, or a sketch is too small to hold the share.
    """
    if not 0 <= share < 1:
        raise UsageError(f"the neutral variance share must lie in [0, 1), got {share}; the paper removes 0.5")
    hidden = scatter.rows().shape[1] if isinstance(scatter, SketchScatter) else scatter.matrix().shape[0]
    if share == 0:
        return NeutralComponents(np.zeros((0, hidden), np.float32), 0.0)
    if scatter.trace <= 0:
        raise CorpusError("the neutral rows do not vary; give at least two different neutral texts")
    if isinstance(scatter, SketchScatter):
        _, sizes, right = torch.linalg.svd(scatter.rows().double(), full_matrices=False)
        values, vectors = sizes.square(), right
    else:
        ascending, columns = torch.linalg.eigh(scatter.matrix())
        values, vectors = ascending.flip(0).clamp(min=0), columns.T.flip(0)
    held = torch.cumsum(values, dim=0) / scatter.trace
    # Rounding may leave the sum a hair under a share that the data reach exactly.
    enough = torch.nonzero(held >= share - 1e-12)
    if enough.numel() == 0:
        raise CorpusError(
            f"the sketch of {values.shape[0]} rows holds only {float(held[-1]):.0%} of the neutral variance, less than "
            f"{share:.0%}; raise --memory-budget or name fewer --layers"
        )
    count = int(enough[0]) + 1
    basis = vectors[:count].cpu().numpy().astype(np.float32)
    return NeutralComponents(np.ascontiguousarray(basis), float(held[count - 1]))


def remove(rows: Float[np.ndarray, "n hidden"], basis: Float[np.ndarray, "k hidden"]) -> Float[np.ndarray, "n hidden"]:
    """Rows with their projection on the basis taken out: v = c - U U^T c (extraction, step 5)."""
    wide = np.asarray(rows, np.float64)
    axes = np.asarray(basis, np.float64)
    return wide - (wide @ axes.T) @ axes
