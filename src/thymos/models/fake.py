"""Tiny random networks and a byte tokenizer, built from configs with no download: for tests, docs and dry runs.

Nothing these models say or represent means anything; they have the shapes and the code paths of real ones.
"""

from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from thymos.errors import UsageError, did_you_mean
from thymos.models.model import Model

__all__ = ["CHAT_TEMPLATE", "TINY_ARCHITECTURES", "byte_tokenizer", "tiny_model", "tiny_network"]

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_SPECIALS = ("<|bos|>", "<|eos|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
VOCABULARY_SIZE = 256 + len(_SPECIALS)


def byte_tokenizer(*, bos: bool = True, chat: bool = True, padding_side: str = "right") -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 256 bytes and 7 special tokens, with character offsets.

    Args:
        bos: Whether encoding starts with a BOS token, as Llama's does.
        chat: Whether it carries a chat template.
        padding_side: "left" or "right".
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in _SPECIALS])
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", special_tokens=[("<|bos|>", core.token_to_id("<|bos|>"))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|bos|>",
        eos_token="<|eos|>",
        pad_token="<|pad|>",
        padding_side=padding_side,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _common(layers: int, hidden: int) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": hidden * 2,
        "head_dim": hidden // 4,
        "max_position_embeddings": 2048,
        "bos_token_id": 256,
        "eos_token_id": 257,
        "pad_token_id": 258,
    }


_MOE: dict[str, Any] = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}
_SPECIFIC: dict[str, dict[str, Any]] = {
    **{name: {} for name in "llama mistral qwen2 qwen3 gemma phi3 olmo2 stablelm granite cohere starcoder2".split()},
    **{name: {} for name in "gpt_neox phi smollm3 glm4".split()},
    **{name: _MOE for name in "mixtral qwen2_moe qwen3_moe".split()},
    "gemma2": {"query_pre_attn_scalar": 8, "sliding_window": 512},
    "gemma3_text": {"query_pre_attn_scalar": 8, "sliding_window": 512},
    "gpt2": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "gptj": {"rotary_dim": 4},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {},
    "falcon": {"new_decoder_architecture": False, "multi_query": True, "alibi": False},
    "deepseek_v3": {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 1,
        "num_key_value_heads": 4,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
    },
    "jamba": {
        **_MOE,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "mamba_dt_rank": 4,
        "mamba_d_state": 8,
    },
    "bert": {},
    "roberta": {},
    "modernbert": {"global_attn_every_n_layers": 2},
}
TINY_ARCHITECTURES: tuple[str, ...] = tuple(_SPECIFIC)
"""Every architecture that `tiny_model` builds; the tests run the self-check on each."""

_ENCODERS = ("bert", "roberta", "modernbert")


def tiny_network(architecture: str = "llama", *, layers: int = 4, hidden: int = 32, seed: int = 0) -> torch.nn.Module:
    """A random network of one architecture, float32, in evaluation mode.

    Args:
        architecture: A `config.model_type` of `TINY_ARCHITECTURES`.
        layers: Number of blocks.
        hidden: Width; a multiple of 16.
        seed: Seed of the weights.

    Raises:
        UsageError: No tiny config is known for the architecture.
    """
    if architecture not in _SPECIFIC:
        raise UsageError(
            f"no tiny config for architecture {architecture!r}{did_you_mean(architecture, _SPECIFIC)}; known: "
            f"{', '.join(_SPECIFIC)}"
        )
    wanted = {**_common(layers, hidden), **_SPECIFIC[architecture]}
    if architecture == "opt":
        wanted |= {"ffn_dim": hidden * 2, "word_embed_proj_dim": hidden}
    if architecture == "gpt_neo":
        wanted["attention_types"] = [[["global", "local"], (layers + 1) // 2]]
        wanted["num_layers"] = layers
    if architecture in ("falcon", "deepseek_v3"):
        del wanted["head_dim"]
    if architecture == "modernbert":
        wanted |= {"cls_token_id": 256, "sep_token_id": 257}
    config = CONFIG_MAPPING[architecture](**wanted)
    factory = AutoModel if architecture in _ENCODERS else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = factory.from_config(config, dtype=torch.float32)
        _spread(network)
    network.eval()
    if getattr(network, "generation_config", None) is not None:
        network.generation_config.eos_token_id = 257
        network.generation_config.pad_token_id = 258
    return network


def _spread(network: torch.nn.Module) -> None:
    """Redraw the matrices with a larger spread, so that blocks visibly change the residual stream."""
    for parameter in network.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.15)


def tiny_model(
    architecture: str = "llama", *, layers: int = 4, hidden: int = 32, seed: int = 0, chat: bool = True
) -> Model:
    """A tiny random model with a byte tokenizer, ready to use; see `tiny_network`."""
    network = tiny_network(architecture, layers=layers, hidden=hidden, seed=seed)
    tokenizer = byte_tokenizer(bos=architecture not in ("gpt2", *_ENCODERS), chat=chat)
    return Model.wrap(network, tokenizer, name=f"tiny-{architecture}")
