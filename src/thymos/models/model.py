"""`Model`: a loaded network with the verbs of this package as methods."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from thymos.models.chat import Message, chat_tokens
from thymos.models.generate import Generation, Sampling, chat, generate
from thymos.models.host import Host
from thymos.models.tokens import Tokens

__all__ = ["Model"]


class Model(Host):
    """A loaded network. See `Host` for its attributes; the methods here are the package's functions."""

    @classmethod
    def wrap(
        cls,
        network: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "in memory",
        blocks: str | None = None,
    ) -> "Model":
        """Use a network and a tokenizer that are already in memory."""
        return cls(network, tokenizer, name=name, blocks=blocks)

    def chat_tokens(self, conversation: str | Sequence[Message], **options: Any) -> Tokens:
        """See `thymos.models.chat_tokens`."""
        return chat_tokens(self, conversation, **options)

    def chat(
        self, conversation: str | Sequence[Message], sampling: Sampling | None = None, **options: Any
    ) -> Generation:
        """See `thymos.models.chat`."""
        return chat(self, conversation, sampling, **options)

    def generate(
        self, prompts: Sequence[str | Tokens], sampling: Sampling | None = None, **options: Any
    ) -> list[Generation]:
        """See `thymos.models.generate`."""
        return generate(self, prompts, sampling, **options)
