"""Interventions on the residual stream: values, applied by one context manager that always restores.

Three operations: add a direction, project directions out, cap a projection. Strengths are fractions of the mean
residual norm of the layer (Sofroniew et al. 2026, steering).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.errors import ActivationError, LayerError, UsageError
from thymos.models.hooks import Edit, Step
from thymos.models.host import Host
from thymos.models.tokens import EVERYWHERE, Select, Tokens

__all__ = ["Add", "Cap", "Intervention", "ProjectOut", "intervene", "step_mask"]

Vectors = Mapping[int, Float[np.ndarray, " hidden"]]


@dataclass(frozen=True, eq=False)
class Add:
    """h <- h + strength * norm[l] * direction[l], at the selected positions.

    With unit directions, `strength` 0.05 adds 5% of the mean residual norm.
    """

    directions: Vectors
    """Layer -> direction, usually of unit norm."""
    strength: float
    norms: Mapping[int, float]
    """Layer -> mean residual norm on neutral text."""
    select: Select = EVERYWHERE

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers this touches."""
        return tuple(sorted(self.directions))

    def edit(self, layer: int, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]."""
        if layer not in self.norms:
            raise LayerError(f"no residual norm is given for layer {layer}; norms are known for {sorted(self.norms)}")
        delta = _tensor(self.directions[layer] * (self.strength * self.norms[layer]), like)
        return lambda hidden: hidden + delta


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """h <- h - U U^T h with U an orthonormal basis of the given directions (directional ablation)."""

    directions: Mapping[int, Float[np.ndarray, "k hidden"]]
    select: Select = EVERYWHERE

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers this touches."""
        return tuple(sorted(self.directions))

    def edit(self, layer: int, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]."""
        given = np.asarray(self.directions[layer], np.float64)
        left, sizes, _ = np.linalg.svd(given.T, full_matrices=False)
        kept = left[:, sizes > sizes.max(initial=0.0) * 1e-7] if sizes.size else left
        basis = _tensor(kept, like)
        return lambda hidden: hidden - (hidden @ basis) @ basis.T


@dataclass(frozen=True, eq=False)
class Cap:
    """Activation capping: where <h, u> exceeds the ceiling, take the excess out along u (u the unit direction)."""

    directions: Vectors
    ceilings: Mapping[int, float]
    """Layer -> largest projection allowed, in units of the residual stream (e.g. a percentile on reference text)."""
    select: Select = EVERYWHERE

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers this touches."""
        return tuple(sorted(self.directions))

    def edit(self, layer: int, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]."""
        if layer not in self.ceilings:
            raise LayerError(f"no ceiling is given for layer {layer}; ceilings are known for {sorted(self.ceilings)}")
        length = float(np.linalg.norm(self.directions[layer]))
        if length == 0:
            raise UsageError(f"cannot cap along a zero direction (layer {layer})")
        unit = _tensor(self.directions[layer] / length, like)
        ceiling = self.ceilings[layer]
        return lambda hidden: hidden - ((hidden @ unit) - ceiling).clamp(min=0).unsqueeze(-1) * unit


Intervention = Add | ProjectOut | Cap


def _tensor(values: Float[np.ndarray, "..."], like: Tensor) -> Tensor:
    if not np.isfinite(values).all():
        raise ActivationError("an intervention holds NaN or infinity; check the vector and its strength")
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device=like.device, dtype=like.dtype)


@contextmanager
def intervene(host: Host, *interventions: Intervention, prompts: Sequence[Tokens] = ()) -> Iterator[None]:
    """Apply interventions to every forward pass inside the context; the network is always restored.

    Args:
        host: A decoder.
        *interventions: Applied in the order given; several may share a layer.
        prompts: The fed prompts, one per batch row; needed only by selections of roles, characters, content or
            start tokens.

    Raises:
        UsageError: The model is an encoder, a width does not fit, or a selection needs prompts that were not given.
        LayerError: A layer the model does not have.
    """
    if interventions and host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder: it is read, not steered; use a causal language model")
    edits: list[tuple[int, Edit]] = []
    for intervention in interventions:
        for layer in intervention.layers:
            host.hooks.check_layer(layer)
            _check_width(host, intervention, layer)
            edits.append((layer, _compile(host, intervention, layer, prompts)))
    positions = any(not intervention.select.everything for intervention in interventions)
    with host.hooks.editing(edits, positions=positions):
        yield


def _check_width(host: Host, intervention: Intervention, layer: int) -> None:
    width = int(np.asarray(intervention.directions[layer]).shape[-1])
    if width != host.hidden_size:
        raise UsageError(
            f"the direction for layer {layer} has {width} components, but {host.name!r} has hidden size "
            f"{host.hidden_size}"
        )


def _compile(host: Host, intervention: Intervention, layer: int, prompts: Sequence[Tokens]) -> Edit:
    like = next(host.sites.blocks[layer].parameters())
    apply = intervention.edit(layer, like)
    select = intervention.select
    if select.everything:
        return lambda hidden, _: apply(hidden)
    if not prompts and (
        select.roles is not None or select.chars is not None or not select.special or select.start_token > 1
    ):
        raise UsageError(
            "this selection (roles, characters, start token, or content only) needs the fed prompts; steer through "
            "generate() or chat(), or select by positions, prompt, generated or reply with special=True"
        )

    def edit(hidden: Tensor, step: Callable[[], Step]) -> Tensor:
        mask = step_mask(select, step(), prompts)
        return torch.where(mask.unsqueeze(-1), apply(hidden), hidden)

    return edit


def step_mask(select: Select, step: Step, prompts: Sequence[Tokens]) -> Tensor:
    """[batch, seq] bool: the rows of the running pass that a selection means.

    Generated tokens are content of the role "assistant"; inside the prompt the prompt's own tokens decide.
    """
    positions, lengths = step.positions, step.prompt_lengths.unsqueeze(1)
    mask = positions >= 0
    if select.where == "prompt":
        mask = mask & (positions < lengths)
    elif select.where == "generated":
        mask = mask & (positions >= lengths)
    elif select.where == "reply":
        mask = mask & (positions >= lengths - 1)
    if select.positions is not None:
        mask = mask & torch.isin(positions, torch.tensor(select.positions, device=positions.device))
    if prompts:
        mask = mask & _prompt_mask(select, step, prompts)
    return mask


def _prompt_mask(select: Select, step: Step, prompts: Sequence[Tokens]) -> Tensor:
    inner = Select(
        start_token=select.start_token,
        roles=select.roles,
        chars=select.chars,
        special=select.special or select.where == "reply",
    )
    longest = max(len(tokens) for tokens in prompts)
    table = np.zeros((len(prompts), longest + 1), bool)
    for row, tokens in enumerate(prompts):
        table[row, : len(tokens)] = inner.mask(tokens)
    # Everything past the prompt was generated by the assistant.
    later = (select.roles is None or "assistant" in select.roles) and select.chars is None
    for row, tokens in enumerate(prompts):
        table[row, len(tokens) :] = later
    found = torch.from_numpy(table).to(step.positions.device)
    index = step.positions.clamp(min=0, max=longest)
    inside = found.gather(1, index)
    return torch.where(step.positions >= step.prompt_lengths.unsqueeze(1), torch.full_like(inside, later), inside)
