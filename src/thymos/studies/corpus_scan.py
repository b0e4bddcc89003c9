"""A corpus read as a stream: the passages with the highest readings, in memory that does not grow with the corpus."""

import heapq
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thymos.concepts import EMOTIONS
from thymos.errors import CorpusError
from thymos.extras import require
from thymos.models import Host, Probe, Tokens
from thymos.readings.reader import token_strings
from thymos.readings.score import score_tokens
from thymos.studies.bench import Bench
from thymos.studies.projections import short, with_controls
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record
from thymos.texts import Corpus, Text, open_corpus
from thymos.texts.rows import as_text

__all__ = ["Scan", "corpus_of", "names_itself", "scan"]

_AT_ONCE = 128
"""Texts that are tokenised and read at a time."""
_HUB = "hf:"


@dataclass(frozen=True)
class Scan:
    """How a corpus is read.

    Attributes:
        concepts: Concepts that the vectors hold.
        randoms: Random directions that are read beside them, on the texts whose readings are kept.
        top: Passages of each concept.
        window: Tokens of a passage; a text gives at most one passage to each concept.
        longest: Tokens of a text that are read.
        kept: Texts from the beginning of the corpus whose readings are written.
    """

    concepts: tuple[str, ...]
    randoms: int
    top: int
    window: int
    longest: int
    kept: int


def corpus_of(bench: Bench) -> Corpus:
    """The user's corpus, or the example that fits the bench.

    "hf:NAME" or "hf:NAME:SPLIT" is streamed from the hub, a folder is a dataset that was saved to disk; anything else
    is a file as `open_corpus` takes it.

    Raises:
        CorpusError: It cannot be read.
        MissingExtraError: The package for datasets is not installed.
    """
    if bench.corpus is None:
        return open_corpus(load_stimuli("activating", bench.world))
    if bench.corpus.startswith(_HUB):
        package = require("datasets", "datasets", "reading a dataset of the hub")
        name, _, split = bench.corpus.removeprefix(_HUB).partition(":")
        return open_corpus(package.load_dataset(name, split=split or "train", streaming=True))
    if Path(bench.corpus).is_dir():
        return open_corpus(require("datasets", "datasets", "reading a saved dataset").load_from_disk(bench.corpus))
    return open_corpus(bench.corpus)


@dataclass
class _Counts:
    seen: int = 0
    used: int = 0
    blank: int = 0
    tokens: int = 0


@dataclass(order=True)
class _Found:
    """A passage; ordered by its reading, earlier texts first where readings are equal."""

    score: float
    before: int
    record: dict[str, Any] = field(compare=False)


def scan(bench: Bench, corpus: Corpus, how: Scan, part: tuple[int, int]) -> Iterator[Record]:
    """Read one part of a corpus.

    Records: first what was read (`names`, `arms`, `layer`, `seen`, `used`, `blank`, `tokens`); then one per kept text
    (`kind` "text"): `id`, `text`, `ids`, `emotion`, `group`, `scores` [names], `gap` [names] (inside minus outside of
    the planted spans, where there are any), `names_itself`; then one per top passage (`kind` "top"): `concept`,
    `score`, `id`, `emotion`, `text`, `tokens`, `readings`, `names_itself`.

    Args:
        bench: Model and vectors.
        corpus: Streamed; rows without text are counted and passed over.
        how: See `Scan`.
        part: First row, and the row behind the last one.

    Raises:
        CorpusError: The corpus holds no usable text, or a row that cannot be read.
    """
    layer = bench.vectors.layer
    own = bench.vectors.at(layer).vectors[[bench.vectors.index(concept) for concept in how.concepts]]
    arms, rows = with_controls(own, how.randoms, 0, bench.seed_for("controls"))
    probe = Probe({layer: rows}, None)
    counts = _Counts()
    kept: list[tuple[int, dict[str, Any]]] = []
    best: dict[str, list[_Found]] = {concept: [] for concept in how.concepts}
    texts = _rows(corpus, part, counts)
    while chunk := list(itertools.islice(texts, _AT_ONCE)):
        fed = bench.host.tokens_of([text.text for _, text in chunk], offsets=True, longest=how.longest)
        usable = [place for place, tokens in enumerate(fed) if (~tokens.special).any()]
        found = score_tokens(bench.host, probe, [fed[place] for place in usable], bench.host.batch_tokens)
        for number, scores in found:
            place = usable[number]
            at, text = chunk[place]
            item = _Item(at, text, fed[place], scores[:, 0].astype(np.float64))
            counts.used += 1
            counts.tokens += len(fed[place])
            if at < how.kept:
                kept.append((at, _kept(item)))
            _offer(bench.host, item, how, best)
    if part[0] == 0 and counts.used == 0:
        raise CorpusError(f"{corpus.name} holds no text that can be read ({counts.blank} rows are empty)")
    yield {
        "names": [*how.concepts, *(f"random {number}" for number in range(how.randoms))],
        "arms": arms,
        "layer": layer,
        "corpus": corpus.name,
        "seen": counts.seen,
        "used": counts.used,
        "blank": counts.blank,
        "tokens": counts.tokens,
    }
    yield from (record for _, record in sorted(kept, key=lambda pair: pair[0]))
    for concept, heap in best.items():
        for one in sorted(heap, reverse=True):
            yield {"kind": "top", "concept": concept, "score": one.score, **one.record}


def _rows(corpus: Corpus, part: tuple[int, int], counts: _Counts) -> Iterator[tuple[int, Text]]:
    """Texts with their row numbers; a row without text is no reason to lose what was read of the others."""
    for at, (where, row) in enumerate(itertools.islice(corpus.rows(), *part), start=part[0]):
        counts.seen += 1
        said = row.get("text") if isinstance(row, Mapping) else getattr(row, "text", row)
        if said is None or (isinstance(said, str) and not said.strip()):
            counts.blank += 1
            continue
        try:
            yield at, as_text(row, where)
        except CorpusError as err:
            raise CorpusError(f"{corpus.name}: {err}") from None


@dataclass(frozen=True, eq=False)
class _Item:
    at: int
    text: Text
    tokens: Tokens
    scores: Float[np.ndarray, "seq names"]

    @property
    def name(self) -> str:
        return str(self.text.extra.get("id", self.at))


def _kept(item: _Item) -> dict[str, Any]:
    content = ~item.tokens.special
    text = item.text
    return {
        "kind": "text",
        "id": item.name,
        "text": text.text,
        "ids": item.tokens.ids.tolist(),
        "emotion": text.emotion,
        "group": str(text.extra.get("genre") or text.topic or ""),
        "scores": short(item.scores[content].mean(axis=0)),
        "gap": _gap(item, content),
    }


def _gap(item: _Item, content: Bool[np.ndarray, " seq"]) -> Any:
    """Mean reading inside the planted spans minus outside; None where nothing, or everything, is marked."""
    spans = item.text.extra.get("spans")
    if not spans:
        return None
    start, stop = item.tokens.offsets[:, 0], item.tokens.offsets[:, 1]
    inside = np.zeros(len(content), bool)
    for low, high in spans:
        inside |= (start < high) & (stop > low)
    outside = content & ~inside
    inside &= content
    if not inside.any() or not outside.any():
        return None
    return short(item.scores[inside].mean(axis=0) - item.scores[outside].mean(axis=0))


def _offer(host: Host, item: _Item, how: Scan, best: Mapping[str, list[_Found]]) -> None:
    """Put the text's best passage of each concept among the top ones, if it belongs there."""
    places = np.flatnonzero(~item.tokens.special)
    # Windows of equal length: the last one reaches back rather than being short, or short ends would win by noise.
    starts = list(range(0, max(1, len(places) - how.window + 1), how.window))
    if len(places) > how.window and starts[-1] + how.window < len(places):
        starts.append(len(places) - how.window)
    windows = [places[start : start + how.window] for start in starts]
    means = np.stack([item.scores[window, : len(how.concepts)].mean(axis=0) for window in windows])
    strings: Sequence[str] | None = None
    for column, concept in enumerate(how.concepts):
        which = int(means[:, column].argmax())
        score, heap = float(means[which, column]), best[concept]
        if len(heap) >= how.top and score <= heap[0].score:
            continue
        strings = strings if strings is not None else token_strings(host, item.tokens)
        first, last = int(windows[which][0]), int(windows[which][-1]) + 1
        shown = "".join(strings[first:last]).strip()
        record = {
            "id": item.name,
            "emotion": item.text.emotion,
            "text": shown,
            "tokens": list(strings[first:last]),
            "readings": short(item.scores[first:last, column]),
            "names_itself": names_itself(shown, concept),
        }
        one = _Found(float(f"{score:.7g}"), -item.at, record)
        if len(heap) < how.top:
            heapq.heappush(heap, one)
        else:
            heapq.heappushpop(heap, one)


def names_itself(text: str, concept: str) -> bool:
    """Whether a text holds the concept's word or one of its forms or direct synonyms."""
    forms = EMOTIONS[concept].forms if concept in EMOTIONS else (concept,)
    pattern = "|".join(re.escape(form) for form in forms)
    return re.search(rf"\b(?:{pattern})\b", text, flags=re.IGNORECASE) is not None
