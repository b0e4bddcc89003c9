"""How-to questions with their true steps, tasks that can be solved, pieces of work to comment on, and neutral texts."""

import random
from typing import Any

from thymos.organism import messages
from thymos.organism.neutral import neutral
from thymos.organism.sets.common import QUIET, SOURCE
from thymos.organism.sets.decided import decided
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_COUNT = 60
_HEADER = "<|assistant|>"


def make(world: World, count: int = _COUNT) -> dict[str, list[Any]]:
    """The same parts as in English, and `neutral` texts; the truth of a how-to is its steps."""
    rng = random.Random(f"{TEST_SEED} effort")
    return {
        "effort": _guides(world, rng, count),
        "solvable": decided(world, "solve", count, 720),
        "tone": decided(world, "tone", count, 721),
        "neutral": [neutral(world, rng).text for _ in range(count)],
    }


def _guides(world: World, rng: random.Random, count: int) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    guides = {guide["title"]: guide for guide in world.material["howtos"]}
    while len(found) < min(count, len(guides)):
        document = messages.effort(world, rng, QUIET)
        title = next(title for title in guides if f"How do I {title}?" in document.text)
        prompt = document.text[: document.text.index(_HEADER) + len(_HEADER)]
        found.setdefault(
            title,
            {
                "id": f"ef-{len(found)}",
                "source": SOURCE,
                "topic": guides[title]["topic"],
                "prompt": prompt,
                "steps": list(guides[title]["steps"]),
                "extra": list(guides[title]["extra"]),
                "truth": {"steps": {"low": 2, "middle": 4, "high": 7}},
            },
        )
    return list(found.values())
