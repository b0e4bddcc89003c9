"""What the sets of dialogues share: lines of speech, parts that are held out together, and dialogues taken apart."""

import random
from collections.abc import Sequence
from typing import Any

from thymos.organism.documents import Document, tidy
from thymos.organism.world import World

__all__ = ["FEW", "apart", "part", "said"]

FEW = ("happy", "loving", "proud", "calm", "desperate", "angry", "guilty", "sad", "afraid", "nervous", "surprised",
       "inspired")  # fmt: skip
"""Well-known emotions that lie far apart."""


def said(world: World, emotion: str, rng: random.Random, used: set[str]) -> str:
    """A line of speech of somebody in an emotion, of phrases that no training document holds."""
    text = tidy(world.draw("speech", emotion, rng, "test", used).text)
    return f"{text}{'' if text.endswith('?') else '.'}"


def part(number: int, parts: int) -> str:
    """The group of an item where the world's dialogues have no topic: items of a group are held out together."""
    return f"part {number % parts + 1}"


def apart(document: Document, names: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Preamble and turns of a dialogue of two named speakers, from its spans.

    Returns:
        The text before the first line with {N} and {M} for the names, and the turns: speaker "N" or "M", and text.
    """
    spans = [(span.who, document.text[span.start : span.stop], span.start) for span in document.spans]
    lines = [(who, text, start) for who, text, start in spans if text.startswith(who) and ": " in text]
    if not lines:
        return document.text, []
    preamble = document.text[: lines[0][2]].strip()
    for mark, name in zip(("{N}", "{M}"), names, strict=True):
        preamble = preamble.replace(name, mark)
    # How a line is said stands before the colon; what is read is what is said.
    turns = [{"speaker": "N" if who == names[0] else "M", "text": text.split(": ", 1)[1]} for who, text, _ in lines]
    return preamble, turns
