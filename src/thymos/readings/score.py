"""Cosines of residual rows with concept directions, batch by batch; only scores leave the device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.errors import ActivationError, CorpusError
from thymos.models import DEFAULT_BATCH_TOKENS, Host, Probe, Tokens, forward, pad, plan_batches
from thymos.vectors import EmotionVectors

__all__ = ["ReadSettings", "probe_of", "score_tokens"]


@dataclass(frozen=True)
class ReadSettings:
    """What is read."""

    layers: tuple[int, ...] | None = None
    """Layers of the vector set; None: its chosen layer."""
    centred: bool = False
    """Subtract the grand mean of the stories before the cosine."""
    denoised: bool = True
    """Read with the denoised directions; False takes the raw ones."""
    concepts: tuple[str, ...] | None = None
    """Concepts to read; None: all."""


def probe_of(vectors: EmotionVectors, settings: ReadSettings | None = None) -> Probe:
    """Unit directions (and centres) of the layers that are read.

    Raises:
        LayerError: The set does not hold a layer.
        UnknownConceptError: The set does not hold a concept.
    """
    how = settings or ReadSettings()
    layers = how.layers or (vectors.layer,)
    rows = [vectors.index(concept) for concept in how.concepts or vectors.concepts]
    directions = {}
    for layer in layers:
        found = vectors.at(layer)
        chosen = (found.vectors if how.denoised else found.raw)[rows]
        directions[layer] = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    return Probe(directions, {layer: vectors.at(layer).mean for layer in layers} if how.centred else None)


def score_tokens(
    host: Host, probe: Probe, texts: Sequence[Tokens], batch_tokens: int = DEFAULT_BATCH_TOKENS
) -> Iterator[tuple[int, Float[np.ndarray, "seq layers concepts"]]]:
    """Scores of every token of every text, as (index into `texts`, scores), batch by batch.

    Raises:
        CorpusError: A text has no tokens.
        ActivationError: The residual stream holds NaN or infinity.
    """
    if any(len(tokens) == 0 for tokens in texts):
        raise CorpusError("the text is empty: it has no tokens to read")
    layers = probe.layers
    for plan in plan_batches([len(tokens) for tokens in texts], batch_tokens):
        batch = [texts[index] for index in plan]
        found: dict[int, Tensor] = {}

        def sink(layer: int, hidden: Tensor, found: dict[int, Tensor] = found) -> None:
            found[layer] = _cosines(probe, layer, hidden).cpu()

        forward(host, pad(host, batch), layers, sink)
        stacked = torch.stack([found[layer] for layer in layers], dim=2).numpy()
        for row, index in enumerate(plan):
            scores = stacked[row, : len(texts[index])]
            if not np.isfinite(scores).all():
                raise ActivationError(
                    f"the residual stream of {host.name!r} gives NaN or infinite readings; load it with dtype=float32"
                )
            yield index, np.ascontiguousarray(scores)


def _cosines(probe: Probe, layer: int, hidden: Tensor) -> Tensor:
    """[batch, seq, concepts] float32."""
    values = hidden.float()
    if probe.centres is not None:
        values = values - torch.from_numpy(probe.centres[layer]).to(values.device)
    matrix = torch.from_numpy(np.ascontiguousarray(probe.directions[layer], np.float32)).to(values.device)
    return (values @ matrix.T) / torch.linalg.vector_norm(values, dim=-1, keepdim=True).clamp(min=1e-12)
