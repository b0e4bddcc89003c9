"""Chat rendering: the exact token ids that are fed, with role spans, and BOS exactly once."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from thymos.errors import UsageError
from thymos.models.host import Host
from thymos.models.tokens import RoleSpan, Tokens

__all__ = ["Message", "PlainDialogueWarning", "chat_tokens", "render", "reply_slot"]

Message = Mapping[str, str]
"""{"role": "system" | "user" | "assistant" | ..., "content": "..."}"""

_PLAIN_NAMES = {"system": "System", "user": "Human", "assistant": "Assistant"}


class PlainDialogueWarning(UserWarning):
    """The model has no chat template, so a plain Human/Assistant dialogue is fed instead."""


def as_messages(conversation: str | Sequence[Message]) -> list[dict[str, str]]:
    """A conversation as a list of messages; a string is one user message.

    Raises:
        UsageError: No messages, or a message without role or content.
    """
    if isinstance(conversation, str):
        return [{"role": "user", "content": conversation}]
    if not conversation:
        raise UsageError("the conversation is empty; give at least one message")
    checked = []
    for number, message in enumerate(conversation):
        if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str):
            raise UsageError(
                f"message {number} has keys {sorted(message)}; a message is {{'role': str, 'content': str}}"
            )
        checked.append({"role": message["role"], "content": message["content"]})
    return checked


def render(host: Host, messages: Sequence[Message], *, add_generation_prompt: bool = True, **options: Any) -> str:
    """The text of a conversation in the model's own template, or as a plain dialogue where it has none.

    Args:
        host: The model.
        messages: The conversation.
        add_generation_prompt: Whether to end with the header of the assistant's reply.
        **options: Passed to the template, e.g. `enable_thinking=False`.
    """
    if getattr(host.tokenizer, "chat_template", None):
        rendered: str = host.tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            **options,
        )
        return rendered
    warnings.warn(
        f"{host.name!r} has no chat template (a base model?); a plain 'Human: ... Assistant:' dialogue is fed instead",
        PlainDialogueWarning,
        stacklevel=3,
    )
    turns = [f"{_PLAIN_NAMES.get(m['role'], m['role'])}: {m['content'].strip()}" for m in messages]
    return "\n\n".join([*turns, "Assistant:"] if add_generation_prompt else turns)


def chat_tokens(
    host: Host, conversation: str | Sequence[Message], *, add_generation_prompt: bool = True, **options: Any
) -> Tokens:
    """Token ids, role spans and template marks of a conversation, exactly as they are fed.

    Args:
        host: The model.
        conversation: A user message or a list of messages.
        add_generation_prompt: Whether to end with the header of the assistant's reply.
        **options: Passed to the chat template.

    Returns:
        Tokens whose `special` is true on every template token, and whose roles cover the content of each turn.

    Raises:
        UsageError: The template changed the text of a message, so its tokens cannot be found.
    """
    messages = as_messages(conversation)
    text = render(host, messages, add_generation_prompt=add_generation_prompt, **options)
    tokens = host.tokens(text, add_special=_wants_bos(host, text))
    spans = _content_spans(messages, text, tokens)
    return replace(tokens, roles=spans, special=tokens.special | ~_inside(spans, len(tokens)))


def _wants_bos(host: Host, text: str) -> bool:
    """Whether the tokenizer must add its special tokens: only when the template has not written BOS already."""
    bos = getattr(host.tokenizer, "bos_token", None)
    return not (bos and text.startswith(bos))


def _content_spans(messages: Sequence[Message], text: str, tokens: Tokens) -> tuple[RoleSpan, ...]:
    spans: list[RoleSpan] = []
    cursor = 0
    start, stop = tokens.offsets[:, 0], tokens.offsets[:, 1]
    for turn, message in enumerate(messages):
        content = message["content"].strip()
        if not content:
            continue
        place = text.find(content, cursor)
        if place < 0:
            raise UsageError(
                f"the chat template rewrote or dropped the text of message {turn} (role {message['role']!r}), so its "
                "tokens cannot be located; render the conversation yourself and read it as plain text"
            )
        cursor = place + len(content)
        inside = np.flatnonzero((start < cursor) & (stop > place) & (stop > start))
        if inside.size:
            spans.append(RoleSpan(message["role"], int(inside[0]), int(inside[-1]) + 1, turn))
    return tuple(spans)


def _inside(spans: Sequence[RoleSpan], length: int) -> Bool[np.ndarray, " seq"]:
    inside = np.zeros(length, bool)
    for span in spans:
        inside[span.start : span.stop] = True
    return inside


def reply_slot(tokens: Tokens) -> int:
    """Absolute position whose row decides the first token of the reply: the paper's "Assistant colon".

    Chat templates put several special tokens after the user's turn; the last prompt token stands for the colon.
    """
    return (len(tokens) if tokens.prompt_length is None else tokens.prompt_length) - 1
