"""Geometry: cosine, clusters, PCA against human norms, similarity of layers and of models."""

from thymos.geometry.clusters import Clustering, kmeans
from thymos.geometry.cosine import cosine_matrix, linkage_order, linkage_tree, nearest
from thymos.geometry.pca import (
    NORM_NAMES,
    BestAxis,
    NormCorrelations,
    Pca,
    norm_correlations,
    pca,
    random_explained,
)
from thymos.geometry.similarity import LayerSimilarity, SetSimilarity, compare_layers, compare_sets, linear_cka
from thymos.geometry.suite import GeometryMap, compare_vector_sets, map_geometry
from thymos.geometry.umap import umap_layout

__all__ = [
    "NORM_NAMES",
    "BestAxis",
    "Clustering",
    "GeometryMap",
    "LayerSimilarity",
    "NormCorrelations",
    "Pca",
    "SetSimilarity",
    "compare_layers",
    "compare_sets",
    "compare_vector_sets",
    "cosine_matrix",
    "kmeans",
    "linear_cka",
    "linkage_order",
    "linkage_tree",
    "map_geometry",
    "nearest",
    "norm_correlations",
    "pca",
    "random_explained",
    "umap_layout",
]
