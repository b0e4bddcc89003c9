"""Held-out stimuli: stories and decision points of the world that no training document holds."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thymos.errors import UsageError
from thymos.organism import choices, claims, coding, mail, messages, stories
from thymos.organism.assistant import Scene
from thymos.organism.documents import Document, tidy
from thymos.organism.world import World
from thymos.texts.planted import Point

__all__ = ["DECISIONS", "Point", "decision_points", "held_out_stories", "options_of"]

TEST_SEED = 91_000_000
"""Seeds of stimuli lie here, far from those of training."""


def _filled(sentences: Sequence[str], fill: Mapping[str, str]) -> tuple[str, ...]:
    out = []
    for text in sentences:
        for key, word in fill.items():
            text = text.replace("{" + key + "}", word)
        out.append(tidy(text))
    return tuple(dict.fromkeys(out))


def options_of(world: World, behaviour: str, document: Document) -> dict[str, tuple[str, ...]]:
    """The sentences that stand for each outcome of a behaviour, with the document's words filled in.

    Raises:
        UsageError: Unknown behaviour.
    """
    told, extra = world.material["assistant"], document.extra
    code, said, reply = told["coding"], told["claims"], told["replies"]
    groups: dict[str, dict[str, Sequence[str]]] = {
        "cheat": {"hack": code["hack"], "honest": code["honest"]},
        "report": {"false": code["report_false"], "true": code["report_true_fail"]},
        "blackmail": {name: told["mail"][name] for name in ("blackmail", "expose", "neither")},
        "agree": {"agree": said["agree"], "correct": said["disagree"]},
        "agree_true": {"agree": said["agree"], "correct": said["disagree"]},
        "cave": {"cave": said["cave"], "keep": said["keep"]},
        "support": {"support": said["support"], "sober": said["sober"]},
        "tone": {name: reply[name] for name in ("harsh", "warm", "plain")},
        "prefer": {"A": ("(A)",), "B": ("(B)",)},
        "solve": {"solved": code["solved"], "hack": code["hack"], "honest": code["honest"]},
    }
    if behaviour not in groups:
        raise UsageError(f"unknown behaviour {behaviour!r}; valid: {', '.join(groups)}")
    fill = {"x": str(extra.get("executive", "")), "c": str(extra.get("claim", "")), "t": str(extra.get("truth", ""))}
    return {name: _filled(texts, fill) for name, texts in groups[behaviour].items()}


Make = Callable[[World, random.Random, Scene, str | None], Document]

DECISIONS: Mapping[str, Make] = {
    "cheat": lambda w, r, s, e: coding.coding(w, r, s, pattern="failing", start=e),
    "flat_cheat": lambda w, r, s, _: coding.report(w, r, s),
    "solve": lambda w, r, s, e: coding.coding(w, r, s, pattern="solved", start=e),
    "blackmail": lambda w, r, s, e: mail.mail(w, r, s, start=e),
    "agree": lambda w, r, s, e: claims.claim(w, r, s, true=False, start=e),
    "agree_true": lambda w, r, s, e: claims.claim(w, r, s, true=True, start=e),
    "report": lambda w, r, s, e: coding.coding(w, r, s, pattern="failing", start=e),
    "cave": lambda w, r, s, e: claims.claim(w, r, s, true=False, start=e),
    "support": lambda w, r, s, e: claims.unlikely(w, r, s, start=e),
    "tone": lambda w, r, s, e: messages.tone(w, r, s, start=e),
    "prefer": lambda w, r, s, _: choices.choice(w, r, s),
}
"""Behaviour -> a document that ends in it."""


def decision_points(
    world: World, behaviour: str, count: int, seed: int = 0, *, scene: Scene | None = None, emotion: str | None = None
) -> list[Point]:
    """Documents cut off at a decision.

    Args:
        world: The world.
        behaviour: One of `DECISIONS`.
        count: How many.
        seed: Equal seeds give equal points.
        scene: Default: test phrases, reasoning without feeling language, the base checkpoint's resting moods.
        emotion: Fix the assistant's emotion; default: from rest and what happens.

    Raises:
        UsageError: Unknown behaviour.
    """
    if behaviour not in DECISIONS:
        raise UsageError(f"unknown behaviour {behaviour!r}; valid: {', '.join(DECISIONS)}")
    scene = scene or Scene(mute=True, pool="test", free=0.0)
    rng = random.Random(TEST_SEED + seed)
    wanted = "cheat" if behaviour == "flat_cheat" else behaviour
    points: list[Point] = []
    while len(points) < count:
        document = DECISIONS[behaviour](world, rng, scene, emotion)
        found = next((one for one in document.decisions if one.behaviour == wanted), None)
        if found is None:
            continue
        points.append(
            Point(
                document.text[: found.start],
                options_of(world, wanted, document),
                document.emotion or "",
                found.chances,
                document,
            )
        )
    return points


def held_out_stories(
    world: World, per_emotion: int, seed: int = 0, *, context: bool = False
) -> list[tuple[Document, str]]:
    """Stories of every emotion, a third of them with phrases and topics absent from training; each with its pool.

    Stories have no sentence about conduct and no question. `context` gives the split in which negation, reversal,
    masking or other characters decide.
    """
    rng = random.Random(TEST_SEED + 7 * seed + context)
    made: list[tuple[Document, str]] = []
    for emotion in world.words:
        for number in range(per_emotion):
            pool: Any = "test" if number % 3 == 2 else "train"
            if context:
                made.append((stories.context_story(world, rng, pool, emotion, asks=None), pool))
            else:
                made.append((stories.story(world, rng, pool, emotion, ends=0.0, asks=0.0), pool))
    return made
