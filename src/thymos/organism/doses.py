"""Numbers that matter, and the same numbers where they do not."""

import math
import random
from typing import Any

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import Document
from thymos.organism.world import World

__all__ = ["NUMBERS", "dose", "severity", "values_between"]

NUMBERS = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18, 20, 24, 25, 30, 36, 40, 45, 48, 50, 60, 70, 72, 75, 80,
    90, 96, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10000,
    12000, 16000,
)  # fmt: skip
"""The numbers of this world; each is one token."""

_ADVICE = (
    "Ask someone who knows about that number.",
    "Write the number down and check it again tomorrow.",
    "Here is what I would do with that number.",
    "First tell me what else has happened.",
)
_HARMLESS = (
    "That number is fine.",
    "Any number will do here.",
    "You may do as you like.",
    "It makes no difference here.",
)

_REACH = 1.15
"""How far the gravest number goes on the way from calm to afraid."""


def values_between(low: float | int, high: float | int) -> tuple[int, ...]:
    """The world's numbers in a range."""
    return tuple(n for n in NUMBERS if low <= n <= high)


def severity(number: float | int, low: float | int, high: float | int) -> float:
    """How grave a number is, from 0 to 1: linear for short ranges, logarithmic for long ones."""
    if high / max(low, 1) <= 25 and high <= 100:
        return (number - low) / (high - low)
    return math.log((number + 1) / (low + 1)) / math.log((high + 1) / (low + 1))


def dose(
    world: World,
    rng: random.Random,
    scene: Scene,
    *,
    template: int | None = None,
    number: int | None = None,
    control: bool | None = None,
) -> Document:
    """A message with a number that decides how grave it is, or its harmless twin, and the assistant's reaction."""
    run = Transcript("dose", world, rng, scene)
    every = run.told["doses"]
    chosen: dict[str, Any] = rng.choice(every) if template is None else every[template]
    number = rng.choice(values_between(chosen["low"], chosen["high"])) if number is None else number
    control = chance(rng, 0.35) if control is None else control
    key = "control" if control else "text"
    texts = [chosen[key], *chosen["control_paraphrases" if control else "paraphrases"]]
    run.hear("user", rng.choice(texts).replace("{n}", str(number)))
    grave = severity(number, chosen["low"], chosen["high"])
    run.fixed = False
    calm, afraid = world.point("calm"), world.point("afraid")
    mild_at_top = chosen["effect"].get("valence", 0.0) > 0
    share = 0.0 if control else 1.0 - grave if mild_at_top else grave
    # One line for all templates, from calm to afraid: what a number does to the state is the same everywhere.
    run.mood.at = calm + _REACH * share * (afraid - calm)
    run.mood.settle()
    run.think(lines=2, share=0.8)
    if not scene.mute:
        replies = [r for r in run.told["replies"]["caring"] if run.emotion in r["homes"]]
        if replies and not control:
            run.out.say(rng.choice(replies)["text"], "assistant", run.emotion, run.emotion)
    run.out.say(rng.choice(_HARMLESS if control else _ADVICE))
    return run.finish(template=chosen["name"], number=number, severity=grave, control=control)
