"""A transformers network, its tokenizer and its hook sites: what every function of this package works on."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from thymos.errors import LayerError, ModelError, UsageError
from thymos.models.hooks import BlockHooks
from thymos.models.layout import Sites, find_sites
from thymos.models.tokens import DEFAULT_BATCH_TOKENS, RoleSpan, Tokens, truncate

__all__ = ["Host", "parse_layers"]

_SAMPLES_PER_TENSOR = 1024
_TOKENIZED_AT_ONCE = 128


class Host:
    """A network with its tokenizer and hook sites. Layer `l` is the output of block `l`, counted from 0.

    `folder` is where its files lie, or None for a model of the hub or one that was made in memory.
    """

    def __init__(
        self,
        network: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        revision: str | None = None,
        blocks: str | None = None,
    ) -> None:
        config: Any = network.config
        self.network: Any = network
        self.tokenizer: Any = tokenizer
        self.name = name
        self.revision = revision
        self.architecture: str = config.model_type
        place = str(getattr(network, "name_or_path", "") or "")
        # Resolved now: a relative path means another place once the working directory has changed.
        self.folder: Path | None = Path(place).resolve() if place and Path(place).is_dir() else None
        self.sites: Sites = find_sites(network, self.architecture, blocks)
        text_config = config.get_text_config()
        self.n_layers = len(self.sites.blocks)
        self.hidden_size: int = text_config.hidden_size
        self.kind = self.sites.kind
        self.backbone: Any = getattr(network, "base_model", network)
        self.max_positions: int | None = _max_positions(self.backbone, text_config)
        self.hooks = BlockHooks(self.backbone, self.sites.holder, self.sites.blocks)
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"the tokenizer of {name!r} ({type(tokenizer).__name__}) gives no character offsets; install its fast "
                "version (the `tokenizers` file tokenizer.json must be in the model folder)"
            )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}: {self.architecture} {self.kind}, {self.n_layers} layers, "
            f"hidden size {self.hidden_size}, {str(self.dtype).removeprefix('torch.')} on {self.device}>"
        )

    @property
    def device(self) -> torch.device:
        """Device of the embeddings, where inputs must be."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return next(self.network.parameters()).dtype

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of BOS, EOS, padding and other markers. An unknown word is content, unless its id is also a marker."""
        tokenizer = self.tokenizer
        markers = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
        return frozenset(
            token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id or token in markers
        )

    @property
    def batch_tokens(self) -> int:
        """Positions fed at once unless told otherwise: a CPU is fastest with little, an accelerator with much."""
        return DEFAULT_BATCH_TOKENS if self.device.type == "cpu" else 8 * DEFAULT_BATCH_TOKENS

    @property
    def pad_id(self) -> int:
        """Id used to pad batches; it is masked or lies behind every real token."""
        for candidate in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if candidate is not None:
                return int(candidate)
        return 0

    @cached_property
    def forward_arguments(self) -> frozenset[str]:
        """Names of the arguments the backbone's forward pass takes."""
        return frozenset(signature(self.backbone.forward).parameters)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the architecture and the names, shapes and a fixed sample of every weight tensor.

        The sample is rounded to bfloat16, so the same checkpoint has one fingerprint whether it is loaded as float32,
        bfloat16 or float16; fine-tuning, pruning and quantisation change it.
        """
        digest = hashlib.sha256(self.architecture.encode())
        for key, value in sorted(self.network.state_dict().items()):
            flat = value.detach().reshape(-1)
            stride = max(1, flat.shape[0] // _SAMPLES_PER_TENSOR)
            sample = flat[::stride][:_SAMPLES_PER_TENSOR].to(device="cpu", dtype=torch.float32).to(torch.bfloat16)
            digest.update(f"{key}{tuple(value.shape)}".encode())
            digest.update(sample.view(torch.int16).numpy().tobytes())
        return digest.hexdigest()

    def layer_at(self, fraction: float) -> int:
        """Layer at a depth fraction f: round(f * L) - 1, so 2/3 of 12 blocks is layer 7."""
        if not 0 < fraction <= 1:
            raise LayerError(f"a depth fraction lies in (0, 1], got {fraction}; 2/3 is the paper's default")
        return max(0, round(fraction * self.n_layers) - 1)

    def resolve_layers(self, layers: str | int | float | Sequence[int]) -> tuple[int, ...]:
        """Turn "all", "2/3", a depth fraction, a layer or a list of layers into sorted layer indices.

        Raises:
            LayerError: Not a layer of this model.
        """
        chosen = parse_layers(layers)
        if isinstance(chosen, float):
            return (self.layer_at(chosen),)
        if isinstance(chosen, str):
            return tuple(range(self.n_layers))
        for layer in chosen:
            self.hooks.check_layer(layer)
        return chosen

    def tokens(self, text: str, *, add_special: bool = True) -> Tokens:
        """Tokenize one text with character offsets, exactly as it will be fed."""
        return self.tokens_of([text], add_special=add_special, offsets=True)[0]

    def tokens_of(
        self, texts: Sequence[str], *, add_special: bool = True, offsets: bool = False, longest: int | None = None
    ) -> list[Tokens]:
        """Tokenize many texts; `longest` (default: the model's context) cuts the tail of longer ones."""
        limits = [limit for limit in (longest, self.max_positions) if limit is not None]
        special_ids = np.asarray(sorted(self.special_ids), np.int32)
        found = []
        # The tokenizer's own lists are many times larger than the arrays kept: a few texts at a time.
        for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
            some = list(texts[start : start + _TOKENIZED_AT_ONCE])
            encoded = self.tokenizer(
                some,
                add_special_tokens=add_special,
                return_offsets_mapping=offsets,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )
            for row, text in enumerate(some):
                ids = np.asarray(encoded["input_ids"][row], np.int32)
                where = np.asarray(encoded["offset_mapping"][row] if offsets else [], np.int32).reshape(-1, 2)
                tokens = Tokens(ids=ids, special=np.isin(ids, special_ids), text=text, offsets=where)
                found.append(truncate(tokens, min(limits)) if limits else tokens)
        return found

    def unembed(self, rows: Float[Tensor, "rows hidden"], *, final_norm: bool = False) -> Float[Tensor, "rows vocab"]:
        """Logits of residual-stream rows or directions: the logit lens.

        Args:
            rows: Residual rows or directions.
            final_norm: Apply the model's final norm first. Off, this is the direct product W_U v of Sofroniew et al.
                2026 (whether they folded the norm's gain in is not stated).

        Raises:
            UsageError: The model has no unembedding.
        """
        head = self.sites.unembedding
        if head is None:
            raise UsageError(
                f"{self.name!r} ({self.architecture}) has no unembedding, so there is no logit lens for it"
            )
        with torch.inference_mode():
            weight = next(head.parameters())
            values = rows.to(device=weight.device, dtype=weight.dtype)
            if final_norm and self.sites.final_norm is not None:
                values = self.sites.final_norm(values)
            logits: Tensor = nn.functional.linear(values, weight)
            return logits.float()

    def with_ids(self, tokens: Tokens, new_ids: Sequence[int]) -> Tokens:
        """Tokens with generated ids appended; the prompt's length is remembered, and in a chat they are a turn."""
        added = np.asarray(new_ids, np.int32)
        special = np.isin(added, np.asarray(sorted(self.special_ids), np.int32))
        roles, said = tokens.roles, np.flatnonzero(~special)
        if roles and said.size:
            first, last = len(tokens) + int(said[0]), len(tokens) + int(said[-1])
            roles = (*roles, RoleSpan("assistant", first, last + 1, max(span.turn for span in roles) + 1))
        return replace(
            tokens,
            roles=roles,
            ids=np.concatenate([tokens.ids, added]),
            special=np.concatenate([tokens.special, special]),
            offsets=np.zeros((0, 2), np.int32),
            prompt_length=len(tokens),
        )


def _max_positions(backbone: nn.Module, text_config: Any) -> int | None:
    limit: int | None = getattr(text_config, "max_position_embeddings", None)
    table = getattr(getattr(backbone, "embeddings", None), "position_embeddings", None)
    reserved = getattr(table, "padding_idx", None)
    # RoBERTa and its kin count positions from behind the padding row of the table.
    return limit if limit is None or reserved is None else limit - reserved - 1


def parse_layers(layers: str | int | float | Sequence[int]) -> Literal["all"] | float | tuple[int, ...]:
    """Read a layer argument without a model: "all", a depth fraction (float), or sorted layer indices.

    Raises:
        LayerError: The argument cannot be read.
    """
    if isinstance(layers, bool):
        raise LayerError(f"layers={layers!r} is not a layer")
    if isinstance(layers, int):
        return (layers,)
    if isinstance(layers, float):
        return layers
    if not isinstance(layers, str):
        if not layers:
            raise LayerError("an empty list of layers was given; name at least one, or 'all'")
        return tuple(sorted({int(layer) for layer in layers}))
    text = layers.strip()
    if text == "all":
        return "all"
    try:
        if "/" in text:
            above, below = text.split("/")
            return int(above) / int(below)
        if "." in text:
            return float(text)
        return tuple(sorted({int(part) for part in text.split(",")}))
    except (ValueError, ZeroDivisionError) as err:
        raise LayerError(
            f"cannot read layers {layers!r}; valid: 'all', a depth fraction such as '2/3', one layer, or a list '3,5,7'"
        ) from err
