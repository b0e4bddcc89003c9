"""The paper's 171 emotion concepts, and the one way to say which concepts are meant."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from thymos.concepts.files import load_concepts, parse_concepts
from thymos.concepts.vocabulary import Vocabulary
from thymos.errors import UnknownConceptError

PAD_SOURCE = (
    "Russell & Mehrabian 1977, doi 10.1016/0092-6566(77)90037-X; "
    "values from a secondary table, to be re-checked against print"
)
"""Source of the 45 pleasure-arousal-dominance norms; every row of the data carries it."""

EMOTIONS: Vocabulary = parse_concepts(
    (files(__package__) / "data" / "emotions.json").read_text(encoding="utf-8"), "json"
)
"""The 171 concepts in the order of Sofroniew et al. 2026.

The words and the ten k-means clusters are the paper's. Lemmas and synonyms are ours and were written for leak checks:
they hold word forms that give a concept away, not everything a thesaurus lists. The 45 norms are human ratings from
`PAD_SOURCE`; the other 126 words have none.
"""


def resolve(source: str | Path | Sequence[str] | Vocabulary | None) -> Vocabulary:
    """Turn whatever a user names concepts with into a vocabulary.

    Args:
        source: None or "emotions" for the 171; a vocabulary as it is; the path of a concept file; one word or several
            separated by commas ("calm, desperate"), or a sequence of words, all out of the 171.

    Raises:
        UnknownConceptError: A word is not one of the 171.
        UsageError: No words, a word twice, or a file that does not exist.
        CorpusError: A concept file is malformed.
    """
    if source is None or source == "emotions":
        return EMOTIONS
    if isinstance(source, Vocabulary):
        return source
    if isinstance(source, Path):
        return load_concepts(source)
    if isinstance(source, str):
        # No concept of the 171 has a dot or a slash in it, so anything that has one is meant as a path.
        if any(mark in source for mark in "./\\"):
            return load_concepts(source)
        source = [word.strip() for word in source.split(",") if word.strip()]
    for word in source:
        if word not in EMOTIONS:
            known = UnknownConceptError.of(word, EMOTIONS.words, "the 171 emotion concepts")
            raise UnknownConceptError(f"{known}; for concepts of your own give a concept file (.json, .yaml, .csv)")
    return EMOTIONS.subset(source)
