"""One module per library, each with the same three functions; only the one that is asked for is imported.

`capture(loaded, ids)` and `generation(loaded, ids, new_tokens)` return variants to be timed against the bare network;
`readers(loaded)` returns what reads all layers of one padded batch, for the corpus benchmark. A function is left out
where the library has no such use.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from benchmarks.subject import Shape, network, tokenizer

Reader = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(ids [batch, seq], attention mask [batch, seq], weights [batch, seq]) -> means [batch, layers, hidden]."""


@dataclass(frozen=True)
class Loaded:
    """The network under test."""

    shape: Shape
    network: Any
    tokenizer: Any

    @classmethod
    def of(cls, shape: Shape) -> "Loaded":
        return cls(shape, network(shape), tokenizer(shape))

    @property
    def layer(self) -> int:
        """Two thirds of the depth: block 8 of 12."""
        return max(0, round(2 / 3 * self.shape.layers) - 1)

    def copy(self) -> Any:
        """The same network again: some libraries leave hooks behind, which must not reach the bare runs."""
        return network(self.shape)

    def bare(self, ids: Tensor) -> Callable[[], object]:
        """A full forward with unembedding."""

        def run() -> object:
            with torch.inference_mode():
                return self.network(ids)

        return run

    def residual(self, ids: Tensor) -> Tensor:
        """Rows of the layer at two thirds, read by a plain hook: what every capture must equal."""
        kept: list[Tensor] = []
        block = self.network.model.layers[self.layer]
        handle = block.register_forward_hook(lambda *seen: kept.append(rows_of(seen[2])))
        with torch.inference_mode():
            self.network(ids)
        handle.remove()
        return kept[0]

    def bare_generation(self, ids: Tensor, new_tokens: int) -> Callable[[], object]:
        """Greedy generation by transformers."""

        def run() -> object:
            with torch.inference_mode():
                return self.network.generate(**greedy(ids, new_tokens))

        return run


def rows_of(output: Any) -> Tensor:
    """What a block returns, without the tuple that older versions of transformers put around it."""
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def greedy(ids: Tensor, new_tokens: int) -> dict[str, Any]:
    """Arguments of transformers' `generate`; nothing ends a text early."""
    config = GenerationConfig(max_new_tokens=new_tokens, do_sample=False, pad_token_id=0, bos_token_id=1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "generation_config": config}


def adapter(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.adapters.{name}")
