"""The quality figures of a vector set, in the form its card stores them."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thymos.stats import Interval, bootstrap
from thymos.validation.recall import Recall, paired_difference
from thymos.validation.stability import Stability
from thymos.validation.sweep import LayerSweep

__all__ = ["Figure", "Quality", "quality_of"]


@dataclass(frozen=True)
class Figure:
    """One quality figure.

    Attributes:
        value: The estimate.
        low: Lower end of its interval.
        high: Upper end of its interval.
        n: Items behind it (texts, or concepts for stability).
        level: Confidence level.
        chance: What guessing would give, where that is defined.
        p: Permutation p-value, where there is one.
        p_by: Whether the reader was fitted anew for every permutation; see `Recall`.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95
    chance: float | None = None
    p: float | None = None
    p_by: str | None = None

    @classmethod
    def of(
        cls, interval: Interval, *, chance: float | None = None, p: float | None = None, p_by: str | None = None
    ) -> "Figure":
        """From an interval; a p-value that was not computed (NaN) is left out."""
        known = None if p is None or math.isnan(p) else p
        by = p_by if known is not None else None
        return cls(interval.estimate, interval.low, interval.high, interval.n, interval.level, chance, known, by)

    @classmethod
    def of_top1(cls, recall: Recall) -> "Figure":
        """Top-1 recall with its chance and p."""
        return cls.of(recall.top1, chance=recall.chance[1], p=recall.p, p_by=recall.p_by)

    def __str__(self) -> str:
        extra = "" if self.chance is None else f", chance {self.chance:.3f}"
        extra += "" if self.p is None else f", p={self.p:.2g}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n}{extra})"


@dataclass(frozen=True)
class Quality:
    """Quality of a vector set at one layer.

    Attributes:
        layer: The layer the figures are about.
        concepts: Number of concepts.
        folds: Topic folds behind the held-out figures.
        figures: Name -> figure.
        baseline: Name of the strongest baseline that was compared with, if any.
    """

    layer: int
    concepts: int
    folds: int
    figures: dict[str, Figure]
    baseline: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for `card.json`; figures that have no chance or p leave them out."""
        figures = {
            name: {key: value for key, value in asdict(figure).items() if value is not None}
            for name, figure in self.figures.items()
        }
        found: dict[str, Any] = {
            "layer": self.layer,
            "concepts": self.concepts,
            "folds": self.folds,
            "figures": figures,
        }
        return found if self.baseline is None else {**found, "baseline": self.baseline}

    def __str__(self) -> str:
        return "\n".join(
            [
                f"quality at layer {self.layer}: {self.concepts} concepts, {self.folds} topic folds",
                *(f"  {name:<28} {figure}" for name, figure in self.figures.items()),
            ]
        )


def quality_of(
    recall: Recall,
    layer: int,
    *,
    baseline: Recall | None = None,
    length: Recall | None = None,
    stability: Stability | None = None,
    sweep: LayerSweep | None = None,
) -> Quality:
    """Gather the figures.

    Args:
        recall: Held-out recall of the directions at the layer.
        layer: The layer.
        baseline: The strongest lexical baseline on the same items and folds (`better_of`).
        length: The length baseline on the same items and folds.
        stability: Stability of the directions.
        sweep: The layer sweep that chose the layer.

    Raises:
        UsageError: A baseline was not measured on the same items and folds.
    """
    chance = recall.chance
    figures = {
        "recall_top1": Figure.of_top1(recall),
        "recall_top3": Figure.of(recall.top3, chance=chance[3]),
        "recall_top5": Figure.of(recall.top5, chance=chance[5]),
        "auroc": Figure.of(recall.auroc, chance=0.5, p=recall.p_auroc, p_by=recall.p_by),
    }
    if sweep is not None:
        figures[f"recall_top{sweep.k}_nested"] = Figure.of(sweep.nested, chance=sweep.chance)
    for name, other in (("lexical", baseline), ("length", length)):
        if other is not None:
            figures[f"{name}_top1"] = Figure.of_top1(other)
            figures[f"top1_minus_{name}"] = Figure.of(paired_difference(recall, other), chance=0.0)
    if stability is not None:
        figures["stability_bootstrap"] = _over_concepts(stability.bootstrap)
        figures["stability_split_half"] = _over_concepts(stability.split_half)
    used = baseline.name if baseline is not None else None
    return Quality(layer, len(recall.concepts), recall.folds, figures, used)


def _over_concepts(values: np.ndarray) -> Figure:
    return Figure.of(bootstrap(values.astype(np.float64)))
