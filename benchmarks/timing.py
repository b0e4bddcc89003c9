"""Timing by interleaved pairs, and what one may say about the result."""

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """Per-pair ratios variant / base."""

    median: float
    low: float
    high: float
    """Smallest and largest single pair."""
    interval: tuple[float, float]
    """95% bootstrap interval of the median."""

    @classmethod
    def of(cls, base: list[float], variant: list[float]) -> "Ratio":
        ratios = np.asarray(variant) / np.asarray(base)
        drawn = np.random.default_rng(0).choice(ratios, (_RESAMPLES, ratios.size))
        low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
        return cls(float(np.median(ratios)), float(ratios.min()), float(ratios.max()), (float(low), float(high)))

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.2f}-{self.high:.2f}]"


@dataclass(frozen=True)
class Mark:
    """What a row has to reach: a largest ratio, or no measurable difference from the A/A control."""

    at_most: float | None = None

    def __str__(self) -> str:
        return "within A/A" if self.at_most is None else f"<= {self.at_most:.2f}"


@dataclass(frozen=True)
class Variant:
    """Something that is timed against the base."""

    name: str
    run: Callable[[], object]
    """Where it returns residual rows, they are compared with a plain hook's."""
    mark: Mark | None = None


@dataclass(frozen=True)
class Timed:
    """One row of a ratio table."""

    name: str
    environment: str
    setting: str
    threads: int
    pairs: int
    base_seconds: float
    """Median of the bare runs of these very pairs."""
    wall: Ratio
    cpu: Ratio
    mark: Mark | None = None
    difference: float | None = None
    """Largest absolute difference of the rows it returns from those of a plain hook."""

    def as_row(self) -> dict[str, Any]:
        """Plain values, as they travel between processes and into JSON."""
        return asdict(self)


def timed_from(row: dict[str, Any]) -> Timed:
    """What `Timed.as_row` gave."""
    ratios = {key: Ratio(**{**row[key], "interval": tuple(row[key]["interval"])}) for key in ("wall", "cpu")}
    return Timed(**{**row, **ratios, "mark": Mark(**row["mark"]) if row["mark"] else None})


@dataclass(frozen=True)
class Bench:
    """How rows are timed."""

    environment: str
    setting: str
    pairs: int
    threads: int

    def measure(
        self, base: Callable[[], object], variants: list[Variant], reference: Tensor | None = None
    ) -> list[Timed]:
        """Base and variant in turn (A, B, A, B, ...), one variant after the other, each warmed up once."""
        torch.set_num_threads(self.threads)
        return [self._one(base, variant, reference) for variant in variants]

    def _one(self, base: Callable[[], object], variant: Variant, reference: Tensor | None) -> Timed:
        base()
        found = variant.run()
        gc.collect()
        comparable = reference is not None and isinstance(found, Tensor) and found.shape == reference.shape
        walls: tuple[list[float], list[float]] = ([], [])
        cpus: tuple[list[float], list[float]] = ([], [])
        for _ in range(self.pairs):
            for place, run in enumerate((base, variant.run)):
                wall, cpu = clocked(run)
                walls[place].append(wall)
                cpus[place].append(cpu)
        return Timed(
            variant.name,
            self.environment,
            self.setting,
            self.threads,
            self.pairs,
            float(np.median(walls[0])),
            Ratio.of(*walls),
            Ratio.of(*cpus),
            variant.mark,
            float((found - reference).abs().max()) if comparable else None,
        )


def clocked(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds (of all threads of this process) of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def verdict(row: Timed, control: Timed) -> str:
    """Whether a row reaches its mark; CPU time decides where the wall clock alone does not show it."""
    if row.mark is None:
        return ""
    for name, ratio, reference in (("yes", row.wall, control.wall), ("yes (CPU)", row.cpu, control.cpu)):
        if row.mark.at_most is not None:
            reached = ratio.median <= row.mark.at_most
        else:
            reached = ratio.interval[0] <= reference.interval[1]
        if reached:
            return name
    return "NO"
