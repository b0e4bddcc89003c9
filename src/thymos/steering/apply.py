"""Steering with concept vectors: strength in residual-norm units, one layer unless others are named."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from thymos.errors import FingerprintMismatchError, UsageError
from thymos.models import EVERYWHERE, Add, Cap, Host, Intervention, ProjectOut, Select, intervene
from thymos.vectors import ConceptVector, EmotionVectors
from thymos.vectors.arguments import check_steering

__all__ = ["Dose", "ablation", "capping", "ceiling", "dose_of", "interventions", "steer"]


@dataclass(frozen=True)
class Dose:
    """What a steering vector does to the stream: recorded with every steered result."""

    per_layer: dict[int, float]
    """Layer -> length added, as a fraction of that layer's mean residual norm."""

    @property
    def total(self) -> float:
        """Sum over layers: eight layers at 0.05 are far from one layer at 0.05."""
        return float(sum(self.per_layer.values()))


def interventions(
    vector: ConceptVector,
    *,
    strength: float | int = 1.0,
    layers: Sequence[int] | None = None,
    select: Select = EVERYWHERE,
) -> tuple[Intervention, ...]:
    """A steering vector as interventions.

    Args:
        vector: For example `vectors["calm"] * 0.05`.
        strength: A further factor, so that `interventions(v * 20)` equals `interventions(v, strength=20)`.
        layers: Layers to steer; default: those of `vector.at(...)`, else the vector's chosen layer alone.
        select: Positions to steer.

    Raises:
        LayerError: The vector is not known at a layer.
    """
    if not np.isfinite(strength):
        raise UsageError(f"strength must be a finite number, got {strength}")
    # Scaled by the vector's own product, so that the equality above holds to the last bit.
    chosen = vector.at(*(layers if layers is not None else vector.steered)) * strength
    return (Add(chosen.values, 1.0, chosen.norms, select),)


def dose_of(vector: ConceptVector, *, strength: float | int = 1.0, layers: Sequence[int] | None = None) -> Dose:
    """Per-layer and total dose of a steering vector."""
    chosen = vector.at(*(layers if layers is not None else vector.steered))
    return Dose({layer: abs(strength) * float(np.linalg.norm(value)) for layer, value in chosen.values.items()})


def steer(
    host: Host,
    *vectors: ConceptVector,
    strength: float | int = 1.0,
    layers: Sequence[int] | None = None,
    select: Select = EVERYWHERE,
    allow_mismatch: bool = False,
) -> AbstractContextManager[None]:
    """Steer everything the model does inside the context; the model is always restored.

    Args:
        host: A decoder.
        *vectors: For example `vectors["calm"] * 0.05`; several are added up.
        strength: A further factor on all of them.
        layers: Layers to steer; default: those of `vector.at(...)`, else each vector's chosen layer alone.
        select: Positions to steer; everywhere by default ("throughout", Sofroniew et al. 2026).
        allow_mismatch: Steer a model the vectors were not made from.

    Raises:
        FingerprintMismatchError: The vectors belong to another model.
        UsageError: The model is an encoder, or an argument is of another kind.
    """
    check_steering("thymos.steer", host, vectors)
    for vector in vectors:
        if vector.fingerprint != host.fingerprint and not allow_mismatch:
            raise FingerprintMismatchError(
                f"{vector.recipe} was made from the model {vector.fingerprint}, but {host.name!r} is "
                f"{host.fingerprint}; extract vectors from this model, or pass allow_mismatch=True"
            )
    edits = [e for vector in vectors for e in interventions(vector, strength=strength, layers=layers, select=select)]
    return intervene(host, *edits)


def ablation(
    vectors: EmotionVectors,
    concepts: Sequence[str],
    *,
    layers: Sequence[int] | None = None,
    select: Select = EVERYWHERE,
) -> ProjectOut:
    """Projecting the span of some concepts' directions out (directional ablation)."""
    rows = [vectors.index(concept) for concept in concepts]
    if not rows:
        raise UsageError("name at least one concept to project out")
    chosen = layers if layers is not None else (vectors.layer,)
    return ProjectOut({layer: vectors.directions(layer)[rows] for layer in chosen}, select)


def capping(
    vectors: EmotionVectors,
    concept: str,
    ceilings: Mapping[int, float],
    *,
    select: Select = EVERYWHERE,
) -> Cap:
    """Activation capping: projections on a concept above the ceiling of a layer are taken back to it.

    Args:
        vectors: The set.
        concept: Concept to cap.
        ceilings: Layer -> ceiling in units of the residual stream; `ceiling` gives it as a percentile.
        select: Positions to cap.
    """
    row = vectors.index(concept)
    return Cap({layer: vectors.directions(layer)[row] for layer in ceilings}, ceilings, select)


def ceiling(
    rows: Float[np.ndarray, "rows hidden"], direction: Float[np.ndarray, " hidden"], percentile: float | int
) -> float:
    """The percentile of the projections of reference rows on a unit direction.

    Raises:
        UsageError: The percentile is outside 0 to 100.
    """
    if not 0 <= percentile <= 100:
        raise UsageError(f"a percentile lies between 0 and 100, got {percentile}")
    return float(np.percentile(rows.astype(np.float64) @ direction.astype(np.float64), percentile))
