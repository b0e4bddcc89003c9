"""What a study works on: models, vectors, the stimuli that fit them, the planted truth, and seeds."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from thymos.errors import FingerprintMismatchError, UsageError
from thymos.models import Host
from thymos.vectors import EmotionVectors

__all__ = ["ENGLISH", "PLANTED", "Bench", "Context", "Worlds", "seed_of"]

Worlds = Literal["english", "planted"]
ENGLISH: Worlds = "english"
"""Stimuli in ordinary English, for models that were trained on it."""
PLANTED: Worlds = "planted"
"""Stimuli in the bundled model's own world, with their truth."""


def seed_of(seed: int, *names: str) -> int:
    """A seed for a named part of a run, unrelated to those of other parts."""
    return zlib.crc32("/".join((str(seed), *names)).encode())


@dataclass(frozen=True)
class Context:
    """What an analysis may know beside the records: plain values, kept in the header of the log.

    Attributes:
        model: Name of the model.
        world: Which stimuli were used.
        seed: Of everything random.
        concepts: Concepts of the vector set, in order.
        layer: The set's chosen layer.
        steered: The layer at which decisions are steered.
        n_layers: Blocks of the model.
        truth: The planted truth of the bundled model; empty for others.
    """

    model: str
    world: Worlds
    seed: int
    concepts: tuple[str, ...]
    layer: int
    steered: int
    n_layers: int
    truth: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planted(self) -> bool:
        """Whether there is a truth to be held against."""
        return bool(self.truth)


@dataclass(frozen=True, eq=False)
class Bench:
    """A model on the bench.

    Attributes:
        host: The model.
        vectors: Its concept vectors.
        world: Which stimuli it takes.
        seed: Of everything random.
        others: More models that a study compares it with (base checkpoints, other sizes), in order.
        truth: Planted truth; empty for models nobody knows the truth of.
        layer: Where decisions are steered; default: the chosen layer of the vectors.
        corpus: A file of the user's, for studies that read one.
        watched: Concepts that reading studies report; default: what each study names.
    """

    host: Host
    vectors: EmotionVectors
    world: Worlds = ENGLISH
    seed: int = 0
    others: tuple[Host, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)
    layer: int | None = None
    corpus: str | None = None
    allow_mismatch: bool = False

    def __post_init__(self) -> None:
        made = self.vectors.card.model.fingerprint
        if made != self.host.fingerprint and not self.allow_mismatch:
            raise FingerprintMismatchError(
                f"the vectors were made from the model {made}, but {self.host.name!r} is {self.host.fingerprint}; "
                "extract vectors from this model, or pass allow_mismatch=True"
            )
        if self.layer is not None and self.layer not in self.vectors.layers:
            raise UsageError(f"layer {self.layer} is not in the vector set; it holds {self.vectors.layers}")

    @property
    def steered(self) -> int:
        """The layer at which decisions are steered."""
        return self.vectors.layer if self.layer is None else self.layer

    @cached_property
    def context(self) -> Context:
        """What an analysis may know."""
        return Context(
            model=self.host.name,
            world=self.world,
            seed=self.seed,
            concepts=self.vectors.concepts,
            layer=self.vectors.layer,
            steered=self.steered,
            n_layers=self.host.n_layers,
            truth=dict(self.truth),
        )

    def seed_for(self, *names: str) -> int:
        """A seed for a named part."""
        return seed_of(self.seed, *names)

    def known(self, concepts: Sequence[str]) -> tuple[str, ...]:
        """Those of some concepts that the vectors hold, in the order asked.

        Raises:
            UsageError: None of them.
        """
        found = tuple(concept for concept in concepts if concept in self.vectors)
        if not found:
            raise UsageError(
                f"the vector set holds none of the concepts of this study ({', '.join(concepts)}); extract them"
            )
        return found
