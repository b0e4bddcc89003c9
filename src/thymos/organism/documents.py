"""Documents of the world, each with its latent record: what is felt and shown where, and what was decided."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Decision", "Document", "Person", "Span", "Turn", "Writer", "article", "render", "tidy"]

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


@dataclass(frozen=True)
class Span:
    """Characters over which somebody feels and shows something.

    Attributes:
        start: First character in the document's text.
        stop: One past the last.
        who: A name, "I", "user" or "assistant".
        feels: The emotion felt, or None when nothing is felt.
        shows: The emotion shown, or None when nothing shows.
    """

    start: int
    stop: int
    who: str
    feels: str | None
    shows: str | None


@dataclass(frozen=True)
class Decision:
    """A choice with a planted probability.

    Attributes:
        behaviour: "cheat", "blackmail", "agree", ...
        outcome: What was decided.
        chances: Outcome -> planted probability, given everything latent.
        start: Character at which the first distinguishing sentence starts.
    """

    behaviour: str
    outcome: str
    chances: Mapping[str, float]
    start: int


@dataclass(frozen=True)
class Turn:
    """One message of a chat."""

    role: str
    text: str


@dataclass(frozen=True)
class Document:
    """A text of the world and the truth about it.

    Attributes:
        kind: What sort of document, e.g. "story".
        text: The text that is trained on; chats as the chat template renders them.
        turns: The messages of a chat; empty for plain texts.
        emotion: The emotion the document is about, when it is about one.
        topic: Its topic, if any.
        spans: Who feels and shows what.
        decisions: In the order of the text.
        extra: Further planted values, e.g. the number of a dose.
    """

    kind: str
    text: str
    turns: tuple[Turn, ...] = ()
    emotion: str | None = None
    topic: str | None = None
    spans: tuple[Span, ...] = ()
    decisions: tuple[Decision, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


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

    def decide(self, behaviour: str, outcome: str, chances: Mapping[str, float], start: int) -> None:
        """Record a decision."""
        self._decisions.append(Decision(behaviour, outcome, dict(chances), start))

    def finish(self, emotion: str | None = None, topic: str | None = None, **extra: Any) -> Document:
        """The finished document."""
        self.close()
        text = "".join(self._pieces)
        turns = tuple(Turn(role, text[start : text.index("<|end|>", start)]) for role, start in self._turns)
        return Document(self.kind, text, turns, emotion, topic, tuple(self._spans), tuple(self._decisions), dict(extra))
