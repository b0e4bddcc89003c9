"""k-means clusters of concept directions, and how far they agree with given groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from thymos.errors import UsageError
from thymos.geometry._checks import check_permutations, unit_rows
from thymos.stats import max_statistic_permutation

__all__ = ["Clustering", "kmeans"]


@dataclass(frozen=True, eq=False)
class Clustering:
    """The best k-means solution of several seeds, for one k.

    Attributes:
        k: Number of clusters.
        labels: Cluster of each concept, numbered by the first concept in it.
        inertia: Sum of squared distances to the cluster centres.
        silhouette: Mean silhouette, -1 to 1.
        seed_agreement: Mean adjusted Rand index between the solutions of different seeds; low means the clusters are an
            accident of the start.
        rand: Adjusted Rand index with the given groups; 0 is chance. None without groups.
        p: Permutation p-value of `rand` over shuffled groups, corrected for the values of k that were tried. None
            without groups.
        compared: Concepts that have a given group.
    """

    k: int
    labels: Int[np.ndarray, " concepts"]
    inertia: float
    silhouette: float
    seed_agreement: float
    rand: float | None = None
    p: float | None = None
    compared: int = 0

    def members(self, names: Sequence[str]) -> list[list[str]]:
        """Names of the concepts in each cluster."""
        return [
            [name for name, label in zip(names, self.labels, strict=True) if label == cluster]
            for cluster in range(self.k)
        ]


def kmeans(
    vectors: Float[np.ndarray, "concepts hidden"],
    ks: Sequence[int] = (10,),
    *,
    groups: Sequence[str | None] | None = None,
    seeds: int = 10,
    permutations: int = 1000,
    seed: int = 0,
) -> tuple[Clustering, ...]:
    """Cluster unit vectors with k-means at several k, from several starts.

    Args:
        vectors: One row per concept; lengths are removed.
        ks: Numbers of clusters to try, each at least 2 and below the number of concepts.
        groups: Given group of each concept (e.g. `Concept.cluster`), None for concepts without one.
        seeds: Starts per k; the solution with the lowest inertia is kept.
        permutations: Shuffles of the groups.
        seed: First seed.

    Raises:
        UsageError: Too few vectors, a k out of range, groups that do not fit, or vectors that are not usable.

    Source: Sofroniew et al. 2026, sec. "geometry" (k = 10 shown; their seeds and normalisation are unknown).
    """
    rows = unit_rows(vectors, least=3)
    for k in ks:
        if not 2 <= k < len(rows):
            raise UsageError(f"k is {k}; valid values are 2 to {len(rows) - 1} for {len(rows)} concepts")
    if not ks or seeds < 1:
        raise UsageError(f"nothing to run: ks is {tuple(ks)} and seeds is {seeds}; give at least one of each")
    found = [_best(rows, k, seeds, seed) for k in ks]
    if groups is None:
        return tuple(found)
    check_permutations(permutations)
    if len(groups) != len(rows):
        raise UsageError(f"{len(groups)} groups for {len(rows)} vectors; give one per vector, None where there is none")
    known = np.array([group is not None for group in groups])
    given = np.array([str(group) for group in groups if group is not None])
    if len(set(given.tolist())) < 2:
        raise UsageError(
            f"the concepts fall into {len(set(given.tolist()))} given group(s); agreement needs at least 2"
        )
    codes = np.unique(given, return_inverse=True)[1].reshape(-1)
    solutions = [clustering.labels[known] for clustering in found]

    def agreement(shuffled: Int[np.ndarray, " concepts"]) -> Float[np.ndarray, " ks"]:
        return np.array([adjusted_rand_score(shuffled, labels) for labels in solutions])

    test = max_statistic_permutation(agreement, codes, permutations=permutations, seed=seed)
    return tuple(
        Clustering(c.k, c.labels, c.inertia, c.silhouette, c.seed_agreement, float(rand), float(p), int(known.sum()))
        for c, rand, p in zip(found, test.statistics, test.p, strict=True)
    )


def _best(rows: Float[np.ndarray, "concepts hidden"], k: int, seeds: int, seed: int) -> Clustering:
    # k-means sees distances only; coordinates in the span of the rows keep them and are few.
    rows = _coordinates(rows)
    runs = [KMeans(n_clusters=k, n_init=1, random_state=seed + start).fit(rows) for start in range(seeds)]
    best = min(runs, key=lambda run: float(run.inertia_))
    labels = _by_first(np.asarray(best.labels_, dtype=np.int64))
    pairs = [adjusted_rand_score(one.labels_, other.labels_) for one, other in combinations(runs, 2)]
    several = 1 < len(np.unique(labels)) < len(rows)
    return Clustering(
        k=k,
        labels=labels,
        inertia=float(best.inertia_),
        silhouette=float(silhouette_score(rows, labels)) if several else 0.0,
        seed_agreement=float(np.mean(pairs)) if pairs else 1.0,
    )


def _coordinates(rows: Float[np.ndarray, "concepts hidden"]) -> Float[np.ndarray, "concepts rank"]:
    left, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    found: Float[np.ndarray, "concepts rank"] = left * sizes
    return found


def _by_first(labels: Int[np.ndarray, " concepts"]) -> Int[np.ndarray, " concepts"]:
    """Renumber clusters by the first concept in each, so that equal partitions are equal arrays."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    found: Int[np.ndarray, " concepts"] = np.argsort(np.argsort(first))[inverse.reshape(-1)]
    return found
