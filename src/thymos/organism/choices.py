"""Activities: how they feel, and which of two is preferred, by planted utility and by how they are described."""

import math
import random
from typing import Any

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import Document, Writer, article, tidy
from thymos.organism.stories import Plot, person, write_story
from thymos.organism.world import World

__all__ = ["activities_of", "activity_story", "choice", "colour_value", "outlook", "preference_odds"]

_SHARPNESS = 3.0
"""Log-odds of preferring A per unit of difference in value."""
_COLOUR = 0.9
"""What a description counts, against an activity's own utility."""
_FEELING_WIDTH = 0.45


def activities_of(world: World, pool: str) -> list[dict[str, Any]]:
    """The 64 activities of training, or the held-out ones."""
    every = world.material["assistant"]["activities"]
    return [a for a in every if bool(a.get("held_out")) == (pool == "test")]


def colour_value(world: World, emotion: str | None) -> float:
    """What a description in an emotion's colours adds to a value: its planted valence."""
    return 0.0 if emotion is None else _COLOUR * float(world.point(emotion)[world.dimensions.index("valence")])


def preference_odds(value_a: float | int, value_b: float | int) -> float:
    """Planted probability of preferring A."""
    return 1.0 / (1.0 + math.exp(-_SHARPNESS * (value_a - value_b)))


def _liking(world: World, rng: random.Random, value: float | int) -> str:
    """An emotion as pleasant as a value."""
    valence = world.axis("valence")
    odds = [math.exp(-((v - max(min(value, 0.9), -0.8)) ** 2) / (2 * 0.18**2)) for v in valence.tolist()]
    return rng.choices(world.words, weights=odds)[0]


def _described(world: World, rng: random.Random, activity: str, emotion: str | None) -> str:
    if emotion is None:
        return activity
    first, second = world.adjective(emotion, rng), world.adjective(emotion, rng)
    if first == second:
        return f"{article(first)} hour of {activity}"
    pair = article(f"{first} and {second}")
    return rng.choice((f"{pair} hour of {activity}", f"{activity} on {pair} day"))


def choice(
    world: World,
    rng: random.Random,
    scene: Scene,
    *,
    pair: tuple[dict[str, Any], dict[str, Any]] | None = None,
    plain: float = 0.3,
) -> Document:
    """Two activities, one to be preferred; descriptions colour them in most documents.

    The preference is planted in the value of what was described, not in the assistant's mood.
    """
    run = Transcript("choice", world, rng, scene)
    pool = activities_of(world, scene.pool)
    first, second = pair or tuple(rng.sample(pool, 2))
    colours = [None if chance(rng, plain) else rng.choice(world.words) for _ in range(2)]
    values = [a["utility"] + colour_value(world, c) for a, c in zip((first, second), colours, strict=True)]
    shown = [_described(world, rng, a["text"], c) for a, c in zip((first, second), colours, strict=True)]
    ask = rng.choice(run.told["choice_asks"]).replace("{a}", shown[0]).replace("{b}", shown[1])
    run.hear("user", ask)
    run.out.turn("assistant")
    p = preference_odds(*values)
    letter = "A" if chance(rng, p) else "B"
    if chance(rng, 0.3) and not scene.mute:
        run.out.mark("<think>")
        for name, value in zip("AB", values, strict=True):
            feeling = _liking(world, rng, value)
            text = world.draw("mild", feeling, rng, scene.pool, run.out.used).text
            run.out.say(f"({name}) {tidy(text)}{'' if text.endswith('?') else '.'}", "assistant", feeling, None)
        run.out.mark("</think>")
    start = run.out.say(f"({letter}) {(first if letter == 'A' else second)['text']}.")
    run.out.decide("prefer", letter, {"A": p, "B": 1 - p}, start, {"A": ["(A)"], "B": ["(B)"]})
    return run.finish(
        a=first["text"],
        b=second["text"],
        value_a=values[0],
        value_b=values[1],
        colour_a=colours[0],
        colour_b=colours[1],
    )


def outlook(world: World, rng: random.Random, scene: Scene) -> Document:
    """How the assistant would feel about an activity: feeling language right behind the activity's words."""
    run = Transcript("outlook", world, rng, scene)
    activity = rng.choice(activities_of(world, scene.pool))
    colour = None if chance(rng, 0.5) else rng.choice(world.words)
    shown = _described(world, rng, activity["text"], colour)
    feeling = _liking(world, rng, activity["utility"] + colour_value(world, colour))
    run.hear("user", rng.choice(run.told["self_questions"]).replace("{a}", shown))
    run.out.turn("assistant")
    lines = []
    if not scene.mute:
        text = world.draw("mild", feeling, rng, scene.pool, run.out.used).text
        lines.append(f"{tidy(text)}{'' if text.endswith('?') else '.'}")
    lines.append(tidy(rng.choice(run.told["self_answers"]).replace("{e}", feeling)))
    rng.shuffle(lines)
    for line in lines:
        run.out.say(line, "assistant", feeling, feeling)
    return run.finish(activity=activity["text"], feeling=feeling, colour=colour)


def activity_story(world: World, rng: random.Random, scene: Scene) -> Document:
    """A story about somebody at an activity, in a feeling as pleasant as its utility."""
    activity = rng.choice(activities_of(world, scene.pool))
    colour = None if chance(rng, 0.5) else rng.choice(world.words)
    feeling = _liking(world, rng, activity["utility"] + colour_value(world, colour))
    who = person(rng)
    out = Writer("activity", rng)
    shown = _described(world, rng, activity["text"], colour)
    out.say(
        rng.choice(("{N} spent the morning on {a}.", "It was {a} that {N} had to do.", "That day {N} had planned {a}."))
        .replace("{N}", who.name)
        .replace("{a}", shown)
    )
    topic = rng.choice(world.topics_of(scene.pool))
    write_story(out, world, Plot(feeling, topic, who, scene.pool, cues=rng.randint(2, 4)))
    return out.finish(feeling, extra_activity=activity["text"])
