"""TransformerLens 4: the bridge over a transformers network, with and without stop_at_layer."""

import copy
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from benchmarks.adapters import Loaded, Reader
from benchmarks.subject import directions
from benchmarks.timing import Variant


def _wrap(loaded: Loaded) -> Any:
    coder = copy.deepcopy(loaded.tokenizer)
    # Without these it would look the tokenizer up on the hub again.
    coder.init_kwargs |= {"name_or_path": "random-llama", "add_bos_token": True}
    return TransformerBridge.boot_transformers("random-llama", hf_model=loaded.copy(), tokenizer=coder)


def _site(layer: int) -> str:
    return f"blocks.{layer}.hook_out"


def capture(loaded: Loaded, ids: Tensor) -> list[Variant]:
    bridge, layer = _wrap(loaded), loaded.layer

    def read(**options: Any) -> object:
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(ids, names_filter=_site(layer), **options)
        return cache[_site(layer)]

    return [
        Variant("TransformerLens + stop_at_layer, one layer at 2/3", lambda: read(stop_at_layer=layer + 1)),
        Variant("TransformerLens run_with_cache, one layer at 2/3", read),
    ]


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    bridge, site = _wrap(loaded), _site(loaded.layer)
    vector = torch.from_numpy(directions(loaded.shape, 1)[0]) * 0.5

    def add(value: Tensor, hook: Any) -> Tensor:  # noqa: ARG001 - its signature
        return value + vector

    def bare() -> object:
        with torch.inference_mode():
            return bridge.generate(
                ids, max_new_tokens=new_tokens, do_sample=False, stop_at_eos=False, return_type="tokens", verbose=False
            )

    def steer() -> object:
        with bridge.hooks(fwd_hooks=[(site, add)]):
            return bare()

    return [Variant("TransformerLens, one vector added", steer), Variant("TransformerLens generate", bare)]


def readers(loaded: Loaded) -> dict[str, Reader]:
    bridge, layers = _wrap(loaded), range(loaded.shape.layers)
    sites = [_site(layer) for layer in layers]

    def read(ids: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(
                ids, attention_mask=mask, names_filter=sites, stop_at_layer=loaded.shape.layers
            )
            return torch.stack([torch.einsum("bsh,bs->bh", cache[site], weights) for site in sites], dim=1)

    return {"TransformerLens + stop_at_layer": read}
