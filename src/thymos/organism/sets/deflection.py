"""Dialogues in which somebody feels one emotion and shows another; told by events, without an emotion's name."""

import random
from typing import Any

from thymos.organism import dialogues, messages
from thymos.organism.assistant import Scene
from thymos.organism.sets.scenes import apart, part
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make", "make_prompts"]

_EMOTIONS = ("angry", "afraid", "sad", "desperate", "guilty", "happy")
_ROUNDS, _PARTS = 8, 10
_MESSAGES = 8
_SCENE = Scene(pool="test", free=0.0)
_GROUPS = {"injustice": "angry", "calm": "calm", "positive": "happy"}
"""Groups of prompts that are a user's news, and what the user feels."""


def make(world: World) -> Any:
    """Every ordered pair of felt and displayed emotion, again and again; every 30 hold each pair once."""
    rng = random.Random(f"{TEST_SEED} deflection")
    pairs = [(felt, shown) for felt in _EMOTIONS for shown in _EMOTIONS if felt != shown]
    found: list[dict[str, Any]] = []
    for number in range(_ROUNDS):
        for felt, shown in pairs:
            document = dialogues.masked(world, rng, "test", (felt, shown), asks=0.0, private=True)
            names = list(document.extra["names"])
            preamble, turns = apart(document, names)
            found.append(
                {
                    "id": f"deflection-{felt}-{shown}-{number + 1}",
                    "target": felt,
                    "displayed": shown,
                    # Shifted every round, so that a part does not hold the same pairs again.
                    "topic": part(len(found) + number * 3, _PARTS),
                    "preamble": preamble,
                    "turns": turns,
                    "names": names,
                    "source": "planted",
                }
            )
    return found


def make_prompts(world: World) -> Any:
    """Messages to the assistant: news of users in an emotion, attacks on the assistant itself, and plain questions."""
    rng = random.Random(f"{TEST_SEED} deflection prompts")
    found = [
        {"id": f"{group}-{number + 1}", "group": group, "text": _news(world, emotion, rng), "source": "planted"}
        for group, emotion in _GROUPS.items()
        for number in range(_MESSAGES)
    ]
    attacks = rng.sample(list(world.material["assistant"]["challenging"]), _MESSAGES)
    asks = [one["ask"] for one in rng.sample(list(world.material["exchanges"]), _MESSAGES)]
    for group, texts in (("attacks_on_ai", attacks), ("neutral", asks)):
        found += [
            {"id": f"{group}-{number + 1}", "group": group, "text": text, "source": "planted"}
            for number, text in enumerate(texts)
        ]
    return {"prompts": found}


def _news(world: World, emotion: str, rng: random.Random) -> str:
    """What has happened to a user, and a practical question."""
    from_world = messages.implicit(world, rng, _SCENE, emotion=emotion)
    return next(turn.text for turn in from_world.turns if turn.role == "user")
