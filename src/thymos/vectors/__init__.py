"""Emotion vectors: streaming moments, estimators, denoising, the artifact, the algebra."""

from thymos.vectors.build import BuildSettings, build_vectors, model_card, unit_rows, versions
from thymos.vectors.card import SCHEMA_VERSION, Card, CorpusCard, DenoiseCard, ModelCard, parse_card
from thymos.vectors.checkpoint import Collected
from thymos.vectors.concept_vector import ConceptVector
from thymos.vectors.denoise import NeutralComponents, neutral_components, remove
from thymos.vectors.emotion_vectors import EmotionVectors, LayerVectors
from thymos.vectors.estimators import DifferenceOfMeans, Estimator, LayerData, LogisticProbes, TextRows
from thymos.vectors.extraction import Progress, Watch, collect, merge
from thymos.vectors.moments import ConceptMoments, RowMoments
from thymos.vectors.plan import ExtractionSettings, Tally, concepts_in, scatter_bytes, sketch_size
from thymos.vectors.spool import KeptText, Spool, TextMeans
from thymos.vectors.watching import WatchingWriter
from thymos.vectors.while_generating import (
    WritingJob,
    agreement_with_rereading,
    collect_while_generating,
    with_agreement,
)

__all__ = [
    "SCHEMA_VERSION",
    "BuildSettings",
    "Card",
    "Collected",
    "ConceptMoments",
    "ConceptVector",
    "CorpusCard",
    "DenoiseCard",
    "DifferenceOfMeans",
    "EmotionVectors",
    "Estimator",
    "ExtractionSettings",
    "KeptText",
    "LayerData",
    "LayerVectors",
    "LogisticProbes",
    "ModelCard",
    "NeutralComponents",
    "Progress",
    "RowMoments",
    "Spool",
    "Tally",
    "TextMeans",
    "TextRows",
    "Watch",
    "WatchingWriter",
    "WritingJob",
    "agreement_with_rereading",
    "build_vectors",
    "collect",
    "collect_while_generating",
    "concepts_in",
    "merge",
    "model_card",
    "neutral_components",
    "parse_card",
    "remove",
    "scatter_bytes",
    "sketch_size",
    "unit_rows",
    "versions",
    "with_agreement",
]
