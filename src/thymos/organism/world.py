"""The synthetic world behind the bundled model: emotions as points of appraisal space, and phrases that show them.

An emotion is a point in a space of twelve appraisals (goal congruence, arousal, certainty ...; after Smith & Ellsworth
1985, doi 10.1037/0022-3514.48.4.813). A phrase lies at the mean of the emotions that it fits, and is drawn with a
probability that falls with the distance between the two points, so that emotions share cues because they share causes.
"""

import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from thymos.errors import UnknownConceptError

__all__ = ["BANKS", "Phrase", "Pool", "World", "open_world"]

Pool = Literal["train", "test"]
"""Which phrases may be drawn: those of training, or those that no training document ever holds."""

BANKS = ("event", "body", "act", "thought", "speech", "mild", "topic_event")
"""Kinds of cue phrases. `mild` is the inner voice of the assistant; `topic_event` belongs to one topic."""

_WIDTH = 0.6
"""Distance in appraisal space at which a cue is e^-0.5 times as likely."""
_HOME, _MAIN = 1.4, 0.8
"""Log-odds in favour of the emotions that a phrase was written for, and of the first of them."""
_ADVERB_SHARPNESS = 4.0
_TEST_SHARE = 0.12
_REDRAWS = 8
_WEIGHTS = {"valence": 1.5, "arousal": 1.3}
"""Axes that count more in distances; every other axis counts 1."""


@dataclass(frozen=True)
class Phrase:
    """A cue.

    Attributes:
        bank: One of `BANKS`.
        text: With the placeholders {s} {o} {p} {r} for the subject's pronouns.
        homes: Emotions that it fits, the main one first.
        pool: "test" when no training document holds it.
        topic: The topic of a `topic_event`.
    """

    bank: str
    text: str
    homes: tuple[str, ...]
    pool: Pool = "train"
    topic: str | None = None


@dataclass(frozen=True)
class _Deck:
    """Phrases of one bank and pool, ready to be drawn."""

    phrases: tuple[Phrase, ...]
    cumulative: tuple[tuple[float, ...], ...]
    """Per emotion: running sums of probability."""

    def draw(self, emotion: int, rng: random.Random) -> Phrase:
        return rng.choices(self.phrases, cum_weights=self.cumulative[emotion])[0]


@dataclass(frozen=True, eq=False, repr=False)
class World:
    """Emotions, appraisals and phrases. Frozen: everything random takes its generator as an argument."""

    words: tuple[str, ...]
    dimensions: tuple[str, ...]
    points: Float[np.ndarray, "emotions appraisals"]
    phrases: tuple[Phrase, ...]
    adverbs: Mapping[str, Mapping[str, float | int]]
    adjectives: Mapping[str, Mapping[str, float | int]]
    topics: tuple[Mapping[str, Any], ...]
    material: Mapping[str, Any]
    """The neutral texts and the assistant's sentences, by file name."""
    digest: str
    """SHA-256 of the data files."""

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Row of each emotion."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def weights(self) -> Float[np.ndarray, " appraisals"]:
        """How much each axis counts in a distance."""
        return np.array([_WEIGHTS.get(name, 1.0) for name in self.dimensions])

    def row(self, emotion: str) -> int:
        """Row of an emotion.

        Raises:
            UnknownConceptError: Not one of the 171.
        """
        if emotion not in self.index:
            raise UnknownConceptError.of(emotion, self.words, "the 171 emotion concepts")
        return self.index[emotion]

    def point(self, emotion: str) -> Float[np.ndarray, " appraisals"]:
        """An emotion's appraisals."""
        return self.points[self.row(emotion)]

    def axis(self, dimension: str) -> Float[np.ndarray, " emotions"]:
        """One appraisal of every emotion, e.g. planted valence."""
        return self.points[:, self.dimensions.index(dimension)]

    def vector(self, sparse: Mapping[str, float | int]) -> Float[np.ndarray, " appraisals"]:
        """A sparse mapping of appraisals as a full vector."""
        return np.array([float(sparse.get(name, 0.0)) for name in self.dimensions])

    def kernel(self, point: Float[np.ndarray, " appraisals"], width: float) -> Float[np.ndarray, " emotions"]:
        """Probability of each emotion near a point: a normalised Gaussian of the weighted distance."""
        far = (((self.points - point) * self.weights) ** 2).sum(axis=1)
        near = np.exp(-(far - far.min()) / (2 * width**2))
        return near / near.sum()

    def near(
        self,
        point: Float[np.ndarray, " appraisals"],
        rng: random.Random,
        *,
        width: float = 0.5,
        banned: frozenset[str] = frozenset(),
    ) -> str:
        """An emotion near a point of appraisal space."""
        chances = self.kernel(point, width)
        for word in banned:
            chances[self.index[word]] = 0.0
        return rng.choices(self.words, weights=chances.tolist())[0]

    def draw(
        self, bank: str, emotion: str, rng: random.Random, pool: Pool = "train", used: set[str] | None = None
    ) -> Phrase:
        """A phrase of a bank that shows an emotion; one that was not used before, if that can be had in a few draws."""
        deck, row = self._decks[bank, pool], self.index[emotion]
        found = deck.draw(row, rng)
        if used is None:
            return found
        for _ in range(_REDRAWS):
            if found.text not in used:
                break
            found = deck.draw(row, rng)
        used.add(found.text)
        return found

    def topic_event(self, topic: Mapping[str, Any], emotion: str, rng: random.Random) -> str | None:
        """An event of the topic that the emotion is at home in, or None when the topic has none."""
        fitting = [event["text"] for event in topic["events"] if emotion in event["homes"]]
        return rng.choice(fitting) if fitting else None

    def adverb(self, emotion: str, rng: random.Random) -> str:
        """An adverb that colours what somebody in this emotion does."""
        return self._adverbs.draw(self.index[emotion], rng).text

    def adjective(self, emotion: str, rng: random.Random) -> str:
        """An adjective that colours things as somebody in this emotion sees them."""
        return self._adjectives.draw(self.index[emotion], rng).text

    def likelihood(self, bank: str, pool: Pool = "train") -> Float[np.ndarray, "emotions phrases"]:
        """P(phrase | emotion) of a bank: what the oracle knows."""
        sums = np.array(self._decks[bank, pool].cumulative)
        shares = np.diff(sums, axis=1, prepend=0.0)
        return shares / shares.sum(axis=1, keepdims=True)

    def deck(self, bank: str, pool: Pool = "train") -> tuple[Phrase, ...]:
        """The phrases of a bank, in the order of `likelihood`."""
        return self._decks[bank, pool].phrases

    def topics_of(self, pool: Pool) -> tuple[Mapping[str, Any], ...]:
        """Topics of training, or the ones that training never meets."""
        return tuple(topic for topic in self.topics if (topic["topic"] in self._held_topics) == (pool == "test"))

    @cached_property
    def _held_topics(self) -> frozenset[str]:
        """The topics whose words the other topics hold best, so that a held-out topic is new but readable."""
        words = {topic["topic"]: set(re.findall(r"[A-Za-z]+", json.dumps(topic).lower())) for topic in self.topics}
        held: list[str] = []
        while len(held) < len(self.topics) // 9:
            rest = {name: found for name, found in words.items() if name not in held}

            def unseen(name: str, rest: Mapping[str, set[str]] = rest) -> int:
                others = set().union(*(found for other, found in rest.items() if other != name))
                return sum(len(words[one] - others) for one in (*held, name))

            held.append(min(rest, key=unseen))
        return frozenset(held)

    @cached_property
    def _decks(self) -> Mapping[tuple[str, str], _Deck]:
        grouped: dict[tuple[str, str], list[Phrase]] = defaultdict(list)
        for phrase in self.phrases:
            grouped[phrase.bank, phrase.pool].append(phrase)
        return {key: self._deck(tuple(found)) for key, found in grouped.items()}

    def _deck(self, phrases: tuple[Phrase, ...]) -> _Deck:
        places = np.stack([self.points[[self.index[h] for h in p.homes]].mean(axis=0) for p in phrases])
        far = (((self.points[:, None] - places[None]) * self.weights) ** 2).sum(axis=-1)
        score = -far / (2 * _WIDTH**2)
        for column, phrase in enumerate(phrases):
            for place, home in enumerate(phrase.homes):
                score[self.index[home], column] += _HOME + (_MAIN if place == 0 else 0.0)
        # A phrase with many homes must not drown the ones written for one emotion alone.
        return _Deck(phrases, _running(np.exp(score - score.max(axis=1, keepdims=True))))

    @cached_property
    def _adverbs(self) -> _Deck:
        return self._tagged("adverb", self.adverbs)

    @cached_property
    def _adjectives(self) -> _Deck:
        return self._tagged("adjective", self.adjectives)

    def _tagged(self, bank: str, tags: Mapping[str, Mapping[str, float | int]]) -> _Deck:
        places = np.stack([self.vector(tag) for tag in tags.values()])
        lengths = np.linalg.norm(places * self.weights, axis=1, keepdims=True)
        score = _ADVERB_SHARPNESS * (self.points * self.weights) @ (places * self.weights / lengths).T
        return _Deck(tuple(Phrase(bank, word, ()) for word in tags), _running(np.exp(score)))


def _running(chances: Float[np.ndarray, "emotions phrases"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(accumulate(row)) for row in chances.tolist())


@lru_cache(maxsize=1)
def open_world() -> World:
    """The world that ships with thymos, read once."""
    folder = Path(str(files(__package__) / "data"))
    appraisals = json.loads((folder / "appraisals.json").read_text(encoding="utf-8"))
    topics = tuple(_lines(folder / "topics.jsonl"))
    raw = [row for path in sorted((folder / "phrases").glob("*.jsonl")) for row in _lines(path)]
    material = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "assistant.json",)} | {
        path.stem: tuple(_lines(path)) for path in sorted(folder.glob("*.jsonl")) if path.stem != "topics"
    }
    material["questions"] = tuple((folder / "questions.txt").read_text(encoding="utf-8").split("\n"))
    material["questions"] = tuple(line for line in material["questions"] if line)
    return World(
        words=tuple(appraisals["emotions"]),
        dimensions=tuple(appraisals["dimensions"]),
        points=np.array(list(appraisals["emotions"].values()), dtype=np.float64),
        phrases=_split(raw),
        adverbs=MappingProxyType(json.loads((folder / "adverbs.json").read_text(encoding="utf-8"))),
        adjectives=MappingProxyType(json.loads((folder / "adjectives.json").read_text(encoding="utf-8"))),
        topics=topics,
        material=MappingProxyType(material),
        digest=_digest(folder),
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _split(rows: Sequence[Mapping[str, Any]]) -> tuple[Phrase, ...]:
    """Hold out phrases whose every word occurs in phrases that stay: new sentences, no new words."""
    rows = [{**row, "text": re.sub(r"\bi\b", "I", row["text"])} for row in rows]
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        for word in set(re.findall(r"[A-Za-z]+", row["text"])):
            count[word] += 1
    order = sorted(range(len(rows)), key=lambda n: hashlib.sha256(rows[n]["text"].encode()).digest())
    held: set[int] = set()
    per_main: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        per_main[row["bank"], row["homes"][0]] += 1
    for number in order:
        row = rows[number]
        words, key = set(re.findall(r"[A-Za-z]+", row["text"])), (row["bank"], row["homes"][0])
        if len(held) >= _TEST_SHARE * len(rows):
            break
        if per_main[key] > 1 and all(count[word] > 1 for word in words):
            held.add(number)
            per_main[key] -= 1
            for word in words:
                count[word] -= 1
    return tuple(
        Phrase(row["bank"], row["text"], tuple(row["homes"]), "test" if number in held else "train")
        for number, row in enumerate(rows)
    )


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".jsonl", ".txt")):
        whole.update(path.relative_to(folder).as_posix().encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()
