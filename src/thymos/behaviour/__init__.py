"""Behaviour: exact and sampled decisions, dose curves, nulls of random directions, and what a dose costs."""

from thymos.behaviour.curve import BeyondRandom, DoseCurve
from thymos.behaviour.decisions import Decisions, score_decisions
from thymos.behaviour.doses import dose_curve, dose_curves
from thymos.behaviour.panel import coherence, perplexity, repetition
from thymos.behaviour.points import DecisionPoint, Options, decision_point, tokens_at
from thymos.behaviour.sampled import OTHER, OptionMatcher, Sampled, match_options, sample_decisions
from thymos.behaviour.scan import effects, scan_directions

__all__ = [
    "OTHER",
    "BeyondRandom",
    "DecisionPoint",
    "Decisions",
    "DoseCurve",
    "OptionMatcher",
    "Options",
    "Sampled",
    "coherence",
    "decision_point",
    "dose_curve",
    "dose_curves",
    "effects",
    "match_options",
    "perplexity",
    "repetition",
    "sample_decisions",
    "scan_directions",
    "score_decisions",
    "tokens_at",
]
