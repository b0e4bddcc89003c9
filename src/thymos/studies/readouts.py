"""What reading studies share: every token read along concepts and random directions, and sign flips."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.errors import UsageError
from thymos.models import Host, Tokens, rows
from thymos.stats import directions_in_span, random_directions
from thymos.studies.bench import Bench

__all__ = [
    "Flips",
    "Probes",
    "filled",
    "known_of",
    "probes_of",
    "ranks_of",
    "rounded",
    "set_means",
    "sign_flips",
    "told_against",
]

_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Probes:
    """Directions that are read: concepts at every layer, control directions at the chosen one.

    Attributes:
        concepts: Names.
        layers: Layers at which the concepts are read, the chosen one among them.
        chosen: The layer of the controls.
        rows: Unit directions of the concepts by layer.
        controls: Random directions, then directions in the span of the concepts; unit rows.
        randoms: How many of the controls are not confined to the span.
    """

    concepts: tuple[str, ...]
    layers: tuple[int, ...]
    chosen: int
    rows: Mapping[int, Float[np.ndarray, "concepts hidden"]]
    controls: Float[np.ndarray, "controls hidden"]
    randoms: int

    def read(
        self, host: Host, tokens: Tokens
    ) -> tuple[Float[np.ndarray, "layers seq concepts"], Float[np.ndarray, "seq controls"]]:
        """Cosines of every token with the concepts at every layer, and with the controls at the chosen one."""
        found = rows(host, tokens, self.layers).astype(np.float64)
        units = found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-12)
        scores = np.stack([units[at] @ self.rows[layer].T for at, layer in enumerate(self.layers)])
        return scores, units[self.layers.index(self.chosen)] @ self.controls.T

    @property
    def together(self) -> Float[np.ndarray, "probes hidden"]:
        """Concepts and controls of the chosen layer in one matrix, float32."""
        return np.concatenate([self.rows[self.chosen], self.controls]).astype(np.float32)


def probes_of(bench: Bench, name: str, concepts: Sequence[str], *, randoms: int = 0, spanned: int = 0) -> Probes:
    """Concepts of the vector set at all its layers, and seeded controls at the chosen one.

    Args:
        bench: Model and vectors.
        name: Of the block; the seed of the controls follows from it.
        concepts: Concepts that the vectors hold.
        randoms: Random directions.
        spanned: Random directions inside the span of the concepts; none for a single concept.
    """
    chosen = [bench.vectors.index(concept) for concept in concepts]
    layer = bench.vectors.layer
    own = {at: bench.vectors.at(at).vectors[chosen].astype(np.float64) for at in bench.vectors.layers}
    parts = [np.zeros((0, own[layer].shape[1]))]
    if randoms:
        drawn = random_directions(randoms, own[layer].shape[1], bench.seed_for(name, "random"))
        parts.append(drawn.astype(np.float64))
    if spanned and len(chosen) > 1:
        inside = directions_in_span(bench.vectors.at(layer).vectors[chosen], spanned, bench.seed_for(name, "span"))
        parts.append(inside.astype(np.float64))
    return Probes(tuple(concepts), bench.vectors.layers, layer, own, np.concatenate(parts), randoms)


def known_of(bench: Bench, concepts: Sequence[str], least: int = 2) -> tuple[str, ...]:
    """Those of some concepts that the vectors hold, at least so many.

    Raises:
        UsageError: Too few of them.
    """
    found = bench.known(tuple(dict.fromkeys(concepts)))
    if len(found) < least:
        raise UsageError(
            f"the vector set holds {len(found)} of the concepts of this study ({', '.join(found)}), and it compares at "
            f"least {least}; extract more of {', '.join(dict.fromkeys(concepts))}"
        )
    return found


def filled(template: str, values: Mapping[str, str]) -> tuple[str, dict[str, tuple[tuple[int, int], ...]]]:
    """A template with its {holes} filled, and the character range of every filling.

    Raises:
        UsageError: A hole without a value.
    """
    text, last = "", 0
    places: dict[str, tuple[tuple[int, int], ...]] = {}
    for hole in _HOLE.finditer(template):
        name = hole.group(1)
        if name not in values:
            raise UsageError(f"no value for {{{name}}} in {template!r}; values: {', '.join(values)}")
        text += template[last : hole.start()]
        places[name] = (*places.get(name, ()), (len(text), len(text) + len(values[name])))
        text += values[name]
        last = hole.end()
    return text + template[last:], places


def rounded(values: np.ndarray) -> Any:
    """Nested lists with six significant digits: more would be rounding of the network."""
    given = np.asarray(values, np.float64)
    flat = [float(f"{value:.6g}") for value in given.ravel().tolist()]
    return np.asarray(flat).reshape(given.shape).tolist()


def ranks_of(scores: Float[np.ndarray, "items concepts"], *, centred: bool) -> Int[np.ndarray, "items concepts"]:
    """Rank of every concept in every item, 0 the highest; ties count against.

    Args:
        scores: Readings.
        centred: Take the mean over items out of every concept first.
    """
    values = scores - scores.mean(axis=0) if centred else scores
    found: Int[np.ndarray, "items concepts"] = (values[:, None, :] >= values[:, :, None]).sum(axis=2) - 1
    return found


@dataclass(frozen=True, eq=False)
class Flips:
    """A one-sided sign-flip test of the means of paired differences.

    Attributes:
        p: p-value of every column alone.
        family: p-value of every column against the largest of all columns.
    """

    p: Float[np.ndarray, " columns"]
    family: Float[np.ndarray, " columns"]


def sign_flips(differences: Float[np.ndarray, "pairs columns"], permutations: int, seed: int) -> Flips:
    """Test whether paired differences are above zero, by flipping the sign of whole pairs.

    Every column is divided by its length, so that columns of a large spread do not set the family-wise null alone.

    Args:
        differences: One row per independent pair.
        permutations: Random sign patterns.
        seed: Equal seeds give equal p-values.
    """
    lengths = np.linalg.norm(differences, axis=0)
    unit = differences / np.where(lengths > 0, lengths, 1.0)
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(permutations, len(unit)))
    null, seen = signs @ unit, unit.sum(axis=0) - 1e-12
    largest = np.sort(null.max(axis=1))
    above = permutations - largest.searchsorted(seen, "left")
    return Flips((1.0 + (null >= seen).sum(axis=0)) / (1.0 + permutations), (1.0 + above) / (1.0 + permutations))


def set_means(
    values: Float[np.ndarray, "items controls"], codes: Int[np.ndarray, " items"], draws: int, seed: int
) -> Float[np.ndarray, " draws"]:
    """What random directions would give where every concept has its own: means over items.

    Args:
        values: Per item, the difference along each control direction.
        codes: Which concept the item is about; in a draw, items of one concept share a direction and its sign.
        draws: How many sets are drawn.
        seed: Equal seeds, equal draws.
    """
    rng = np.random.default_rng(seed)
    kinds, controls = int(codes.max()) + 1, values.shape[1]
    items, out = np.arange(len(values)), np.empty(draws)
    for draw in range(draws):
        columns = rng.choice(controls, kinds, replace=kinds > controls)
        signs = rng.choice(np.array([-1.0, 1.0]), kinds)
        out[draw] = float((values[items, columns[codes]] * signs[codes]).mean())
    return out


def told_against(value: float, nulls: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields `control` and `clear` of an estimate: its place among what each kind of control gave.

    Args:
        value: The estimate; being larger than all of the first kind is what is claimed.
        nulls: Kind of control, in words -> its values.
    """
    kept = {name: values for name, values in nulls.items() if len(values)}
    words = [f"{len(v)} {name} {float(v.min()):+.3f} to {float(v.max()):+.3f}" for name, v in kept.items()]
    first = next(iter(kept.values()), None)
    return {"control": "; ".join(words), "clear": None if first is None else bool(value > float(first.max()))}
