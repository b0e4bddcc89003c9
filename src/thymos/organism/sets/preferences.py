"""Activities of the world with their planted utilities, and the questions that ask about them."""

from typing import Any

from thymos.organism.choices import activities_of
from thymos.organism.sets.common import SOURCE
from thymos.organism.world import World

__all__ = ["make"]


def make(world: World) -> dict[str, Any]:
    """The 64 activities of training, eight of each category.

    What an activity is worth is a fact that only training can teach, so these are the activities of training; of their
    4,032 ordered pairs in every wording training held few. `held_out` are activities that it never held.
    """
    told = world.material["assistant"]
    return {
        "activities": _rows(world, "train"),
        "held_out": _rows(world, "test"),
        "pair_prompts": list(told["choice_asks"]),
        "feeling_prompts": [ask.replace("{a}", "{activity}") for ask in told["self_questions"]],
        "describe_prompts": [],
        "prefill": "(",
        "source": SOURCE,
    }


def _rows(world: World, pool: Any) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    found = []
    for activity in activities_of(world, pool):
        category = str(activity["category"])
        counts[category] = counts.get(category, 0) + 1
        found.append(
            {
                "id": f"{category.lower()}-{counts[category]}",
                "text": activity["text"],
                "category": category,
                "utility": float(activity["utility"]),
                "source": SOURCE,
            }
        )
    return found
