"""Probabilities by teacher forcing, one text at a time, with nothing shared: what exact scoring is held against."""

from collections.abc import Sequence

import numpy as np
import torch

from thymos.models import Model

Ids = tuple[int, ...]


def next_log_probabilities(model: Model, ids: Sequence[int]) -> np.ndarray:
    """Log-softmax at the last position."""
    with torch.inference_mode():
        out = model.network(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
    return torch.log_softmax(out.float(), dim=-1).numpy()


def sequence_probability(model: Model, prompt: Sequence[int], path: Ids) -> float:
    """Probability that the prompt goes on with a path."""
    total = 0.0
    for done in range(len(path)):
        total += float(next_log_probabilities(model, [*prompt, *path[:done]])[path[done]])
    return float(np.exp(total))


def deciding_prefixes(continuations: dict[str, list[Ids]]) -> dict[str, set[Ids]]:
    """Shortest prefixes that only continuations of one outcome share; for continuations that begin none another."""
    owners: dict[Ids, set[str]] = {}
    for outcome, paths in continuations.items():
        for path in paths:
            for length in range(1, len(path) + 1):
                owners.setdefault(path[:length], set()).add(outcome)
    found: dict[str, set[Ids]] = {outcome: set() for outcome in continuations}
    for prefix, names in owners.items():
        if len(names) == 1 and (len(prefix) == 1 or len(owners[prefix[:-1]]) > 1):
            found[next(iter(names))].add(prefix)
    return found


def brute(model: Model, prompt: Sequence[int], continuations: dict[str, list[Ids]]) -> dict[str, float]:
    """Outcome -> probability before normalisation."""
    return {
        outcome: sum(sequence_probability(model, prompt, prefix) for prefix in prefixes)
        for outcome, prefixes in deciding_prefixes(continuations).items()
    }
