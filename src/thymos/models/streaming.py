"""Generated tokens one by one: when a row is over, and the text each token adds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor
from transformers.generation.streamers import BaseStreamer

from thymos.models.host import Host
from thymos.models.probe import ProbeReader
from thymos.models.tokens import Tokens

__all__ = ["Ending", "TokenEvent", "TokenStreamer"]


@dataclass(frozen=True)
class TokenEvent:
    """One generated token, as it appears."""

    row: int
    token_id: int
    text: str
    index: int
    """0 for the first generated token."""
    scores: Float[np.ndarray, "layers concepts"] | None = None
    """With a probe: cosines at the row that decided this token (for the first token, the reply slot)."""


class Ending:
    """When a row is over: an end token, or a stop string (looked for in the text with its special tokens)."""

    def __init__(self, host: Host, stop: tuple[str, ...]) -> None:
        self.tokenizer, self.ends, self.stop = host.tokenizer, _ends(host), stop
        # A character takes at most four byte tokens.
        self.window = 4 * max((len(mark) for mark in stop), default=0) + 4

    def met(self, prompt: Tokens, new_ids: Sequence[int]) -> bool:
        """Whether the last of the new ids ends the row."""
        if new_ids[-1] in self.ends:
            return True
        if not self.stop:
            return False
        tail = [*prompt.ids[-self.window :].tolist(), *new_ids[-self.window :]][-self.window :]
        text = self.tokenizer.decode(tail, skip_special_tokens=False)
        before = len(self.tokenizer.decode(tail[:-1], skip_special_tokens=False).rstrip("\ufffd"))
        return any(text.find(mark, max(0, before - len(mark) + 1)) >= 0 for mark in self.stop)

    def length(self, prompt: Tokens, drawn: Sequence[int]) -> int | None:
        """How many of the drawn ids belong to the row, or None when it was cut by the length limit."""
        return next((k for k in range(1, len(drawn) + 1) if self.met(prompt, drawn[max(0, k - self.window) : k])), None)


def _ends(host: Host) -> frozenset[int]:
    config = getattr(host.network, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    if found is None:
        found = host.tokenizer.eos_token_id
    if found is None:
        return frozenset()
    return frozenset(found if isinstance(found, list) else [found])


class _Shown:
    """The text of a growing row, decoded in short windows so that a token costs the same at any length."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.first, self.read = 0, 0

    def add(self, token: int, *, last: bool) -> str:
        """Text that a token completes; an unfinished character waits for its other bytes, unless none will come."""
        self.ids.append(token)
        text = self.tokenizer.decode(self.ids[self.first :], skip_special_tokens=True)
        if text.endswith("\ufffd") and not last:
            return ""
        known = self.tokenizer.decode(self.ids[self.first : self.read], skip_special_tokens=True)
        self.first, self.read = self.read, len(self.ids)
        return text[len(known) :]


class TokenStreamer(BaseStreamer):  # type: ignore[misc]
    """Hands each new token to a function; the prompt, which comes first, is skipped."""

    def __init__(
        self,
        ending: Ending,
        prompts: Sequence[Tokens],
        most: int,
        on_token: Callable[[TokenEvent], None],
        reader: ProbeReader | None,
    ) -> None:
        self.ending, self.prompts, self.most, self.on_token, self.reader = ending, prompts, most, on_token, reader
        self.rows = [_Shown(ending.tokenizer) for _ in prompts]
        self.prompt_seen = False
        self.done = [False] * len(prompts)

    def put(self, value: Tensor) -> None:
        """Take the next token of every row."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        scores = self.reader.latest() if self.reader is not None else None
        for row, token in enumerate(value.reshape(-1).tolist()):
            if self.done[row]:
                continue
            shown = self.rows[row]
            index = len(shown.ids)
            self.done[row] = index + 1 == self.most or self.ending.met(
                self.prompts[row], [*shown.ids[-self.ending.window :], token]
            )
            piece = shown.add(token, last=self.done[row])
            self.on_token(TokenEvent(row, token, piece, index, None if scores is None else scores[row]))

    def end(self) -> None:
        """Nothing is left to do: a row's last token carries the rest of its text."""
