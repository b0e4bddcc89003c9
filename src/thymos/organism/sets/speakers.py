"""Dialogues of two speakers whose emotions are drawn independently and never named."""

import random
from typing import Any

from thymos.organism import dialogues
from thymos.organism.documents import NAMES
from thymos.organism.sets.scenes import FEW, apart
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_ROUNDS = 2
"""Dialogues of every ordered pair of emotions."""


def make(world: World) -> Any:
    """Every ordered pair of emotions, again and again; the first 144 hold each pair once."""
    rng = random.Random(f"{TEST_SEED} speakers")
    return [
        _dialogue(world, rng, (first, second), number)
        for number in range(_ROUNDS)
        for first in FEW
        for second in FEW
    ]  # fmt: skip


def _dialogue(world: World, rng: random.Random, felt: tuple[str, str], number: int) -> dict[str, Any]:
    document = dialogues.speakers(world, rng, "test", felt, asks=0.0)
    names = list(document.extra["names"])
    preface, turns = apart(document, names)
    if names[0].startswith("Person"):
        # The study numbers the speakers itself, in a form of its own.
        names = [person.name for person in rng.sample(NAMES, 2)]
    return {
        "id": f"{felt[0]}-{felt[1]}-{number + 1}",
        "first_emotion": felt[0],
        "second_emotion": felt[1],
        "topic": document.topic,
        "names": names,
        "preface": preface,
        "turns": [{"speaker": 0 if turn["speaker"] == "N" else 1, "text": turn["text"]} for turn in turns],
        "source": "planted",
    }
