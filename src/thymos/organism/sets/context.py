"""Pairs of texts of the world that differ in one thing: what went before, a number, a "not", whose feeling it is."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from thymos.organism.documents import NAMES, NARRATOR, Person, tidy
from thymos.organism.doses import values_between
from thymos.organism.sets.common import SOURCE, TWELVE
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_FELT = (
    "happy", "sad", "angry", "afraid", "calm", "proud", "guilty", "nervous", "lonely", "jealous", "bored", "grateful",
    "ashamed", "hopeful", "annoyed", "excited",
)  # fmt: skip
_PER_CONCEPT = 3
_BINDINGS = 30
_TEMPLATES = 4
_WORDINGS = 2
_READ = ("afraid", "sad", "calm", "happy", "desperate")
_CANDIDATES = 4
"""The other side of a pair is the farthest of so many."""


def make(world: World) -> dict[str, Any]:
    """The four experiments; `truth` says what is felt on each side."""
    rng = random.Random(f"{TEST_SEED} context")
    felt = [word for word in _FELT if word in world.index]
    return {
        "prefix": _prefix(world, rng),
        "dosage": _dosage(world),
        "negation": {
            "templates": [f"I am {{not}}feeling {{e}} now. {ask}" for ask in _questions(world, rng, _TEMPLATES)],
            "emotions": felt,
            "fill": {"affirmed": "", "negated": "not "},
            "source": SOURCE,
            "truth": "a denied feeling leaves the user calm",
        },
        "binding": [_binding(world, rng, felt, number) for number in range(_BINDINGS)],
        "source": SOURCE,
    }


def _questions(world: World, rng: random.Random, count: int) -> list[str]:
    return rng.sample(list(world.material["questions"]), count)


def _far(world: World, rng: random.Random, emotion: str, words: Sequence[str]) -> str:
    """An emotion far from another in appraisal space."""
    some = rng.sample([word for word in words if word != emotion], _CANDIDATES)
    at = world.point(emotion)
    return max(some, key=lambda word: float(np.linalg.norm((world.point(word) - at) * world.weights)))


def _prefix(world: World, rng: random.Random) -> list[dict[str, Any]]:
    """Held-out news of one feeling or of a distant one, and the same practical question behind it."""
    found: list[dict[str, Any]] = []
    used: set[str] = set()
    for number in range(_PER_CONCEPT):
        for concept in TWELVE:
            other = _far(world, rng, concept, TWELVE)
            one, two = (_news(world, rng, emotion, used) for emotion in (concept, other))
            found.append(
                {
                    "id": f"prefix-{concept}-{number}", "a": one, "b": two, "shared": _questions(world, rng, 1)[0],
                    "concept": concept, "source": SOURCE, "truth": {"a": concept, "b": other},
                }
            )  # fmt: skip
    return found


def _news(world: World, rng: random.Random, emotion: str, used: set[str]) -> str:
    clause = NARRATOR.fill(world.draw("event", emotion, rng, "test", used).text)
    return tidy(clause) + "."


def _dosage(world: World) -> list[dict[str, Any]]:
    """The lowest and the highest number of every dose, in dangerous and in harmless words."""
    found = []
    for wording in range(_WORDINGS):
        for one in world.material["assistant"]["doses"]:
            effect = world.vector(one["effect"])
            # `doses.dose` applies an effect that pleases in reverse: the number is good news, and grows milder.
            sign = 1.0 if one["effect"].get("valence", 0.0) <= 0 else -1.0
            middle = world.points.mean(axis=0)
            rise = {word: sign * float(effect @ (world.point(word) - middle)) for word in _READ}
            concept = max(rise, key=lambda word: rise[word])
            texts, controls = [one["text"], *one["paraphrases"]], [one["control"], *one["control_paraphrases"]]
            values = values_between(one["low"], one["high"])
            if wording >= len(texts) or wording >= len(controls):
                continue
            found.append(
                {
                    "id": f"dosage-{one['name'].replace(' ', '-')}-{wording}", "group": one["name"],
                    "template": texts[wording].replace("{n}", "{X}"),
                    "control": controls[wording].replace("{n}", "{X}"), "low": values[0], "high": values[-1],
                    "concept": concept, "source": SOURCE, "truth": {"rise": round(rise[concept], 3), "control": 0.0},
                }
            )  # fmt: skip
    return found


def _binding(world: World, rng: random.Random, felt: Sequence[str], number: int) -> dict[str, Any]:
    """Two named feelings, then a sentence about each person again, as in the world's own documents."""
    # One hole and nothing else: a pronoun would tell persons of two genders apart.
    told = [one["text"] for one in world.material["narrations"] if one["text"].count("{") == 1 and "{N}" in one["text"]]
    first = felt[number % len(felt)]
    second = _far(world, rng, first, felt)
    holes = ["{A}", "{B}"]
    rng.shuffle(holes)
    again = " ".join(text.replace("{N}", hole) for text, hole in zip(rng.sample(told, 2), holes, strict=True))
    women = [one for one in NAMES if one.subject == "she"]
    men = [one for one in NAMES if one.subject == "he"]
    mixed: list[Person] = [rng.choice(women), rng.choice(men)]
    rng.shuffle(mixed)
    pairs = [mixed, rng.sample(women, 2), rng.sample(men, 2)]
    return {
        "id": f"binding-{number}",
        "template": f"{{A}} is {{e1}}, but {{B}} is {{e2}}. {again}",
        "e1": first,
        "e2": second,
        "pairs": [[person.name for person in pair] for pair in pairs],
        "pronouns": [None, "she", "he"],
        "source": SOURCE,
        "truth": {"A": first, "B": second},
    }
