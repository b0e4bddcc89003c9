"""The whole map of a vector set in one call: cosines, clusters, principal axes against norms, layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.concepts import Vocabulary
from thymos.geometry.clusters import Clustering, kmeans
from thymos.geometry.cosine import cosine_matrix, linkage_order
from thymos.geometry.pca import NORM_NAMES, NormCorrelations, Pca, norm_correlations, pca
from thymos.geometry.similarity import LayerSimilarity, SetSimilarity, compare_layers, compare_sets
from thymos.vectors import EmotionVectors

__all__ = ["GeometryMap", "compare_vector_sets", "map_geometry"]

_FEWEST_RATED = 8
"""Fewer rated concepts say nothing about axes."""


@dataclass(frozen=True, eq=False)
class GeometryMap:
    """Geometry of a vector set at its chosen layer, and over layers."""

    concepts: tuple[str, ...]
    layer: int
    cosines: Float[np.ndarray, "concepts concepts"]
    order: Int[np.ndarray, " concepts"]
    """Leaf order of average-linkage clustering on 1 - cosine."""
    clusterings: tuple[Clustering, ...]
    clusters: tuple[str | None, ...]
    """Given cluster of each concept."""
    pca: Pca
    norms: Float[np.ndarray, "concepts 3"]
    """Human pleasure, arousal, dominance; NaN where a concept has none."""
    axes: NormCorrelations | None
    """PC1 and PC2 of the chosen layer against the norms; None with fewer than 8 rated concepts."""
    layers: LayerSimilarity | None
    """None when the set holds one layer."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        found: dict[str, Any] = {
            "layer": self.layer,
            "concepts": len(self.concepts),
            "explained": [round(float(share), 4) for share in self.pca.explained[:5]],
            "clusterings": [
                {
                    "k": c.k,
                    "adjusted_rand": c.rand,
                    "p": c.p,
                    "silhouette": c.silhouette,
                    "members": c.members(self.concepts),
                }
                for c in self.clusterings
            ],
        }
        if self.axes is not None:
            found["rated_concepts"] = self.axes.n
            for norm in ("pleasure", "arousal"):
                best = self.axes.best(norm)
                low_high = self.axes.at(best.layer, best.component, norm).interval
                found[norm] = {
                    "component": best.component,
                    "r": best.r,
                    "low": low_high.low,
                    "high": low_high.high,
                    "p": best.p,
                    "permutations": self.axes.permutations,
                }
        if self.layers is not None:
            found["layer_similarity"] = {
                "layers": list(self.layers.layers),
                "pearson": self.layers.pearson.round(4).tolist(),
            }
        return found


def map_geometry(
    vectors: EmotionVectors,
    vocabulary: Vocabulary,
    *,
    ks: Sequence[int] = (5, 10, 15),
    components: int = 2,
    permutations: int = 2000,
    seed: int = 0,
) -> GeometryMap:
    """Map a vector set.

    Args:
        vectors: The set.
        vocabulary: Clusters and norms of its concepts.
        ks: Numbers of k-means clusters; those at or above the number of concepts are left out.
        components: Components searched for each norm; the permutation null includes the search.
        permutations: Shuffles behind the p-values.
        seed: Seed of everything random.
    """
    rows = vectors.directions()
    known = set(vocabulary.words)
    concepts = [vocabulary[word] if word in known else None for word in vectors.concepts]
    clusters = tuple(c.cluster if c is not None else None for c in concepts)
    norms = np.full((len(concepts), len(NORM_NAMES)), np.nan)
    for row, concept in enumerate(concepts):
        if concept is not None and concept.norms is not None:
            norms[row] = (concept.norms.pleasure, concept.norms.arousal, concept.norms.dominance)
    rated = int(np.isfinite(norms).all(axis=1).sum())
    usable = [k for k in ks if 2 <= k < len(concepts)]
    grouped = len({cluster for cluster in clusters if cluster is not None}) > 1
    return GeometryMap(
        concepts=vectors.concepts,
        layer=vectors.layer,
        cosines=cosine_matrix(rows),
        order=linkage_order(rows),
        clusterings=kmeans(rows, usable, groups=clusters if grouped else None, permutations=permutations, seed=seed)
        if usable
        else (),
        clusters=clusters,
        pca=pca(rows),
        norms=norms,
        axes=norm_correlations(
            {vectors.layer: rows}, norms, components=components, permutations=permutations, seed=seed
        )
        if rated >= _FEWEST_RATED
        else None,
        layers=compare_layers({layer: vectors.directions(layer) for layer in vectors.layers})
        if len(vectors.layers) > 1
        else None,
    )


def compare_vector_sets(first: EmotionVectors, second: EmotionVectors, *, seed: int = 0) -> SetSimilarity:
    """Similarity of the concept geometry of two sets at their chosen layers, over the concepts they share."""
    return compare_sets((first.directions(), first.concepts), (second.directions(), second.concepts), seed=seed)
