"""Directions read at every token while a model generates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.errors import LayerError, UsageError
from thymos.models.hooks import Step
from thymos.models.host import Host

__all__ = ["Probe", "ProbeReader"]


@dataclass(frozen=True, eq=False)
class Probe:
    """Directions read at every token while generating: scores leave the device, hidden states do not."""

    directions: Mapping[int, Float[np.ndarray, "concepts hidden"]]
    """Layer -> unit rows."""
    centres: Mapping[int, Float[np.ndarray, " hidden"]] | None = None
    """Layer -> mean subtracted first; None reads the uncentred row."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers read."""
        return tuple(sorted(self.directions))


class ProbeReader:
    """Cosines of every fed row with the probe, kept as small arrays."""

    def __init__(self, host: Host, probe: Probe) -> None:
        self.layers = probe.layers
        self.kept: dict[int, list[Tensor]] = {layer: [] for layer in self.layers}
        self.matrix: dict[int, Tensor] = {}
        self.centre: dict[int, Tensor] = {}
        for layer in self.layers:
            host.hooks.check_layer(layer)
            _check_probe(host, probe, layer)
            matrix = np.ascontiguousarray(np.asarray(probe.directions[layer], np.float32).T)
            self.matrix[layer] = torch.from_numpy(matrix)
            if probe.centres is not None:
                self.centre[layer] = torch.from_numpy(np.asarray(probe.centres[layer], np.float32))

    def __call__(self, layer: int, hidden: Tensor, step: Callable[[], Step]) -> None:  # noqa: ARG002
        """Score the rows of one layer in the running pass."""
        # In float32: half-precision norms overflow on wide models, and products lose the third digit.
        hidden = hidden.float()
        self.matrix[layer] = self.matrix[layer].to(hidden.device)
        if layer in self.centre:
            self.centre[layer] = self.centre[layer].to(hidden.device)
            hidden = hidden - self.centre[layer]
        norms = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        # Scores stay on the device until they are asked for: a copy per layer would stall the pass.
        self.kept[layer].append((hidden @ self.matrix[layer]) / norms)

    def latest(self) -> Float[np.ndarray, "batch layers concepts"]:
        """Scores of the last row fed, for each row of the batch."""
        return torch.stack([self.kept[layer][-1][:, -1].cpu() for layer in self.layers], dim=1).numpy()

    def scores(self) -> Float[np.ndarray, "batch fed layers concepts"]:
        """All scores, rows of padding included."""
        return torch.stack([torch.cat(self.kept[layer], dim=1).cpu() for layer in self.layers], dim=2).numpy()


def _check_probe(host: Host, probe: Probe, layer: int) -> None:
    width = int(np.asarray(probe.directions[layer]).shape[-1])
    if width != host.hidden_size:
        raise UsageError(
            f"the probe for layer {layer} has {width} components, but {host.name!r} has hidden size {host.hidden_size}"
        )
    if probe.centres is not None and layer not in probe.centres:
        raise LayerError(f"no centre is given for layer {layer}; centres are known for {sorted(probe.centres)}")
