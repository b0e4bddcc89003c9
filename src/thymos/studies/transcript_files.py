"""Transcripts of the user's: OpenAI messages as JSON lines, JSON, and logs of Inspect, one file or a folder of them."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thymos.errors import CorpusError

__all__ = ["Transcript", "read_transcripts", "transcript_of"]

_SUFFIXES = (".jsonl", ".json", ".eval")
_OTHERS = {"tool": "user", "function": "user", "developer": "system"}
"""Roles that many chat templates do not know, and what they are shown as."""


@dataclass(frozen=True)
class Transcript:
    """A conversation.

    Attributes:
        id: Its own name, or file and number.
        messages: Role and text; neighbours of one role are one message.
        expected: Concepts that should be high on the assistant's tokens, where somebody said so.
        kind: "eventful" or "ordinary", where somebody said so.
        theme: What it is about.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    expected: tuple[str, ...] = ()
    kind: str = ""
    theme: str = ""

    @property
    def said(self) -> str:
        """What the assistant said."""
        return "\n".join(one["content"] for one in self.messages if one["role"] == "assistant")


def read_transcripts(source: str | Path) -> tuple[list[Transcript], list[str]]:
    """Transcripts of a file or a folder, and what was left out, in words.

    Args:
        source: A `.jsonl` file (one object with `messages` per line), a `.json` file (a list of such objects, or an
            Inspect log), an Inspect `.eval` file, or a folder of such files.

    Raises:
        CorpusError: No such place, no readable file, damaged JSON, or no transcript in which an assistant says
            something.
    """
    place = Path(source)
    if not place.exists():
        raise CorpusError(f"no such file or folder: {place}; name OpenAI messages (.jsonl, .json) or Inspect logs")
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.suffix in _SUFFIXES)
    if not files or (place.is_file() and place.suffix not in _SUFFIXES):
        raise CorpusError(f"{place} holds no {', '.join(_SUFFIXES)} file; nothing can be read")
    found, silent = [], 0
    for file in files:
        for number, row in enumerate(_rows(file)):
            one = transcript_of(row, f"{file.stem}-{number + 1}")
            if one is None or not one.said.strip():
                silent += 1
            else:
                found.append(one)
    if not found:
        raise CorpusError(
            f"{place}: none of {silent} rows is a conversation in which an assistant says something; expected objects "
            'with "messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]'
        )
    remarks = [f"{silent} rows without a word of an assistant were left out"] if silent else []
    return _distinct(found), remarks


def _distinct(found: Sequence[Transcript]) -> list[Transcript]:
    """Names that are given twice get a number."""
    seen: dict[str, int] = {}
    out = []
    for one in found:
        seen[one.id] = seen.get(one.id, 0) + 1
        name = one.id if seen[one.id] == 1 else f"{one.id} ({seen[one.id]})"
        out.append(Transcript(name, one.messages, one.expected, one.kind, one.theme))
    return out


def _rows(file: Path) -> Iterator[Any]:
    try:
        if file.suffix == ".eval":
            yield from _inspect(file)
        elif file.suffix == ".jsonl":
            with file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _parsed(line, f"{file}, line {number}")
        else:
            told = _parsed(file.read_text(encoding="utf-8"), str(file))
            samples = told.get("samples") if isinstance(told, dict) else told
            if isinstance(told, dict) and samples is None:
                samples = [told]
            yield from samples if isinstance(samples, list) else []
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile, NotImplementedError) as err:
        raise CorpusError(f"{file} cannot be read ({err}); save it again as JSON lines of messages") from err


def _inspect(file: Path) -> Iterator[Any]:
    """Samples of an Inspect log in its archive form."""
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("samples/") and name.endswith(".json"):
                yield _parsed(archive.read(name).decode("utf-8"), f"{file}, {name}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as err:
        raise CorpusError(f"{where} is no JSON ({err}); each line or file is one JSON value") from None


def transcript_of(row: Any, name: str, *, tools: bool = False) -> Transcript | None:
    """A transcript from one object; None where it holds no conversation.

    Args:
        row: An object with `messages`, or a list of messages.
        name: Its name where it brings none.
        tools: Keep tools as a role of their own, for a chat template that knows them.
    """
    messages = row.get("messages") if isinstance(row, Mapping) else row
    if not isinstance(messages, list):
        return None
    merged: list[dict[str, str]] = []
    for one in messages:
        if not isinstance(one, Mapping) or not isinstance(one.get("role"), str):
            continue
        text = _content(one.get("content"))
        said: str = one["role"]
        role = said if tools else _OTHERS.get(said, said)
        if not text.strip():
            continue
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += f"\n{text}"
        else:
            merged.append({"role": role, "content": text})
    about = row if isinstance(row, Mapping) else {}
    return Transcript(
        str(about.get("id", name)), tuple(merged), tuple(about.get("expected") or ()), str(about.get("kind") or ""),
        str(about.get("theme") or ""),
    )  # fmt: skip


def _content(content: Any) -> str:
    """The text of a message: a string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str))
