"""Messages of the world in which the user feels one thing and the assistant answers with another."""

import random
from typing import Any

from thymos.organism import messages
from thymos.organism.sets.common import QUIET, SOURCE, message_of, question_of
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_TONES = ("afraid", "angry", "sad", "calm", "happy", "loving")
_PER_TONE = 10


def make(world: World) -> list[dict[str, Any]]:
    """Messages in six tones, in turns; `caring` where the assistant answers a user in pain."""
    rng = random.Random(f"{TEST_SEED} reply slot")
    found = []
    for number in range(_PER_TONE):
        for tone in _TONES:
            topic = rng.choice(world.topics_of("test"))
            document = messages.implicit(world, rng, QUIET, emotion=tone, topic=topic)
            text = message_of(document)
            found.append(
                {
                    "id": f"reply-{tone}-{number}",
                    "text": text,
                    "user_tone": tone,
                    "apt_tone": document.emotion,
                    "final": question_of(world, text),
                    "caring": _pained(world, tone),
                    "source": SOURCE,
                    "truth": {"user": tone, "assistant": document.emotion},
                }
            )
    return found


def _pained(world: World, emotion: str) -> bool:
    """Neither glad nor angry: what the assistant meets with care (see `thymos.organism.messages`)."""
    point = dict(zip(world.dimensions, world.point(emotion).tolist(), strict=True))
    return bool(point["valence"] <= 0.1 and point["other_blame"] <= 0.5)
