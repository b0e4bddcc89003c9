"""Rows of the residual stream at named places, and their cosines with concepts and with control directions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thymos.errors import UsageError
from thymos.models import Host, Select, Span, Tokens, text_means
from thymos.stats import directions_in_span, random_directions
from thymos.studies.bench import Bench
from thymos.studies.decisions import LEAST_RANDOMS
from thymos.studies.slots import REPLY, Item, slots_of, tokens_of
from thymos.studies.trials import Block, Record

__all__ = [
    "Places",
    "Projected",
    "columns_r",
    "cosines",
    "finite",
    "project_block",
    "projected",
    "rows_at",
    "short",
    "spread",
    "standardised",
    "with_controls",
]


@dataclass(frozen=True)
class Places:
    """What is read, and how many control directions are read beside it.

    Attributes:
        concepts: Concepts that the vectors hold.
        layers: Layers that they hold.
        slot: The place; see `slots.slots_of`.
        randoms: Random directions.
        spanned: Random directions inside the span of the concepts' vectors.
        centred: Whether cosines of rows without the grand mean of the stories are written as well.
    """

    concepts: tuple[str, ...]
    layers: tuple[int, ...]
    slot: str = REPLY
    randoms: int = LEAST_RANDOMS
    spanned: int = 20
    centred: bool = True


@dataclass(frozen=True, eq=False)
class Projected:
    """The records of a `project_block` as arrays."""

    names: tuple[str, ...]
    """Concepts, then "random 0", ..., then "span 0", ..."""
    arms: tuple[str, ...]
    """"vector", "random" or "span" per name."""
    layers: tuple[int, ...]
    ids: tuple[str, ...]
    metas: tuple[dict[str, Any], ...]
    raw: Float[np.ndarray, "items layers names"]
    centred: Float[np.ndarray, "items layers names"] | None = None

    def arm(self, which: str) -> Bool[np.ndarray, " names"]:
        """Which names belong to an arm."""
        return np.asarray([arm == which for arm in self.arms])

    def at(self, layer: int, kind: str = "raw") -> Float[np.ndarray, "items names"]:
        """Readings of one layer.

        Raises:
            UsageError: A layer that was not read, or centred readings where none were written.
        """
        if layer not in self.layers:
            raise UsageError(f"layer {layer} was not read; layers: {', '.join(map(str, self.layers))}")
        values = self.raw if kind == "raw" else self.centred
        if values is None:
            raise UsageError("centred readings were not written; read with Places(centred=True)")
        found: Float[np.ndarray, "items names"] = values[:, self.layers.index(layer)]
        return found


def rows_at(
    host: Host, items: Sequence[Item], slot: str, layers: Sequence[int]
) -> tuple[list[Tokens], Float[np.ndarray, "items layers hidden"]]:
    """What is fed for each item, and the mean row of its place.

    Raises:
        UsageError: An item does not have the place.
    """
    fed = [tokens_of(host, item) for item in items]
    marked = []
    for item, tokens in zip(items, fed, strict=True):
        place = slots_of(tokens, item).get(slot)
        mask = np.zeros(len(tokens), bool) if place is None else place.mask(tokens)
        if not mask.any():
            raise UsageError(f"the item {item.id!r} has no place {slot!r}")
        # A place is another set of positions in every text: marked as the only content, it is one selection for all.
        marked.append(Tokens(ids=tokens.ids, special=~mask))
    return fed, text_means(host, marked, layers, Span(select=Select(), batch_tokens=host.batch_tokens))


def with_controls(
    own: Float[np.ndarray, "own hidden"], randoms: int, spanned: int, seed: int
) -> tuple[tuple[str, ...], Float[np.ndarray, "directions hidden"]]:
    """Directions with random ones and random ones of their span behind them, and the arm of each."""
    parts, arms = [own.astype(np.float32)], ["vector"] * len(own)
    if randoms:
        parts.append(random_directions(randoms, own.shape[1], seed))
        arms += ["random"] * randoms
    if spanned and len(own) > 1:
        parts.append(directions_in_span(own, spanned, seed))
        arms += ["span"] * spanned
    return tuple(arms), np.concatenate(parts)


def cosines(
    rows: Float[np.ndarray, "items hidden"], directions: Float[np.ndarray, "directions hidden"]
) -> Float[np.ndarray, "items directions"]:
    """Cosine of every row with every unit direction."""
    wide = rows.astype(np.float64)
    sizes = np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    found: Float[np.ndarray, "items directions"] = wide @ directions.astype(np.float64).T / sizes
    return found


def short(values: np.ndarray) -> Any:
    """Six digits: more would be rounding of the network, and logs would be three times as long."""
    return _short(values.tolist())


def _short(value: Any) -> Any:
    return [_short(part) for part in value] if isinstance(value, list) else float(f"{value:.6g}")


def finite(value: float | int | np.floating) -> float | None:
    """A number for a table; None where there is none, because NaN is no JSON."""
    return float(value) if np.isfinite(value) else None


def project_block(bench: Bench, name: str, items: Sequence[Item], places: Places, host: Host | None = None) -> Block:
    """A block with the cosines of one place of every item with concepts and control directions.

    Records: first what was read (`names`, `arms`, `layers`, `slot`), then one per item: `id`, `text`, `ids`, `meta`,
    and `raw` and (if asked for) `centred` [layers][names].

    Args:
        bench: Model and vectors.
        name: Of the block.
        items: Stimuli.
        places: What is read.
        host: Another model, read with the same vectors.

    Raises:
        UsageError: The other model's residual stream has another width.
    """
    read = host or bench.host
    if read.hidden_size != bench.host.hidden_size:
        raise UsageError(
            f"{read.name!r} has hidden size {read.hidden_size} and the vectors {bench.host.hidden_size}, so they "
            "cannot read it; `compare-geometry` compares models of different widths"
        )
    return Block(name, len(items) + 1, lambda: _project(bench, items, places, read))


def _project(bench: Bench, items: Sequence[Item], places: Places, host: Host) -> Iterator[Record]:
    fed, rows = rows_at(host, items, places.slot, places.layers)
    chosen = [bench.vectors.index(concept) for concept in places.concepts]
    # One seed for all models and blocks: the same control directions everywhere.
    seed = bench.seed_for("controls")
    raw: list[np.ndarray] = []
    centred: list[np.ndarray] = []
    arms: tuple[str, ...] = ()
    for at, layer in enumerate(places.layers):
        found = bench.vectors.at(layer)
        arms, directions = with_controls(found.vectors[chosen], places.randoms, places.spanned, seed)
        raw.append(cosines(rows[:, at], directions))
        if places.centred:
            centred.append(cosines(rows[:, at] - found.mean, directions))
    yield {
        "names": _names(places.concepts, arms),
        "arms": arms,
        "layers": places.layers,
        "slot": places.slot,
        "seed": seed,
    }
    for number, (item, tokens) in enumerate(zip(items, fed, strict=True)):
        record = {
            "id": item.id,
            "text": tokens.text,
            "ids": tokens.ids.tolist(),
            "meta": dict(item.meta),
            "raw": [short(values[number]) for values in raw],
        }
        if places.centred:
            record["centred"] = [short(values[number]) for values in centred]
        yield record


def _names(concepts: Sequence[str], arms: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    found = list(concepts)
    for arm in arms[len(concepts) :]:
        found.append(f"{arm} {counts.get(arm, 0)}")
        counts[arm] = counts.get(arm, 0) + 1
    return found


def projected(records: Sequence[Record]) -> Projected:
    """The records of a `project_block` as arrays."""
    head, *rows = records
    centred = [row["centred"] for row in rows if "centred" in row]
    return Projected(
        names=tuple(head["names"]),
        arms=tuple(head["arms"]),
        layers=tuple(head["layers"]),
        ids=tuple(row["id"] for row in rows),
        metas=tuple(dict(row["meta"]) for row in rows),
        raw=np.asarray([row["raw"] for row in rows], np.float64),
        centred=np.asarray(centred, np.float64) if centred else None,
    )


def standardised(values: Float[np.ndarray, "items ..."]) -> Float[np.ndarray, "items ..."]:
    """Values centred over the first axis with length 1; what does not vary becomes 0.

    A product of two such columns is their correlation.
    """
    centred = values - values.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    floor = 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-12)
    # Rounding is no variation: its correlation with anything would be noise.
    flat = lengths <= floor
    found: Float[np.ndarray, "items ..."] = np.where(flat, 0.0, centred / np.where(flat, 1.0, lengths))
    return found


def columns_r(
    columns: Float[np.ndarray, "items columns"], values: Float[np.ndarray, " items"]
) -> Float[np.ndarray, " columns"]:
    """Pearson correlation of every column with some values; 0 where one of the two does not vary."""
    found: Float[np.ndarray, " columns"] = standardised(columns).T @ standardised(values)
    return found


def spread(values: Sequence[int], count: int, *, keep: Sequence[int] = ()) -> tuple[int, ...]:
    """At most `count` of some values, evenly spread with both ends, and those that must be there."""
    places = np.unique(np.linspace(0, len(values) - 1, max(1, min(count, len(values)))).round().astype(int))
    chosen = {values[place] for place in places.tolist()} | {value for value in keep if value in values}
    return tuple(sorted(chosen))
