"""Interventions on the residual stream: values, applied by one context manager that always restores.

Three operations: add a direction, project directions out, cap a projection. Strengths are fractions of the mean
residual norm of the layer (Sofroniew et al. 2026, steering).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

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

    def edit(self, layer: int) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]."""
        if layer not in self.norms:
            raise LayerError(f"no residual norm is given for layer {layer}; norms are known for {sorted(self.norms)}")
        delta = _Constant(self.directions[layer] * (self.strength * self.norms[layer]))
        return lambda hidden: hidden + delta.beside(hidden, hidden.dtype)


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """h <- h - U U^T h with U an orthonormal basis of the given directions (directional ablation)."""

    directions: Mapping[int, Float[np.ndarray, "k hidden"]]
    select: Select = EVERYWHERE

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers this touches."""
        return tuple(sorted(self.directions))

    def edit(self, layer: int) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]; projections are taken in float32."""
        given = np.asarray(self.directions[layer], np.float64)
        left, sizes, _ = np.linalg.svd(given.T, full_matrices=False)
        kept = left[:, sizes > sizes.max(initial=0.0) * 1e-7] if sizes.size else left
        constant = _Constant(kept)

        def project(hidden: Tensor) -> Tensor:
            basis, wide = constant.beside(hidden, torch.float32), hidden.float()
            return (wide - (wide @ basis) @ basis.T).to(hidden.dtype)

        return project


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

    def edit(self, layer: int) -> Callable[[Tensor], Tensor]:
        """The edit of one layer, as a function of hidden [..., hidden]; projections are taken in float32."""
        if layer not in self.ceilings:
            raise LayerError(f"no ceiling is given for layer {layer}; ceilings are known for {sorted(self.ceilings)}")
        length = float(np.linalg.norm(self.directions[layer]))
        if length == 0:
            raise UsageError(f"cannot cap along a zero direction (layer {layer})")
        constant = _Constant(self.directions[layer] / length)
        ceiling = self.ceilings[layer]

        def cap(hidden: Tensor) -> Tensor:
            unit, wide = constant.beside(hidden, torch.float32), hidden.float()
            excess = ((wide @ unit) - ceiling).clamp(min=0)
            return (wide - excess.unsqueeze(-1) * unit).to(hidden.dtype)

        return cap


Intervention = Add | ProjectOut | Cap


class _Constant:
    """An array that follows the residual stream: moved and cast at the first row it meets.

    A block's parameters do not tell where its output lives: quantized ones are integers, offloaded ones are nowhere.
    """

    def __init__(self, values: Float[np.ndarray, "..."]) -> None:
        if not np.isfinite(values).all():
            raise ActivationError("an intervention holds NaN or infinity; check the vector and its strength")
        self.here = torch.from_numpy(np.ascontiguousarray(values, np.float32))

    def beside(self, hidden: Tensor, dtype: torch.dtype) -> Tensor:
        if self.here.device != hidden.device or self.here.dtype != dtype:
            self.here = self.here.to(device=hidden.device, dtype=dtype)
        return self.here


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
        chooser = _chooser(intervention.select, prompts)
        for layer in intervention.layers:
            host.hooks.check_layer(layer)
            _check_width(host, intervention, layer)
            edits.append((layer, _compile(intervention, layer, chooser)))
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


def _compile(intervention: Intervention, layer: int, chooser: "_Chooser | None") -> Edit:
    apply = intervention.edit(layer)
    if chooser is None:
        return lambda hidden, _: apply(hidden)

    def edit(hidden: Tensor, step: Callable[[], Step]) -> Tensor:
        mask = chooser(step()).to(hidden.device)
        return torch.where(mask.unsqueeze(-1), apply(hidden), hidden)

    return edit


def _chooser(select: Select, prompts: Sequence[Tokens]) -> "_Chooser | None":
    if select.everything:
        return None
    if not prompts and (
        select.roles is not None or select.chars is not None or not select.special or select.start_token > 1
    ):
        raise UsageError(
            "this selection (roles, characters, start token, or content only) needs the fed prompts; steer through "
            "generate() or chat(), or select by positions, prompt, generated or reply with special=True"
        )
    return _Chooser(select, prompts)


def step_mask(select: Select, step: Step, prompts: Sequence[Tokens]) -> Tensor:
    """[batch, seq] bool: the rows of the running pass that a selection means.

    Generated tokens are content of the role "assistant"; inside the prompt the prompt's own tokens decide.
    """
    return _Chooser(select, prompts)(step)


class _Chooser:
    """One selection over the passes of a batch: what the prompts say is worked out once, each pass's mask once."""

    def __init__(self, select: Select, prompts: Sequence[Tokens]) -> None:
        self.select = select
        self.step: Step | None = None
        self.mask: Tensor | None = None
        table = _prompt_table(select, prompts) if prompts else (None, None)
        self.inside: Tensor | None = table[0]
        self.first: Tensor | None = table[1]

    def __call__(self, step: Step) -> Tensor:
        if self.mask is None or self.step is not step:
            self.step, self.mask = step, self._mask(step)
        return self.mask

    def _mask(self, step: Step) -> Tensor:
        select, positions, lengths = self.select, step.positions, step.prompt_lengths.unsqueeze(1)
        mask = positions >= 0
        if select.where == "prompt":
            mask = mask & (positions < lengths)
        elif select.where == "generated":
            mask = mask & (positions >= lengths)
        elif select.where == "reply":
            mask = mask & (positions >= lengths - 1)
        if select.positions is not None:
            mask = mask & torch.isin(positions, torch.tensor(select.positions, device=positions.device))
        if self.inside is None or self.first is None:
            return mask
        self.inside, self.first = self.inside.to(positions.device), self.first.to(positions.device)
        index = positions.clamp(min=0, max=self.inside.shape[1] - 1)
        return mask & torch.where(positions < lengths, self.inside.gather(1, index), positions >= self.first)


def _prompt_table(select: Select, prompts: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """What prompts decide: chosen positions in each [batch, longest], and the first one chosen behind it [batch, 1]."""
    inner = replace(select, where="all", positions=None, special=select.special or select.where == "reply")
    inside = np.zeros((len(prompts), max(len(tokens) for tokens in prompts)), bool)
    first = np.zeros((len(prompts), 1), np.int64)
    later = (select.roles is None or "assistant" in select.roles) and select.chars is None
    for row, tokens in enumerate(prompts):
        inside[row, : len(tokens)] = inner.mask(tokens)
        # A prompt shorter than the first token used leaves the rest of the count to the generated tokens.
        missing = max(0, select.start_token - 1 - int(select.counted(tokens).sum()))
        first[row] = len(tokens) + missing if later else np.iinfo(np.int64).max
    return torch.from_numpy(inside), torch.from_numpy(first)
