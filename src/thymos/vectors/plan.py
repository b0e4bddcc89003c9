"""What an extraction will do: settings, batches in a fixed order, and counts of what was met."""

import itertools
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from thymos.concepts import Vocabulary
from thymos.errors import CorpusError, UnknownConceptError
from thymos.models import DEFAULT_BATCH_TOKENS, Host, Select, Tokens, chat_tokens, plan_batches, truncate
from thymos.models.capture import PaddingSide
from thymos.texts import Corpus, Text

__all__ = ["Batch", "ExtractionSettings", "Tally", "batches", "concepts_in", "plan_of", "scatter_bytes", "sketch_size"]

NEUTRAL_FIRST_TOKEN = 5
"""The first content tokens often are attention sinks with norms tens of times larger: they never enter PCA or norms."""


@dataclass(frozen=True)
class ExtractionSettings:
    """How a corpus becomes moments. All of it is stored in the run and checked on resume."""

    layers: tuple[int, ...]
    first_token: int = 50
    """First content token of a story that is used, counted from 1 (Sofroniew et al. 2026: the 50th)."""
    max_tokens: int | None = None
    """Longer texts are cut to this many tokens."""
    batch_tokens: int = DEFAULT_BATCH_TOKENS
    padding_side: PaddingSide = "right"
    shard_texts: int = 2048
    """Texts tokenised and length-sorted at a time: what bounds memory."""
    keep_texts: int = 4096
    """Per-text means kept on disk for validation and probes, spread evenly over the corpus."""
    memory_budget: int = 4 * 2**30
    """Bytes that the neutral scatter matrices may take; above it they become sketches."""
    min_stories: int = 2
    """Fewest stories a concept may have."""
    part: bool = False
    """This is one part of several to be merged: every concept of the vocabulary is kept, also those without a story
    here; whether each has enough is seen when vectors are built."""
    format: Literal["raw", "chat", "while_generating"] = "raw"
    """How stories are fed: as plain text, or as the assistant's answer to a request (the paper does not say which); or
    not fed again at all, see `collect_while_generating`."""
    seed: int = 0

    @property
    def story_select(self) -> Select:
        """Positions of a story that are used."""
        return Select(start_token=self.first_token, roles=("assistant",) if self.format == "chat" else None)

    @property
    def neutral_select(self) -> Select:
        """Positions of a neutral text that are used."""
        return Select(start_token=NEUTRAL_FIRST_TOKEN)


@dataclass
class Tally:
    """Counts of one stage, and the next batch to run: everything before it is in the moments."""

    shard: int = 0
    batch: int = 0
    seen: int = 0
    used: int = 0
    """Texts with at least one selected token."""
    short: int = 0
    unlabelled: int = 0
    tokens: int = 0
    """Selected tokens."""
    fed: int = 0
    """Tokens fed, padding not counted."""
    padded: int = 0
    """Positions fed, padding counted."""

    def plus(self, other: "Tally") -> "Tally":
        """Counts of both."""
        right = asdict(other)
        return Tally(**{key: value + right[key] for key, value in asdict(self).items()})


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts that are fed together."""

    texts: tuple[Text, ...]
    indices: tuple[int, ...]
    """Positions in the corpus."""
    tokens: tuple[Tokens, ...]
    after: tuple[int, int]
    """Shard and batch that come next."""


def batches(
    host: Host, corpus: Corpus, tally: Tally, settings: ExtractionSettings, select: Select, *, labelled: bool
) -> Iterator[Batch]:
    """Batches of a corpus from the tally's position on, in an order that depends only on corpus and settings.

    Args:
        host: The model, for its tokenizer.
        corpus: Read one shard at a time.
        tally: Where to start; shards it has passed are skipped.
        settings: Shard and batch sizes.
        select: Texts without a selected token are left out and counted.
        labelled: Leave out, and count, texts without an `emotion`.
    """
    texts = enumerate(corpus)
    for number in itertools.count():
        shard = list(itertools.islice(texts, settings.shard_texts))
        if not shard:
            return
        if number < tally.shard:
            continue
        named = [(index, text) for index, text in shard if not labelled or text.emotion is not None]
        tokens = _tokens(host, [text for _, text in named], settings, labelled=labelled)
        usable = [row for row in range(len(named)) if select.mask(tokens[row]).any()]
        plan = plan_batches([len(tokens[row]) for row in usable], settings.batch_tokens)
        if tally.batch == 0:
            tally.seen += len(shard)
            tally.unlabelled += len(shard) - len(named)
            tally.short += len(named) - len(usable)
        for place, rows in enumerate(plan):
            if place < tally.batch:
                continue
            chosen = [usable[row] for row in rows]
            yield Batch(
                tuple(named[row][1] for row in chosen),
                tuple(named[row][0] for row in chosen),
                tuple(tokens[row] for row in chosen),
                (number + 1, 0) if place == len(plan) - 1 else (number, place + 1),
            )
        if not plan:
            tally.shard, tally.batch = number + 1, 0


def _tokens(host: Host, texts: list[Text], settings: ExtractionSettings, *, labelled: bool) -> list[Tokens]:
    """Texts as they are fed; neutral texts are plain in either format."""
    if settings.format != "chat" or not labelled:
        return host.tokens_of([text.text for text in texts], longest=settings.max_tokens)
    limits = [limit for limit in (settings.max_tokens, host.max_positions) if limit is not None]
    found = [chat_tokens(host, _as_answer(text), add_generation_prompt=False, overflow="cut") for text in texts]
    return [truncate(tokens, min(limits)) for tokens in found] if limits else found


def _as_answer(text: Text) -> list[dict[str, str]]:
    about = f" about this: {text.topic}" if text.topic else ""
    return [
        {"role": "user", "content": f"Write a short story{about}."},
        {"role": "assistant", "content": text.text},
    ]


def scatter_bytes(layers: int, hidden: int) -> int:
    """Memory of the exact neutral scatter matrices: two units, float64."""
    return 2 * layers * hidden * hidden * 8


def sketch_size(layers: int, hidden: int, budget: int) -> int | None:
    """Rows of the sketches that fit a budget, or None when the exact matrices do."""
    if scatter_bytes(layers, hidden) <= budget:
        return None
    return int(min(1024, max(64, budget // (2 * layers * 2 * hidden * 4))))


def concepts_in(corpus: Corpus, vocabulary: Vocabulary, min_stories: int = 2) -> tuple[str, ...]:
    """Concepts of the vocabulary that the corpus has stories for, in the vocabulary's order.

    Raises:
        UnknownConceptError: A label that is not in the vocabulary.
        CorpusError: No labels at all, or a concept with too few stories.
    """
    words = set(vocabulary.words)
    labels: Mapping[str, int] = {label: count for label, count in corpus.concepts.items() if label is not None}
    for label in labels:
        if label not in words:
            raise UnknownConceptError(
                f"{UnknownConceptError.of(label, vocabulary.words, corpus.name)}; concepts of your own go into a "
                "concept file, given with --concepts"
            )
    if not labels:
        raise CorpusError(f"no text in {corpus.name} has an `emotion`, so there is nothing to extract vectors from")
    few = {label: count for label, count in labels.items() if count < min_stories}
    if few:
        named = ", ".join(f"{label!r} ({count})" for label, count in list(few.items())[:5])
        raise CorpusError(
            f"{len(few)} concept(s) in {corpus.name} have fewer than {min_stories} stories: {named}; add stories, or "
            "leave those concepts out"
        )
    return tuple(word for word in vocabulary.words if word in labels)


def plan_of(
    host: Host, stories: Corpus, neutral: Corpus, concepts: tuple[str, ...], settings: ExtractionSettings
) -> dict[str, Any]:
    """Everything that decides the bits of the result; a resumed run must have the same."""
    return {
        "model": host.fingerprint,
        "dtype": str(host.dtype),
        "device": host.device.type,
        "stories": stories.sha256,
        "neutral": neutral.sha256,
        "concepts": list(concepts),
        "settings": {**asdict(settings), "layers": list(settings.layers)},
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
