"""Forward passes over rows of tokens under interventions: logits of the last positions of each row, nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thymos.errors import UsageError
from thymos.models import Host, Intervention, Select, Tokens, intervene, pad, plan_batches

__all__ = ["Row", "check_scores", "logits", "most_rows", "row_of"]

_LOGITS_AT_ONCE = 2**26
"""Logits held in memory at once (256 MiB of float32)."""


@dataclass(frozen=True, eq=False)
class Row:
    """One text to feed."""

    tokens: Tokens
    """Prompt and what follows it; `prompt_length` says where the prompt ends."""
    keep: int
    """Last positions whose logits are wanted."""

    @property
    def prompt(self) -> int:
        """Tokens of the prompt."""
        return len(self.tokens) if self.tokens.prompt_length is None else self.tokens.prompt_length


def check_scores(host: Host) -> None:
    """Raise a UsageError unless the model gives next-token probabilities."""
    if host.kind == "encoder" or host.sites.unembedding is None:
        raise UsageError(f"{host.name!r} is an encoder: it gives no probabilities; use a causal language model")


def row_of(host: Host, tokens: Tokens, path: Sequence[int]) -> Row:
    """A row of some tokens and the path that is fed behind them, with the logits of the slots that decide it."""
    joined = host.with_ids(tokens, path)
    if len(tokens.offsets) == len(tokens):
        # No range of characters means what follows the prompt.
        joined = replace(joined, offsets=np.concatenate([tokens.offsets, np.zeros((len(path), 2), np.int32)]))
    return Row(joined, len(path) + 1)


def most_rows(host: Host, tokens: int, keep: int, batch_tokens: int) -> int:
    """Rows that may be fed at once, given the longest and the logits kept of each."""
    vocabulary = int(host.network.config.get_text_config().vocab_size)
    return max(1, min(batch_tokens // max(tokens, 1), _LOGITS_AT_ONCE // (keep * vocabulary)))


def logits(
    host: Host, rows: Sequence[Row], interventions: Sequence[Intervention], batch_tokens: int | None = None
) -> Iterator[tuple[list[int], Tensor]]:
    """Feed rows in batches of a token budget.

    Rows are padded on the left, so the wanted positions of all rows of a batch are its last columns and the
    unembedding is run on those alone.

    Args:
        host: A decoder.
        rows: What is fed.
        interventions: Applied on top of any that are active.
        batch_tokens: Positions fed at once, padding included.

    Yields:
        Indices of the rows of a batch, and their logits [batch, keep, vocab] aligned at the last token of each row.
    """
    check_scores(host)
    budget = host.batch_tokens if batch_tokens is None else batch_tokens
    for group in _groups(rows, interventions):
        for plan in plan_batches([len(rows[index].tokens) for index in group], budget):
            chosen = [group[place] for place in plan]
            longest, keep = len(rows[chosen[0]].tokens), max(rows[index].keep for index in chosen)
            size = most_rows(host, longest, keep, budget)
            for start in range(0, len(chosen), size):
                some = chosen[start : start + size]
                yield some, _feed(host, [rows[index] for index in some], interventions)


def _groups(rows: Sequence[Row], interventions: Sequence[Intervention]) -> list[list[int]]:
    """Rows that may share a batch: all of them, unless an intervention asks where the prompt ends."""
    if all(intervention.select.where == "all" for intervention in interventions):
        return [list(range(len(rows)))]
    alike: dict[tuple[int, int], list[int]] = {}
    for index, row in enumerate(rows):
        alike.setdefault((row.prompt, len(row.tokens)), []).append(index)
    return list(alike.values())


def _feed(host: Host, rows: Sequence[Row], interventions: Sequence[Intervention]) -> Tensor:
    batch = [row.tokens for row in rows]
    padded = pad(host, batch, "left")
    arguments: dict[str, Any] = {}
    if not bool(padded.real.all()):
        arguments["attention_mask"] = padded.real.long()
        if "position_ids" in host.forward_arguments:
            arguments["position_ids"] = (padded.real.long().cumsum(dim=1) - 1).clamp(min=0)
    keep = max(row.keep for row in rows)
    placed = [_placed(intervention, rows[0]) for intervention in interventions]
    with torch.inference_mode(), intervene(host, *(edit for edit in placed if edit is not None), prompts=batch):
        out = host.network(input_ids=padded.ids, use_cache=False, logits_to_keep=keep, **arguments).logits
    return torch.as_tensor(out[:, -keep:]).float()


def _placed(intervention: Intervention, row: Row) -> Intervention | None:
    """The same intervention in a single pass over prompt and continuation.

    "Prompt", "generated" and "reply" count from the end of the prompt, but to a single pass all that is fed is prompt:
    they are turned into positions.
    """
    select, prompt, length = intervention.select, row.prompt, len(row.tokens)
    if select.where == "all":
        return intervention
    first, stop = {"prompt": (0, prompt), "generated": (prompt, length), "reply": (prompt - 1, length)}[select.where]
    positions = tuple(p for p in range(first, stop) if select.positions is None or p in select.positions)
    if not positions:
        return None
    special = select.special or select.where == "reply"
    chosen: Select = replace(select, where="all", positions=positions, special=special)
    return replace(intervention, select=chosen)
