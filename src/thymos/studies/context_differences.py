"""Paired differences of `context`: what one text of a pair reads above the other, by place and layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thymos.stats import permutation_test
from thymos.studies.readouts import set_means
from thymos.studies.trials import Record

__all__ = ["Differences", "Nulls", "Reading", "binding_differences", "centred", "pair_differences", "readings_of"]


@dataclass(frozen=True, eq=False)
class Reading:
    """One text of a pair, read.

    Attributes:
        pair: Name of the pair.
        group: Pairs of one group are no independent items.
        arm: "a" or "b".
        concept: Column of what is read.
        places: Place -> [layers, concepts].
        controls: Place -> [controls] at the chosen layer; few places have them.
        meta: As in the record.
    """

    pair: str
    group: str
    arm: str
    concept: int
    places: Mapping[str, Float[np.ndarray, "layers concepts"]]
    controls: Mapping[str, Float[np.ndarray, " controls"]]
    meta: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of an experiment, the mean over the pairs of each group.

    Attributes:
        groups: Independent items.
        places: In the order of the text.
        values: In the expected direction.
        randoms: What sets of random directions give at the place of the claim, chosen layer.
        spanned: The same inside the span of the concepts.
        shuffled: p-value at the same place against pairs that are read along another pair's concept.
    """

    groups: tuple[str, ...]
    places: tuple[str, ...]
    values: Float[np.ndarray, "groups places layers"]
    randoms: Float[np.ndarray, " draws"]
    spanned: Float[np.ndarray, " others"]
    shuffled: float | None

    def at(self, place: str, layer: int) -> Float[np.ndarray, " groups"]:
        """One cell of the map, by the index of the layer."""
        return self.values[:, self.places.index(place), layer]


@dataclass(frozen=True)
class Nulls:
    """How the nulls are drawn.

    Attributes:
        place: Where the claim is.
        layer: Index of the chosen layer.
        randoms: How many controls are random; the others lie in the span.
        draws: Shuffles, and sets of random directions (at most 1000).
        seed: Of everything.
    """

    place: str
    layer: int
    randoms: int
    draws: int
    seed: int


_SETS = 1000


def readings_of(records: Sequence[Record]) -> list[Reading]:
    """Records of an `experiment_block` as arrays."""
    return [
        Reading(
            one["id"].rsplit("/", 1)[0],
            one["group"],
            one["arm"],
            list(one["concepts"]).index(one["concept"]),
            {name: np.asarray(values, np.float64) for name, values in one["places"].items()},
            {name: np.asarray(values, np.float64) for name, values in one["controls"].items()},
            one["meta"],
        )
        for one in records
    ]


def centred(readings: Sequence[Reading], key: Callable[[Reading], object]) -> list[Reading]:
    """The same without what all texts of one kind have: minus the mean over the other texts of the kind.

    Args:
        readings: Texts; kinds with a single text are left out.
        key: Kind of a text. All texts of a kind must have the same places.
    """
    kinds: dict[object, list[Reading]] = {}
    for one in readings:
        kinds.setdefault(key(one), []).append(one)
    found: dict[int, Reading] = {}
    for some in kinds.values():
        if len(some) < 2:
            continue
        factor = len(some) / (len(some) - 1)
        middle = {name: np.mean([one.places[name] for one in some], axis=0) for name in _common(some, "places")}
        controls = {name: np.mean([one.controls[name] for one in some], axis=0) for name in _common(some, "controls")}
        for one in some:
            places = {name: (one.places[name] - mean) * factor for name, mean in middle.items()}
            rest = {name: (one.controls[name] - mean) * factor for name, mean in controls.items()}
            found[id(one)] = Reading(one.pair, one.group, one.arm, one.concept, places, rest, one.meta)
    return [found[id(one)] for one in readings if id(one) in found]


def _common(readings: Sequence[Reading], part: str) -> list[str]:
    """Places that all texts have, in the order of the first."""
    return [name for name in getattr(readings[0], part) if all(name in getattr(one, part) for one in readings)]


def pair_differences(readings: Sequence[Reading], nulls: Nulls) -> Differences | None:
    """Text a minus text b along the pair's own concept; None with fewer than two independent items."""
    pairs: dict[str, dict[str, Reading]] = {}
    for one in readings:
        pairs.setdefault(one.pair, {})[one.arm] = one
    whole = [(both["a"], both["b"]) for both in pairs.values() if len(both) == 2]
    if len({a.group for a, _ in whole}) < 2:
        return None
    places = _common([one for both in whole for one in both], "places")
    own = np.stack([[a.places[p][:, a.concept] - b.places[p][:, b.concept] for p in places] for a, b in whole])
    codes = np.array([a.concept for a, _ in whole])
    every = np.stack([(a.places[nulls.place] - b.places[nulls.place])[nulls.layer] for a, b in whole])
    controls = np.stack([a.controls[nulls.place] - b.controls[nulls.place] for a, b in whole])
    groups, values = _grouped(own, [a.group for a, _ in whole])
    return Differences(
        groups,
        tuple(places),
        values,
        _sets(controls[:, : nulls.randoms], codes, nulls),
        _sets(controls[:, nulls.randoms :], codes, nulls),
        _shuffled(every, codes, nulls),
    )


def _sets(
    controls: Float[np.ndarray, "pairs controls"], codes: Int[np.ndarray, " pairs"], nulls: Nulls
) -> Float[np.ndarray, " draws"]:
    if controls.shape[1] == 0:
        return np.zeros(0)
    return set_means(controls, np.unique(codes, return_inverse=True)[1], min(nulls.draws, _SETS), nulls.seed)


def _shuffled(
    every: Float[np.ndarray, "pairs concepts"], codes: Int[np.ndarray, " pairs"], nulls: Nulls
) -> float | None:
    """p-value against concepts that are dealt to pairs by chance."""
    if len(set(codes.tolist())) < 2:
        return None
    pairs = np.arange(len(codes))
    found = permutation_test(
        lambda order: float(every[pairs, order].mean()), codes, permutations=nulls.draws, seed=nulls.seed
    )
    return float(found.p)


def _grouped(
    values: Float[np.ndarray, "pairs places layers"], names: Sequence[str]
) -> tuple[tuple[str, ...], Float[np.ndarray, "groups places layers"]]:
    groups = tuple(dict.fromkeys(names))
    of = np.array([groups.index(name) for name in names])
    return groups, np.stack([values[of == number].mean(axis=0) for number in range(len(groups))])


_PERSONS = (("A", 1.0), ("B", -1.0))


def binding_differences(readings: Sequence[Reading], others: Sequence[int], nulls: Nulls) -> Differences | None:
    """A person's own feeling minus the other person's, at every place that belongs to a person.

    Names and feelings are swapped within an item, so that what a probe reads everywhere, and which of the two was
    named last, cancel out.

    Args:
        readings: Texts; `concept` is what A feels.
        others: What B feels, as a column, per text.
        nulls: Of the claim; `place` without the person.
    """
    if len({one.group for one in readings}) < 2:
        return None
    names = [name[2:] for name in _common(readings, "places") if name.startswith("A ")]
    own = np.stack(
        [[_matched(one, other, name) for name in names] for one, other in zip(readings, others, strict=True)]
    )
    groups, values = _grouped(own, [one.group for one in readings])
    codes = np.array([one.concept for one in readings])
    halves = np.zeros((len(readings), 0))
    at_a, at_b = (f"{who} {nulls.place}" for who, _ in _PERSONS)
    if all(at_a in one.controls and at_b in one.controls for one in readings):
        halves = np.stack([(one.controls[at_a] - one.controls[at_b]) / 2 for one in readings])
    both = (codes, np.asarray(others))
    return Differences(
        groups,
        tuple(names),
        values,
        _pair_sets(halves[:, : nulls.randoms], both, nulls),
        _pair_sets(halves[:, nulls.randoms :], both, nulls),
        None,
    )


def _matched(one: Reading, other: int, name: str) -> Float[np.ndarray, " layers"]:
    gaps = [sign * (one.places[f"{who} {name}"] @ _contrast(one, other, f"{who} {name}")) for who, sign in _PERSONS]
    found: Float[np.ndarray, " layers"] = np.mean(gaps, axis=0)
    return found


def _contrast(one: Reading, other: int, place: str) -> Float[np.ndarray, " concepts"]:
    weights = np.zeros(one.places[place].shape[1])
    weights[one.concept] += 1.0
    weights[other] -= 1.0
    return weights


def _pair_sets(
    halves: Float[np.ndarray, "texts controls"],
    both: tuple[Int[np.ndarray, " texts"], Int[np.ndarray, " texts"]],
    nulls: Nulls,
) -> Float[np.ndarray, " draws"]:
    """What random directions in place of the concepts would give, each concept its own."""
    kinds, controls = int(max(one.max() for one in both)) + 1, halves.shape[1]
    if controls < 2:
        return np.zeros(0)
    rng, texts = np.random.default_rng(nulls.seed), np.arange(len(halves))
    out = np.empty(min(nulls.draws, _SETS))
    for draw in range(len(out)):
        columns = rng.choice(controls, kinds, replace=kinds > controls)
        out[draw] = float((halves[texts, columns[both[0]]] - halves[texts, columns[both[1]]]).mean())
    return out
