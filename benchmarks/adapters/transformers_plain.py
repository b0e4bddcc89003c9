"""transformers alone: what a user writes without any library."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.adapters import Loaded, Reader, rows_of
from benchmarks.timing import Variant


class _Enough(Exception):
    pass


def capture(loaded: Loaded, ids: Tensor) -> list[Variant]:
    other = loaded.copy()

    def hidden_states() -> object:
        with torch.inference_mode():
            return other(ids, output_hidden_states=True).hidden_states[loaded.layer + 1]

    def hook_and_raise() -> object:
        kept: list[Tensor] = []

        def hook(*seen: Any) -> None:
            kept.append(rows_of(seen[2]))
            raise _Enough

        handle = loaded.network.model.layers[loaded.layer].register_forward_hook(hook)
        try:
            with torch.inference_mode():
                loaded.network(ids, use_cache=False)
        except _Enough:
            pass
        finally:
            handle.remove()
        return kept[0]

    return [
        Variant("A/A control: bare against bare", loaded.bare(ids)),
        Variant("plain hook + raise, one layer at 2/3", hook_and_raise),
        Variant("transformers output_hidden_states", hidden_states),
    ]


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    return [Variant("A/A control: bare against bare", loaded.bare_generation(ids, new_tokens))]


def readers(loaded: Loaded) -> dict[str, Reader]:
    other = loaded.copy()

    def read(ids: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        with torch.inference_mode():
            states = other(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            return torch.stack([torch.einsum("bsh,bs->bh", state, weights) for state in states[1:]], dim=1)

    return {"transformers output_hidden_states": read}
