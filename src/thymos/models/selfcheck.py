"""A proof, at load time, that the hook sites are where the layout table says they are.

Three facts are checked on one short input: each hook reads what the model itself calls `hidden_states[l + 1]`; an edit
by zero changes nothing, bit for bit; an edit by something changes the output.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thymos.errors import SelfCheckError
from thymos.models.hooks import Edit
from thymos.models.host import Host

__all__ = ["SelfCheck", "self_check"]

_LENGTH = 8


@dataclass(frozen=True)
class SelfCheck:
    """What was checked, for `thymos doctor`."""

    layers_compared: int
    """Layers whose hook equals the model's own hidden state (the last is normed by transformers and skipped)."""
    largest_difference: float
    edits_checked: tuple[int, ...]
    """Layers at which a zero and a non-zero edit were tried."""


def self_check(host: Host) -> SelfCheck:
    """Check the hook sites of a model.

    Raises:
        SelfCheckError: A site is not the output of its block, a zero edit changes the output, or an edit has no effect.
    """
    ids = _probe_ids(host)
    with torch.inference_mode():
        seen: dict[int, Tensor] = {}
        with host.hooks.reading(
            range(host.n_layers), lambda layer, h, _: seen.__setitem__(layer, h.clone()), stop=False
        ):
            output = host.network(ids, output_hidden_states=True)
        worst = _compare(host, seen, output.hidden_states)
        plain = _result(output)
        layers = tuple(sorted({0, host.n_layers // 2, host.n_layers - 1}))
        for layer in layers:
            _check_edit(host, ids, layer, plain, seen[layer])
    return SelfCheck(layers_compared=max(host.n_layers - 1, 0), largest_difference=worst, edits_checked=layers)


def _probe_ids(host: Host) -> Tensor:
    size = host.network.get_input_embeddings().weight.shape[0]
    special = set(host.tokenizer.all_special_ids)
    ordinary = [token for token in range(min(size, 4096)) if token not in special]
    picked = [ordinary[(i * 37 + 11) % len(ordinary)] for i in range(_LENGTH)]
    return torch.tensor([picked], device=host.device)


def _result(output: object) -> Tensor:
    logits = getattr(output, "logits", None)
    found: Tensor = logits if logits is not None else output.last_hidden_state  # type: ignore[attr-defined]
    return found


def _compare(host: Host, seen: dict[int, Tensor], states: tuple[Tensor, ...] | None) -> float:
    if states is None or len(states) != host.n_layers + 1:
        raise SelfCheckError(
            f"{host.name!r} reports {None if states is None else len(states)} hidden states for {host.n_layers} "
            f"blocks at {host.sites.blocks_path!r}; expected {host.n_layers + 1}. Pass the right path with blocks=, or "
            "load with self_check=False if you know the site is right"
        )
    worst = 0.0
    for layer in range(host.n_layers - 1):
        if layer not in seen:
            raise SelfCheckError(f"the hook at layer {layer} ({host.sites.blocks_path}) never fired in {host.name!r}")
        gap = float((seen[layer].float() - states[layer + 1].to(seen[layer].device).float()).abs().max())
        worst = max(worst, gap)
        if not np.isfinite(gap) or gap > 1e-4 * float(states[layer + 1].float().abs().max()):
            raise SelfCheckError(
                f"the hook at layer {layer} of {host.name!r} differs from hidden_states[{layer + 1}] by {gap:.3g}; the "
                f"block list {host.sites.blocks_path!r} is not the residual stream of this architecture. Pass blocks="
            )
    return worst


def _check_edit(host: Host, ids: Tensor, layer: int, plain: Tensor, hidden: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(hidden.shape[-1], generator=generator).to(device=hidden.device, dtype=hidden.dtype)
    push = noise / noise.norm() * hidden.norm(dim=-1).mean()

    def run(delta: Tensor) -> Tensor:
        edit: Edit = lambda value, _: value + delta  # noqa: E731 - one expression, used once
        with host.hooks.editing([(layer, edit)], positions=False):
            return _result(host.network(ids))

    if not torch.equal(run(torch.zeros_like(push)), plain):
        raise SelfCheckError(f"adding zero at layer {layer} of {host.name!r} changed the output; the hook is not clean")
    if torch.allclose(run(push), plain, rtol=0, atol=1e-6):
        raise SelfCheckError(
            f"adding a vector at layer {layer} of {host.name!r} did not change the output; {host.sites.blocks_path!r} "
            "is not on the path to it. Pass blocks=, or load with self_check=False"
        )
