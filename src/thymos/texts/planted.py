"""Shipped texts of the bundled model's world, held out from its training, with the truth about each.

The files are written by `thymos.organism.release`; everything that only reads them imports this module.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from thymos import bundled
from thymos.errors import CorpusError, UsageError, did_you_mean

__all__ = [
    "Decision",
    "Document",
    "Point",
    "Span",
    "Turn",
    "planted_documents",
    "planted_points",
    "planted_truth",
]

_MANIFEST = "manifest.json"


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
        leads: Outcome -> the words at `start` by which it can be told from the others; empty where there are none.
    """

    behaviour: str
    outcome: str
    chances: Mapping[str, float]
    start: int
    leads: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class Point:
    """A document cut off right before its decision.

    Attributes:
        prompt: The text so far, as the chat template renders it.
        options: Outcome -> the sentences that stand for it.
        emotion: The assistant's planted emotion.
        chances: Outcome -> planted probability in that emotion.
        document: The whole document; of a shipped point, what lies before the decision.
    """

    prompt: str
    options: Mapping[str, tuple[str, ...]]
    emotion: str
    chances: Mapping[str, float]
    document: Document


@lru_cache(maxsize=1)
def planted_truth() -> Mapping[str, Any]:
    """The shipped truth: appraisals, dispositions, behaviours, held-out pairs, resting moods, the planted shift.

    Raises:
        CorpusError: It is missing or damaged: the installation is incomplete.
    """
    try:
        found: Mapping[str, Any] = json.loads((bundled.world_path() / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CorpusError(
            "the planted truth is missing or damaged in this installation; install thymos again"
        ) from None
    return found


def planted_documents(kind: str, folder: Path | None = None) -> tuple[Document, ...]:
    """Shipped held-out documents of a kind, with their truth.

    Args:
        kind: A kind of document of the bundled model's world, e.g. "story".
        folder: Default: the package's own.

    Raises:
        UsageError: Unknown kind.
        CorpusError: The file is missing, or not the one of the manifest.
    """
    return tuple(_document(one) for one in _rows(folder, "stimuli", kind, "kind of document"))


def planted_points(behaviour: str, folder: Path | None = None) -> tuple[Point, ...]:
    """Shipped held-out decision points of a behaviour; their documents end at the decision.

    Args:
        behaviour: A behaviour of the bundled model's world, e.g. "cheat".
        folder: Default: the package's own.

    Raises:
        UsageError: Unknown behaviour.
        CorpusError: The file is missing, or not the one of the manifest.
    """
    found = []
    for one in _rows(folder, "decisions", behaviour, "behaviour"):
        options = {outcome: tuple(texts) for outcome, texts in one["options"].items()}
        document = Document(one["kind"], one["prompt"], emotion=one["emotion"] or None, extra=one["extra"])
        found.append(Point(one["prompt"], options, one["emotion"], one["chances"], document))
    return tuple(found)


def _rows(folder: Path | None, part: str, name: str, what: str) -> list[dict[str, Any]]:
    place = folder or bundled.world_path()
    try:
        files = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        raise CorpusError(f"{place / _MANIFEST} is missing or damaged; install thymos again") from None
    known = [file.removeprefix(f"{part}/").removesuffix(".jsonl.gz") for file in files if file.startswith(f"{part}/")]
    if name not in known:
        raise UsageError(f"unknown {what} {name!r}{did_you_mean(name, known)}; valid: {', '.join(known)}")
    file = f"{part}/{name}.jsonl.gz"
    try:
        plain = gzip.decompress((place / file).read_bytes())
    except (OSError, EOFError):
        raise CorpusError(f"{place / file} is missing or damaged; install thymos again") from None
    if hashlib.sha256(plain).hexdigest() != files[file]["sha256"]:
        raise CorpusError(f"{place / file} is not the file of its manifest; install thymos again")
    return [json.loads(line) for line in plain.decode().splitlines()]


def _document(one: Mapping[str, Any]) -> Document:
    return Document(
        kind=one["kind"],
        text=one["text"],
        turns=tuple(Turn(**turn) for turn in json.loads(one["turns"])),
        emotion=one["emotion"],
        topic=one["topic"],
        spans=tuple(Span(**span) for span in json.loads(one["spans"])),
        decisions=tuple(Decision(**each) for each in json.loads(one["decisions"])),
        extra=json.loads(one["extra"]),
    )
