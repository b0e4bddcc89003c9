"""Random draws that can count how much they decided: the world's own entropy, an upper bound for a reader's loss."""

import math
import random
from collections.abc import MutableSequence, Sequence
from typing import Any

__all__ = ["Dice", "chance"]


class Dice(random.Random):
    """`random.Random` that adds up the surprise of every draw.

    Attributes:
        nats: Sum of -log p over the draws so far. Since a text follows from its draws, this bounds -log p(text) from
            above; the mean over documents bounds the entropy of the world's texts.
    """

    nats: float = 0.0

    def choice(self, seq: Any) -> Any:
        """One element; log n nats."""
        self.nats += math.log(len(seq))
        return super().choice(seq)

    def choices(self, population: Any, weights: Any = None, *, cum_weights: Any = None, k: int = 1) -> list[Any]:
        """Weighted draws; -log p nats each."""
        places = super().choices(range(len(population)), weights, cum_weights=cum_weights, k=k)
        for place in places:
            self.nats -= math.log(_share(place, len(population), weights, cum_weights))
        return [population[place] for place in places]

    def randint(self, a: int, b: int) -> int:
        """A whole number; log of the range, which `randrange` counts."""
        return super().randint(a, b)

    def randrange(self, *args: Any) -> int:
        """A whole number; log of the range."""
        self.nats += math.log(len(range(*args)))
        return super().randrange(*args)

    def sample(self, population: Sequence[Any], k: int, **named: Any) -> list[Any]:
        """Elements without replacement; log of the arrangements."""
        self.nats += math.log(math.perm(len(population), k))
        return super().sample(population, k, **named)

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """An order; log n! nats."""
        self.nats += math.lgamma(len(x) + 1)
        super().shuffle(x)


def _share(place: int, count: int, weights: Any, cumulative: Any) -> float:
    if weights is not None:
        return float(weights[place]) / float(sum(weights))
    if cumulative is not None:
        return float(cumulative[place] - (cumulative[place - 1] if place else 0.0)) / float(cumulative[-1])
    return 1.0 / count


def chance(rng: random.Random, p: float) -> bool:
    """True with probability p, metered when the generator meters."""
    hit = rng.random() < p
    if isinstance(rng, Dice) and 0.0 < p < 1.0:
        rng.nats -= math.log(p if hit else 1.0 - p)
    return hit
