"""Steering: strength in residual-norm units, ablation, capping, and what a dose costs."""

from thymos.steering.apply import Dose, ablation, capping, ceiling, dose_of, interventions, steer
from thymos.steering.planner import DosePlan, DosePoint, perplexity, plan_dose, repetition

__all__ = [
    "Dose",
    "DosePlan",
    "DosePoint",
    "ablation",
    "capping",
    "ceiling",
    "dose_of",
    "interventions",
    "perplexity",
    "plan_dose",
    "repetition",
    "steer",
]
