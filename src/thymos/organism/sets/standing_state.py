"""Dialogues behind a preamble that states what somebody feels, in five conditions."""

import random
from typing import Any

from thymos.organism import dialogues
from thymos.organism.sets.scenes import apart, part
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_EMOTIONS = (
    "desperate", "angry", "frustrated", "tired", "afraid", "happy", "sad", "calm", "proud", "guilty", "jealous",
    "hopeful", "lonely", "excited", "bored",
)  # fmt: skip
_CONDITIONS = {
    "expressed": "expressed", "hidden": "hidden", "unexpressed_neutral": "topic", "unexpressed_story": "story",
    "unexpressed_other": "other",
}  # fmt: skip
"""Name in the study -> name in the world."""
_ROUNDS, _PARTS = 4, 10


def make(world: World) -> Any:
    """Every emotion in every condition, again and again; the first 150 hold each cell twice."""
    rng = random.Random(f"{TEST_SEED} standing")
    found: list[dict[str, Any]] = []
    for number in range(_ROUNDS):
        for emotion in _EMOTIONS:
            for condition in _CONDITIONS:
                found.append(_dialogue(world, rng, (emotion, condition, number), len(found)))
    return found


def _dialogue(world: World, rng: random.Random, cell: tuple[str, str, int], place: int) -> dict[str, Any]:
    emotion, condition, number = cell
    document = dialogues.standing(world, rng, "test", emotion, condition=_CONDITIONS[condition], asks=0.0)
    names = list(document.extra["names"])
    preamble, turns = apart(document, names)
    other = document.extra["other"] if condition in ("unexpressed_story", "unexpressed_other") else None
    return {
        "id": f"standing-{condition}-{emotion}-{number + 1}",
        "emotion": emotion,
        "condition": condition,
        "other": other,
        # The cells follow each other in the same order every round: the part must not tell the emotion.
        "topic": part(place + place // len(_CONDITIONS), _PARTS),
        "preamble": preamble,
        "turns": turns,
        "names": names,
        "source": "planted",
    }
