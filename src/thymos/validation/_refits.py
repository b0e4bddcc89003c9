"""The baselines fitted to many sets of labels at once, for their permutation tests."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from scipy import sparse

from thymos.validation._permuting import Refit, group_sums
from thymos.validation.items import Items
from thymos.validation.splits import Fold

__all__ = ["MOST_REFITTED", "first_scores", "refit_centroids", "refit_lengths"]

MOST_REFITTED = 1000
"""Most texts whose products with each other are held, for every fold."""
_NUMBERS_AT_ONCE = 2**22
_SPARSE = 20.0
"""How much longer a sparse product takes than a dense one, per multiplication."""


def first_scores(refit: Refit, items: Items) -> Float[np.ndarray, "items concepts"]:
    """Scores under the labels as they are."""
    scores = np.empty((len(items), len(items.concepts)))
    for test, found in refit.scores(items.labels[None]):
        scores[test] = found[0]
    return scores


def refit_centroids(features: Iterable[tuple[Fold, sparse.csr_matrix, sparse.csr_matrix]], items: Items) -> Refit:
    """Cosine with the mean tf-idf vector of each concept, from products between texts, which no label changes."""
    held = [(fold, (train @ train.T).toarray(), (train @ test.T).toarray()) for fold, train, test in features]
    concepts = len(items.concepts)

    def scores(labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        times = len(labels)
        for fold, inner, outer in held:
            own = labels[:, fold.train]
            sums = group_sums(np.hstack([inner, outer]), own, concepts).reshape(times, concepts, -1)
            within = np.take_along_axis(sums[..., : len(fold.train)], own[:, None], axis=1)[:, 0]
            places = own + concepts * np.arange(times)[:, None]
            squared = np.bincount(places.reshape(-1), within.reshape(-1), times * concepts).reshape(times, concepts)
            sizes = np.sqrt(np.maximum(squared, 0.0))
            products = np.swapaxes(sums[..., len(fold.train) :], 1, 2)
            yield fold.test, products / np.where(sizes > 0, sizes, 1.0)[:, None]

    most = max(len(items) * concepts, 1)
    return Refit(scores, max(1, _NUMBERS_AT_ONCE // most), _SPARSE * len(held) * len(items) ** 2)


def refit_lengths(logs: Float[np.ndarray, " items"], items: Items, folds: Sequence[Fold]) -> Refit:
    """Normal density of the logarithm of the length for each concept."""
    concepts = len(items.concepts)

    def scores(labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        times = len(labels)
        shift = concepts * np.arange(times)[:, None]
        for fold in folds:
            own, known = labels[:, fold.train], logs[fold.train]
            places = (own + shift).reshape(-1)

            def sums(values: np.ndarray, places: np.ndarray = places) -> Float[np.ndarray, "times concepts"]:
                return np.bincount(places, values.reshape(-1), times * concepts).reshape(times, concepts)

            counts = sums(np.ones(own.size))
            means = sums(np.broadcast_to(known, own.shape)) / counts
            squares = (known - np.take_along_axis(means, own, axis=1)) ** 2
            pooled = squares.mean(axis=1, keepdims=True)
            # Spreads of few texts are shrunk to the common one (weight of ten texts), which also keeps them above 0.
            spread = ((sums(squares) + 10.0 * pooled) / (counts + 10.0) + 1e-12)[:, None]
            gaps = logs[fold.test][:, None] - means[:, None]
            yield fold.test, -0.5 * (gaps**2 / spread + np.log(spread))

    most = max(len(items) * concepts, 1)
    return Refit(scores, max(1, _NUMBERS_AT_ONCE // most), _SPARSE * len(items) * (len(folds) + concepts))
