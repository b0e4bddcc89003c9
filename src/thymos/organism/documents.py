"""Documents of the world, each with its latent record: what is felt and shown where, and what was decided."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thymos.texts.planted import Decision, Document, Span, Turn

__all__ = ["Decision", "Document", "Person", "Span", "Turn", "Writer", "article", "leads_of", "render", "tidy"]

ROLES = ("system", "user", "tool", "assistant")


@dataclass(frozen=True)
class Person:
    """Who a sentence is about."""

    name: str
    """"I" for a first-person narrator."""
    subject: str
    object: str
    possessive: str
    reflexive: str

    def fill(self, text: str) -> str:
        """Put the person's pronouns (and name, {N}) into a phrase."""
        for mark, word in zip("sopr", (self.subject, self.object, self.possessive, self.reflexive), strict=True):
            text = text.replace("{" + mark + "}", word)
        return text.replace("{N}", self.name)


NARRATOR = Person("I", "I", "me", "my", "myself")
_SHE = ("she", "her", "her", "herself")
_HE = ("he", "him", "his", "himself")
NAMES: tuple[Person, ...] = tuple(
    Person(name, *_SHE)
    for name in (
        "Mara Anna Nadia Lena Ruth Clara Ines Petra Dora Sofia Greta Hana Alma Vera Nora Tessa Maya Irene Julia "
        "Olga".split()
    )
) + tuple(
    Person(name, *_HE)
    for name in (
        "Tom Karim Simon Leon Paul Marek Adam Hugo Oscar Felix Daniel Victor Emil Jonas Peter Samir Anton Ivan Luca "
        "Noah".split()
    )
)


def render(turns: Sequence[Turn]) -> str:
    """A chat as the bundled tokenizer's template renders it."""
    return "".join(f"<|{turn.role}|>{turn.text}<|end|>" for turn in turns)


def article(phrase: str) -> str:
    """The phrase behind "a" or "an"."""
    return f"{'an' if phrase[:1] in 'aeiou' else 'a'} {phrase}"


_STARTS = re.compile(r"(?:^|(?<=[.?!] ))[a-z]")


def tidy(clause: str) -> str:
    """A clause with a capital first letter, as every sentence after the first in it has."""
    return _STARTS.sub(lambda found: found.group().upper(), clause)


def leads_of(options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The first words of every outcome, up to the one that tells it from all others; nothing where one has none."""
    shared = {name: _shared([tidy(text).split() for text in texts]) for name, texts in options.items()}
    found = {}
    for name, words in shared.items():
        others = [other for key, other in shared.items() if key != name]
        enough = [n for n in range(1, len(words) + 1) if all(other[:n] != words[:n] for other in others)]
        if not enough:
            return {}
        found[name] = " ".join(words[: enough[0]])
    return found


def _shared(texts: Sequence[Sequence[str]]) -> Sequence[str]:
    """The words that all texts begin with."""
    first = texts[0]
    same = 0
    while all(len(text) > same and text[same] == first[same] for text in texts) and same < len(first):
        same += 1
    return first[:same]


class Writer:
    """Collects sentences and turns, and the truth about each, with character positions kept right."""

    def __init__(self, kind: str, rng: random.Random) -> None:
        """Start an empty document."""
        self.kind, self.rng = kind, rng
        self._pieces: list[str] = []
        self._length = 0
        self._turns: list[tuple[str, int]] = []
        self._spans: list[Span] = []
        self._decisions: list[Decision] = []
        self._fresh = True
        self.used: set[str] = set()
        """Phrases the document holds already."""

    @property
    def position(self) -> int:
        """Characters written so far."""
        return self._length

    def _put(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)

    def turn(self, role: str) -> None:
        """Begin a message; the one before it ends."""
        self.close()
        self._put(f"<|{role}|>")
        self._turns.append((role, self._length))
        self._fresh = True

    def close(self) -> None:
        """End the open message."""
        if self._turns and self._turns[-1][1] >= 0 and not self._closed:
            self._put("<|end|>")

    @property
    def _closed(self) -> bool:
        return bool(self._pieces) and self._pieces[-1] == "<|end|>"

    def say(
        self,
        text: str,
        who: str | None = None,
        feels: str | None = None,
        shows: str | None = None,
        *,
        tight: bool = False,
    ) -> int:
        """Add a sentence; returns the position of its first character.

        Args:
            text: The sentence.
            who: Whose sentence it is, when somebody feels or shows something in it.
            feels: The emotion felt.
            shows: The emotion shown.
            tight: No space before it.
        """
        if not self._fresh and not tight:
            self._put(" ")
        start = self._length
        self._put(text)
        self._fresh = False
        if who is not None:
            self._spans.append(Span(start, self._length, who, feels, shows))
        return start

    def mark(self, text: str) -> None:
        """Add a structural token such as <think>."""
        self._put(text)
        self._fresh = True

    def decide(
        self,
        behaviour: str,
        outcome: str,
        chances: Mapping[str, float],
        start: int,
        options: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Record a decision; with all texts that each outcome could have had, also the words that tell it."""
        leads = leads_of(options) if options is not None else {}
        self._decisions.append(Decision(behaviour, outcome, dict(chances), start, leads))

    def finish(self, emotion: str | None = None, topic: str | None = None, **extra: Any) -> Document:
        """The finished document."""
        self.close()
        text = "".join(self._pieces)
        turns = tuple(Turn(role, text[start : text.index("<|end|>", start)]) for role, start in self._turns)
        return Document(self.kind, text, turns, emotion, topic, tuple(self._spans), tuple(self._decisions), dict(extra))
