"""The exact tokens that were fed, and the one language in which positions are chosen.

Positions are absolute indices into the fed token ids of one text (BOS included, padding never included); capture,
steering and monitoring all choose them with the same `Select`.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int32

from thymos.errors import UsageError

__all__ = ["CONTENT", "DEFAULT_BATCH_TOKENS", "EVERYWHERE", "RoleSpan", "Select", "Tokens", "truncate"]

DEFAULT_BATCH_TOKENS = 1024
"""Positions fed at once on a CPU."""

Where = Literal["all", "prompt", "generated", "reply"]


@dataclass(frozen=True)
class RoleSpan:
    """The content tokens of one turn, `ids[start:stop]`; template tokens around it belong to no role."""

    role: str
    start: int
    stop: int
    turn: int


@dataclass(frozen=True)
class Tokens:
    """One text as it was fed to a model."""

    ids: Int32[np.ndarray, " seq"]
    """Token ids, BOS included when the model wants one, without padding."""
    special: Bool[np.ndarray, " seq"]
    """True on BOS, EOS, separators and template-only tokens: never part of means, norms or PCA unless asked for."""
    text: str = ""
    """The rendered text the ids were made from."""
    offsets: Int32[np.ndarray, "spans 2"] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    """Start and end character of each token in `text` (the tokenizer's own offsets); empty when not asked for."""
    roles: tuple[RoleSpan, ...] = ()
    prompt_length: int | None = None
    """Number of fed tokens before the first generated one; None when nothing was generated."""

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def role_of(self, position: int) -> str | None:
        """Role whose content covers an absolute position, or None for template tokens."""
        return next((span.role for span in self.roles if span.start <= position < span.stop), None)


@dataclass(frozen=True)
class Select:
    """Which positions of a text are meant. All conditions must hold."""

    start_token: int = 1
    """First content token used, counted from 1 over tokens that are not special (of the chosen roles, if any): 50 is
    "from the 50th token on" (Sofroniew et al. 2026, extraction)."""
    where: Where = "all"
    """`prompt`: before the first generated token. `generated`: the generated tokens. `reply`: from the last prompt
    token on, whose row already decides the first generated token; that one is meant even where it is special."""
    roles: tuple[str, ...] | None = None
    """Only the content of these roles, e.g. ("assistant",)."""
    positions: tuple[int, ...] | None = None
    """Only these absolute positions."""
    chars: tuple[tuple[int, int], ...] | None = None
    """Only tokens that overlap one of these half-open character ranges of the text."""
    special: bool = False
    """Whether special and template-only tokens are included."""

    def __post_init__(self) -> None:
        if self.start_token < 1:
            raise UsageError(f"start_token counts from 1, got {self.start_token}; 1 takes every content token")
        if self.where not in ("all", "prompt", "generated", "reply"):
            raise UsageError(f"where={self.where!r} is none of 'all', 'prompt', 'generated', 'reply'")

    @property
    def everything(self) -> bool:
        """Whether every position is meant, so that no mask has to be made."""
        return self == EVERYWHERE

    def mask(self, tokens: Tokens) -> Bool[np.ndarray, " seq"]:
        """True on the chosen positions of a text.

        Raises:
            UsageError: Character ranges were asked for, but the tokens carry no offsets; or roles without role spans.
        """
        length = len(tokens)
        chosen = np.ones(length, dtype=bool)
        if not self.special:
            chosen &= ~tokens.special
        index = np.arange(length)
        if self.where != "all":
            prompt = length if tokens.prompt_length is None else tokens.prompt_length
            if self.where == "reply":
                # The slot that decides the first token of a reply is a template token in every chat.
                chosen[prompt - 1 : prompt] = True
            first = {"prompt": 0, "generated": prompt, "reply": prompt - 1}[self.where]
            chosen &= (index >= first) & (index < (prompt if self.where == "prompt" else length))
        if self.positions is not None:
            chosen &= np.isin(index, self.positions)
        if self.roles is not None:
            chosen &= self._role_mask(tokens)
        if self.start_token > 1:
            chosen &= np.cumsum(self.counted(tokens)) >= self.start_token
        if self.chars is not None:
            chosen &= self._char_mask(tokens)
        return chosen

    def counted(self, tokens: Tokens) -> Bool[np.ndarray, " seq"]:
        """True on the tokens that `start_token` counts."""
        content = ~tokens.special
        return content if self.roles is None else content & self._role_mask(tokens)

    def _role_mask(self, tokens: Tokens) -> Bool[np.ndarray, " seq"]:
        present = {span.role for span in tokens.roles}
        if not present:
            raise UsageError(f"roles {self.roles} were asked for, but this text has no role spans; give a chat instead")
        chosen = np.zeros(len(tokens), dtype=bool)
        for span in tokens.roles:
            if span.role in (self.roles or ()):
                chosen[span.start : span.stop] = True
        return chosen

    def _char_mask(self, tokens: Tokens) -> Bool[np.ndarray, " seq"]:
        if tokens.offsets.shape[0] != len(tokens):
            raise UsageError("character ranges were asked for, but these tokens carry no offsets")
        start, stop = tokens.offsets[:, 0], tokens.offsets[:, 1]
        chosen = np.zeros(len(tokens), dtype=bool)
        for low, high in self.chars or ():
            chosen |= (start < high) & (stop > low) & (stop > start)
        return chosen


EVERYWHERE = Select(special=True)
"""Every position, special tokens too: the default of interventions."""
CONTENT = Select()
"""Every content token: the default of readings and means."""


def truncate(tokens: Tokens, longest: int) -> Tokens:
    """The first `longest` tokens of a text, roles clipped."""
    if len(tokens) <= longest:
        return tokens
    roles = tuple(replace(s, stop=min(s.stop, longest)) for s in tokens.roles if s.start < longest)
    return replace(
        tokens,
        ids=tokens.ids[:longest],
        special=tokens.special[:longest],
        offsets=tokens.offsets[:longest],
        roles=roles,
    )
