"""Where the blocks, the final norm and the unembedding are in each architecture: one table, no guessing."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from thymos.errors import UnknownArchitectureError, did_you_mean

__all__ = ["LAYOUTS", "Layout", "Sites", "find_sites"]

Kind = Literal["decoder", "encoder"]


@dataclass(frozen=True)
class Layout:
    """Dotted module paths below the network that `AutoModelForCausalLM` (or `AutoModel`) returns."""

    blocks: str
    """Path of the `nn.ModuleList` of blocks; layer `l` is the output of its element `l`."""
    final_norm: str | None
    """Path of the norm after the last block; None where the network has none (post-norm encoders)."""
    kind: Kind = "decoder"
    """Decoders read and steer; encoders are read only."""


_LLAMA_LIKE = Layout("model.layers", "model.norm")
_GPT_LIKE = Layout("transformer.h", "transformer.ln_f")
_BERT_LIKE = Layout("encoder.layer", None, "encoder")

LAYOUTS: dict[str, Layout] = {
    **dict.fromkeys(
        (
            "llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe gemma gemma2 gemma3_text phi3 olmo olmo2 olmo3 "
            "olmoe stablelm granite granitemoe granitemoehybrid cohere cohere2 starcoder2 smollm3 glm glm4 glm4_moe "
            "deepseek_v2 deepseek_v3 qwen3_next"
        ).split(),
        _LLAMA_LIKE,
    ),
    **dict.fromkeys("gpt2 gpt_neo gptj bloom falcon gpt_bigcode".split(), _GPT_LIKE),
    "gpt_neox": Layout("gpt_neox.layers", "gpt_neox.final_layer_norm"),
    "opt": Layout("model.decoder.layers", "model.decoder.final_layer_norm"),
    "phi": Layout("model.layers", "model.final_layernorm"),
    "gemma3": Layout("model.language_model.layers", "model.language_model.norm"),
    **dict.fromkeys("jamba bamba falcon_h1".split(), Layout("model.layers", "model.final_layernorm")),
    "lfm2": Layout("model.layers", "model.embedding_norm"),
    "bert": _BERT_LIKE,
    "roberta": _BERT_LIKE,
    "xlm-roberta": _BERT_LIKE,
    "electra": _BERT_LIKE,
    "distilbert": Layout("transformer.layer", None, "encoder"),
    "mpnet": _BERT_LIKE,
    "modernbert": Layout("layers", "final_norm", "encoder"),
}
"""`config.model_type` -> layout. Multimodal checkpoints use the row of their text part."""


@dataclass(frozen=True)
class Sites:
    """The modules themselves, found in one network."""

    blocks: tuple[nn.Module, ...]
    holder: nn.Module
    """The module that owns the list of blocks."""
    blocks_path: str
    final_norm: nn.Module | None
    unembedding: nn.Module | None
    """The module that maps the normed residual stream to logits; None in encoders without a head."""
    kind: Kind


def find_sites(network: nn.Module, architecture: str, blocks: str | None = None) -> Sites:
    """Find the hook sites of a network.

    Args:
        network: What transformers loaded.
        architecture: `config.model_type`.
        blocks: Dotted path of the block list, given by hand; it overrides the table.

    Raises:
        UnknownArchitectureError: The architecture is not in the table and no path was given, or the path leads nowhere.
    """
    known = LAYOUTS.get(architecture)
    if known is None and blocks is None:
        candidates = [name for name, module in network.named_modules() if _looks_like_blocks(module)]
        raise UnknownArchitectureError(
            f"architecture {architecture!r} is not in the layout table{did_you_mean(architecture, LAYOUTS)}; pass the "
            f"path of its list of blocks by hand, e.g. load(..., blocks={(candidates or ['model.layers'])[0]!r}) or "
            f"--blocks on the command line (block lists seen in this network: {', '.join(candidates) or 'none'})"
        )
    path = blocks if blocks is not None else known.blocks if known is not None else ""
    found = _module_at(network, path)
    if not isinstance(found, nn.ModuleList) or len(found) == 0:
        candidates = [name for name, module in network.named_modules() if _looks_like_blocks(module)]
        raise UnknownArchitectureError(
            f"{path!r} is not a non-empty list of blocks in this {architecture!r} network; lists of blocks in it: "
            f"{', '.join(candidates) or 'none'}; pass one of them as blocks="
        )
    norm = _module_at(network, known.final_norm) if known is not None and known.final_norm is not None else None
    embeddings: Any = getattr(network, "get_output_embeddings", None)
    head = embeddings() if embeddings is not None else None
    kind: Kind = known.kind if known is not None else "decoder" if head is not None else "encoder"
    return Sites(
        blocks=tuple(found),
        holder=network.get_submodule(path.rpartition(".")[0]),
        blocks_path=path,
        final_norm=norm,
        unembedding=head if isinstance(head, nn.Module) else None,
        kind=kind,
    )


def _module_at(network: nn.Module, path: str) -> nn.Module | None:
    try:
        return network.get_submodule(path)
    except AttributeError:
        return None


def _looks_like_blocks(module: nn.Module) -> bool:
    """A list of at least one equal-typed module with parameters: what a stack of blocks looks like."""
    if not isinstance(module, nn.ModuleList) or len(module) == 0:
        return False
    return len({type(child) for child in module}) == 1 and next(module.parameters(), None) is not None
