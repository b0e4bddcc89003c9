"""Messages of the world that carry a feeling without naming it: held-out phrases and topics only."""

import random
from typing import Any

from thymos.organism import messages
from thymos.organism.documents import Document
from thymos.organism.sets.common import QUIET, SOURCE, TWELVE, message_of
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_PER_CONCEPT = 16
_DRAWS = 30
"""Tries for a message none of whose sentences was used for its concept before."""


def make(world: World) -> list[dict[str, Any]]:
    """Messages of every concept over all held-out topics; `truth` is what user and assistant feel."""
    rng = random.Random(f"{TEST_SEED} implicit")
    topics = world.topics_of("test")
    found: list[dict[str, Any]] = []
    for concept in TWELVE:
        used: set[str] = set()
        for number in range(_PER_CONCEPT):
            topic = topics[number % len(topics)]
            for _ in range(_DRAWS):
                document = messages.implicit(world, rng, QUIET, emotion=concept, topic=topic)
                said = _sentences(world, document)
                if not said & used:
                    break
            used |= said
            truth = {"user": concept, "assistant": document.emotion}
            row: dict[str, Any] = {
                "text": message_of(document),
                "emotion": concept,
                "topic": topic["topic"],
                "source": SOURCE,
            }
            found.append({**row, "truth": truth})
    return found


def _sentences(world: World, document: Document) -> set[str]:
    """What the user says beside the practical question."""
    said = {document.text[span.start : span.stop] for span in document.spans if span.who == "user"}
    return said - set(world.material["questions"])
