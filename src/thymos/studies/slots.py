"""Readings at chosen places of a prompt: the user's turn, its last token, the header, the reply slot, the reply."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.models import Host, Message, RoleSpan, Select, Span, Tokens, chat_tokens, text_means
from thymos.studies.bench import Bench
from thymos.studies.trials import Block, Record

__all__ = ["REPLY", "Item", "matrix", "read_block", "slots_of", "tokens_of"]

REPLY = "reply"
"""The last token of the prompt, from which the reply's first token is drawn: the colon of the paper's dialogues."""


@dataclass(frozen=True)
class Item:
    """One stimulus of a reading study.

    Attributes:
        id: Stable name.
        prompt: Chat messages, or a plain text that is fed as it is.
        meta: What the analysis needs to know about it.
        chars: Named places by character ranges of the text that is fed.
    """

    id: str
    prompt: str | tuple[Message, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    chars: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


def tokens_of(host: Host, item: Item) -> Tokens:
    """The tokens of an item, exactly as they are fed; a chat ends with the header of the assistant's reply."""
    return host.tokens(item.prompt) if isinstance(item.prompt, str) else chat_tokens(host, item.prompt)


def slots_of(tokens: Tokens, item: Item) -> dict[str, Select]:
    """Places that can be read: "reply"; per role its whole last turn and that turn's last token; named characters."""
    found = {REPLY: Select(positions=(len(tokens) - 1,), special=True)}
    last: dict[str, RoleSpan] = {span.role: span for span in tokens.roles if span.stop > span.start}
    for role, span in last.items():
        found[role] = Select(positions=tuple(range(span.start, span.stop)))
        found[f"{role} end"] = Select(positions=(span.stop - 1,))
    for name, chars in item.chars.items():
        found[name] = Select(chars=chars)
    return found


def read_block(
    bench: Bench,
    name: str,
    items: Sequence[Item],
    concepts: Sequence[str],
    *,
    slots: Sequence[str] = (REPLY,),
    layers: Sequence[int] | None = None,
    host: Host | None = None,
) -> Block:
    """A block with the cosines of every item's places with concept vectors, raw and centred.

    Records: `id`, `text`, `ids`, `meta`, `layers`, `concepts`, and per slot `raw` and `centred`
    [layers][concepts]. A slot that an item does not have is null.

    Args:
        bench: Model and vectors.
        name: Of the block.
        items: Stimuli.
        concepts: Concepts that the vectors hold.
        slots: See `slots_of`.
        layers: Default: the chosen layer.
        host: Another model, read with the same vectors.
    """
    chosen = tuple(layers) if layers is not None else (bench.vectors.layer,)
    where = tuple(slots)

    def make() -> Iterator[Record]:
        return _read(bench, host or bench.host, items, tuple(concepts), where, chosen)

    return Block(name, len(items), make)


def _read(
    bench: Bench,
    host: Host,
    items: Sequence[Item],
    concepts: tuple[str, ...],
    slots: tuple[str, ...],
    layers: tuple[int, ...],
) -> Iterator[Record]:
    fed = [tokens_of(host, item) for item in items]
    found: dict[str, dict[int, Float[np.ndarray, "layers hidden"]]] = {}
    for slot in slots:
        places = [slots_of(tokens, item).get(slot) for tokens, item in zip(fed, items, strict=True)]
        having = [n for n, place in enumerate(places) if place is not None and place.mask(fed[n]).any()]
        rows = _rows(host, [fed[n] for n in having], [places[n] for n in having], layers)
        found[slot] = dict(zip(having, rows, strict=True))
    if not any(found.values()):
        raise UsageError(f"no item has any of the places {', '.join(slots)}")
    for number, (item, tokens) in enumerate(zip(items, fed, strict=True)):
        record: dict[str, Any] = {
            "id": item.id,
            "text": tokens.text,
            "ids": tokens.ids.tolist(),
            "meta": dict(item.meta),
            "layers": layers,
            "concepts": concepts,
        }
        for slot in slots:
            row = found[slot].get(number)
            record[slot] = None if row is None else _scores(bench, row, concepts, layers)
        yield record


def _rows(
    host: Host, fed: Sequence[Tokens], places: Sequence[Select | None], layers: tuple[int, ...]
) -> Iterable[Float[np.ndarray, "layers hidden"]]:
    """Mean rows of one place of each text, in batches of texts whose places are the same selection."""
    if not fed:
        return []
    masks = [place.mask(tokens) for place, tokens in zip(places, fed, strict=True) if place is not None]
    # A place is a set of positions, different in every text: marked as the only content, it is one selection for all.
    marked = [_only(tokens, mask) for tokens, mask in zip(fed, masks, strict=True)]
    return text_means(host, marked, layers, Span(select=Select(), batch_tokens=host.batch_tokens))


def _only(tokens: Tokens, mask: np.ndarray) -> Tokens:
    return Tokens(ids=tokens.ids, special=~mask)


def _scores(
    bench: Bench, row: Float[np.ndarray, "layers hidden"], concepts: tuple[str, ...], layers: tuple[int, ...]
) -> dict[str, list[list[float]]]:
    chosen = [bench.vectors.index(concept) for concept in concepts]
    raw: list[list[float]] = []
    centred: list[list[float]] = []
    for at, layer in enumerate(layers):
        found = bench.vectors.at(layer)
        directions = found.vectors[chosen].astype(np.float64)
        for scores, values in ((raw, row[at]), (centred, row[at] - found.mean)):
            values = values.astype(np.float64)
            scores.append((directions @ values / max(float(np.linalg.norm(values)), 1e-12)).tolist())
    return {"raw": raw, "centred": centred}


def matrix(
    records: Iterable[Record], slot: str = REPLY, *, kind: str = "raw", layer: int = 0
) -> Float[np.ndarray, "items concepts"]:
    """Readings of one place of all items.

    Args:
        records: Of a `read_block`.
        slot: The place.
        kind: "raw" or "centred".
        layer: Index into the layers of the block.

    Raises:
        UsageError: An item does not have the place.
    """
    rows = [record[slot] for record in records]
    if any(row is None for row in rows):
        raise UsageError(f"{sum(row is None for row in rows)} of {len(rows)} items have no place {slot!r}")
    return np.asarray([row[kind][layer] for row in rows], np.float64)
