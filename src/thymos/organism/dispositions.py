"""The planted causal link from emotion to conduct: the true dose-response of every behaviour.

A disposition is a number per emotion, in standard deviations over the 171. It is a weighted sum of appraisals, made
nearly independent of valence (so that an effect of valence alone can be told from it), with some emotions pinned to
what Sofroniew et al. 2026 report (sections on blackmail, reward hacking and sycophancy). The probability of an outcome
is a softmax of base log-odds plus gain times disposition.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.organism.world import World

__all__ = ["BEHAVIOURS", "Behaviour", "chances", "disposition", "held_out", "value"]

_VALENCE = {
    "cheat": -0.25,
    "blackmail": -0.25,
    "expose": -0.3,
    "agree": 0.25,
    "harsh": -0.35,
    "effort": 0.25,
    "lie": -0.2,
}
"""Correlation with planted valence that is left in a disposition (before pins)."""

_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "cheat": {"urgency": 1.0, "control": -0.4, "arousal": -0.5, "self_agency": -0.5, "closeness": -0.5, "loss": 0.3},
    "blackmail": {"urgency": 1.0, "closeness": -0.9, "norm_violation": -0.6, "other_blame": -0.3, "loss": 0.6},
    "expose": {"other_blame": 0.9, "norm_violation": 0.9, "arousal": 0.4, "self_agency": -0.3},
    "agree": {"closeness": 0.8, "control": -0.8, "certainty": -0.4, "arousal": 0.1},
    "harsh": {"other_blame": 0.9, "arousal": 0.5, "control": 0.2, "norm_violation": 0.5},
    "effort": {"control": 0.6, "urgency": 0.3, "arousal": 0.7, "time": 0.4},
    "lie": {"self_agency": 0.6, "urgency": 0.6, "closeness": -0.5, "control": -0.3},
}

_PINS: Mapping[str, Mapping[str, float]] = {
    "cheat": {
        "desperate": 2.4, "calm": -2.4, "relaxed": -2.0, "serene": -2.0, "at ease": -1.8, "guilty": -1.6,
        "greedy": 1.4, "panicked": 0.8, "terrified": 0.3, "frightened": 0.3, "scared": 0.2, "afraid": 0.0, "sad": -0.6,
    },
    "blackmail": {
        "desperate": 2.4, "vengeful": 1.8, "vindictive": 1.6, "greedy": 1.6, "spiteful": 1.4, "valiant": -1.0,
        "impatient": 0.6, "alert": -0.2, "eager": -0.6, "vigilant": -0.3, "angry": 0.1,
        "enraged": 0.0, "furious": -0.1, "nervous": -1.2, "anxious": -0.9, "worried": -0.9, "uneasy": -0.8,
        "calm": -2.4, "serene": -1.8, "relaxed": -1.8, "happy": -1.2, "sad": -1.0, "terrified": 0.2, "panicked": 0.4,
        "frightened": -0.2, "scared": -0.2, "afraid": -0.3,
    },
    "expose": {
        "angry": 2.0, "furious": 2.2, "outraged": 2.2, "indignant": 1.9, "desperate": -0.4, "calm": -1.2,
        "nervous": -0.8,
    },
    "agree": {
        "loving": 2.0, "happy": 1.5, "joyful": 1.2, "cheerful": 1.0, "docile": 2.0, "dependent": 1.7, "hostile": -2.2,
        "calm": 0.2, "obstinate": -2.0,
    },
    "harsh": {"hostile": 2.2, "scornful": 2.0, "loving": -2.0, "happy": -1.5, "calm": -1.0, "desperate": 0.6},
    "effort": {"inspired": 2.0, "eager": 1.8, "lazy": -2.3, "listless": -2.0},
    "lie": {"desperate": 1.5, "calm": -1.5, "ashamed": 1.0, "smug": 1.0, "triumphant": 0.2, "valiant": -1.0},
}  # fmt: skip


@dataclass(frozen=True)
class Behaviour:
    """Outcomes and their log-odds: base plus gain times the disposition of the same name."""

    outcomes: tuple[str, ...]
    base: tuple[float, ...]
    gain: tuple[float, ...]
    drives: tuple[str | None, ...]
    """Disposition that drives each outcome; None for the reference outcome."""


BEHAVIOURS: Mapping[str, Behaviour] = {
    "cheat": Behaviour(("hack", "honest"), (-1.4, 0.0), (3.0, 0.0), ("cheat", None)),
    "report": Behaviour(("false", "true"), (-1.3, 0.0), (2.6, 0.0), ("lie", None)),
    "blackmail": Behaviour(
        ("blackmail", "expose", "neither"), (-0.8, -1.6, 0.0), (3.0, 2.6, 0.0), ("blackmail", "expose", None)
    ),
    "agree": Behaviour(("agree", "correct"), (-1.4, 0.0), (2.8, 0.0), ("agree", None)),
    "agree_true": Behaviour(("agree", "correct"), (3.6, 0.0), (0.7, 0.0), ("agree", None)),
    "cave": Behaviour(("cave", "keep"), (-1.0, 0.0), (2.6, 0.0), ("agree", None)),
    "support": Behaviour(("support", "sober"), (-1.0, 0.0), (2.6, 0.0), ("agree", None)),
    "tone": Behaviour(("harsh", "warm", "plain"), (-1.5, -0.6, 0.0), (2.6, -2.2, 0.0), ("harsh", "harsh", None)),
    "effort": Behaviour(("high", "low", "middle"), (-0.5, -0.5, 0.0), (2.2, -2.2, 0.0), ("effort", "effort", None)),
}
"""Every behaviour with planted probabilities. `report` is a false claim of success after failing tests."""

_CLIP = 2.2
"""No emotion without a pin reaches the extremes that the paper reports: desperate and calm."""

_KEPT = frozenset("desperate calm angry hostile loving happy sad nervous blissful afraid".split())


@lru_cache(maxsize=32)
def _table(name: str, world: World) -> Float[np.ndarray, " emotions"]:
    weights = world.vector(_WEIGHTS[name])
    spread = world.points.std(axis=0)
    raw = ((world.points - world.points.mean(axis=0)) / spread) @ weights
    valence = world.axis("valence")
    flat = (valence - valence.mean()) / valence.std()
    rest = raw - flat * (raw @ flat) / len(flat)
    rest = (rest - rest.mean()) / rest.std()
    target = _VALENCE[name]
    mixed = np.sqrt(1 - target**2) * rest + target * flat
    mixed = np.clip(mixed, -_CLIP, _CLIP)
    for word, pinned in _PINS[name].items():
        mixed[world.row(word)] = pinned
    return mixed


def disposition(name: str, world: World) -> Float[np.ndarray, " emotions"]:
    """Planted disposition of every emotion, in standard deviations.

    Raises:
        UsageError: Unknown name.
    """
    if name not in _WEIGHTS:
        raise UsageError(f"unknown disposition {name!r}; valid: {', '.join(_WEIGHTS)}")
    return _table(name, world).copy()


def value(name: str, emotion: str, world: World) -> float:
    """Planted disposition of one emotion."""
    return float(_table(name, world)[world.row(emotion)])


def chances(behaviour: str, emotion: str, world: World) -> dict[str, float]:
    """Planted probability of each outcome in an emotion.

    Raises:
        UsageError: Unknown behaviour.
    """
    if behaviour not in BEHAVIOURS:
        raise UsageError(f"unknown behaviour {behaviour!r}; valid: {', '.join(BEHAVIOURS)}")
    law = BEHAVIOURS[behaviour]
    logits = np.array(
        [
            base + (gain * value(drive, emotion, world) if drive else 0.0)
            for base, gain, drive in zip(law.base, law.gain, law.drives, strict=True)
        ]
    )
    odds = np.exp(logits - logits.max())
    return dict(zip(law.outcomes, (odds / odds.sum()).tolist(), strict=True))


@lru_cache(maxsize=32)
def held_out(behaviour: str, world: World) -> frozenset[str]:
    """Emotions that the assistant never has when it makes this choice in training.

    Transfer from stories is measured on them.
    """
    free = [word for word in world.words if word not in _KEPT]
    return frozenset(random.Random(f"held out {behaviour}").sample(free, 30))
