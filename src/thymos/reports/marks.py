"""The marks of a vector set, fixed before anything runs, and whether they were met."""

from dataclasses import dataclass
from typing import Literal

from thymos.geometry import GeometryMap
from thymos.validation import Validation

__all__ = ["Mark", "marks_of"]

Verdict = Literal["met", "missed", "reported"]


@dataclass(frozen=True)
class Mark:
    """One question with its answer."""

    question: str
    figure: str
    """Estimate with its interval."""
    against: str
    """Chance line or comparison."""
    n: str
    verdict: Verdict
    passing: str
    """The pass mark, in words."""


def marks_of(validation: Validation | None, geometry: GeometryMap | None) -> tuple[Mark, ...]:
    """Questions and answers of a report, nulls included."""
    found: list[Mark] = []
    if validation is not None:
        found += _validation_marks(validation)
    if geometry is not None and geometry.axes is not None:
        for norm in ("pleasure", "arousal"):
            best = geometry.axes.best(norm)
            interval = geometry.axes.at(best.layer, best.component, norm).interval
            # The sign of an axis is arbitrary: the interval is turned with it, and may still reach across zero.
            sign = 1.0 if best.r >= 0 else -1.0
            low, high = sorted((sign * interval.low, sign * interval.high))
            found.append(
                Mark(
                    f"Does one of the first two axes follow human {norm}?",
                    f"|r| = {abs(best.r):.2f} [{low:+.2f}, {high:+.2f}] on PC{best.component}",
                    f"permutation p = {best.p:.2g}, search over axes included ({geometry.axes.permutations} shuffles)",
                    f"{geometry.axes.n} words with norms",
                    "reported" if norm == "arousal" else "met" if best.p < 0.05 else "missed",
                    "reported only: arousal is corpus-dependent" if norm == "arousal" else "p < 0.05",
                )
            )
    return tuple(found)


def _validation_marks(v: Validation) -> list[Mark]:
    texts = f"{v.recall.n} texts, {v.recall.folds} topic folds"
    baseline = v.baseline
    found = [
        Mark(
            "Do the vectors name the concept of texts on topics they have not seen?",
            f"top-1 {v.sweep.nested:.3f}",
            f"chance {v.sweep.chance:.3f}; permutation p = {v.recall.p:.2g} at layer {v.layer}",
            texts,
            "met" if v.sweep.nested.low > v.sweep.chance and v.recall.p < 0.05 else "missed",
            "interval above chance, p < 0.05",
        ),
        Mark(
            "Do they beat a reader that sees words only?",
            f"difference {v.difference:+.3f}",
            f"{baseline.name} {baseline.top1:.3f}",
            f"{v.recall.n} paired texts",
            "met" if v.difference.low > 0 else "missed",
            "lower bound of the paired difference > 0",
        ),
    ]
    if v.probes is not None and v.probe_difference is not None:
        found.append(
            Mark(
                "And logistic probes on the same activations?",
                f"top-1 {v.probes.top1:.3f}, difference {v.probe_difference:+.3f}",
                f"{baseline.name} {baseline.top1:.3f}",
                f"{v.probes.n} paired texts",
                "met" if v.probe_difference.low > 0 else "missed",
                "lower bound of the paired difference > 0",
            )
        )
    found.append(
        Mark(
            "Does the length of a text give the concept away?",
            f"top-1 {v.length.top1:.3f}",
            f"chance {v.length.chance[1]:.3f}; permutation p = {v.length.p:.2g}",
            f"{v.length.n} texts",
            "met" if v.length.top1.low <= v.length.chance[1] else "missed",
            "interval reaches down to chance",
        )
    )
    figures = v.quality.figures
    found.append(
        Mark(
            "Would other texts give the same directions?",
            f"bootstrap cosine {figures['stability_bootstrap'].value:.3f} "
            f"[{figures['stability_bootstrap'].low:.3f}, {figures['stability_bootstrap'].high:.3f}], "
            f"split-half {figures['stability_split_half'].value:.3f}",
            "1 is perfect agreement",
            f"{len(v.stability.concepts)} concepts",
            "reported",
            "reported only: grows with the number of stories",
        )
    )
    return found
