"""The 171 emotion concepts, their clusters and human norms, and a user's own concepts in the same form."""

from thymos.concepts.emotions import EMOTIONS, PAD_SOURCE, resolve
from thymos.concepts.files import load_concepts, parse_concepts
from thymos.concepts.vocabulary import Concept, Norms, Vocabulary

__all__ = ["EMOTIONS", "PAD_SOURCE", "Concept", "Norms", "Vocabulary", "load_concepts", "parse_concepts", "resolve"]
