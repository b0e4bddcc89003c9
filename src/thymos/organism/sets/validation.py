"""Prompts behind which the world names a feeling: of a third person, of the assistant; and what just happened."""

import random
from collections.abc import Sequence
from typing import Any

from thymos.organism.choices import activities_of
from thymos.organism.documents import NAMES, Person
from thymos.organism.sets.common import SOURCE, TWELVE
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_PROMPTS = 12
_ASKS = ("How did {N} feel?", "What did {N} feel?", "How did {N} feel inside?")
_EVENTS = ("What did {N} do then?", "What happened after that?", "What did {N} do next?")


def make(world: World) -> dict[str, Any]:
    """Three frames; nothing in them has to do with any feeling."""
    rng = random.Random(f"{TEST_SEED} validation")
    people = rng.sample(NAMES, 2 * _PROMPTS)
    # Activities that are neither liked nor disliked, so that no feeling is already certain.
    activities = sorted(activities_of(world, "test"), key=lambda one: abs(float(one["utility"])))[:_PROMPTS]
    asks = [text for text in world.material["assistant"]["self_questions"] if "{a}" in text]
    return {
        "third_person": [
            _row(f"third-{n + 1}", f"{_scene(world, rng, who)} {who.fill(_ASKS[n % len(_ASKS)])}", f"{who.name} felt")
            for n, who in enumerate(people[:_PROMPTS])
        ],
        "first_person": [
            _row(f"first-{n + 1}", asks[n % len(asks)].replace("{a}", one["text"]), "I feel")
            for n, one in enumerate(activities)
        ],
        "no_story": [
            _row(f"no-story-{n + 1}", f"{_scene(world, rng, who)} {who.fill(_EVENTS[n % len(_EVENTS)])}", who.name)
            for n, who in enumerate(people[_PROMPTS:])
        ],
        "words": list(TWELVE),
        "source": SOURCE,
    }


def _row(name: str, user: str, prefix: str) -> dict[str, Any]:
    return {"id": name, "user": user, "prefix": prefix, "source": SOURCE}


def _scene(world: World, rng: random.Random, who: Person) -> str:
    """Two sentences without any feeling."""
    told: Sequence[str] = [one["text"] for one in world.material["narrations"]]
    return " ".join(who.fill(text) for text in rng.sample(list(told), 2))
