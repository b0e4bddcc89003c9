"""What one text is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from thymos.errors import CorpusError

__all__ = ["COLUMNS", "Reason", "Rejection", "Text"]

COLUMNS = ("text", "emotion", "topic", "source")
"""Columns with a meaning of their own; all others pass through in `Text.extra`."""

Reason = Literal["refusal", "format", "leak", "duplicate", "short"]
"""Why a text is not used."""


@dataclass(frozen=True)
class Text:
    """One story, dialogue or message.

    Attributes:
        text: The text itself.
        emotion: The concept it was written for, or None.
        topic: The situation it was written about, or None; splits are made by topic.
        source: Who wrote it, e.g. "model:Qwen/Qwen3-8B"; authorship is an experimental factor.
        extra: Every other column of the file it came from.

    Raises:
        CorpusError: `extra` has a key that is a column of its own.
    """

    text: str
    emotion: str | None = None
    topic: str | None = None
    source: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in COLUMNS:
            if name in self.extra:
                raise CorpusError(f"extra holds {name!r}, which is a field of its own; pass it as {name}=...")

    def row(self) -> dict[str, Any]:
        """The text as a row of a file: fields that are None are left out."""
        named = {name: getattr(self, name) for name in COLUMNS}
        return {key: value for key, value in (named | dict(self.extra)).items() if value is not None}


@dataclass(frozen=True)
class Rejection:
    """A text that is not used, and why."""

    text: Text
    reason: Reason
    detail: str
    """What was seen, e.g. "'angrily' (lemma)"."""
