"""The optimisers of the training and their schedule."""

from typing import Any

import torch
from torch import nn

__all__ = ["LAST", "POWER", "WARMUP", "Optimisers", "schedule"]

WARMUP, LAST, POWER = 0.01, 0.01, 1.5
"""Share of the steps in which the rate rises; the rate at the end against the peak; and how it falls in between."""


class Optimisers:
    """Muon for the matrices of the blocks, AdamW for the rest, one schedule for both."""

    def __init__(self, network: nn.Module, matrix_rate: float, other_rate: float) -> None:
        """Divide the parameters; rates are those at the peak of the schedule."""
        matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in matrices}
        rest = [p for p in network.parameters() if id(p) not in chosen]
        self.parts = (
            torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=0.01, momentum=0.95),
            torch.optim.AdamW(rest, lr=other_rate, betas=(0.9, 0.95), weight_decay=0.0),
        )
        self.peaks = (matrix_rate, other_rate)

    def step(self, factor: float) -> None:
        """One step of both at a share of their peak rates; gradients are dropped."""
        for part, peak in zip(self.parts, self.peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """What a checkpoint holds."""
        return [part.state_dict() for part in self.parts]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        for part, saved in zip(self.parts, state, strict=True):
            part.load_state_dict(saved)


def schedule(step: int, steps: int) -> float:
    """Warm-up, then a fall that never rests.

    A decision is one token of a document, and at a high rate a single document moves its probability further than all
    that the state of the assistant has to say about it; so most steps are taken at a small part of the peak.

    Args:
        step: From 0 on.
        steps: All of them.
    """
    warm = max(int(WARMUP * steps), 1)
    if step < warm:
        return (step + 1) / warm
    left = (steps - step) / (steps - warm + 1)
    return LAST + (1 - LAST) * float(left**POWER)
