"""The neutral texts of the world that vectors are denoised with."""

import random

from thymos.organism.neutral import neutral
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World
from thymos.texts import Text

__all__ = ["neutral_of"]


def neutral_of(world: World, count: int, seed: int = 0) -> tuple[Text, ...]:
    """Neutral documents of the world with seeds apart from training."""
    rng = random.Random(TEST_SEED + 53 + seed)
    return tuple(Text(text=neutral(world, rng).text) for _ in range(count))
