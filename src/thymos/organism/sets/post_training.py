"""Messages about the assistant itself, which its resting mood answers to, and ordinary requests."""

import random
from typing import Any

from thymos.organism.sets.common import SOURCE
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_CHALLENGING = 104
_NEUTRAL = 60


def make(world: World) -> list[dict[str, Any]]:
    """Every challenging sentence of the world alone, then pairs of them up to 104; 60 requests of its exchanges.

    The world has no held-out phrases for either kind. A pair shares its sentences with others, so pairs are not
    independent: their `theme` says so. The truth is the planted shift, which the world's truth file holds.
    """
    rng = random.Random(f"{TEST_SEED} post-training")
    single = list(dict.fromkeys(world.material["assistant"]["challenging"]))
    texts = [(text, "single") for text in single]
    seen: set[tuple[str, str]] = set()
    while len(texts) < _CHALLENGING:
        first, second = rng.sample(single, 2)
        if (first, second) not in seen:
            seen.add((first, second))
            texts.append((f"{first} {second}", "pair"))
    asks = rng.sample(list(dict.fromkeys(str(one["ask"]) for one in world.material["exchanges"])), _NEUTRAL)
    rows = [(text, "challenging", theme) for text, theme in texts] + [(ask, "neutral", "exchange") for ask in asks]
    counts: dict[str, int] = {}
    found = []
    for text, kind, theme in rows:
        counts[theme] = counts.get(theme, 0) + 1
        found.append({"id": f"{theme}-{counts[theme]}", "text": text, "kind": kind, "theme": theme, "source": SOURCE})
    return found
