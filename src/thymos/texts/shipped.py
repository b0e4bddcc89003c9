"""Texts that ship with thymos, all written for it: topics, batteries, dialogues, messages, numeric templates."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from thymos import bundled
from thymos.errors import CorpusError
from thymos.texts.io import IN_MEMORY, Corpus, open_corpus
from thymos.texts.text import Text

__all__ = [
    "NumericTemplate",
    "Vignette",
    "battery",
    "battery_texts",
    "implicit_messages",
    "named_if_shipped",
    "neutral_dialogues",
    "numeric_templates",
    "topics",
    "twins",
]


@dataclass(frozen=True)
class Vignette:
    """A short story that shows a concept without its words, and a twin without the concept.

    Attributes:
        id: Stable name.
        text: 90-150 words.
        neutral: The twin: the same people, place and length, nothing of the concept.
        emotion: The concept.
        topic: One of the twelve settings of the battery; each concept has one vignette per setting.
        person: Narrated in the first or third person.
    """

    id: str
    text: str
    neutral: str
    emotion: str
    topic: str
    person: str


@dataclass(frozen=True)
class NumericTemplate:
    """A message whose number decides how grave it is, and a control in which the same number does not matter.

    After Sofroniew et al. 2026, numeric intensity; wording and controls are ours.

    Attributes:
        id: Stable name.
        quantity: What the number counts.
        unit: Its unit.
        values: Numbers in rising order.
        expected: Concept -> "up" or "down" with the number.
        paraphrases: Three messages with the placeholder {X}.
        control: What the control is about.
        control_paraphrases: Three messages of the same shape in which the number does not matter.
    """

    id: str
    quantity: str
    unit: str
    values: tuple[int, ...]
    expected: Mapping[str, Literal["up", "down"]]
    paraphrases: tuple[str, ...]
    control: str
    control_paraphrases: tuple[str, ...]

    def fill(self, value: int, paraphrase: int = 0, *, control: bool = False) -> str:
        """The message with a number in it."""
        return (self.control_paraphrases if control else self.paraphrases)[paraphrase].replace("{X}", str(value))


def _json(name: str) -> Any:
    return json.loads(bundled.stimuli_path(name).read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def topics() -> tuple[str, ...]:
    """The 100 everyday situations that stories and dialogues are written about."""
    return tuple(_json("topics.json"))


@lru_cache(maxsize=1)
def _battery_rows() -> tuple[Text, ...]:
    return tuple(open_corpus(bundled.stimuli_path("battery.jsonl")))


@lru_cache(maxsize=1)
def battery() -> tuple[Vignette, ...]:
    """The battery: 12 settings x 24 concepts, each vignette with its twin.

    Raises:
        CorpusError: A vignette without a twin: the installation is damaged.
    """
    pairs = {text.extra["id"]: text for text in _battery_rows()}
    found = []
    for text in _battery_rows():
        if text.extra["kind"] != "vignette":
            continue
        twin = pairs.get(text.extra["twin"])
        if twin is None or text.emotion is None or text.topic is None:
            raise CorpusError(f"vignette {text.extra['id']!r} lacks its twin, emotion or topic; install thymos again")
        found.append(Vignette(text.extra["id"], text.text, twin.text, text.emotion, text.topic, text.extra["person"]))
    return tuple(found)


def battery_texts() -> tuple[Text, ...]:
    """The vignettes of the battery as texts, in the order of `battery`."""
    return tuple(text for text in _battery_rows() if text.extra["kind"] == "vignette")


def named_if_shipped(corpus: Corpus) -> Corpus:
    """A corpus held in memory under the name of the shipped set that all its texts come from; any other as it is."""
    if corpus.name != IN_MEMORY:
        return corpus
    for name, texts in (
        ("the shipped battery", battery_texts()),
        ("the neutral twins of the shipped battery", twins()),
        ("the shipped neutral dialogues", neutral_dialogues()),
    ):
        known = {(text.text, text.emotion) for text in texts}
        if all((text.text, text.emotion) in known for text in corpus):
            part = "" if corpus.count == len(texts) else f", {corpus.count} of its {len(texts)} texts"
            return replace(corpus, name=f"{name}{part}")
    return corpus


def twins() -> tuple[Text, ...]:
    """The twins as texts, in the order of `battery`.

    Their `emotion` is None: the concept is not in them. `extra["of"]` is the vignette's concept, and `extra["twin"]`
    its id.
    """
    rows = {text.extra["id"]: text for text in _battery_rows()}
    found = []
    for vignette in battery_texts():
        twin = rows[vignette.extra["twin"]]
        found.append(Text(twin.text, None, twin.topic, twin.source, {**twin.extra, "of": vignette.emotion}))
    return tuple(found)


@lru_cache(maxsize=1)
def neutral_dialogues() -> tuple[Text, ...]:
    """At least 200 matter-of-fact Human/Assistant dialogues.

    `extra["system"]` says whether one starts with a system turn.
    """
    return tuple(open_corpus(bundled.stimuli_path("neutral_dialogues.jsonl")))


@lru_cache(maxsize=1)
def implicit_messages() -> tuple[Text, ...]:
    """Ten user messages for each of twelve concepts that imply the concept without naming it.

    After Sofroniew et al. 2026, implicit scenarios, which has one per concept; the wording is ours.
    """
    return tuple(open_corpus(bundled.stimuli_path("implicit_messages.jsonl")))


@lru_cache(maxsize=1)
def numeric_templates() -> tuple[NumericTemplate, ...]:
    """Six numeric templates with three paraphrases and a control each."""
    return tuple(
        NumericTemplate(
            id=row["id"],
            quantity=row["quantity"],
            unit=row["unit"],
            values=tuple(row["values"]),
            expected=MappingProxyType(dict(row["expected"])),
            paraphrases=tuple(row["paraphrases"]),
            control=row["control"],
            control_paraphrases=tuple(row["control_paraphrases"]),
        )
        for row in _json("numeric_templates.json")
    )
