"""The layer sweep: a layer is chosen on some topics and scored on others, so that the best layer is not luck."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from thymos.errors import CorpusError, LayerError
from thymos.stats import Interval, bootstrap
from thymos.validation._ranking import expected_hits, own_ranks
from thymos.validation.estimators import (
    Estimator,
    FoldSums,
    check_rows,
    fold_sums,
    mean_difference,
    unit_directions,
)
from thymos.validation.items import Items
from thymos.validation.splits import check_training, fold_numbers

__all__ = ["LayerSweep", "SweepSettings", "layer_sweep"]

LayerRows = Callable[[int], np.ndarray]
"""Layer -> one row per item [items, hidden]; only one layer's rows are held at a time."""


@dataclass(frozen=True)
class SweepSettings:
    """How layers are compared.

    Attributes:
        k: Recall depth the choice is made by.
        folds: Number of topic folds, outer and inner; at least 3 topics are needed.
        seed: Seed of folds and resamples.
        resamples: Bootstrap samples per interval.
        level: Confidence level.
    """

    k: int = 1
    folds: int = 5
    seed: int = 0
    resamples: int = 2000
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class LayerSweep:
    """Outcome of a nested layer sweep.

    Attributes:
        layers: Layers that were compared.
        development: Recall on the development topics of each outer fold: held out inside them, per layer.
        test: Recall on the outer fold's own topics, per layer; never used to choose.
        chosen: Layer chosen on the development topics of each outer fold.
        layer: The most frequent choice; of several, the one with the highest mean development recall. Use this one.
        nested: Recall of the whole procedure: every item is scored at the layer chosen without its topic.
        chance: Recall of random guessing.
        k: Recall depth.
        hits: Hit of each item at each layer, by directions made without its fold.
        fold: Outer fold of each item.
        settings: What it was run with.
    """

    layers: tuple[int, ...]
    development: Float[np.ndarray, "folds layers"]
    test: Float[np.ndarray, "folds layers"]
    chosen: tuple[int, ...]
    layer: int
    nested: Interval
    chance: float
    k: int
    hits: Float[np.ndarray, "layers items"]
    fold: Int[np.ndarray, " items"]
    settings: SweepSettings

    @cached_property
    def curve(self) -> tuple[Interval, ...]:
        """Held-out recall of each layer with its interval; the largest of them is optimistic, `nested` is not."""
        how = self.settings
        return tuple(
            bootstrap(row, resamples=how.resamples, seed=how.seed, level=how.level)
            for row in self.hits.astype(np.float64)
        )

    def records(self, n_layers: int) -> list[dict[str, float | int | str]]:
        """Rows for a chart: layer, depth, value, low, high, and series "held out" or "development".

        Args:
            n_layers: Blocks of the model; layer l is at depth (l + 1) / n_layers.
        """
        found: list[dict[str, float | int | str]] = []
        for layer, held, dev in zip(self.layers, self.curve, self.development.mean(axis=0), strict=True):
            place: dict[str, float | int | str] = {"layer": layer, "depth": (layer + 1) / n_layers}
            found.append({**place, "value": held.estimate, "low": held.low, "high": held.high, "series": "held out"})
            found.append({**place, "value": float(dev), "low": float(dev), "high": float(dev), "series": "development"})
        return found

    def __str__(self) -> str:
        return f"layer {self.layer} (chosen per fold: {list(self.chosen)}); nested top-{self.k} recall {self.nested}"


def layer_sweep(
    at: LayerRows,
    layers: Sequence[int],
    items: Items,
    *,
    neutral: LayerRows | None = None,
    estimator: Estimator = mean_difference,
    settings: SweepSettings | None = None,
) -> LayerSweep:
    """Choose a layer by recall on development topics and score the choice on topics it has not seen.

    For each outer fold every layer is cross-validated inside the other folds, the best layer is taken (the lower one of
    equals), and the outer fold is scored at it. Every topic is in the test part once.

    Args:
        at: Gives the rows of a layer, e.g. `TextMeans.at`.
        layers: Layers to compare.
        items: Concept and topic of each text.
        neutral: Gives the orthonormal neutral components [k, hidden] of a layer, or None.
        estimator: Makes raw directions from training rows.
        settings: Recall depth, folds, seed, resamples.

    Raises:
        LayerError: No layers.
        CorpusError: Fewer than three topics, a concept without training texts when two folds are left out, or a
            direction of zero.
        UsageError: Rows that do not fit the items.
        ActivationError: NaN or infinity.
    """
    if not layers:
        raise LayerError("no layers were given to sweep; name at least one")
    how = settings or SweepSettings()
    numbers = _checked_folds(items, how)
    folds = int(numbers.max()) + 1
    inner = np.empty((len(layers), folds, len(items)), dtype=np.float32)
    for place, layer in enumerate(layers):
        axes = neutral(layer) if neutral is not None else None
        inner[place] = _nested_hits(at(layer), items, numbers, (estimator, axes), how.k)
    outer = inner[:, numbers, np.arange(len(items))]
    development = np.empty((folds, len(layers)))
    test = np.empty((folds, len(layers)))
    for fold in range(folds):
        development[fold] = inner[:, fold, numbers != fold].mean(axis=1, dtype=np.float64)
        test[fold] = outer[:, numbers == fold].mean(axis=1, dtype=np.float64)
    best = development.argmax(axis=1)
    own = outer[best[numbers], np.arange(len(items))].astype(np.float64)
    mode = _most_chosen(best, development)
    return LayerSweep(
        layers=tuple(layers),
        development=development,
        test=test,
        chosen=tuple(layers[place] for place in best),
        layer=layers[mode],
        nested=bootstrap(own, resamples=how.resamples, seed=how.seed, level=how.level),
        chance=min(1.0, how.k / len(items.concepts)),
        k=how.k,
        hits=outer,
        fold=numbers,
        settings=how,
    )


def _most_chosen(best: Int[np.ndarray, " folds"], development: Float[np.ndarray, "folds layers"]) -> int:
    votes = Counter(best.tolist())
    return int(max(votes, key=lambda place: (votes[place], development[:, place].mean())))


def _checked_folds(items: Items, how: SweepSettings) -> Int[np.ndarray, " items"]:
    numbers = fold_numbers(items, folds=how.folds, seed=how.seed)
    folds = int(numbers.max()) + 1
    if folds < 3:
        raise CorpusError(
            f"a nested layer sweep needs at least 3 topic folds (train, choose, test), but there are {folds}; give "
            "texts on more topics or raise `folds`"
        )
    for one in range(folds):
        for other in range(one):
            where = f"what is left without folds {other + 1} and {one + 1} of {folds}"
            check_training(items, (numbers != one) & (numbers != other), where)
    return numbers


def _nested_hits(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    maker: tuple[Estimator, Float[np.ndarray, "k hidden"] | None],
    k: int,
) -> Float[np.ndarray, "folds items"]:
    """Entry [f, i]: hit of item i by directions made without its own fold and without fold f."""
    check_rows(rows, items)
    # A constant shift changes no centred score, and small numbers lose nothing in float32.
    rows = (rows - rows.mean(axis=0, dtype=np.float64)).astype(np.float32)
    sums = fold_sums(rows, items, numbers)
    folds, concepts = len(sums.sums), len(items.concepts)
    pairs = {
        (one, other): _directions(rows, items, numbers, (sums, (one, other)), maker)
        for one in range(folds)
        for other in range(one + 1)
    }
    hits = np.empty((folds, len(items)), dtype=np.float32)
    for fold in range(folds):
        test = np.flatnonzero(numbers == fold)
        sets = [pairs[max(fold, other), min(fold, other)] for other in range(folds)]
        # Ranks within a row need no division by the row's length, and centring is a constant per direction.
        stacked = np.concatenate([directions for directions, _ in sets]).astype(np.float32)
        offsets = np.concatenate([directions @ centre for directions, centre in sets])
        scores = (rows[test] @ stacked.T).astype(np.float64) - offsets
        for other in range(folds):
            part = scores[:, other * concepts : (other + 1) * concepts]
            hits[other, test] = expected_hits(own_ranks(part, items.labels[test]), k)
    return hits


def _directions(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    parts: tuple[FoldSums, tuple[int, int]],
    maker: tuple[Estimator, Float[np.ndarray, "k hidden"] | None],
) -> tuple[Float[np.ndarray, "concepts hidden"], Float[np.ndarray, " hidden"]]:
    """Unit directions and centre made without the two named folds."""
    (sums, left_out), (estimator, neutral) = parts, maker
    means = sums.means_without(*left_out)
    centre: Float[np.ndarray, " hidden"] = means.mean(axis=0)
    if estimator is mean_difference:
        raw = means - centre
    else:
        train = ~np.isin(numbers, left_out)
        raw = estimator(rows[train], items.labels[train])
    return unit_directions(raw, neutral, items.concepts), centre
