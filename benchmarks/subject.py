"""What is measured: a random Llama of fixed shape and seed, a word tokenizer for it, and random texts.

Imports nothing of thymos, so that it can be built in every peer's environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

_SPECIAL = ("<pad>", "<bos>", "<unk>")
SHORTEST, LONGEST = 40, 400
FIRST_TOKEN = 20
"""Every text of the corpus reaches it, so that none is left out and all libraries do the same work."""


@dataclass(frozen=True)
class Shape:
    """Size of the network."""

    layers: int = 12
    hidden: int = 512
    heads: int = 8
    kv_heads: int = 4
    ffn: int = 1376
    vocab: int = 8000

    @classmethod
    def like(cls, config: Any) -> "Shape":
        """The shape of a network that is there."""
        return cls(
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.intermediate_size,
            config.vocab_size,
        )

    def parameters(self) -> int:
        """Weights of the blocks that every token is multiplied with; embeddings and head not counted."""
        head = self.hidden // self.heads
        attention = 2 * self.hidden * self.heads * head + 2 * self.hidden * self.kv_heads * head
        return self.layers * (attention + 3 * self.hidden * self.ffn)

    def flops(self, lengths: Sequence[int]) -> float:
        """Floating-point operations of a headless causal forward over texts of these lengths."""
        sizes = np.asarray(lengths, np.float64)
        attention = 2 * self.layers * self.hidden * float((sizes * (sizes + 1)).sum())
        return 2.0 * self.parameters() * float(sizes.sum()) + attention


FULL = Shape()
TINY = Shape(layers=3, hidden=32, heads=4, kv_heads=2, ffn=64, vocab=200)
"""For smoke tests of the benchmarks themselves."""


def network(shape: Shape, seed: int = 0) -> Any:
    """The network, float32, SDPA, in evaluation mode."""
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.ffn,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float().eval()
    # Nothing ends a text early: every timed generation has the same number of steps.
    made.generation_config.eos_token_id = None
    made.generation_config.pad_token_id = 0
    return made


def tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    """One token per word, so that random tokens survive the way through text; BOS first, as Llama's."""
    words = [*_SPECIAL, *(f"w{number}" for number in range(shape.vocab - len(_SPECIAL)))]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def random_ids(shape: Shape, batch: int, length: int, seed: int = 0) -> Tensor:
    """[batch, length] token ids."""
    drawn = np.random.default_rng(seed).integers(len(_SPECIAL), shape.vocab, (batch, length))
    return torch.from_numpy(drawn)


def random_texts(shape: Shape, count: int, seed: int = 0) -> list[str]:
    """Texts of random words: lengths log-normal (median 120 tokens), 40 to 400 tokens with BOS."""
    draw = np.random.default_rng(seed)
    lengths = np.clip(draw.lognormal(np.log(120), 0.6, count), SHORTEST, LONGEST).astype(int)
    return [
        " ".join(f"w{word}" for word in draw.integers(0, shape.vocab - len(_SPECIAL), length - 1)) for length in lengths
    ]


def directions(shape: Shape, count: int, seed: int = 0) -> np.ndarray:
    """[count, hidden] random unit rows, float32."""
    drawn = np.random.default_rng(seed).standard_normal((count, shape.hidden))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
