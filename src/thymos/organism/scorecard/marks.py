"""What a scorecard is made of: figures with their intervals, and the marks they are held against."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from thymos.stats import Correlation, Interval

__all__ = ["Figure", "Section", "at_least", "at_most", "told"]

Side = Literal["at least", "at most", "told"]


@dataclass(frozen=True)
class Figure:
    """One figure of the scorecard.

    Attributes:
        name: What was measured.
        value: The estimate.
        low: Lower end of its 95% interval, or None where there is none.
        high: Upper end.
        side: Whether the mark is a floor, a ceiling, or absent.
        mark: The mark.
        note: Chance level, control, number of items, caveat.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    side: Side = "told"
    mark: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the estimate reaches its mark; None without a mark."""
        if self.mark is None:
            return None
        return self.value >= self.mark if self.side == "at least" else self.value <= self.mark

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the verdict."""
        return {**asdict(self), "reached": self.reached}


@dataclass(frozen=True)
class Section:
    """One part of the scorecard: figures, and the tables that plots are drawn from."""

    title: str
    figures: tuple[Figure, ...]
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"title": self.title, "figures": [f.to_dict() for f in self.figures], "tables": dict(self.tables)}


Estimate = float | int | Interval | Correlation


def _parts(estimate: Estimate) -> tuple[float, float | None, float | None]:
    if isinstance(estimate, Correlation):
        return _parts(estimate.interval)
    if isinstance(estimate, Interval):
        return float(estimate.estimate), float(estimate.low), float(estimate.high)
    return float(estimate), None, None


def at_least(name: str, estimate: Estimate, mark: float, note: str = "") -> Figure:
    """A figure that should not be below its mark."""
    return Figure(name, *_parts(estimate), "at least", mark, note)


def at_most(name: str, estimate: Estimate, mark: float, note: str = "") -> Figure:
    """A figure that should not be above its mark."""
    return Figure(name, *_parts(estimate), "at most", mark, note)


def told(name: str, estimate: Estimate, note: str = "") -> Figure:
    """A figure without a mark."""
    return Figure(name, *_parts(estimate), "told", None, note)
