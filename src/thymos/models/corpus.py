"""Residual streams of a whole corpus, batch by batch: the streaming form of `capture`."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from thymos.models.capture import Span, forward, pad, plan_batches, selection
from thymos.models.host import Host
from thymos.models.tokens import Tokens

__all__ = ["CapturedBatch", "capture_corpus"]


@dataclass(frozen=True, eq=False)
class CapturedBatch:
    """Residual streams of texts that were fed together. The tensors are the model's own: copy what is to be kept."""

    indices: tuple[int, ...]
    """Position of each row in the corpus."""
    tokens: tuple[Tokens, ...]
    hidden: dict[int, Tensor]
    """Layer -> [batch, seq, hidden] on the model's device; rows of padding hold garbage."""
    selected: Bool[np.ndarray, "batch seq"]
    """True at the selected positions, never on padding."""

    def rows(self, layer: int) -> Float[Tensor, "rows hidden"]:
        """Selected residual rows of one layer, text after text."""
        stream = self.hidden[layer]
        return stream[torch.from_numpy(self.selected).to(stream.device)]


def capture_corpus(
    host: Host,
    texts: Iterable[str],
    layers: int | str | Sequence[int],
    span: Span | None = None,
    *,
    shard_texts: int = 1024,
) -> Iterator[CapturedBatch]:
    """Capture a corpus of any length; memory holds one shard of texts and one batch of streams.

    Args:
        host: The model.
        texts: Read once, in order.
        layers: What `Host.resolve_layers` takes; the pass stops at the highest.
        span: Selected positions, batch size in tokens, padding side.
        shard_texts: Texts that are tokenised and sorted by length at a time.

    Yields:
        Batches; inside a shard they come longest first, so `indices` says which text is which.
    """
    how = span or Span()
    chosen = host.resolve_layers(layers)
    numbered = enumerate(texts)
    while shard := list(itertools.islice(numbered, shard_texts)):
        tokens = host.tokens_of([text for _, text in shard])
        filled = [row for row in range(len(shard)) if len(tokens[row])]
        for plan in plan_batches([len(tokens[row]) for row in filled], how.batch_tokens):
            picked = [filled[row] for row in plan]
            batch = tuple(tokens[row] for row in picked)
            padded = pad(host, batch, how.padding_side)
            hidden: dict[int, Tensor] = {}
            forward(host, padded, chosen, hidden.__setitem__)
            yield CapturedBatch(
                tuple(shard[row][0] for row in picked), batch, hidden, selection(batch, padded, how.select)
            )
