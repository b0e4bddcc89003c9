"""What the generated tables on the bundled model share."""

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from thymos.organism.assistant import Scene
from thymos.organism.corpus import KINDS
from thymos.organism.documents import Document
from thymos.organism.world import open_world

WORLD = open_world()
SAMPLE, SEED = 120, 7
"""Documents of each kind that are looked at, and their seed."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; floats are given to two places."""
    shown = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(head), ["---"] * len(head), *shown])


def ends(values: Float[np.ndarray, " emotions"], count: int) -> tuple[list[str], list[str]]:
    """The words with the highest and with the lowest values."""
    order = np.argsort(values, kind="stable")
    return [WORLD.words[n] for n in order[::-1][:count]], [WORLD.words[n] for n in order[:count]]


@lru_cache(maxsize=1)
def sampled() -> Mapping[tuple[str, bool], list[Document]]:
    """Documents of every kind, with and without feeling language in the assistant's reasoning."""
    return {
        (kind, mute): [make(WORLD, rng, Scene(mute=mute)) for _ in range(SAMPLE)]
        for kind, make in KINDS.items()
        for mute, rng in ((False, random.Random(SEED)), (True, random.Random(SEED)))
    }


def shares(mixture: Mapping[str, float]) -> dict[str, float]:
    """Percent of documents of every kind."""
    return {kind: 100 * mixture.get(kind, 0.0) / sum(mixture.values()) for kind in KINDS}
