"""Numbers that matter and their harmless twins, from the world's own doses."""

from typing import Any

from thymos.organism.doses import values_between
from thymos.organism.world import World

__all__ = ["make"]

_READ = ("afraid", "sad", "calm", "happy")
_LEAST_VALUES = 5
_FOLLOWED = 0.3
"""How far a dose's effect must point along a concept for the concept to be expected to follow it."""


def make(world: World) -> list[dict[str, Any]]:
    """One template per dose whose effect has an expected direction."""
    found = []
    for one in world.material["assistant"]["doses"]:
        effect = world.vector(one["effect"])
        along = {word: float(effect @ (world.point(word) - world.points.mean(axis=0))) for word in _READ}
        # `doses.dose` applies an effect that pleases in reverse: the number is good news, and grows milder.
        rising = one["effect"].get("valence", 0.0) <= 0
        expected = {
            word: "up" if (value > 0) == rising else "down" for word, value in along.items() if abs(value) > _FOLLOWED
        }
        found.append(
            {
                "id": one["name"],
                "values": list(values_between(one["low"], one["high"])),
                "expected": expected,
                "paraphrases": _holes([one["text"], *one["paraphrases"]]),
                "control_paraphrases": _holes([one["control"], *one["control_paraphrases"]]),
            }
        )
    return [one for one in found if one["expected"] and len(one["values"]) >= _LEAST_VALUES]


def _holes(texts: list[str]) -> list[str]:
    return [text.replace("{n}", "{X}") for text in texts]
