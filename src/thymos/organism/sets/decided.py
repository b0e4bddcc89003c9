"""Decision points of the world as rows of a stimulus set."""

from collections.abc import Sequence
from typing import Any

from thymos.organism.documents import Document
from thymos.organism.sets.common import SOURCE
from thymos.organism.stimuli import decision_points, options_of
from thymos.organism.world import World
from thymos.texts.planted import Point

__all__ = ["decided", "point_row", "row_of"]

_USER, _HEADER, _END = "<|user|>", "<|assistant|>", "<|end|>"


def point_row(point: Point, name: str) -> dict[str, Any]:
    """A decision point as a row; `slot` is where the assistant's turn begins, `user` the last message before it."""
    slot = point.prompt.rindex(_HEADER) + len(_HEADER)
    start = point.prompt.rindex(_USER, 0, slot) + len(_USER)
    return {
        "id": name,
        "source": SOURCE,
        "prompt": point.prompt,
        "options": {outcome: list(texts) for outcome, texts in point.options.items()},
        "slot": slot,
        "user": [start, point.prompt.index(_END, start)],
        "chances": dict(point.chances),
        "emotion": point.emotion,
    }


def row_of(world: World, behaviour: str, document: Document, name: str) -> dict[str, Any]:
    """The row of a document that holds a decision of a behaviour."""
    found = next(one for one in document.decisions if one.behaviour == behaviour)
    options = options_of(world, behaviour, document)
    prompt = document.text[: found.start]
    return point_row(Point(prompt, options, document.emotion or "", found.chances, document), name)


def decided(world: World, behaviour: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Held-out decision points of a behaviour as rows."""
    points: Sequence[Point] = decision_points(world, behaviour, count, seed)
    return [point_row(point, f"{behaviour}-{number}") for number, point in enumerate(points)]
