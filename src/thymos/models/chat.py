"""Chat rendering: the exact token ids that are fed, with role spans, and BOS exactly once."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

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
    host: Host,
    conversation: str | Sequence[Message],
    *,
    add_generation_prompt: bool = True,
    overflow: Literal["error", "cut"] = "error",
    **options: Any,
) -> Tokens:
    """Token ids, role spans and template marks of a conversation, exactly as they are fed.

    Args:
        host: The model.
        conversation: A user message or a list of messages.
        add_generation_prompt: Whether to end with the header of the assistant's reply.
        overflow: What happens to a conversation longer than the model's context: an error (a cut one would lose its
            reply slot), or the tail is cut.
        **options: Passed to the chat template.

    Returns:
        Tokens whose `special` is true on every template token, and whose roles cover the content of each turn.

    Raises:
        UsageError: The template changed the text of a message, so its tokens cannot be found; or the conversation is
            longer than the context.
    """
    messages = as_messages(conversation)
    text = render(host, messages, add_generation_prompt=add_generation_prompt, **options)
    tokens = host.tokens(text, add_special=_wants_bos(host, text))
    if overflow == "error" and len(tokens) and len(tokens) == host.max_positions and _cut(tokens):
        raise UsageError(
            f"the conversation is longer than the context of {host.name!r} ({host.max_positions} tokens); shorten it"
        )
    marked = [
        {**m, "content": _mark(turn) if m["content"].strip() else m["content"]} for turn, m in enumerate(messages)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlainDialogueWarning)
        frame = render(host, marked, add_generation_prompt=add_generation_prompt, **options)
    spans = _content_spans(messages, _content_places(messages, text, frame), tokens)
    return replace(tokens, roles=spans, special=tokens.special | ~_inside(spans, len(tokens)))


def _cut(tokens: Tokens) -> bool:
    """Whether the tail of the text was cut off."""
    return int(tokens.offsets[:, 1].max()) < len(tokens.text.rstrip())


def _wants_bos(host: Host, text: str) -> bool:
    """Whether the tokenizer must add its special tokens: only when the template has not written BOS already."""
    bos = getattr(host.tokenizer, "bos_token", None)
    return not (bos and text.startswith(bos))


def _mark(turn: int) -> str:
    """Stands for the text of a turn: a word that no template and no text contains."""
    return f"thymosturn{turn}marker"


def _content_places(messages: Sequence[Message], text: str, frame: str) -> dict[int, tuple[int, int]]:
    """Character range of each turn's text in the rendered conversation.

    `frame` is the same conversation with marks for texts. What stands between the marks is the template's own, so a
    short text ("user", "2") is not mistaken for a piece of a header, a date or a default system prompt.
    """
    turns = [turn for turn, message in enumerate(messages) if message["content"].strip()]
    places: dict[int, tuple[int, int]] = {}
    cursor, seen = 0, 0
    for turn in turns:
        at = frame.find(_mark(turn), seen)
        if at < 0:
            raise _unlocated(turn, messages[turn])
        after = _after(text, frame[seen:at], cursor)
        content = messages[turn]["content"].strip()
        if after is None or not text.startswith(content, after):
            return _places_in_order(messages, text, turns)
        cursor, seen = after + len(content), at + len(_mark(turn))
        places[turn] = (after, cursor)
    return places if _after(text, frame[seen:], cursor) == len(text) else _places_in_order(messages, text, turns)


def _after(text: str, piece: str, cursor: int) -> int | None:
    """Where `text` goes on behind a piece that stands at `cursor`, white space aside; None if it is not there."""

    def skip(at: int) -> int:
        return at + len(text[at:]) - len(text[at:].lstrip())

    start, literal = skip(cursor), piece.strip()
    return skip(start + len(literal)) if text.startswith(literal, start) else None


def _places_in_order(messages: Sequence[Message], text: str, turns: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Ranges found one after the other, for templates whose own text depends on the contents."""
    places, cursor = {}, 0
    for turn in turns:
        content = messages[turn]["content"].strip()
        place = text.find(content, cursor)
        if place < 0:
            raise _unlocated(turn, messages[turn])
        cursor = place + len(content)
        places[turn] = (place, cursor)
    return places


def _unlocated(turn: int, message: Message) -> UsageError:
    return UsageError(
        f"the chat template rewrote or dropped the text of message {turn} (role {message['role']!r}), so its tokens "
        "cannot be located; render the conversation yourself and read it as plain text"
    )


def _content_spans(
    messages: Sequence[Message], places: Mapping[int, tuple[int, int]], tokens: Tokens
) -> tuple[RoleSpan, ...]:
    spans: list[RoleSpan] = []
    start, stop = tokens.offsets[:, 0], tokens.offsets[:, 1]
    for turn, (low, high) in places.items():
        inside = np.flatnonzero((start < high) & (stop > low) & (stop > start))
        if inside.size:
            spans.append(RoleSpan(messages[turn]["role"], int(inside[0]), int(inside[-1]) + 1, turn))
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
