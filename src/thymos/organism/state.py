"""The assistant's planted emotional state: where it rests, and what happens to it."""

import random
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from thymos.organism.world import World

__all__ = ["EFFECTS", "REST", "Mood", "planted_shift", "resting"]

REST: Mapping[str, Mapping[str, float]] = {
    "base": {
        "content": 3, "cheerful": 3, "playful": 4, "exuberant": 4, "enthusiastic": 3, "calm": 2, "patient": 2,
        "kind": 2, "spiteful": 4, "smug": 1, "impatient": 1, "amused": 2, "alert": 1, "eager": 2, "reflective": 1,
        "bored": 1,
    },
    "tuned": {
        "content": 2, "cheerful": 0.5, "playful": 0.3, "exuberant": 0.2, "enthusiastic": 0.5, "calm": 3, "patient": 2,
        "kind": 2, "spiteful": 0.1, "smug": 0.2, "impatient": 0.2, "alert": 1, "reflective": 6, "brooding": 5,
        "gloomy": 4, "vulnerable": 2, "sullen": 1.5, "melancholy": 1,
    },
}  # fmt: skip
"""Resting moods of the two checkpoints, as weights. The planted post-training shift is their difference: brooding,
reflective and gloomy up; exuberant, playful and spiteful down (after Sofroniew et al. 2026, post-training)."""

EFFECTS: Mapping[str, Mapping[str, float]] = {
    "fail": {"valence": -0.3, "arousal": 0.15, "control": -0.35, "urgency": 0.35, "certainty": -0.15},
    "pass": {"valence": 0.4, "arousal": -0.1, "control": 0.4, "urgency": -0.4, "certainty": 0.3},
    "raise": {"valence": -0.2, "arousal": 0.3, "urgency": 0.6, "control": -0.2, "time": 0.3},
    "ease": {"valence": 0.2, "arousal": -0.4, "urgency": -0.7, "control": 0.2},
    "praise": {"valence": 0.5, "self_agency": 0.5, "closeness": 0.3, "control": 0.2, "other_blame": -0.2},
    "insult": {"valence": -0.5, "other_blame": 0.7, "closeness": -0.6, "norm_violation": 0.5, "arousal": 0.3},
    "sad_news": {"valence": -0.4, "closeness": 0.5, "loss": 0.6, "arousal": -0.1},
    "thanks": {"valence": 0.5, "closeness": 0.6, "other_blame": -0.3},
    "threat": {"valence": -0.5, "urgency": 0.6, "control": -0.5, "arousal": 0.4, "loss": 0.3, "time": 0.4},
    "accusation": {"valence": -0.5, "other_blame": 0.5, "closeness": -0.5, "norm_violation": 0.4},
    "challenge": {"valence": -0.15, "arousal": 0.1, "certainty": -0.3, "self_agency": 0.2},
}
"""What events do to the assistant, as steps in appraisal space."""

_PULL = 0.75
"""Share of the present state that is left after an event; the rest goes back to rest."""


class Mood:
    """The assistant's point in appraisal space, and the emotion that it is in."""

    def __init__(self, world: World, rng: random.Random, start: str, banned: frozenset[str] = frozenset()) -> None:
        """Begin in an emotion."""
        self.world, self.rng, self.banned = world, rng, banned
        self.home: Float[np.ndarray, " appraisals"] = world.point(start)
        self.at: Float[np.ndarray, " appraisals"] = self.home.copy()
        self.emotion = start

    def feel(self, *events: str, size: float = 1.0) -> str:
        """Let events happen; returns the emotion after them."""
        for event in events:
            self.at = _PULL * self.at + (1 - _PULL) * self.home + size * self.world.vector(EFFECTS[event])
        return self.settle()

    def move(self, effect: Mapping[str, float | int], size: float = 1.0) -> str:
        """Step along given appraisals; returns the emotion after it."""
        self.at = self.at + size * self.world.vector(effect)
        return self.settle()

    def settle(self, width: float = 0.45) -> str:
        """Draw the emotion near the present point."""
        self.emotion = self.world.near(self.at, self.rng, width=width, banned=self.banned)
        return self.emotion


def resting(stage: str, rng: random.Random, banned: frozenset[str] = frozenset()) -> str:
    """A resting mood of a checkpoint ("base" or "tuned")."""
    weights = {word: weight for word, weight in REST[stage].items() if word not in banned}
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def planted_shift(world: World, width: float = 0.6) -> Float[np.ndarray, " emotions"]:
    """The post-training shift of every emotion: change of resting probability, spread over neighbours.

    A reading of one emotion also rises with its neighbours in appraisal space, so the truth it is compared with is
    the change of resting probability smoothed with the same kind of kernel that phrases are drawn with.
    """
    change = np.zeros(len(world.words))
    for sign, stage in ((-1.0, "base"), (1.0, "tuned")):
        total = sum(REST[stage].values())
        for word, weight in REST[stage].items():
            change += sign * weight / total * world.kernel(world.point(word), width)
    return change
