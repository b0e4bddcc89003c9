"""Principal components of the unit directions, and their correlation with human norms."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from thymos.errors import LayerError, UsageError
from thymos.geometry._checks import check_permutations, unit_rows
from thymos.stats import Correlation, correlation, random_directions

__all__ = ["NORM_NAMES", "BestAxis", "NormCorrelations", "Pca", "norm_correlations", "pca", "random_explained"]

NORM_NAMES = ("pleasure", "arousal", "dominance")

_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal components of unit vectors, centred over concepts.

    Attributes:
        components: Orthonormal rows, by falling variance.
        scores: Coordinate of each concept on each component. Sign: the concept farthest out is on the positive side.
        explained: Share of the variance of each component; of n concepts at most n - 1 components have any.
        mean: Mean of the unit vectors.
    """

    components: Float[np.ndarray, "components hidden"]
    scores: Float[np.ndarray, "concepts components"]
    explained: Float[np.ndarray, " components"]
    mean: Float[np.ndarray, " hidden"]


@dataclass(frozen=True)
class BestAxis:
    """The component that correlates most with one norm, over all components and layers searched.

    Attributes:
        norm: "pleasure", "arousal" or "dominance".
        layer: Layer of the component.
        component: Number of the component, from 1.
        r: Its correlation; the sign follows the sign convention of `Pca`, so only |r| is a finding.
        p: Permutation p-value that includes the search over components and layers.
    """

    norm: str
    layer: int
    component: int
    r: float
    p: float


@dataclass(frozen=True, eq=False)
class NormCorrelations:
    """Correlations of components with human norms over the concepts that have norms.

    Attributes:
        layers: Layers searched.
        r: Pearson correlation per layer, component and norm (`NORM_NAMES`).
        p: The p-value of each |r| against the largest |r| over components and layers under shuffled words.
        scores: Component scores of the concepts with norms.
        norms: Their norms.
        n: Number of concepts with norms.
        permutations: Number of shuffles.
    """

    layers: tuple[int, ...]
    r: Float[np.ndarray, "layers components 3"]
    p: Float[np.ndarray, "layers components 3"]
    scores: Float[np.ndarray, "layers components words"]
    norms: Float[np.ndarray, "words 3"]
    n: int
    permutations: int

    def best(self, norm: str) -> BestAxis:
        """The component and layer with the largest |r| for a norm, with the p-value of the whole search.

        Raises:
            UsageError: No such norm.
        """
        column = _norm_index(norm)
        layer, component = np.unravel_index(int(np.abs(self.r[:, :, column]).argmax()), self.r.shape[:2])
        return BestAxis(
            norm,
            self.layers[int(layer)],
            int(component) + 1,
            float(self.r[layer, component, column]),
            float(self.p[layer, component, column]),
        )

    def at(self, layer: int, component: int, norm: str, *, seed: int = 0) -> Correlation:
        """One correlation with its bootstrap interval over words; its own p-value knows nothing of any search.

        Args:
            layer: A layer searched.
            component: Number of the component, from 1.
            norm: Name of the norm.
            seed: Seed of the interval.

        Raises:
            LayerError: A layer that was not searched.
            UsageError: A component or norm that was not searched.
        """
        if layer not in self.layers:
            raise LayerError(f"layer {layer} was not searched; valid: {', '.join(map(str, self.layers))}")
        if not 1 <= component <= self.r.shape[1]:
            raise UsageError(f"component is {component}; valid values are 1 to {self.r.shape[1]}")
        column = _norm_index(norm)
        return correlation(self.scores[self.layers.index(layer), component - 1], self.norms[:, column], seed=seed)


def pca(vectors: Float[np.ndarray, "concepts hidden"], components: int = 10) -> Pca:
    """Principal components of the vectors, each scaled to length 1 first.

    Args:
        vectors: One row per concept.
        components: How many to keep at most; there are at most concepts - 1.

    Raises:
        UsageError: Fewer than three vectors, vectors that are all equal or not usable, or components below 1.

    Source: Sofroniew et al. 2026, sec. "geometry".
    """
    if components < 1:
        raise UsageError(f"components is {components}; keep at least 1")
    rows = unit_rows(vectors, least=3)
    mean = rows.mean(axis=0)
    left, sizes, right = np.linalg.svd(rows - mean, full_matrices=False)
    if sizes[0] < 1e-10:
        raise UsageError(f"all {len(rows)} vectors point the same way; they have no principal components")
    kept = min(components, len(rows) - 1, rows.shape[1])
    scores = left[:, :kept] * sizes[:kept]
    farthest = np.abs(scores).argmax(axis=0)
    signs = np.where(scores[farthest, np.arange(kept)] < 0, -1.0, 1.0)
    return Pca(right[:kept] * signs[:, None], scores * signs, sizes[:kept] ** 2 / np.sum(sizes**2), mean)


def random_explained(
    concepts: int, hidden: int, components: int = 3, *, draws: int = 20, seed: int = 0
) -> Float[np.ndarray, "draws components"]:
    """Explained shares for as many random directions: what a few words explain by construction.

    Args:
        concepts: Number of vectors.
        hidden: Width of the residual stream.
        components: Components to report.
        draws: Sets of random directions.
        seed: Seed of the first set.
    """
    found = [pca(random_directions(concepts, hidden, seed + draw), components).explained for draw in range(draws)]
    return np.stack(found)


def norm_correlations(
    vectors: Mapping[int, Float[np.ndarray, "concepts hidden"]],
    norms: Float[np.ndarray, "concepts 3"],
    *,
    components: int = 3,
    permutations: int = 2000,
    seed: int = 0,
) -> NormCorrelations:
    """Correlate the first components of each layer with pleasure, arousal and dominance.

    The null shuffles which word has which norms and takes the largest |r| over components and layers, separately for
    each norm; so the p-value of "the best of three components at the best layer" is honest.

    Args:
        vectors: Layer -> directions, the same concepts in the same order at each.
        norms: One row per concept: pleasure, arousal, dominance; a row with NaN is a concept without norms.
        components: Components searched at each layer.
        permutations: Number of shuffles.
        seed: Same seed, same p-values.

    Raises:
        UsageError: No layers, norms that do not fit the vectors, fewer than four concepts with norms, or norms that do
            not vary.

    Source: Sofroniew et al. 2026, sec. "geometry"; norms of Russell & Mehrabian 1977, doi
    10.1016/0092-6566(77)90037-X.
    """
    check_permutations(permutations)
    rated = _rated(vectors, norms)
    found = [pca(rows, components).scores[rated].T for rows in vectors.values()]
    scores = np.stack([_padded(rows, components) for rows in found])
    chosen = norms[rated].astype(np.float64)
    axes = _standard(scores).reshape(-1, scores.shape[2])
    words = _standard(chosen.T)
    if not np.all(np.abs(words).sum(axis=1) > 0):
        flat = NORM_NAMES[int(np.argmin(np.abs(words).sum(axis=1)))]
        raise UsageError(f"all {len(chosen)} values of {flat} are equal; a correlation needs values that differ")
    r = np.clip(axes @ words.T, -1.0, 1.0)
    rng = np.random.default_rng(seed)
    null = np.empty((permutations, 3))
    batch = max(1, _VALUES_AT_ONCE // (3 * axes.size))
    for start in range(0, permutations, batch):
        count = min(batch, permutations - start)
        orders = rng.random((count, len(chosen))).argsort(axis=1)
        shuffled = words[:, orders]
        null[start : start + count] = np.abs(np.einsum("aw,npw->anp", axes, shuffled)).max(axis=0).T
    as_large = (null[None] >= np.abs(r)[:, None] - 1e-12).sum(axis=1)
    shape = (*scores.shape[:2], 3)
    p = (1.0 + as_large) / (1.0 + permutations)
    return NormCorrelations(
        tuple(vectors), r.reshape(shape), p.reshape(shape), scores, chosen, len(chosen), permutations
    )


def _rated(
    vectors: Mapping[int, Float[np.ndarray, "concepts hidden"]], norms: Float[np.ndarray, "concepts 3"]
) -> Bool[np.ndarray, " concepts"]:
    if not vectors:
        raise UsageError("no layers were given; give the directions of at least one")
    for layer, rows in vectors.items():
        if len(rows) != len(norms):
            raise UsageError(f"layer {layer} has {len(rows)} vectors for {len(norms)} rows of norms; give one row each")
    rated: Bool[np.ndarray, " concepts"] = np.isfinite(norms).all(axis=1)
    if rated.sum() < 4:
        raise UsageError(f"{int(rated.sum())} of {len(norms)} concepts have norms; a correlation needs at least 4")
    return rated


def _padded(rows: Float[np.ndarray, "found words"], components: int) -> Float[np.ndarray, "components words"]:
    """With very few concepts there are fewer components; rows of zeros correlate with nothing."""
    return np.vstack([rows, np.zeros((components - len(rows), rows.shape[1]))])


def _standard(rows: Float[np.ndarray, "... words"]) -> Float[np.ndarray, "... words"]:
    """Rows with mean 0 and length 1, so that products are correlations; constant rows become 0."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    sizes = np.linalg.norm(centred, axis=-1, keepdims=True)
    flat = sizes <= 1e-12 * np.maximum(1.0, np.abs(rows).max(axis=-1, keepdims=True))
    found: Float[np.ndarray, "... words"] = np.where(flat, 0.0, centred / np.where(flat, 1.0, sizes))
    return found


def _norm_index(norm: str) -> int:
    if norm not in NORM_NAMES:
        raise UsageError(f"unknown norm {norm!r}; valid names are {', '.join(NORM_NAMES)}")
    return NORM_NAMES.index(norm)
