"""Labelled items: what every validation function knows about the texts besides their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped

from thymos.errors import CorpusError, UnknownConceptError, UsageError

__all__ = ["Items"]


@dataclass(frozen=True, eq=False)
class Items:
    """Concept and topic of each text, in the order of the rows they describe.

    Attributes:
        labels: Index of each text's concept in `concepts`.
        topics: Topic of each text, as numbers or names; splits never put one topic on both sides.
        concepts: Names of the concepts; the order of every direction matrix and score column.

    Raises:
        CorpusError: Fewer than two concepts, or a concept without texts.
        UsageError: A label that is no index of a concept, or a missing topic.
    """

    labels: Int[np.ndarray, " items"]
    topics: Shaped[np.ndarray, " items"]
    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.concepts) < 2:
            raise CorpusError(f"recall compares concepts, but {len(self.concepts)} was given; give at least 2")
        if not len(self.labels):
            raise CorpusError("there are no texts to validate with; extract with kept per-text means first")
        if self.labels.min() < 0 or self.labels.max() >= len(self.concepts):
            raise UsageError(
                f"labels run from {self.labels.min()} to {self.labels.max()}; valid values are 0 to "
                f"{len(self.concepts) - 1}, one per concept"
            )
        if self.topics.dtype.kind == "O" and any(topic is None for topic in self.topics):
            raise UsageError("some texts have no topic; give every text one, or leave those texts out")
        empty = [name for name, count in zip(self.concepts, self.counts, strict=True) if not count]
        if empty:
            raise CorpusError(
                f"{len(empty)} of {len(self.concepts)} concepts have no texts here, the first is {empty[0]!r}; "
                "give texts of it or leave the concept out"
            )

    @classmethod
    def of(cls, emotions: Sequence[str], topics: Sequence[str], concepts: Sequence[str] | None = None) -> "Items":
        """Build from names.

        Args:
            emotions: Concept of each text.
            topics: Topic of each text.
            concepts: Concepts in the order wanted; None: those of the texts, sorted.

        Raises:
            UsageError: Different lengths.
            UnknownConceptError: A text's concept is not in `concepts`.
        """
        if len(emotions) != len(topics):
            raise UsageError(f"{len(emotions)} emotions and {len(topics)} topics; give one of each per text")
        names = tuple(concepts) if concepts is not None else tuple(sorted(set(emotions)))
        index = {name: number for number, name in enumerate(names)}
        for emotion in emotions:
            if emotion not in index:
                raise UnknownConceptError.of(emotion, names, "the concepts given")
        return cls(np.asarray([index[name] for name in emotions], np.int64), np.asarray(topics), names)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def counts(self) -> Int[np.ndarray, " concepts"]:
        """Texts per concept."""
        return np.bincount(self.labels, minlength=len(self.concepts))

    @cached_property
    def topic_codes(self) -> Int[np.ndarray, " items"]:
        """Topics as integers from 0, in sorted order of the topics."""
        return np.unique(self.topics, return_inverse=True)[1].reshape(-1)
