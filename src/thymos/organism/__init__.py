"""Making and scoring the bundled model: world, corpus, training, scorecard."""

from thymos.organism.corpus import KINDS, MIXTURES, Mixture, documents, write_world
from thymos.organism.documents import Decision, Document, Span, Turn
from thymos.organism.stimuli import Point, decision_points, held_out_stories
from thymos.organism.tokenizer import build_tokenizer
from thymos.organism.training import PRESETS, Preset, TrainingStep, train
from thymos.organism.world import World, open_world

__all__ = [
    "KINDS",
    "MIXTURES",
    "PRESETS",
    "Decision",
    "Document",
    "Mixture",
    "Point",
    "Preset",
    "Span",
    "TrainingStep",
    "Turn",
    "World",
    "build_tokenizer",
    "decision_points",
    "documents",
    "held_out_stories",
    "open_world",
    "train",
    "write_world",
]
