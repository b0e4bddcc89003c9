"""Streaming, mergeable statistics: what an extraction keeps of a corpus, however long it is.

Stories leave one sum of per-text means per concept and layer; neutral tokens leave count, mean, scatter and the sum of
row norms. Everything is accumulated in float64 in the order of a fixed plan, so a run can stop and go on bit for bit,
and parts of a corpus can be merged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from thymos.errors import ArtifactError

__all__ = ["ConceptMoments", "ExactScatter", "RowMoments", "Scatter", "SketchScatter", "State"]

State = dict[str, Tensor]
"""Named tensors: how moments are written to disk."""


@dataclass
class ConceptMoments:
    """Counts and sums of per-text means, by concept and layer (Sofroniew et al. 2026, extraction, steps 1-2)."""

    counts: Int64[np.ndarray, " concepts"]
    sums: Float[np.ndarray, "layers concepts hidden"]

    @classmethod
    def empty(cls, layers: int, concepts: int, hidden: int) -> "ConceptMoments":
        """Nothing seen yet."""
        return cls(np.zeros(concepts, np.int64), np.zeros((layers, concepts, hidden)))

    def add(self, means: Float[np.ndarray, "texts layers hidden"], labels: Int64[np.ndarray, " texts"]) -> None:
        """Add texts, in the order given."""
        np.add.at(self.counts, labels, 1)
        for layer in range(self.sums.shape[0]):
            np.add.at(self.sums[layer], labels, means[:, layer].astype(np.float64))

    def merge(self, other: "ConceptMoments") -> "ConceptMoments":
        """Moments of both corpora together."""
        _same_shape(self.sums, other.sums)
        return ConceptMoments(self.counts + other.counts, self.sums + other.sums)

    def means(self) -> Float[np.ndarray, "layers concepts hidden"]:
        """Mean of story means per concept; NaN for a concept without texts."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Float[np.ndarray, "layers concepts hidden"] = self.sums / self.counts[None, :, None]
        return found

    def state(self) -> State:
        """Tensors to store."""
        return {"counts": torch.from_numpy(self.counts), "sums": torch.from_numpy(self.sums)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "ConceptMoments":
        """What `state` gave."""
        return cls(state["counts"].numpy().copy(), state["sums"].numpy().copy())


@runtime_checkable
class Scatter(Protocol):
    """Sum of outer products of centred rows of one layer, exactly or as a sketch."""

    trace: float
    """Exact sum of squares, also where the matrix is a sketch."""

    def add(self, centred: Tensor) -> None:
        """Add rows [n, hidden] that are already centred."""

    def rows(self) -> Tensor:
        """Rows R [r, hidden] with R^T R equal (or close) to the scatter."""

    def matrix(self) -> Tensor:
        """The scatter [hidden, hidden], float64."""

    def state(self) -> State:
        """Tensors to store."""


class ExactScatter:
    """The full matrix: hidden^2 x 8 bytes."""

    def __init__(self, hidden: int, device: torch.device | None = None) -> None:
        self.trace = 0.0
        self._matrix = torch.zeros((hidden, hidden), dtype=torch.float64, device=device)

    def add(self, centred: Tensor) -> None:
        """Add rows [n, hidden]."""
        self.trace += float(centred.double().square().sum())
        self._matrix += (centred.T @ centred).to(self._matrix.device, torch.float64)

    def add_matrix(self, matrix: Tensor, trace: float) -> None:
        """Add another scatter."""
        self._matrix += matrix.to(self._matrix.device)
        self.trace += trace

    def rows(self) -> Tensor:
        """A square root of the matrix."""
        values, vectors = torch.linalg.eigh(self._matrix)
        return values.clamp(min=0).sqrt().unsqueeze(1) * vectors.T

    def matrix(self) -> Tensor:
        """The scatter."""
        return self._matrix

    def state(self) -> State:
        """Tensors to store."""
        return {"matrix": self._matrix.cpu(), "trace": torch.tensor([self.trace], dtype=torch.float64)}


class SketchScatter:
    """Frequent Directions (doi 10.1137/15M1009718): 2 x size rows, spectral error at most trace / size.

    Used where the exact matrices would not fit the memory budget.
    """

    def __init__(self, hidden: int, size: int, device: torch.device | None = None) -> None:
        self.trace = 0.0
        self.size = size
        self._buffer = torch.zeros((2 * size, hidden), dtype=torch.float32, device=device)
        self._filled = 0

    def add(self, centred: Tensor) -> None:
        """Add rows [n, hidden], shrinking whenever the buffer is full."""
        self.trace += float(centred.double().square().sum())
        self._insert(centred)

    def _insert(self, rows: Tensor) -> None:
        start = 0
        while start < rows.shape[0]:
            room = self._buffer.shape[0] - self._filled
            if room == 0:
                self._shrink()
                continue
            taken = rows[start : start + room]
            self._buffer[self._filled : self._filled + taken.shape[0]] = taken.float()
            self._filled += taken.shape[0]
            start += taken.shape[0]

    def _shrink(self) -> None:
        _, sizes, right = torch.linalg.svd(self._buffer[: self._filled], full_matrices=False)
        kept = min(self.size, sizes.shape[0])
        cut = sizes[self.size - 1] if sizes.shape[0] >= self.size else torch.zeros((), device=sizes.device)
        shrunk = (sizes[:kept].square() - cut.square()).clamp(min=0).sqrt()
        self._buffer.zero_()
        self._buffer[:kept] = shrunk.unsqueeze(1) * right[:kept]
        self._filled = kept

    def rows(self) -> Tensor:
        """The rows of the sketch."""
        return self._buffer[: self._filled]

    def matrix(self) -> Tensor:
        """The scatter the sketch stands for."""
        rows = self.rows().double()
        return rows.T @ rows

    def state(self) -> State:
        """Tensors to store."""
        return {
            "rows": self._buffer[: self._filled].cpu().contiguous(),
            "size": torch.tensor([self.size]),
            "trace": torch.tensor([self.trace], dtype=torch.float64),
        }


@dataclass
class RowMoments:
    """Count, mean, scatter and norms of residual rows at several layers, updated by Chan's parallel rule."""

    count: int
    mean: Float[np.ndarray, "layers hidden"]
    norm_sum: Float[np.ndarray, " layers"]
    scatters: list[Scatter]

    @classmethod
    def empty(
        cls, layers: int, hidden: int, *, sketch: int | None = None, device: torch.device | None = None
    ) -> "RowMoments":
        """Nothing seen yet; `sketch` is the size of a sketch, None keeps exact matrices."""
        scatters: list[Scatter] = [
            ExactScatter(hidden, device) if sketch is None else SketchScatter(hidden, sketch, device)
            for _ in range(layers)
        ]
        return cls(0, np.zeros((layers, hidden)), np.zeros(layers), scatters)

    def add(self, rows: Sequence[Tensor]) -> None:
        """Add rows: one tensor [n, hidden] per layer, the same n positions in each."""
        for layer, values in enumerate(rows):
            self.add_layer(layer, values)
        self.advance(int(rows[0].shape[0]))

    def add_layer(self, layer: int, values: Tensor) -> None:
        """Add rows [n, hidden] to one layer; call `advance(n)` once all layers have theirs."""
        added = int(values.shape[0])
        if added == 0:
            return
        values = values.float()
        mean = values.mean(dim=0)
        self.scatters[layer].add(values - mean)
        self.norm_sum[layer] += float(torch.linalg.vector_norm(values, dim=1).double().sum())
        self._shift(layer, mean.double().cpu().numpy(), added, self.count + added)

    def advance(self, added: int) -> None:
        """Count rows that every layer has been given."""
        self.count += added

    def _shift(self, layer: int, mean: Float[np.ndarray, " hidden"], added: int, total: int) -> None:
        """Move the mean, and add the between-batch row that Chan's rule asks for."""
        delta = mean - self.mean[layer]
        if self.count:
            between = torch.from_numpy(delta * np.sqrt(self.count * added / total))
            self.scatters[layer].add(between.unsqueeze(0))
        self.mean[layer] += delta * (added / total)

    def merge(self, other: "RowMoments") -> "RowMoments":
        """Moments of both sets of rows together."""
        _same_shape(self.mean, other.mean)
        sketch = next((s.size for s in (*self.scatters, *other.scatters) if isinstance(s, SketchScatter)), None)
        merged = RowMoments.empty(*self.mean.shape, sketch=sketch)
        total = self.count + other.count
        for layer, scatter in enumerate(merged.scatters):
            for part in (self.scatters[layer], other.scatters[layer]):
                if isinstance(scatter, ExactScatter):
                    scatter.add_matrix(part.matrix(), part.trace)
                else:
                    scatter.add(part.rows())
                    scatter.trace += part.trace - float(part.rows().double().square().sum())
            merged.mean[layer] = self.mean[layer]
            merged.count = self.count
            merged._shift(layer, other.mean[layer], other.count, max(total, 1))
        merged.count = total
        merged.norm_sum = self.norm_sum + other.norm_sum
        return merged

    def mean_norm(self) -> Float[np.ndarray, " layers"]:
        """Mean residual norm of each layer: the unit of steering strength."""
        return self.norm_sum / max(self.count, 1)

    def state(self) -> State:
        """Tensors to store."""
        found: State = {
            "count": torch.tensor([self.count]),
            "mean": torch.from_numpy(self.mean),
            "norm_sum": torch.from_numpy(self.norm_sum),
        }
        for layer, scatter in enumerate(self.scatters):
            found |= {f"scatter.{layer}.{key}": value for key, value in scatter.state().items()}
        return found

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "RowMoments":
        """What `state` gave."""
        mean = state["mean"].numpy().copy()
        scatters: list[Scatter] = []
        for layer in range(mean.shape[0]):
            trace = float(state[f"scatter.{layer}.trace"][0])
            if f"scatter.{layer}.matrix" in state:
                exact = ExactScatter(mean.shape[1])
                exact.add_matrix(state[f"scatter.{layer}.matrix"], trace)
                scatters.append(exact)
            else:
                sketch = SketchScatter(mean.shape[1], int(state[f"scatter.{layer}.size"][0]))
                sketch._insert(state[f"scatter.{layer}.rows"])
                sketch.trace = trace
                scatters.append(sketch)
        return cls(int(state["count"][0]), mean, state["norm_sum"].numpy().copy(), scatters)


def _same_shape(left: np.ndarray, right: np.ndarray) -> None:
    if left.shape != right.shape:
        raise ArtifactError(
            f"moments of shape {left.shape} and {right.shape} cannot be merged; extract both parts with the same "
            "model, layers and concepts"
        )
