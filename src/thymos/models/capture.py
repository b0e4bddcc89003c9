"""The residual stream of any set of layers: as a context manager, per text, and streamed over a corpus.

One forward pass serves every layer asked for and stops at the highest of them; the unembedding is never run. Batches
are padded on the right by default: a causal network then needs no attention mask for its real rows, and positions
start at 0 in every row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from thymos.errors import ActivationError, CorpusError, LayerError, UsageError
from thymos.models.hooks import Step, StopForward
from thymos.models.host import Host
from thymos.models.tokens import CONTENT, DEFAULT_BATCH_TOKENS, Select, Tokens

__all__ = ["Padded", "Span", "capture", "forward", "pad", "plan_batches", "rows", "text_means"]

PaddingSide = Literal["right", "left"]
Sink = Callable[[int, Tensor], None]
"""(layer, hidden [batch, seq, hidden]) -> None, called once per layer and pass."""

# These networks make their own position ids from the padding, with an offset of their own.
_OWN_POSITIONS = ("roberta", "xlm-roberta", "mpnet")


@dataclass(frozen=True)
class Padded:
    """A batch as it is fed."""

    ids: Tensor
    """[batch, seq] int64."""
    real: Tensor
    """[batch, seq] bool, False on padding."""
    side: PaddingSide

    @property
    def waste(self) -> float:
        """Share of fed positions that are padding."""
        return 1.0 - float(self.real.sum()) / self.real.numel()


@contextmanager
def capture(host: Host, layers: int | str | Sequence[int], *, stop: bool = False) -> Iterator[dict[int, Tensor]]:
    """Record the residual stream of any forward pass run inside the context.

    Args:
        host: The model.
        layers: What `Host.resolve_layers` takes.
        stop: Leave the forward pass after the highest layer (statements after it in the context do not run).

    Yields:
        A dictionary, filled by each pass: layer -> [batch, seq, hidden] on the model's device. Later passes (decoding
        steps) replace earlier ones.
    """
    chosen = host.resolve_layers(layers)
    captured: dict[int, Tensor] = {}

    def read(layer: int, hidden: Tensor, step: Callable[[], Step]) -> None:  # noqa: ARG001 - the reader's signature
        captured[layer] = hidden.detach()

    try:
        with host.hooks.reading(chosen, read, stop=stop):
            yield captured
    except StopForward:
        if not stop:
            raise


def pad(host: Host, batch: Sequence[Tokens], side: PaddingSide = "right") -> Padded:
    """Stack texts into one tensor on the model's device."""
    longest = max(len(tokens) for tokens in batch)
    ids = np.full((len(batch), longest), host.pad_id, np.int64)
    real = np.zeros((len(batch), longest), bool)
    for row, tokens in enumerate(batch):
        place = slice(0, len(tokens)) if side == "right" else slice(longest - len(tokens), longest)
        ids[row, place] = tokens.ids
        real[row, place] = True
    return Padded(torch.from_numpy(ids).to(host.device), torch.from_numpy(real).to(host.device), side)


def forward(host: Host, padded: Padded, layers: Sequence[int], sink: Sink) -> None:
    """Run the backbone up to the highest of `layers`, handing each layer's output to `sink`.

    Args:
        host: The model.
        padded: The batch.
        layers: Layer indices, at least one, each once.
        sink: Receives (layer, hidden [batch, seq, hidden]); rows of padding hold garbage.

    Raises:
        LayerError: No layers, a layer given twice, or a layer the model does not have.
    """

    def read(layer: int, hidden: Tensor, step: Callable[[], Step]) -> None:  # noqa: ARG001 - the reader's signature
        sink(layer, hidden)

    if not layers or len(set(layers)) != len(layers):
        raise LayerError(f"layers must be distinct and at least one, got {list(layers)}")
    arguments: dict[str, Any] = {"input_ids": padded.ids}
    accepted = host.forward_arguments
    if "use_cache" in accepted or "kwargs" in accepted:
        arguments["use_cache"] = False
    if host.kind == "encoder" or (padded.side == "left" and not bool(padded.real.all())):
        arguments["attention_mask"] = padded.real.long()
    if padded.side == "left" and "position_ids" in accepted and host.architecture not in _OWN_POSITIONS:
        arguments["position_ids"] = (padded.real.long().cumsum(dim=1) - 1).clamp(min=0)
    with torch.inference_mode(), host.hooks.reading(layers, read, stop=True):
        try:
            host.backbone(**arguments)
        except StopForward:
            return


def plan_batches(lengths: Sequence[int], batch_tokens: int = DEFAULT_BATCH_TOKENS) -> list[list[int]]:
    """Pack texts into batches of at most `batch_tokens` fed positions, padding included, longest first.

    Args:
        lengths: Tokens of each text.
        batch_tokens: Upper bound of rows x longest row; a single longer text is a batch of its own.

    Returns:
        Lists of indices into `lengths`. The plan depends on nothing but its arguments.
    """
    if batch_tokens < 1:
        raise UsageError(f"batch_tokens must be positive, got {batch_tokens}; {DEFAULT_BATCH_TOKENS} is the default")
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    plan: list[list[int]] = []
    for index in order:
        if plan and (len(plan[-1]) + 1) * lengths[plan[-1][0]] <= batch_tokens:
            plan[-1].append(index)
        else:
            plan.append([index])
    return plan


@dataclass(frozen=True)
class Span:
    """How the rows of a batch are chosen and fed."""

    select: Select = CONTENT
    batch_tokens: int = DEFAULT_BATCH_TOKENS
    padding_side: PaddingSide = "right"


def selection(batch: Sequence[Tokens], padded: Padded, select: Select) -> Bool[np.ndarray, "batch seq"]:
    """Chosen positions of a padded batch; never padding."""
    chosen = np.zeros(tuple(padded.ids.shape), bool)
    longest = padded.ids.shape[1]
    for row, tokens in enumerate(batch):
        first = 0 if padded.side == "right" else longest - len(tokens)
        chosen[row, first : first + len(tokens)] = select.mask(tokens)
    return chosen


def text_means(
    host: Host, texts: Sequence[Tokens], layers: Sequence[int], span: Span | None = None
) -> Float[np.ndarray, "texts layers hidden"]:
    """Mean residual row of each text over its selected tokens, at each layer.

    Args:
        host: The model.
        texts: Tokenized texts; each needs at least one selected token.
        layers: Layer indices.
        span: Selection, batch size and padding side.

    Returns:
        float32 array in the order of `texts`.

    Raises:
        CorpusError: A text has no selected token.
        ActivationError: A mean is NaN or infinite.
    """
    how = span or Span()
    out = np.empty((len(texts), len(layers), host.hidden_size), np.float32)
    place = {layer: column for column, layer in enumerate(layers)}
    for plan in plan_batches([len(tokens) for tokens in texts], how.batch_tokens):
        batch = [texts[index] for index in plan]
        padded = pad(host, batch, how.padding_side)
        weights = mean_weights(selection(batch, padded, how.select))

        def sink(layer: int, hidden: Tensor, plan: list[int] = plan, weights: Tensor = weights) -> None:
            out[plan, place[layer]] = masked_means(hidden, weights).cpu().numpy()

        forward(host, padded, layers, sink)
        check_finite(out[plan], layers, host.name)
    return out


def mean_weights(chosen: Bool[np.ndarray, "batch seq"]) -> Tensor:
    """Weights [batch, seq] that turn a batch of rows into per-text means.

    Raises:
        CorpusError: A text has no selected token.
    """
    counts = chosen.sum(axis=1, keepdims=True)
    if not counts.all():
        raise CorpusError(
            f"{int((counts == 0).sum())} text(s) of a batch have no selected token; drop texts shorter than the first "
            "token used, or lower --start-token"
        )
    return torch.from_numpy((chosen / counts).astype(np.float32))


def masked_means(hidden: Tensor, weights: Tensor) -> Tensor:
    """[batch, hidden] float32 weighted sums of rows; padding may hold NaN without harm only if its rows are finite."""
    return torch.bmm(weights.to(hidden.device).unsqueeze(1), hidden.float()).squeeze(1)


def check_finite(
    values: Float[np.ndarray, "texts layers hidden"], layers: Sequence[int], name: str, of: str = "texts of a batch"
) -> None:
    """Raise an ActivationError that names the first layer with NaN or infinity."""
    bad = ~np.isfinite(values).all(axis=2)
    if bad.any():
        layer = layers[int(np.argwhere(bad.any(axis=0))[0, 0])]
        raise ActivationError(
            f"the residual stream of {name!r} holds NaN or infinity at layer {layer} ({int(bad.any(axis=1).sum())} of "
            f"{bad.shape[0]} {of}); load it with dtype=float32 (--dtype float32), or leave that layer out"
        )


def rows(host: Host, tokens: Tokens, layers: Sequence[int]) -> Float[np.ndarray, "layers seq hidden"]:
    """Residual rows of every token of one text, float32: what a reading is made from."""
    if len(tokens) == 0:
        raise CorpusError("the text is empty: it has no tokens to read")
    out = np.empty((len(layers), len(tokens), host.hidden_size), np.float32)
    place = {layer: column for column, layer in enumerate(layers)}

    def sink(layer: int, hidden: Tensor) -> None:
        out[place[layer]] = hidden[0].float().cpu().numpy()

    forward(host, pad(host, [tokens]), layers, sink)
    check_finite(out.swapaxes(0, 1), layers, host.name, "tokens of the text")
    return out
