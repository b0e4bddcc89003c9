"""Texts with named places, such as one speaker's lines or a reply, and the mean residual rows of those places."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.models import Host, Message, Select, Tokens, chat_tokens, rows
from thymos.studies.bench import Bench
from thymos.studies.trials import Block, Record
from thymos.vectors import EmotionVectors, remove

__all__ = [
    "NAMES",
    "Passage",
    "Script",
    "directions_block",
    "directions_of",
    "named",
    "own_bench",
    "passage_tokens",
    "place_rows",
    "places_block",
    "rows_of",
    "unit",
]

NAMES = ("Mara", "Tom")
"""Names that stand for {N} and {M} where a stimulus does not bring its own."""

_DIGITS = 6


@dataclass(frozen=True)
class Passage:
    """One text or conversation with places that are read.

    Attributes:
        id: Stable name.
        prompt: A text, or chat messages.
        chars: Named places as character ranges of the text, or of the last message.
        turns: Of a conversation: named places as message numbers.
        slot: Whether the last token, which decides the reply, is the place "slot".
        meta: What the analysis needs to know.
    """

    id: str
    prompt: str | tuple[Message, ...]
    chars: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    turns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    slot: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)


class Script:
    """Writes a plain text piece by piece and keeps the character ranges of named places."""

    def __init__(self, joint: str = " ") -> None:
        """Start an empty text; pieces are put together with `joint`."""
        self.joint = joint
        self.text = ""
        self.chars: dict[str, tuple[tuple[int, int], ...]] = {}

    def say(self, piece: str, *places: str) -> "Script":
        """Add a piece, as part of some places; an empty piece adds nothing."""
        if not piece:
            return self
        if self.text:
            self.text += self.joint
        start = len(self.text)
        self.text += piece
        for place in places:
            self.chars[place] = (*self.chars.get(place, ()), (start, len(self.text)))
        return self

    def line(self, name: str, words: str, *places: str) -> "Script":
        """Add "Name: words"; the places cover the words alone, so that a name cannot tell anything."""
        self.say(f"{name}: {words}")
        start = len(self.text) - len(words)
        for place in places:
            self.chars[place] = (*self.chars.get(place, ()), (start, len(self.text)))
        return self

    def passage(self, name: str, meta: Mapping[str, Any]) -> Passage:
        """The finished text."""
        return Passage(name, self.text, chars=dict(self.chars), meta=dict(meta))


def named(text: str, names: Sequence[str] = NAMES) -> str:
    """A text with {N} and {M} filled in."""
    return text.replace("{N}", names[0]).replace("{M}", names[1])


def passage_tokens(host: Host, passage: Passage) -> Tokens:
    """The tokens of a passage as they are fed; a chat that ends with a message to the assistant gets its header."""
    if isinstance(passage.prompt, str):
        return host.tokens(passage.prompt)
    last = passage.prompt[-1]["role"] if passage.prompt else ""
    return chat_tokens(host, passage.prompt, add_generation_prompt=last != "assistant")


def _places(tokens: Tokens, passage: Passage) -> dict[str, Select]:
    shift = 0
    if not isinstance(passage.prompt, str) and passage.chars:
        shift = tokens.text.rindex(passage.prompt[-1]["content"].strip())
    found = {
        name: Select(chars=tuple((start + shift, stop + shift) for start, stop in ranges))
        for name, ranges in passage.chars.items()
    }
    if passage.slot:
        found["slot"] = Select(positions=(len(tokens) - 1,), special=True)
    for name, numbers in passage.turns.items():
        spans = [span for span in tokens.roles if span.turn in numbers]
        found[name] = Select(positions=tuple(at for span in spans for at in range(span.start, span.stop)))
    return found


def place_rows(host: Host, passage: Passage, tokens: Tokens, layer: int) -> dict[str, Float[np.ndarray, " hidden"]]:
    """Mean residual row of every place of a passage, from one forward pass.

    Raises:
        UsageError: A place has no token: it lies beyond the model's context.
    """
    stream = rows(host, tokens, (layer,))[0].astype(np.float64)
    found = {}
    for name, select in _places(tokens, passage).items():
        mask = select.mask(tokens)
        if not mask.any():
            raise UsageError(
                f"{passage.id}: the place {name!r} has no tokens ({len(tokens)} tokens were fed to {host.name!r}, "
                f"context {host.max_positions}); leave this item out, or take a model with a longer context"
            )
        found[name] = stream[mask].mean(axis=0)
    return found


def places_block(bench: Bench, name: str, passages: Sequence[Passage]) -> Block:
    """A block with the mean rows of every place, at the chosen layer, neutral components removed.

    Records: `id`, `text`, `ids`, `meta`, `layer`, `rows` and `norms` (lengths before the removal) by place.
    """
    layer = bench.vectors.layer

    def make() -> Iterator[Record]:
        basis = bench.vectors.at(layer).neutral
        for passage in passages:
            tokens = passage_tokens(bench.host, passage)
            found = place_rows(bench.host, passage, tokens, layer)
            clean = {place: remove(row[None].astype(np.float32), basis)[0] for place, row in found.items()}
            yield {
                "id": passage.id,
                "text": tokens.text,
                "ids": tokens.ids.tolist(),
                "meta": dict(passage.meta),
                "layer": layer,
                "rows": {place: _short(row) for place, row in clean.items()},
                "norms": {place: float(np.linalg.norm(row)) for place, row in found.items()},
            }

    return Block(name, len(passages), make)


def _short(row: Float[np.ndarray, " hidden"]) -> list[float]:
    """Six digits: more would be rounding of the network."""
    return [float(f"{value:.{_DIGITS}g}") for value in row.tolist()]


def directions_block(bench: Bench, name: str, concepts: Sequence[str]) -> Block:
    """A block with the concept directions that readings are compared with.

    Records: one per concept: `concept`, `layer`, `direction` (unit, neutral components removed).
    """

    def make() -> Iterator[Record]:
        layer = bench.vectors.layer
        found = bench.vectors.at(layer).vectors
        for concept in concepts:
            row = found[bench.vectors.index(concept)].astype(np.float64)
            yield {"concept": concept, "layer": layer, "direction": _short(row)}

    return Block(name, len(concepts), make)


def directions_of(records: Sequence[Record]) -> Float[np.ndarray, "concepts hidden"]:
    """Directions of a `directions_block`."""
    return np.asarray([record["direction"] for record in records], np.float64)


def rows_of(records: Sequence[Record], place: str) -> Float[np.ndarray, "items hidden"]:
    """Rows of one place of a `places_block`."""
    return np.asarray([record["rows"][place] for record in records], np.float64)


def unit(values: Float[np.ndarray, "rows hidden"]) -> Float[np.ndarray, "rows hidden"]:
    """Rows of length 1; a zero row stays zero."""
    sizes = np.linalg.norm(values, axis=1, keepdims=True)
    found: Float[np.ndarray, "rows hidden"] = values / np.where(sizes > 0, sizes, 1.0)
    return found


def own_bench(bench: Bench, names: Sequence[str], directions: Float[np.ndarray, "rows hidden"]) -> Bench:
    """The same bench with directions of a study's own, at the chosen layer, to be dosed with the same controls.

    Args:
        bench: The bench.
        names: One per direction.
        directions: Rows that are not zero; only their directions count.
    """
    layer = bench.vectors.layer
    rows_ = unit(directions).astype(np.float32)
    parts = replace(bench.vectors.at(layer), vectors=rows_, raw=rows_)
    card = bench.vectors.with_card(
        concepts=tuple(names), layers=(layer,), layer=layer, counts=dict.fromkeys(names, 1), quality={}
    ).card
    return replace(bench, vectors=EmotionVectors({layer: parts}, card), layer=layer)
