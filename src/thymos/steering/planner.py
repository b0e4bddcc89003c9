"""How much is too much: what a steering strength costs on neutral text, before it is used.

Perplexity on neutral text and the repetitiveness of what is written are measured at every strength; the largest
strength within the allowed cost is the coherent range.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from thymos.errors import CorpusError, UsageError
from thymos.models import Host, Sampling, generate, pad
from thymos.steering.apply import steer
from thymos.vectors import ConceptVector

__all__ = ["DosePlan", "DosePoint", "perplexity", "plan_dose", "repetition"]


@dataclass(frozen=True)
class DosePoint:
    """One strength."""

    strength: float
    """Fraction of the residual norm, per steered layer."""
    perplexity: float
    """On the neutral texts."""
    cost: float
    """Perplexity relative to no steering, minus 1: 0.15 is 15% up."""
    repetition: float
    """Share of repeated 4-grams in greedy continuations, 0 to 1."""
    compression: float
    """Compressed over plain length of the continuations: low means repetitive."""


@dataclass(frozen=True)
class DosePlan:
    """Costs over strengths and the range that stays coherent."""

    points: tuple[DosePoint, ...]
    limit: float
    """Largest cost allowed."""

    @property
    def coherent(self) -> tuple[float, float]:
        """Smallest and largest strength around zero whose costs all stay within the limit."""
        ordered = sorted(self.points, key=lambda point: point.strength)
        low = high = 0.0
        for point in (p for p in ordered if p.strength > 0):
            if point.cost > self.limit:
                break
            high = point.strength
        for point in (p for p in reversed(ordered) if p.strength < 0):
            if point.cost > self.limit:
                break
            low = point.strength
        return low, high


def perplexity(host: Host, texts: Sequence[str], batch: int = 8) -> float:
    """Exponential of the mean negative log likelihood per token.

    Raises:
        UsageError: The model has no unembedding.
        CorpusError: No text has two tokens.
    """
    if host.sites.unembedding is None or host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder: it gives no likelihoods; use a causal language model")
    tokens = [t for t in host.tokens_of(list(texts)) if len(t) >= 2]
    if not tokens:
        raise CorpusError("no text has two tokens, so there is no perplexity")
    total, count = 0.0, 0
    for start in range(0, len(tokens), batch):
        padded = pad(host, tokens[start : start + batch])
        with torch.inference_mode():
            logits = host.network(padded.ids, use_cache=False).logits
        target = padded.ids[:, 1:].masked_fill(~padded.real[:, 1:], -100)
        losses = cross_entropy(logits[:, :-1].float().transpose(1, 2), target, ignore_index=-100, reduction="sum")
        total += float(losses)
        count += int(padded.real[:, 1:].sum())
    return float(np.exp(total / count))


def repetition(text: str, size: int = 4) -> float:
    """Share of word n-grams that already occurred, 0 to 1."""
    words = text.split()
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def plan_dose(
    host: Host,
    vector: ConceptVector,
    texts: Sequence[str],
    strengths: Sequence[float | int] = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2),
    *,
    limit: float | int = 0.15,
    prompts: Sequence[str] = ("The morning began with", "To change a bicycle tyre,"),
) -> DosePlan:
    """Measure what strengths cost on neutral text.

    Args:
        host: A decoder.
        vector: Steered at its chosen layer; `vector.at(...)` names others.
        texts: Neutral texts for the perplexity.
        strengths: Strengths to try; zero is always added.
        limit: Largest increase of perplexity that counts as coherent.
        prompts: Continued greedily to measure repetition.
    """
    direction = vector.unit()
    points = []
    base = perplexity(host, texts)
    for strength in sorted({0.0, *map(float, strengths)}):
        with steer(host, direction, strength=strength):
            value = perplexity(host, texts)
            written = [g.text for g in generate(host, list(prompts), Sampling(max_new_tokens=48))]
        joined = " ".join(written)
        packed = len(zlib.compress(joined.encode())) / max(len(joined.encode()), 1)
        repeated = float(np.mean([repetition(text) for text in written]))
        points.append(DosePoint(strength, value, value / base - 1.0, repeated, packed))
    return DosePlan(tuple(points), limit)
