"""Do the texts give the concept away in words? Leaks, lengths, repeated openings, duplicates."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal
from zlib import crc32

import numpy as np
import pandas as pd
from rich.table import Table

from thymos.concepts import EMOTIONS, Vocabulary
from thymos.texts.text import Rejection, Text
from thymos.texts.wording import leaks

__all__ = ["LeakReport", "Lengths", "Offence", "audit", "reject"]

MOST_EXAMPLES = 1000
"""Offending rows that a report lists; the counts are of all of them."""
IMBALANCE = 0.15
"""A concept whose mean length is further than this share from the mean of all concepts is flagged."""
OPENING_WORDS = 5


@dataclass(frozen=True)
class Lengths:
    """Lengths in words of the texts of one concept."""

    texts: int
    mean: float
    sd: float
    shortest: int
    longest: int


@dataclass(frozen=True)
class Offence:
    """A row with a problem."""

    row: int
    """Position in the corpus, counted from 0."""
    emotion: str | None
    problem: Literal["leak", "opening", "duplicate", "near-duplicate"]
    detail: str


@dataclass(frozen=True)
class LeakReport:
    """What an audit found. Rates are of all texts, not of a sample.

    Attributes:
        texts: Number of texts.
        labelled: Texts with a concept; only these can leak.
        leaking: Texts with at least one leak, per concept.
        kinds: Texts per kind of leak, the worst kind of each text ("word" before "lemma" before "synonym").
        forms: Places per leaked form, over all concepts.
        lengths: Word counts per concept.
        imbalanced: Concepts whose mean length is more than 15% off the mean over concepts: length is then readable
            from their vectors.
        repeated_openings: Texts that begin with the same five words as an earlier one.
        duplicates: Texts that say exactly what an earlier one says.
        near_duplicates: Texts whose three-word phrases are for the most part (estimated Jaccard similarity 0.6 or
            more) those of an earlier one, exact duplicates not counted.
        offences: The first thousand problems, with their rows.
    """

    texts: int
    labelled: int
    leaking: Counter[str]
    kinds: Counter[str]
    forms: Counter[str]
    lengths: dict[str, Lengths]
    imbalanced: tuple[str, ...]
    repeated_openings: int
    duplicates: int
    near_duplicates: int
    offences: tuple[Offence, ...]

    @property
    def leak_rate(self) -> float:
        """Share of the labelled texts that leak; 0.0 when none is labelled."""
        return self.leaking.total() / self.labelled if self.labelled else 0.0

    @property
    def length_spread(self) -> float:
        """(longest - shortest concept mean) / mean over concepts; 0.0 when none is labelled."""
        means = [lengths.mean for lengths in self.lengths.values()]
        return (max(means) - min(means)) / (sum(means) / len(means)) if means else 0.0

    def to_frame(self) -> pd.DataFrame:
        """One row per concept: texts, leaking, leak_rate, words_mean, words_sd, words_min, words_max, imbalanced."""
        rows = [
            {
                "concept": word,
                "texts": lengths.texts,
                "leaking": self.leaking[word],
                "leak_rate": self.leaking[word] / lengths.texts,
                "words_mean": lengths.mean,
                "words_sd": lengths.sd,
                "words_min": lengths.shortest,
                "words_max": lengths.longest,
                "imbalanced": word in self.imbalanced,
            }
            for word, lengths in self.lengths.items()
        ]
        columns = "concept texts leaking leak_rate words_mean words_sd words_min words_max imbalanced".split()
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        return (
            f"{self.texts} texts: {self.leaking.total()} of {self.labelled} labelled ones leak ({self.leak_rate:.1%}), "
            f"{self.repeated_openings} repeated openings, {self.duplicates} duplicates, {self.near_duplicates} "
            f"near-duplicates, {len(self.imbalanced)} of {len(self.lengths)} concepts off in length "
            f"(spread {self.length_spread:.0%})"
        )

    def __rich__(self) -> Table:
        table = Table("concept", "texts", "leaking", "rate", "words", title=str(self), title_justify="left")
        worst = sorted(self.lengths, key=lambda word: (-self.leaking[word] / self.lengths[word].texts, word))
        for word in worst[:20]:
            lengths = self.lengths[word]
            rate = f"{self.leaking[word] / lengths.texts:.1%}"
            mark = " (!)" if word in self.imbalanced else ""
            table.add_row(word, str(lengths.texts), str(self.leaking[word]), rate, f"{lengths.mean:.0f}{mark}")
        return table


class _Sketches:
    """Finds earlier texts with mostly the same three-word phrases: MinHash by one permutation, with banding.

    Memory is about 50 bytes a text; the texts themselves are not kept.
    """

    BINS, BAND, ENOUGH = 8, 2, 5

    def __init__(self) -> None:
        self.kept = array("I")
        self.bands: dict[int, int] = {}

    def earlier(self, words: list[str]) -> int | None:
        """Row of an earlier text that is nearly the same, or None; then this one is remembered."""
        phrases = {crc32(" ".join(words[i : i + 3]).encode()) for i in range(len(words) - 2)}
        row = len(self.kept) // self.BINS
        sketch = [0xFFFFFFFF] * self.BINS
        for value in phrases:
            place = value % self.BINS
            sketch[place] = min(sketch[place], value)
        found = None
        for band in range(0, self.BINS, self.BAND):
            part = tuple(sketch[band : band + self.BAND])
            # An empty bin says nothing: short texts have many.
            if 0xFFFFFFFF in part:
                continue
            other = self.bands.setdefault(hash((band, part)), row)
            if found is None and other != row and self._alike(sketch, other):
                found = other
        self.kept.extend(sketch)
        return found

    def _alike(self, sketch: list[int], other: int) -> bool:
        past = self.kept[other * self.BINS : (other + 1) * self.BINS]
        return sum(a == b != 0xFFFFFFFF for a, b in zip(sketch, past, strict=True)) >= self.ENOUGH


class _Audit:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.rows = 0
        self.labelled: Counter[str] = Counter()
        self.leaking: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.forms: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.words: dict[str, array[int]] = {}
        self.openings: dict[bytes, int] = {}
        self.exact: dict[bytes, int] = {}
        self.sketches = _Sketches()
        self.offences: list[Offence] = []

    def add(self, text: Text) -> Offence | None:
        """Take in one text; returns its first problem other than a repeated opening."""
        row, words = self.rows, _words(text.text)
        self.rows += 1
        found: list[Offence | None] = [self._leak(row, text, len(words))]
        same = self.exact.setdefault(_digest(words), row)
        near = self.sketches.earlier(words)
        if same != row:
            found.append(Offence(row, text.emotion, "duplicate", f"of row {same}"))
        elif near is not None:
            found.append(Offence(row, text.emotion, "near-duplicate", f"of row {near}"))
        start = words[:OPENING_WORDS]
        first = self.openings.setdefault(_digest(start), row)
        opening = (
            Offence(row, text.emotion, "opening", f"{' '.join(start)!r}, as row {first}") if first != row else None
        )
        for offence in [*found, opening]:
            if offence is not None:
                self.problems[offence.problem] += 1
                if len(self.offences) < MOST_EXAMPLES:
                    self.offences.append(offence)
        return next((offence for offence in found if offence is not None), None)

    def _leak(self, row: int, text: Text, words: int) -> Offence | None:
        if text.emotion is None:
            return None
        places = leaks(text.text, self.vocabulary[text.emotion])
        self.labelled[text.emotion] += 1
        self.words.setdefault(text.emotion, array("I")).append(words)
        if not places:
            return None
        self.leaking[text.emotion] += 1
        self.kinds[min((p.kind for p in places), key=("word", "lemma", "synonym").index)] += 1
        self.forms.update(place.form for place in places)
        named = dict.fromkeys(f"{place.form!r} ({place.kind})" for place in places)
        return Offence(row, text.emotion, "leak", ", ".join(named))

    def report(self) -> LeakReport:
        order = [word for word in self.vocabulary.words if word in self.words]
        lengths = {word: _lengths(np.frombuffer(self.words[word], np.uint32)) for word in order}
        middle = sum(each.mean for each in lengths.values()) / max(len(lengths), 1)
        return LeakReport(
            texts=self.rows,
            labelled=self.labelled.total(),
            leaking=self.leaking,
            kinds=self.kinds,
            forms=self.forms,
            lengths=lengths,
            imbalanced=tuple(word for word in order if abs(lengths[word].mean - middle) > IMBALANCE * middle),
            repeated_openings=self.problems["opening"],
            duplicates=self.problems["duplicate"],
            near_duplicates=self.problems["near-duplicate"],
            offences=tuple(self.offences),
        )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())


def _digest(words: list[str]) -> bytes:
    return blake2b(" ".join(words).encode(), digest_size=12).digest()


def _lengths(words: np.ndarray) -> Lengths:
    return Lengths(len(words), float(words.mean()), float(words.std()), int(words.min()), int(words.max()))


def audit(texts: Iterable[Text], vocabulary: Vocabulary = EMOTIONS) -> LeakReport:
    """Read a corpus once and report leaks, lengths, openings and duplicates.

    Args:
        texts: E.g. a `Corpus`.
        vocabulary: Where the texts' concepts are looked up.

    Raises:
        UnknownConceptError: A text has a concept that the vocabulary does not know.
    """
    state = _Audit(vocabulary)
    for text in texts:
        state.add(text)
    return state.report()


def reject(texts: Iterable[Text], vocabulary: Vocabulary = EMOTIONS) -> tuple[tuple[Text, ...], tuple[Rejection, ...]]:
    """Split texts into those to keep, and those that leak or repeat an earlier one.

    Repeated openings are reported by `audit` but not rejected.

    Args:
        texts: The texts; what is kept is held in memory.
        vocabulary: Where the texts' concepts are looked up.

    Raises:
        UnknownConceptError: A text has a concept that the vocabulary does not know.
    """
    state = _Audit(vocabulary)
    kept: list[Text] = []
    rejected: list[Rejection] = []
    for text in texts:
        offence = state.add(text)
        if offence is None:
            kept.append(text)
        else:
            rejected.append(Rejection(text, "leak" if offence.problem == "leak" else "duplicate", offence.detail))
    return tuple(kept), tuple(rejected)
