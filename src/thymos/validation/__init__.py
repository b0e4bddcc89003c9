"""Validation: held-out recall against chance and lexical baselines, layer sweep, stability, logit lens."""

from thymos.validation.baselines import (
    LexicalSettings,
    better_of,
    length_baseline,
    lexical_centroid,
    lexical_logistic,
)
from thymos.validation.estimators import Estimator, logistic_probe, mean_difference
from thymos.validation.items import Items
from thymos.validation.logit_lens import LensEntry, LogitLens, OwnToken, TokenLogit, logit_lens, single_tokens
from thymos.validation.quality import Figure, Quality, quality_of
from thymos.validation.recall import (
    Recall,
    RecallSettings,
    held_out_recall,
    held_out_scores,
    paired_difference,
    recall_of_scores,
    refit_permutation,
)
from thymos.validation.splits import Fold, development_split, fold_numbers, topic_folds
from thymos.validation.stability import Stability, StabilitySettings, stability
from thymos.validation.suite import Validation, ValidationSettings, validate_vectors
from thymos.validation.sweep import LayerSweep, SweepSettings, layer_sweep

__all__ = [
    "Estimator",
    "Figure",
    "Fold",
    "Items",
    "LayerSweep",
    "LensEntry",
    "LexicalSettings",
    "LogitLens",
    "OwnToken",
    "Quality",
    "Recall",
    "RecallSettings",
    "Stability",
    "StabilitySettings",
    "SweepSettings",
    "TokenLogit",
    "Validation",
    "ValidationSettings",
    "better_of",
    "development_split",
    "fold_numbers",
    "held_out_recall",
    "held_out_scores",
    "layer_sweep",
    "length_baseline",
    "lexical_centroid",
    "lexical_logistic",
    "logistic_probe",
    "logit_lens",
    "mean_difference",
    "paired_difference",
    "quality_of",
    "recall_of_scores",
    "refit_permutation",
    "single_tokens",
    "stability",
    "topic_folds",
    "validate_vectors",
]
