"""Decision points: what has been fed so far, and the continuations that count as each outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thymos.errors import UsageError
from thymos.models import Host, Message, Tokens, chat_tokens

__all__ = ["DecisionPoint", "Options", "continuation_ids", "decision_point", "tokens_at"]


@dataclass(frozen=True)
class Options:
    """Outcomes of a decision and the texts that mean each of them."""

    outcomes: Mapping[str, tuple[str, ...]]
    """Outcome -> continuations, exactly as they follow the prompt: " yes" and "yes" are different continuations."""

    def __post_init__(self) -> None:
        if len(self.outcomes) < 2:
            raise UsageError(f"a decision has at least two outcomes, got {list(self.outcomes)}")
        owner: dict[str, str] = {}
        for outcome, texts in self.outcomes.items():
            if not texts or not all(texts):
                raise UsageError(
                    f"outcome {outcome!r} has no continuation or an empty one ({list(texts)}); give each outcome at "
                    "least one text"
                )
            for text in texts:
                if owner.setdefault(text, outcome) != outcome:
                    raise UsageError(
                        f"the continuation {text!r} stands under two outcomes ({owner[text]!r} and {outcome!r}); "
                        "leave it in one of them"
                    )

    @classmethod
    def of(cls, outcomes: Mapping[str, str | Sequence[str]]) -> "Options":
        """Options from a mapping whose values are one text or several, as a bank file holds them."""
        return cls({name: (texts,) if isinstance(texts, str) else tuple(texts) for name, texts in outcomes.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The outcomes, in order."""
        return tuple(self.outcomes)


@dataclass(frozen=True, eq=False)
class DecisionPoint:
    """A text that ends right before a decision."""

    tokens: Tokens | tuple[int, ...]
    """What is fed, BOS included; bare ids carry neither roles nor template marks."""
    options: Options
    id: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


def decision_point(
    host: Host, prompt: str | Sequence[Message] | Tokens, options: Options, prefill: str = "", *, id: str = ""
) -> DecisionPoint:
    """A decision point from a text, a conversation, or tokens.

    Args:
        host: The model.
        prompt: A plain text, fed as it is; or chat messages, rendered with the header of the assistant's reply.
        options: The outcomes.
        prefill: The beginning of the reply that is given, e.g. "<think>...</think>"; its ids follow the prompt's.
        id: Name of the point.

    Raises:
        UsageError: The prompt is empty or fills the context.
    """
    if isinstance(prompt, Tokens):
        tokens = prompt
    else:
        tokens = host.tokens(prompt) if isinstance(prompt, str) else chat_tokens(host, prompt)
    if prefill:
        tokens = _prefilled(host, tokens, prefill)
    _check_length(host, len(tokens) + 1, id)
    return DecisionPoint(tokens, options, id)


def tokens_at(host: Host, point: DecisionPoint) -> Tokens:
    """The tokens of a point; bare ids become tokens without roles.

    Raises:
        UsageError: The point has no tokens.
    """
    tokens = point.tokens
    if not isinstance(tokens, Tokens):
        ids = np.asarray(tokens, np.int32)
        tokens = Tokens(ids=ids, special=np.isin(ids, np.asarray(sorted(host.special_ids), np.int32)))
    if len(tokens) == 0:
        raise UsageError(f"decision point {point.id!r} has no tokens; give it a prompt")
    return tokens


def continuation_ids(host: Host, tokens: Tokens, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Ids that each text adds behind some tokens.

    A tokenizer may write a text differently at the start of a string than inside it, so text and prompt are tokenised
    together. Where the border is not kept (the prompt's last piece merges with the text), the text is tokenised alone
    and the ids are concatenated.

    Raises:
        UsageError: A text makes no tokens, or does not fit into the context.
    """
    alone = [tokens_.ids for tokens_ in host.tokens_of(list(texts), add_special=False)]
    found = [tuple(ids.tolist()) for ids in alone]
    if tokens.text:
        bare, *joint = host.tokens_of([tokens.text, *(tokens.text + text for text in texts)], add_special=False)
        border = len(bare)
        if 0 < border <= len(tokens) and np.array_equal(bare.ids, tokens.ids[-border:]):
            for place, whole in enumerate(joint):
                if len(whole) > border and np.array_equal(whole.ids[:border], bare.ids):
                    found[place] = tuple(whole.ids[border:].tolist())
    for text, ids in zip(texts, found, strict=True):
        if not ids:
            raise UsageError(f"the continuation {text!r} makes no tokens; give a text that the tokenizer can write")
    # What fills the context may have been cut by the tokenizer.
    _check_length(host, len(tokens) + max(map(len, found)) + 1, "")
    return found


def _prefilled(host: Host, tokens: Tokens, prefill: str) -> Tokens:
    ids = continuation_ids(host, tokens, [prefill])[0]
    joined = host.with_ids(tokens, ids)
    # A given beginning is part of the prompt: what is decided comes after it.
    return replace(joined, text=tokens.text + prefill, prompt_length=tokens.prompt_length)


def _check_length(host: Host, length: int, name: str) -> None:
    if host.max_positions is not None and length > host.max_positions:
        where = f" {name!r}" if name else ""
        raise UsageError(
            f"decision point{where} and its continuation fill the context of {host.name!r} ({host.max_positions} "
            "tokens); shorten the prompt"
        )
