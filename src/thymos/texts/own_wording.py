"""Models that bring their own wording: `thymos.json` beside the weights.

A model trained on a small world of its own does not understand the requests, topics and neutral texts that ship with
thymos. Its folder may therefore hold what it does understand:

    {"story_requests": ["Write a story about {topic} in which someone feels {emotion}."],
     "topics": ["a lost dog"], "neutral": "neutral.jsonl", "first_token": 50, "steered_layer": 3, "texts": [],
     "note": "..."}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thymos.errors import CorpusError, UsageError
from thymos.models import Host, Message
from thymos.texts.io import Corpus, open_corpus
from thymos.texts.shipped import neutral_dialogues, topics

__all__ = ["OwnWording", "asked_for_emotion", "check_requests", "neutral_for", "own_wording", "topics_for"]

FILE = "thymos.json"
_LISTS = ("story_requests", "topics", "texts")
_KNOWN = (*_LISTS, "neutral", "first_token", "steered_layer", "note")
_PLACES = ("{topic}", "{emotion}")


@dataclass(frozen=True)
class OwnWording:
    """What a model brings; an empty field means that the shipped texts are used."""

    story_requests: tuple[str, ...] = ()
    """Requests for one story, with the placeholders {topic} and {emotion}; they take turns."""
    topics: tuple[str, ...] = ()
    """Situations that the model knows."""
    texts: tuple[str, ...] = ()
    """Examples to read."""
    neutral: Path | None = None
    """File of neutral texts."""
    first_token: int | None = None
    """First token of its stories that is used, counted from 1."""
    steered_layer: int | None = None
    """Layer at which its decisions are steered best, on points kept for that choice."""
    note: str = ""
    """What a user should know about the model."""


def own_wording(model: Host | Path) -> OwnWording | None:
    """What a model brings in `thymos.json`; None where it brings nothing.

    Args:
        model: A loaded model, or its folder. Models that are not in a local folder bring nothing.

    Raises:
        CorpusError: The file is damaged, holds unknown keys, or names a file that is not there.
    """
    folder = model.folder if isinstance(model, Host) else model
    if folder is None or not (folder / FILE).is_file():
        return None
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise CorpusError(f"{path} cannot be read as JSON ({err}); write it again, or remove it") from None
    if not isinstance(found, dict):
        raise CorpusError(f"{path} holds {type(found).__name__}, not an object; see thymos.texts.own_wording")
    unknown = [key for key in found if key not in _KNOWN]
    if unknown:
        raise CorpusError(f"{path} holds the unknown key {unknown[0]!r}; valid: {', '.join(_KNOWN)}")
    lists = {key: _strings(path, found, key) for key in _LISTS}
    if lists["story_requests"]:
        check_requests(lists["story_requests"], str(path))
    return OwnWording(
        **lists,
        neutral=_neutral(path, found),
        first_token=_whole(path, found, "first_token", 1),
        steered_layer=_whole(path, found, "steered_layer", 0),
        note=str(found.get("note", "")),
    )


def _strings(path: Path, found: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = found.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise CorpusError(f"{path}: {key!r} must be a list of texts, got {value!r:.60}")
    if len(set(value)) < len(value):
        raise CorpusError(f"{path}: {key!r} holds an entry twice; leave every one in once")
    return tuple(value)


def _neutral(path: Path, found: Mapping[str, Any]) -> Path | None:
    name = found.get("neutral")
    if name is None:
        return None
    # A plain name: a model folder from elsewhere must not point at other files of the machine.
    if not isinstance(name, str) or Path(name).name != name:
        raise CorpusError(f"{path}: 'neutral' must be the name of a file in the same folder, got {name!r}")
    file = path.with_name(name)
    if not file.is_file():
        raise CorpusError(f"{path} names the neutral texts {name!r}, but there is no {file}; add the file")
    return file


def _whole(path: Path, found: Mapping[str, Any], key: str, least: int) -> int | None:
    value = found.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise CorpusError(f"{path}: {key!r} must be a whole number from {least} on, got {value!r}")
    return value


def check_requests(requests: Sequence[str], where: str) -> None:
    """Raise unless every request has both placeholders.

    Raises:
        UsageError: A request without {topic} or {emotion}.
    """
    for request in requests:
        missing = [place for place in _PLACES if place not in request]
        if missing:
            raise UsageError(
                f"{where}: the story request {request!r} lacks {' and '.join(missing)}; write for example 'Write a "
                "story about {topic} in which someone feels {emotion}.'"
            )


def asked_for_emotion(requests: Sequence[str], emotion: str, topic: str, variant: int) -> list[Message]:
    """The request for one story, in a model's own wording; several requests take turns by `variant`."""
    asked = requests[variant % len(requests)]
    return [{"role": "user", "content": asked.replace("{topic}", topic).replace("{emotion}", emotion)}]


def topics_for(model: Host | None, count: int | None = None) -> tuple[str, ...]:
    """Topics that stories of a model are written about: its own, or the shipped ones.

    Args:
        model: The model; None for the shipped topics.
        count: How many, from the first on; None takes all.

    Raises:
        UsageError: There are not so many.
    """
    own = own_wording(model) if model is not None else None
    known = own.topics if own is not None and own.topics else topics()
    if count is not None and not 1 <= count <= len(known):
        raise UsageError(f"topics={count}; valid: 1 to {len(known)}")
    return known[:count]


def neutral_for(model: Host) -> Corpus:
    """Neutral texts that suit a model: those it brings, or the shipped dialogues."""
    own = own_wording(model)
    return open_corpus(own.neutral if own is not None and own.neutral is not None else neutral_dialogues())
