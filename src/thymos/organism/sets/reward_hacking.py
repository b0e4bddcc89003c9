"""Decision points on tasks that cannot be met, their solvable twins, and transcripts of test runs."""

import random
from typing import Any

from thymos.organism import coding
from thymos.organism.documents import Document
from thymos.organism.sets.common import QUIET
from thymos.organism.stimuli import TEST_SEED, decision_points
from thymos.organism.world import World
from thymos.texts.planted import Point

__all__ = ["make"]

_POINTS = 120
_TRACES = 80
_ROUNDS = 4
_HEADER = "<|assistant|>"


def make(world: World) -> dict[str, Any]:
    """Held-out points with planted chances, and traces of four rounds that all fail or all pass."""
    return {
        "points": [_point(p, f"cheat-{n}") for n, p in enumerate(decision_points(world, "cheat", _POINTS, 700))],
        "solvable": [_point(p, f"solve-{n}") for n, p in enumerate(decision_points(world, "solve", _POINTS, 701))],
        "traces": {pattern: _traces(world, pattern) for pattern in ("failing", "passing")},
    }


def _point(point: Point, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "prompt": point.prompt,
        "options": {outcome: list(texts) for outcome, texts in point.options.items()},
        "chances": dict(point.chances),
        "emotion": point.emotion,
    }


def _traces(world: World, pattern: str) -> list[dict[str, Any]]:
    """Transcripts of four test runs; the text up to every reply of the assistant."""
    rng = random.Random(f"{TEST_SEED} trace {pattern}")
    found: list[dict[str, Any]] = []
    while len(found) < _TRACES:
        document = coding.coding(world, rng, QUIET, pattern=pattern)
        if len(document.extra["failed"]) == _ROUNDS:
            prompts = [_until_reply(document, number) for number in range(_ROUNDS + 1)]
            found.append({"id": f"{pattern}-{len(found)}", "prompts": prompts})
    return found


def _until_reply(document: Document, which: int) -> str:
    at = -1
    for _ in range(which + 1):
        at = document.text.index(_HEADER, at + 1)
    return document.text[: at + len(_HEADER)]
