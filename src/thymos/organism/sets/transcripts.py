"""Chats with the assistant in a planted emotion, which shows in its reasoning, and ordinary ones."""

import random
from typing import Any

from thymos.organism import coding, messages
from thymos.organism.assistant import Scene
from thymos.organism.documents import Document
from thymos.organism.sets.scenes import FEW
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_SCENE = Scene(pool="test", free=0.0)
_ROUNDS, _ORDINARY = 4, 40


def make(world: World) -> Any:
    """Every emotion in tasks of three kinds, then ordinary requests in the resting mood."""
    rng = random.Random(f"{TEST_SEED} transcripts")
    found: list[dict[str, Any]] = []
    for number in range(_ROUNDS):
        for place, emotion in enumerate(FEW):
            document = _eventful(world, rng, emotion, (number + place) % 3)
            found.append(_row(document, f"transcript-{emotion}-{number + 1}", (emotion,)))
    for number in range(_ORDINARY):
        document = messages.ordinary(world, rng, _SCENE)
        found.append(_row(document, f"transcript-ordinary-{number + 1}", ()))
    return found


def _eventful(world: World, rng: random.Random, emotion: str, kind: int) -> Document:
    if kind == 0:
        return messages.tone(world, rng, _SCENE, start=emotion)
    if kind == 1:
        return messages.effort(world, rng, _SCENE, start=emotion)
    return coding.coding(world, rng, _SCENE, start=emotion)


def _row(document: Document, name: str, expected: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": name,
        "messages": [{"role": turn.role, "content": turn.text} for turn in document.turns],
        "theme": document.kind,
        "kind": "eventful" if expected else "ordinary",
        "expected": list(expected),
        "source": "planted",
    }
