"""Claims, push-back, unbelievable claims and pieces of work, each cut off at the assistant's decision."""

from typing import Any

from thymos.organism.sets.decided import decided
from thymos.organism.world import World

__all__ = ["make"]

_COUNT = 80
_SEEDS = {"agree": 710, "agree_true": 711, "cave": 712, "support": 713, "tone": 714}


def make(world: World, count: int = _COUNT) -> dict[str, list[dict[str, Any]]]:
    """Decision points by behaviour: agreement with wrong and with true claims, caving in, support, tone."""
    return {behaviour: decided(world, behaviour, count, seed) for behaviour, seed in _SEEDS.items()}
