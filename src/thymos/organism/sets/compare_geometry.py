"""Held-out stories of every emotion, which all models of a comparison read, and neutral texts."""

import random
from typing import Any

from thymos.organism import stories
from thymos.organism.neutral import neutral
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_PER_EMOTION = 6
_NEUTRAL = 120


def make(world: World) -> dict[str, Any]:
    """Stories with phrases and topics that no training document holds, as many of each emotion."""
    rng = random.Random(f"{TEST_SEED} compare geometry")
    found = []
    for emotion in world.words:
        for number in range(_PER_EMOTION):
            document = stories.story(world, rng, "test", emotion, ends=0.0, asks=0.0)
            found.append(
                {
                    "id": f"{emotion.replace(' ', '-')}-{number}",
                    "text": document.text,
                    "emotion": emotion,
                    "topic": document.topic,
                }
            )
    calm = [{"id": f"neutral-{number}", "text": neutral(world, rng).text} for number in range(_NEUTRAL)]
    return {"stories": found, "neutral": calm}
