"""What an extraction will take, before anything long is started."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from thymos.concepts import resolve
from thymos.errors import CorpusError
from thymos.models import Host, forward, pad
from thymos.texts import battery_texts, neutral_for, open_corpus, own_wording, topics_for
from thymos.vectors import scatter_bytes
from thymos.vectors.while_generating import REREAD_STORIES
from thymos.workflows.options import ExtractOptions, TextSource, settings_of

__all__ = ["CostEstimate", "estimate_cost"]

_SAMPLE = 32


@dataclass(frozen=True)
class CostEstimate:
    """What an extraction will take, measured on a few texts of the corpus."""

    texts: int
    tokens: int
    """Tokens to be fed."""
    seconds: float
    """Reading time on this machine, from a short measurement."""
    scatter_bytes: int
    """Exact neutral matrices."""
    sketched: bool
    """Whether they exceed the budget and become sketches."""
    spool_bytes: int
    """Per-text means on disk."""
    written_tokens: int = 0
    """Tokens to be generated when the model writes its own stories."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return dict(self.__dict__)


def estimate_cost(
    host: Host, stories: TextSource | None, neutral: TextSource | None, options: ExtractOptions
) -> CostEstimate:
    """Estimate tokens, time and memory before anything long is started.

    Args:
        host: The model.
        stories: The corpus, or None when the model will write it.
        neutral: Neutral texts, or None for those the model brings, or the shipped dialogues.
        options: As for `extract`.
    """
    settings = settings_of(host, options)
    calm = open_corpus(neutral) if neutral is not None else neutral_for(host)
    if stories is None:
        own = own_wording(host)
        # What the model writes is not known yet: texts of about the length of a story stand in for it.
        alike = calm if own is not None and own.neutral is not None else battery_texts()
        sample = [text.text for text, _ in zip(alike, range(_SAMPLE), strict=False)]
        count = len(resolve(options.concepts)) * len(topics_for(host, options.topics)) * options.per_cell
    else:
        corpus = open_corpus(stories)
        sample, count = [text.text for text, _ in zip(corpus, range(_SAMPLE), strict=False)], corpus.count
    tokens = host.tokens_of(sample, longest=settings.max_tokens)
    mean = sum(map(len, tokens)) / max(len(tokens), 1)
    read = min(count, REREAD_STORIES) if options.while_generating else count
    fed = int(mean * (read + calm.count))
    exact = scatter_bytes(len(settings.layers), host.hidden_size)
    return CostEstimate(
        texts=count + calm.count,
        tokens=fed,
        seconds=fed / _tokens_per_second(host, tokens[:8], settings.layers),
        scatter_bytes=exact,
        sketched=exact > settings.memory_budget,
        spool_bytes=min(count, settings.keep_texts) * len(settings.layers) * host.hidden_size * 4,
        written_tokens=int(mean * count) if stories is None else 0,
    )


def _tokens_per_second(host: Host, tokens: Sequence[Any], layers: Sequence[int]) -> float:
    if not tokens:
        raise CorpusError("the corpus is empty, so nothing can be estimated")
    padded = pad(host, tokens)
    forward(host, padded, layers, lambda _, hidden: None)  # noqa: ARG005 - warm-up
    started = time.perf_counter()
    forward(host, padded, layers, lambda _, hidden: None)  # noqa: ARG005 - timing the pass alone
    if host.device.type == "cuda":
        torch.cuda.synchronize()
    return sum(map(len, tokens)) / max(time.perf_counter() - started, 1e-9)
