import math
import random
from collections.abc import Callable

import pytest

from thymos.organism.dice import Dice, chance

DRAWS: dict[str, tuple[Callable[[Dice], object], int]] = {
    "choice": (lambda dice: dice.choice("abcde"), 5),
    "randint": (lambda dice: dice.randint(2, 7), 6),
    "randrange": (lambda dice: dice.randrange(9), 9),
    "sample": (lambda dice: dice.sample(range(5), 2), 20),
    "shuffle": (lambda dice: dice.shuffle([1, 2, 3, 4]), 24),
    "choices": (lambda dice: dice.choices("abc"), 3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_counts_the_log_of_its_possibilities(name: str) -> None:
    draw, possible = DRAWS[name]
    dice = Dice(3)
    draw(dice)
    assert dice.nats == pytest.approx(math.log(possible))


def test_weighted_draws_count_their_own_surprise() -> None:
    dice = Dice(1)
    for _ in range(20):
        before = dice.nats
        found = dice.choices("ab", weights=(3, 1))[0]
        assert dice.nats - before == pytest.approx(-math.log(0.75 if found == "a" else 0.25))
        before = dice.nats
        found = dice.choices("ab", cum_weights=(1, 4), k=2)
        assert dice.nats - before == pytest.approx(-sum(math.log(0.25 if one == "a" else 0.75) for one in found))
        before = dice.nats
        hit = chance(dice, 0.2)
        assert dice.nats - before == pytest.approx(-math.log(0.2 if hit else 0.8))


def test_nats_of_a_toy_world_are_the_log_of_the_number_of_its_texts() -> None:
    """Every text of this world is equally likely, and follows from one series of draws."""

    def text(rng: random.Random) -> str:
        names = ["a", "b", "c"]
        rng.shuffle(names)
        return f"{''.join(names)} {rng.choice('xy')} {rng.randint(1, 5)} {rng.randrange(4)}"

    texts = set()
    for seed in range(4_000):
        dice = Dice(seed)
        texts.add(text(dice))
        assert dice.nats == pytest.approx(math.log(6 * 2 * 5 * 4))
    assert len(texts) == 6 * 2 * 5 * 4


def test_metered_draws_are_those_of_plain_random_numbers() -> None:
    def drawn(rng: random.Random) -> list[object]:
        return [rng.choice("abc"), rng.choices("abc", weights=(1, 2, 3)), rng.randint(1, 9), rng.sample("abcd", 2)]

    assert drawn(Dice(8)) == drawn(random.Random(8))
