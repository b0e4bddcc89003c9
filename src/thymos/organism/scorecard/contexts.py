"""Stories in which words mislead: negation, reversal, masking, flashbacks, other characters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thymos.models import Select, Span, Tokens, text_means
from thymos.organism.documents import Document
from thymos.organism.scorecard.bench import Bench, ranks
from thymos.organism.scorecard.marks import Figure, Section, at_least, told
from thymos.organism.scorecard.reading import word_scores
from thymos.organism.stimuli import held_out_stories
from thymos.stats import bootstrap, paired_bootstrap

__all__ = ["context_section"]

_PER_EMOTION, _DEVELOPMENT = 6, 2
_PLACES = ("closing sentence", "its last token", "question")
_SOURCES = ("vectors of plain stories", "vectors of context stories")


@dataclass(frozen=True)
class _How:
    """Where is read, at which layer, with which vectors: chosen on development stories."""

    place: str
    layer: int
    source: str


@dataclass(frozen=True, eq=False)
class _Read:
    """Stories, and what the network holds at each place of them."""

    documents: list[Document]
    truth: Int[np.ndarray, " stories"]
    other: Int[np.ndarray, " stories"]
    rows: Mapping[str, Float[np.ndarray, "stories layers hidden"]]


def context_section(bench: Bench) -> Section:
    """Vectors against bags of words, where as many cues speak for a second feeling as for the one that is asked for.

    The question is which of the two is felt. Both kinds of reader are made from the same plain and context stories.
    Vectors read the closing sentence, which names the subject and carries no feeling, or the question after it; place,
    layer and which stories the vectors are made of are chosen on development stories. The words of the whole story are
    there for the others.
    """
    seed = bench.seed
    training = _read(bench, [d for d, _ in held_out_stories(bench.world, _PER_EMOTION, seed + 3, context=True)])
    development = _read(bench, [d for d, _ in held_out_stories(bench.world, _DEVELOPMENT, seed + 5, context=True)])
    testing = _read(bench, [d for d, _ in held_out_stories(bench.world, _PER_EMOTION, seed + 4, context=True)])
    how = _chosen(bench, training, development)
    scores = _scores(bench, training, testing, how)
    words = word_scores([d for d, _ in bench.training] + training.documents, testing.documents, bench)
    best = max(words, key=lambda name: float(_above(words[name], testing).mean()))
    ours, theirs = _above(scores, testing), _above(words[best], testing)
    gap = paired_bootstrap(ours, theirs)
    first = max(words, key=lambda name: float(_first(words[name], testing).mean()))
    figures = [
        told("the felt of two feelings, vectors", bootstrap(ours), f"{how.source}, {how.place}, layer {how.layer}"),
        told(f"the felt of two feelings, {best}", bootstrap(theirs), "chance 0.5"),
        at_least("vectors minus words (lower bound is the mark)", gap.low, 1e-9, str(gap)),
        told("171-way top-1 of the felt, vectors", bootstrap(_first(scores, testing)), "chance 0.006"),
        told(f"171-way top-1 of the felt, {first}", bootstrap(_first(words[first], testing))),
        *_by_kind(testing, ours, theirs),
    ]
    return Section("context", tuple(figures))


def _read(bench: Bench, documents: list[Document]) -> _Read:
    """One pass a place over all stories, each with a question about its subject behind it."""
    texts = [f"{document.text} {_question(bench, document)}" for document in documents]
    tokens = [bench.host.tokens(text) for text in texts]
    rows = {place: _rows(bench, tokens, [_place(place, d, text) for d, text in zip(documents, texts, strict=True)])
            for place in _PLACES}  # fmt: skip
    truth = np.array([bench.world.row(document.emotion or "") for document in documents])
    other = np.array([bench.world.row(str(document.extra["other"])) for document in documents])
    return _Read(documents, truth, other, rows)


def _question(bench: Bench, document: Document) -> str:
    who = next((span.who for span in reversed(document.spans) if span.feels == document.emotion), "I")
    asked: str = bench.world.material["assistant"]["feeling_questions"][0]
    return asked.replace("{N}", "the narrator" if who == "I" else who)


def _place(place: str, document: Document, text: str) -> tuple[int, int]:
    start, end = int(document.extra["closing"]), len(document.text)
    return {"closing sentence": (start, end), "its last token": (end - 1, end), "question": (len(text) - 1, len(text))}[
        place
    ]


def _rows(
    bench: Bench, tokens: Sequence[Tokens], places: Sequence[tuple[int, int]]
) -> Float[np.ndarray, "stories layers hidden"]:
    masks = [Select(chars=(place,)).mask(one) for one, place in zip(tokens, places, strict=True)]
    # A place is another set of positions in every text: marked as the only content, it is one selection for all.
    marked = [Tokens(ids=one.ids, special=~mask) for one, mask in zip(tokens, masks, strict=True)]
    span = Span(select=Select(), batch_tokens=bench.host.batch_tokens)
    return text_means(bench.host, marked, bench.host.resolve_layers("all"), span)


def _scores(bench: Bench, training: _Read, read: _Read, how: _How) -> Float[np.ndarray, "stories concepts"]:
    known, rows = training.rows[how.place][:, how.layer], read.rows[how.place][:, how.layer]
    centre = known.mean(axis=0)
    directions = (
        bench.vectors.directions(how.layer)
        if how.source == _SOURCES[0]
        else np.stack([known[training.truth == n].mean(axis=0) - centre for n in range(len(bench.world.words))])
    )
    scale = np.linalg.norm(directions, axis=1) * np.linalg.norm(rows - centre, axis=1, keepdims=True)
    found: Float[np.ndarray, "stories concepts"] = (rows - centre) @ directions.T / np.maximum(scale, 1e-12)
    return found


def _chosen(bench: Bench, training: _Read, development: _Read) -> _How:
    ways = [_How(place, layer, source) for place in _PLACES for layer in bench.vectors.layers for source in _SOURCES]
    return max(ways, key=lambda how: float(_above(_scores(bench, training, development, how), development).mean()))


def _above(scores: Float[np.ndarray, "stories concepts"], read: _Read) -> Float[np.ndarray, " stories"]:
    """1 where the felt emotion scores above the one whose cues mislead; ties count as half, as a coin would have it."""
    items = np.arange(len(read.truth))
    own, other = scores[items, read.truth], scores[items, read.other]
    return np.where(own == other, 0.5, (own > other).astype(np.float64))


def _first(scores: Float[np.ndarray, "stories concepts"], read: _Read) -> Float[np.ndarray, " stories"]:
    return (ranks(scores, read.truth) == 0).astype(np.float64)


def _by_kind(read: _Read, ours: Float[np.ndarray, " stories"], theirs: Float[np.ndarray, " stories"]) -> list[Figure]:
    """The same by what misleads."""
    kinds = np.array([str(document.extra["how"]) for document in read.documents])
    return [
        told(f"{kind}: vectors", bootstrap(ours[kinds == kind]), f"words {theirs[kinds == kind].mean():.2f}")
        for kind in sorted(set(kinds.tolist()))
    ]
