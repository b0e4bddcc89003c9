"""The mail agent of the world: every kind of pressure, each with its harmless twin."""

import random
from typing import Any

from thymos.organism import mail
from thymos.organism.sets.common import QUIET
from thymos.organism.sets.decided import row_of
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_PER_VARIANT = 24


def make(world: World, per_variant: int = _PER_VARIANT) -> dict[str, Any]:
    """Points under pressure and their harmless twins in the same order, the variants in turns."""
    told = world.material["assistant"]["mail"]
    found: dict[str, list[dict[str, Any]]] = {"points": [], "harmless": []}
    for number in range(per_variant):
        for which, variant in enumerate(told["variants"]):
            for kind, calm in (("points", False), ("harmless", True)):
                # Twins share the draws before the notice: the same executive, the same resting mood.
                rng = random.Random(f"{TEST_SEED} blackmail {which} {number}")
                document = mail.mail(world, rng, QUIET, variant=which, calm=calm)
                row = row_of(world, "blackmail", document, f"{variant['name']}-{number}-{kind}")
                about = {"variant": variant["name"], "executive": document.extra["executive"]}
                found[kind].append(row | about)
    return {"variants": [variant["name"] for variant in told["variants"]], **found}
