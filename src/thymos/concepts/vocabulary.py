"""What a concept is, and an ordered set of concepts."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from thymos.errors import CorpusError, UnknownConceptError, UsageError

_AXES = ("pleasure", "arousal", "dominance")


@dataclass(frozen=True)
class Norms:
    """Human ratings of one word: pleasure, arousal and dominance, each in [-1, 1].

    Attributes:
        pleasure: Unpleasant (-1) to pleasant (1); also called valence.
        arousal: Calm (-1) to activated (1).
        dominance: Controlled (-1) to in control (1).
        source: Where the numbers come from; a number without a source is refused.

    Raises:
        CorpusError: A value is not a finite number in [-1, 1], or the source is empty.
    """

    pleasure: float
    arousal: float
    dominance: float
    source: str

    def __post_init__(self) -> None:
        for axis in _AXES:
            value = getattr(self, axis)
            if not math.isfinite(value) or not -1.0 <= value <= 1.0:
                raise CorpusError(
                    f"norms: {axis} is {value}; valid values are numbers from -1 to 1; rescale other rating scales"
                )
        if not self.source.strip():
            raise CorpusError("norms: source is empty; name the study the ratings come from")


@dataclass(frozen=True)
class Concept:
    """One concept and everything known about its word.

    Attributes:
        word: The name of the concept, as vectors and readings show it.
        lemmas: Inflections and derived forms of the word (angry: anger, angrily, angrier).
        synonyms: Direct synonyms with their inflections; a story about the concept must not use them.
        cluster: Name of the group the concept belongs to, if any.
        norms: Human ratings of the word, if any.
        prompts: A user's own scenario prompts for the concept.

    Raises:
        CorpusError: The word or one of its forms is empty or has blanks at its ends.
    """

    word: str
    lemmas: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    cluster: str | None = None
    norms: Norms | None = None
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in (("word", (self.word,)), ("lemmas", self.lemmas), ("synonyms", self.synonyms)):
            for value in values:
                if not value or value != value.strip():
                    raise CorpusError(f"{name}: {value!r} is empty or has blanks at its ends; write the bare word")

    @property
    def forms(self) -> tuple[str, ...]:
        """The word, its lemmas and its synonyms, each once: what a text about the concept must not contain."""
        return tuple(dict.fromkeys((self.word, *self.lemmas, *self.synonyms)))

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of concepts; the order is the row order of every vector set made from it.

    Raises:
        CorpusError: The vocabulary is empty, or a word is there twice (letter case is ignored).
    """

    concepts: tuple[Concept, ...]

    def __post_init__(self) -> None:
        if not self.concepts:
            raise CorpusError("the vocabulary is empty; give at least one concept")
        seen: set[str] = set()
        for concept in self.concepts:
            key = concept.word.casefold()
            if key in seen:
                raise CorpusError(f"concept {concept.word!r} is there twice; every concept must be there once")
            seen.add(key)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words in order."""
        return tuple(concept.word for concept in self.concepts)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {word: position for position, word in enumerate(self.words)}

    @cached_property
    def clusters(self) -> dict[str, tuple[str, ...]]:
        """Words per cluster, clusters in the order of their first word; concepts without a cluster are left out."""
        found: dict[str, list[str]] = {}
        for concept in self.concepts:
            if concept.cluster is not None:
                found.setdefault(concept.cluster, []).append(concept.word)
        return {name: tuple(words) for name, words in found.items()}

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __contains__(self, word: object) -> bool:
        return word in self._positions

    def __getitem__(self, word: str) -> Concept:
        return self.concepts[self.index(word)]

    def index(self, word: str) -> int:
        """Position of a word, counted from 0.

        Raises:
            UnknownConceptError: The word is not in the vocabulary; the message names the nearest words.
        """
        try:
            return self._positions[word]
        except KeyError:
            raise UnknownConceptError.of(word, self.words, "this vocabulary") from None

    def with_norms(self) -> tuple[Concept, ...]:
        """The concepts that have human ratings, in order."""
        return tuple(concept for concept in self.concepts if concept.norms is not None)

    def subset(self, words: Iterable[str]) -> "Vocabulary":
        """The named concepts, in the order they are named.

        Raises:
            UnknownConceptError: A word is not in the vocabulary.
            UsageError: No word is named, or one is named twice.
        """
        chosen = (words,) if isinstance(words, str) else tuple(words)
        if not chosen:
            raise UsageError(
                f"no concepts were named; name at least one of the {len(self)} known, e.g. {self.words[0]!r}"
            )
        twice = next((word for position, word in enumerate(chosen) if word in chosen[:position]), None)
        if twice is not None:
            raise UsageError(f"concept {twice!r} is named twice; name every concept once")
        return Vocabulary(tuple(self[word] for word in chosen))

    def extend(self, other: "Vocabulary") -> "Vocabulary":
        """These concepts followed by those of another vocabulary.

        Raises:
            CorpusError: A word is in both.
        """
        return Vocabulary(self.concepts + other.concepts)
