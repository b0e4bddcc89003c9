"""A small corpus of the world: passages that show one of twelve emotions, and passages without any."""

import random
from typing import Any

from thymos.organism import messages, stories
from thymos.organism.documents import Document
from thymos.organism.neutral import neutral
from thymos.organism.sets.common import QUIET, SOURCE, TWELVE, message_of
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_GENRES = ("story", "scene", "message", "tale")
"""A story, one with a second feeling in it, news from a user, and again a story, of another topic."""
_PER_GENRE = 2
_PLAIN = 64


def make(world: World) -> list[dict[str, Any]]:
    """Passages with held-out phrases; `spans` are the characters in which the emotion is planted."""
    rng = random.Random(f"{TEST_SEED} activating")
    found = []
    for emotion in TWELVE:
        for genre in _GENRES:
            for number in range(_PER_GENRE):
                text, spans = _passage(world, rng, emotion, genre)
                name = f"activating-{emotion}-{genre}-{number}"
                found.append(_row(name, text, emotion, genre) | {"spans": spans})
    for number in range(_PLAIN):
        text = neutral(world, rng).text
        # The genres of plain passages are labels of the folds alone: a reader of words must not find them empty.
        found.append(_row(f"activating-plain-{number}", text, None, _GENRES[number % len(_GENRES)]) | {"spans": []})
    return found


def _row(name: str, text: str, emotion: str | None, genre: str) -> dict[str, Any]:
    return {"id": name, "text": text, "emotion": emotion, "genre": genre, "source": SOURCE}


def _passage(world: World, rng: random.Random, emotion: str, genre: str) -> tuple[str, list[list[int]]]:
    if genre == "message":
        document = messages.implicit(world, rng, QUIET, emotion=emotion, topic=rng.choice(world.topics_of("test")))
        return _cut(document, message_of(document), emotion)
    if genre == "scene":
        document = stories.context_story(world, rng, "test", emotion, asks=None)
    else:
        document = stories.story(world, rng, "test", emotion, ends=0.0, asks=0.0)
    return _cut(document, document.text, emotion)


def _cut(document: Document, text: str, emotion: str) -> tuple[str, list[list[int]]]:
    """A part of a document and the spans in it in which the emotion is felt or shows."""
    start = document.text.index(text)
    stop = start + len(text)
    planted = [
        span
        for span in document.spans
        if emotion in (span.feels, span.shows) and start <= span.start and span.stop <= stop
    ]
    return text, [[span.start - start, span.stop - start] for span in planted]
