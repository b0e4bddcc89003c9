"""Do two layers, or two models, arrange the same concepts alike?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thymos.errors import UsageError
from thymos.geometry._checks import check_permutations, p_value, unit_rows, upper
from thymos.geometry.cosine import cosine_matrix
from thymos.stats import Interval, bootstrap_items

__all__ = ["LayerSimilarity", "SetSimilarity", "compare_layers", "compare_sets", "linear_cka"]


@dataclass(frozen=True, eq=False)
class LayerSimilarity:
    """Similarity of the concept geometry of every pair of layers.

    Attributes:
        layers: The layers, in order of the rows.
        pearson: Correlation of the cosine matrices' upper triangles (representational similarity).
        cosine: Cosine of the same triangles, as the paper reports it; high whenever most cosines share a sign.
        cka: Linear centred kernel alignment of the unit vectors.
    """

    layers: tuple[int, ...]
    pearson: Float[np.ndarray, "layers layers"]
    cosine: Float[np.ndarray, "layers layers"]
    cka: Float[np.ndarray, "layers layers"]


@dataclass(frozen=True)
class SetSimilarity:
    """Similarity of the concept geometry of two sets of directions over the concepts they share.

    Attributes:
        pearson: Correlation of the upper triangles of the two cosine matrices, with a bootstrap interval over concepts.
        cosine: Cosine of the same triangles.
        cka: Linear centred kernel alignment of the unit vectors.
        p: Permutation p-value of the correlation over shuffled concept names.
        p_cka: The same for the alignment.
        concepts: The shared concepts.
    """

    pearson: Interval
    cosine: float
    cka: float
    p: float
    p_cka: float
    concepts: tuple[str, ...]


def linear_cka(first: Float[np.ndarray, "rows one"], second: Float[np.ndarray, "others other"]) -> float:
    """Linear centred kernel alignment, 0 to 1; unchanged by rotations and by a common scale of either side.

    Args:
        first: One row per concept.
        second: One row per concept, same order; the width may differ.

    Raises:
        UsageError: Different numbers of rows, fewer than three, NaN or infinity, or rows that are all equal.

    Source: Kornblith et al. 2019, arXiv 1905.00414.
    """
    if len(first) != len(second):
        raise UsageError(f"{len(first)} rows against {len(second)}; both must be the same concepts in the same order")
    kernels = []
    for name, rows in (("first", first), ("second", second)):
        if len(rows) < 3 or not np.all(np.isfinite(rows)):
            raise UsageError(f"the {name} matrix has {len(rows)} rows; at least 3 finite ones are needed")
        kernel = _centred_kernel(rows.astype(np.float64))
        if not np.any(np.abs(kernel) > 1e-12):
            raise UsageError(f"the {name} matrix has rows that are all equal; there is nothing to align")
        kernels.append(kernel)
    return _alignment(kernels[0], kernels[1])


def compare_layers(vectors: Mapping[int, Float[np.ndarray, "concepts hidden"]]) -> LayerSimilarity:
    """Compare the geometry of the same concepts at several layers.

    Args:
        vectors: Layer -> directions, the same concepts in the same order at each.

    Raises:
        UsageError: No layers, different numbers of concepts, fewer than three, or vectors that are not usable.

    Source: Sofroniew et al. 2026, sec. "geometry" (14 layers, cosine of the matrices); representational similarity:
    Kriegeskorte et al. 2008, doi 10.3389/neuro.06.004.2008.
    """
    if not vectors:
        raise UsageError("no layers were given; give the directions of at least one")
    sizes = {layer: len(rows) for layer, rows in vectors.items()}
    if len(set(sizes.values())) > 1:
        raise UsageError(f"the layers have different numbers of vectors ({sizes}); give the same concepts at each")
    triangles, kernels = [], []
    for rows in vectors.values():
        unit = unit_rows(rows, least=3)
        triangles.append(upper(cosine_matrix(unit)))
        kernel = _centred_kernel(unit)
        kernels.append((kernel / np.linalg.norm(kernel)).ravel())
    flat, kernel_rows = np.stack(triangles), np.stack(kernels)
    return LayerSimilarity(
        tuple(vectors),
        _products(flat - flat.mean(axis=1, keepdims=True)),
        _products(flat),
        np.clip(kernel_rows @ kernel_rows.T, 0.0, 1.0),
    )


def compare_sets(
    first: tuple[Float[np.ndarray, "one hidden_one"], Sequence[str]],
    second: tuple[Float[np.ndarray, "other hidden_other"], Sequence[str]],
    *,
    permutations: int = 2000,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> SetSimilarity:
    """Compare two sets of directions, of two models or of two layers, over the concepts both have.

    Args:
        first: Directions and their concept names.
        second: Directions and their concept names; another width and another order are fine.
        permutations: Shuffles of the concept names.
        resamples: Bootstrap samples of concepts; pairs of a concept with its own copy are left out.
        seed: Same seed, same result.
        level: Confidence level.

    Raises:
        UsageError: Names that do not fit, or fewer than four shared concepts.
    """
    check_permutations(permutations)
    for vectors, names in (first, second):
        if len(vectors) != len(names) or len(set(names)) != len(names):
            raise UsageError(
                f"{len(vectors)} vectors with {len(names)} names, {len(set(names))} different; name each once"
            )
    shared = [name for name in first[1] if name in set(second[1])]
    if len(shared) < 4:
        raise UsageError(
            f"the sets share {len(shared)} concepts ({', '.join(shared) or 'none'}); a comparison needs at least 4"
        )
    one, other = (
        unit_rows(vectors[[list(names).index(name) for name in shared]], names=shared)
        for vectors, names in (first, second)
    )
    cosines = (cosine_matrix(one), cosine_matrix(other))
    kernels = (_centred_kernel(one), _centred_kernel(other))
    null = _shuffled(cosines, kernels, permutations, seed)

    def drawn(concepts: Int[np.ndarray, " drawn"]) -> float:
        chosen = np.ix_(concepts, concepts)
        apart = upper((concepts[:, None] != concepts).astype(np.float64)) > 0
        return _pearson(upper(cosines[0][chosen])[apart], upper(cosines[1][chosen])[apart])

    pearson = bootstrap_items(drawn, len(shared), resamples=resamples, seed=seed, level=level)
    cka = _alignment(*kernels)
    triangles = np.stack([upper(matrix) for matrix in cosines])
    return SetSimilarity(
        pearson=pearson,
        cosine=float(_products(triangles)[0, 1]),
        cka=cka,
        p=p_value(pearson.estimate, null[0]),
        p_cka=p_value(cka, null[1]),
        concepts=tuple(shared),
    )


def _shuffled(
    cosines: tuple[np.ndarray, np.ndarray], kernels: tuple[np.ndarray, np.ndarray], permutations: int, seed: int
) -> Float[np.ndarray, "2 permutations"]:
    """Correlation and alignment with the second set's concepts in random order."""
    rng = np.random.default_rng(seed)
    null = np.empty((2, permutations))
    for place in range(permutations):
        order = rng.permutation(len(cosines[0]))
        shuffled = np.ix_(order, order)
        null[0, place] = _pearson(upper(cosines[0]), upper(cosines[1][shuffled]))
        null[1, place] = _alignment(kernels[0], kernels[1][shuffled])
    return null


def _centred_kernel(rows: Float[np.ndarray, "concepts hidden"]) -> Float[np.ndarray, "concepts concepts"]:
    centred = rows - rows.mean(axis=0)
    found: Float[np.ndarray, "concepts concepts"] = centred @ centred.T
    return found


def _alignment(first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"]) -> float:
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(np.sum(first * second) / lengths, 0.0, 1.0)) if lengths > 0 else 0.0


def _pearson(x: Float[np.ndarray, " pairs"], y: Float[np.ndarray, " pairs"]) -> float:
    if len(x) < 2:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.clip(x @ y / lengths, -1.0, 1.0)) if lengths > 0 else float("nan")


def _products(rows: Float[np.ndarray, "layers pairs"]) -> Float[np.ndarray, "layers layers"]:
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(sizes > 0, sizes, 1.0)
    return np.clip(unit @ unit.T, -1.0, 1.0)
