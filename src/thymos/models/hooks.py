"""One forward hook per touched block: edits first, then reads, always removed.

Reading and editing share the hook, so a reading under steering sees the steered stream whatever else is registered on
the block. Hooks are prepended, so hidden states that transformers records itself are the edited ones too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thymos.errors import LayerError

__all__ = ["BlockHooks", "Edit", "Read", "Step", "StopForward"]


class StopForward(Exception):  # noqa: N818 - control flow, not an error: it leaves a forward pass early
    """Raised inside a block hook once the highest layer asked for has been read."""


@dataclass(frozen=True)
class Step:
    """Where the rows of the current forward pass stand in their texts."""

    positions: Tensor
    """[batch, seq] absolute position in the fed ids of the text; -1 on padding."""
    prompt_lengths: Tensor
    """[batch] number of prompt tokens of each text."""


@dataclass(frozen=True)
class _Call:
    """What the positions of a pass follow from, taken before the pass: layer 0 already extends the cache."""

    past: int
    mask: Tensor | None
    inputs: Tensor | None


Edit = Callable[[Tensor, Callable[[], Step]], Tensor]
"""(hidden [batch, seq, hidden], step) -> hidden: a pure function of the residual stream."""
Read = Callable[[int, Tensor, Callable[[], Step]], None]
"""(layer, hidden [batch, seq, hidden], step): must not change the tensor."""


class BlockHooks:
    """The hooks of one network: the only mutable state of a loaded model."""

    def __init__(self, backbone: nn.Module, holder: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Prepare the hooks of a network; nothing is registered yet.

        Args:
            backbone: The network without its head.
            holder: The module that owns the list of blocks, often the backbone itself.
            blocks: The blocks.
        """
        self._backbone, self._holder = backbone, holder
        self._blocks = tuple(blocks)
        self._edits: dict[int, list[Edit]] = {}
        self._reads: dict[int, list[Read]] = {}
        self._stops: list[int] = []
        self._handles: dict[int, torch.utils.hooks.RemovableHandle] = {}
        self._trackers: list[torch.utils.hooks.RemovableHandle] = []
        self._entered = False
        self._tracked = 0
        self._call: _Call | None = None
        self._step: Step | None = None
        self._prompt_lengths: Tensor | None = None

    @property
    def active(self) -> bool:
        """Whether anything is registered at present."""
        return bool(self._handles)

    @contextmanager
    def editing(self, edits: Sequence[tuple[int, Edit]], *, positions: bool) -> Iterator[None]:
        """Apply edits, in the order given, while the context is open.

        Args:
            edits: Pairs of layer and edit.
            positions: Whether any edit asks for the step's positions.
        """
        with self._attached(self._edits, edits, positions):
            yield

    @contextmanager
    def reading(self, layers: Sequence[int], read: Read, *, stop: bool, positions: bool = False) -> Iterator[None]:
        """Call `read` with the output of each layer while the context is open.

        Args:
            layers: Layers to read.
            read: Called once per layer and forward pass, after all edits of that layer.
            stop: Leave the forward pass after the highest layer by raising `StopForward`.
            positions: Whether `read` asks for the step's positions.
        """
        if not layers:
            raise LayerError("no layer to read was given; name at least one")
        highest = max(layers)
        with self._attached(self._reads, [(layer, read) for layer in layers], positions):
            if stop:
                self._stops.append(highest)
            try:
                yield
            finally:
                if stop:
                    self._stops.remove(highest)

    @contextmanager
    def _attached(
        self, table: dict[int, list[Any]], entries: Sequence[tuple[int, Any]], positions: bool
    ) -> Iterator[None]:
        for layer, _ in entries:
            self.check_layer(layer)
        added: list[tuple[int, Any]] = []
        if positions:
            self._track()
        try:
            for layer, function in entries:
                table.setdefault(layer, []).append(function)
                added.append((layer, function))
                if layer not in self._handles:
                    self._handles[layer] = self._blocks[layer].register_forward_hook(self._hook(layer), prepend=True)
            yield
        finally:
            for layer, function in added:
                _remove_last(table[layer], function)
                if not table[layer]:
                    del table[layer]
                if layer in self._handles and layer not in self._edits and layer not in self._reads:
                    self._handles.pop(layer).remove()
            if positions:
                self._untrack()

    def check_layer(self, layer: int) -> None:
        """Raise a LayerError unless the network has the layer."""
        if not 0 <= layer < len(self._blocks):
            raise LayerError(f"layer {layer} does not exist; this network has layers 0 to {len(self._blocks) - 1}")

    def _hook(self, layer: int) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:  # noqa: ARG001 - torch's signature
            hidden = output[0] if isinstance(output, tuple) else output
            edits = self._edits.get(layer)
            if edits:
                for edit in edits:
                    hidden = edit(hidden, self.step)
            for read in self._reads.get(layer, ()):
                read(layer, hidden, self.step)
            if self._stops and max(self._stops) == layer and self._nothing_beyond(layer):
                raise StopForward
            if not edits:
                return None
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    def _nothing_beyond(self, layer: int) -> bool:
        return all(other <= layer for other in self._reads)

    # Positions: read from the arguments of the backbone, so that they hold for any caller - a plain forward pass,
    # transformers' generate, or ours.

    def _track(self) -> None:
        self._tracked += 1
        if not self._trackers:
            self._trackers = [self._backbone.register_forward_pre_hook(self._before, with_kwargs=True)]
            if self._holder is not self._backbone:
                self._trackers.append(self._holder.register_forward_pre_hook(self._before, with_kwargs=True))

    def _untrack(self) -> None:
        self._tracked -= 1
        if self._tracked == 0:
            for tracker in self._trackers:
                tracker.remove()
            self._trackers, self._entered = [], False
            self._call, self._step, self._prompt_lengths = None, None, None

    def _before(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        # Some backbones hand reworked arguments to the holder of the blocks, and some heads (OPT's) call the holder
        # without the backbone: the first of the two that runs is believed.
        inner, entered = module is not self._backbone, self._entered
        self._entered = not inner and self._holder is not self._backbone
        if inner and entered:
            return
        first = args[0] if args else None
        inputs = kwargs.get("input_ids", first)
        if inputs is None:
            inputs = kwargs.get("inputs_embeds")
        cache, mask = kwargs.get("past_key_values"), kwargs.get("attention_mask")
        past = int(cache.get_seq_length()) if cache is not None else 0
        self._call = _Call(past, mask if isinstance(mask, Tensor) else None, inputs)
        self._step = None

    def step(self) -> Step:
        """Positions of the rows of the forward pass that is running; computed once per pass."""
        if self._step is None:
            if self._call is None:
                raise RuntimeError("positions are only known inside a forward pass of the backbone")
            self._step = self._locate(self._call)
        return self._step

    def _locate(self, call: _Call) -> Step:
        inputs, mask, past = call.inputs, call.mask, call.past
        if inputs is None:
            raise RuntimeError("the backbone was called without input_ids or inputs_embeds")
        batch, seq = inputs.shape[0], inputs.shape[1]
        if mask is not None and mask.ndim == 2 and mask.shape[1] == past + seq:
            counted = mask.long().cumsum(dim=1) - 1
            positions = torch.where(mask.bool(), counted, -1)[:, past:]
            lengths = mask.long().sum(dim=1)
        else:
            positions = torch.arange(past, past + seq, device=inputs.device).expand(batch, seq)
            lengths = torch.full((batch,), past + seq, device=inputs.device)
        if past == 0 or self._prompt_lengths is None or self._prompt_lengths.shape[0] != batch:
            self._prompt_lengths = lengths
        return Step(positions=positions, prompt_lengths=self._prompt_lengths)


def _remove_last(functions: list[Any], function: Any) -> None:
    """Remove the latest entry that is this very object (equal values may be registered twice)."""
    for index in range(len(functions) - 1, -1, -1):
        if functions[index] is function:
            del functions[index]
            return
