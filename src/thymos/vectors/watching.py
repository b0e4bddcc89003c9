"""The residual rows of a text, read in the very passes that write it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from thymos.models import Generation, Host, Message, Observer, TokenEvent
from thymos.models.capture import check_finite
from thymos.models.hooks import Step
from thymos.texts import ModelWriter

__all__ = ["GeneratedRows", "ReadWhileWritten", "WatchingWriter", "counted_tokens"]


class GeneratedRows:
    """Sums of the residual rows of generated tokens, per batch row and layer, while they are generated.

    A row is summed only once the last `window` rows behind it are in: what belongs to a story is known when the story
    is over (a stop string and white space at the end are no part of it). Memory: (window + 1) x batch x layers x
    hidden floats, however long the stories are.
    """

    def __init__(self, host: Host, layers: tuple[int, ...], first_token: int, window: int, batch: int) -> None:
        self.layers, self.first_token, self.window = layers, first_token, window
        self.special = host.special_ids
        self.made, self.fed, self.content = [0] * batch, [0] * batch, [0] * batch
        self.waiting: dict[int, bool] = {}
        self.running: dict[int, bool] = {}
        self.passes = -1
        self.masks: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self.sums: dict[int, Tensor] = {}
        self.recent: dict[int, Tensor] = {}

    def on_token(self, event: TokenEvent) -> None:
        """Note a token that the next pass will be fed. Rows whose text is over give no more tokens."""
        content = event.token_id not in self.special
        self.made[event.row] += 1
        self.content[event.row] += content
        self.waiting[event.row] = content and self.content[event.row] >= self.first_token

    def read(self, layer: int, hidden: Tensor, step: Callable[[], Step]) -> None:  # noqa: ARG002 - a reader's signature
        """Take the newest row of every text that goes on; the prompt's pass has none."""
        if layer == self.layers[0]:
            self._next_pass()
        if not self.running:
            return
        # Padding is on the left, so the newest token stands last, also where a network feeds everything anew.
        rows = hidden[:, -1].float()
        if layer not in self.sums:
            self.sums[layer] = torch.zeros_like(rows)
            self.recent[layer] = torch.zeros((self.window, *rows.shape), device=rows.device)
        live, counted = self._masks(rows.device)
        slot = self.recent[layer][self.passes % self.window]
        self.sums[layer] += torch.where(live, slot, 0.0)
        slot.copy_(torch.where(live, torch.where(counted, rows, 0.0), slot))

    def _next_pass(self) -> None:
        self.running, self.waiting, self.masks = self.waiting, {}, {}
        if self.running:
            # Every text has its n-th token in the n-th pass, or is over.
            self.passes += 1
            for row in self.running:
                self.fed[row] += 1

    def _masks(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self.masks:
            live = [[row in self.running] for row in range(len(self.fed))]
            counted = [[self.running.get(row, False)] for row in range(len(self.fed))]
            self.masks[device] = torch.tensor(live, device=device), torch.tensor(counted, device=device)
        return self.masks[device]

    def reached(self, row: int, end: int) -> int:
        """How many tokens of a text that is over are meant when the first `end` were asked for.

        The last token generated never is: whether it was fed depends on the rest of the batch.
        """
        return max(min(end, self.made[row] - 1), self.made[row] - self.window)

    def total(self, row: int, end: int) -> Float[np.ndarray, "layers hidden"]:
        """Sum over the counted rows among the first `end` generated tokens; `end` comes from `reached`."""
        kept = [index % self.window for index in range(max(0, self.fed[row] - self.window), end)]
        found = [
            self.sums[layer][row].double().cpu() + self.recent[layer][kept, row].double().sum(dim=0).cpu()
            for layer in self.layers
        ]
        return torch.stack(found).numpy()


@dataclass(frozen=True, eq=False)
class ReadWhileWritten:
    """What was read while one answer was written."""

    mean: Float[np.ndarray, "layers hidden"] | None
    """float32; None where the answer does not reach the first token used."""
    tokens: int
    """Rows in the mean."""
    fed: int
    """Tokens fed, prompt included."""
    padded: int
    """Positions fed, padding and finished rows included."""


@dataclass(frozen=True, eq=False)
class WatchingWriter:
    """A `Writer` that reads what it writes; the answers are those of `ModelWriter`, token by token.

    The mean of an answer is taken over its generated tokens from the `first_token`-th on: special tokens are neither
    counted nor used, the prompt, padding, and whatever is fed after the end of a text never. A stop string, the white
    space after a story, and the last token generated (which need not pass through the layers) are left out.
    """

    writer: ModelWriter
    layers: tuple[int, ...]
    first_token: int
    read: dict[int, ReadWhileWritten] = field(default_factory=dict)
    """Seed of a request -> what was read; the caller takes out what it keeps, and clears the rest."""

    @property
    def name(self) -> str:
        """Stored with every text."""
        return self.writer.name

    def __call__(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int], /) -> list[str]:
        """Answer a batch of prompts and read the answers."""
        # A character takes at most four byte tokens; the rest is for white space.
        window = 4 * max((len(stop) for stop in self.writer.stops), default=0) + 8
        rows = GeneratedRows(self.writer.host, self.layers, self.first_token, window, len(prompts))
        observer = Observer(self.layers, rows.read)
        made = self.writer.generations(prompts, seeds, on_token=rows.on_token, observers=(observer,))
        prompt = max(len(one.tokens) - len(one.new_ids) for one in made)
        positions = prompt + max(len(one.new_ids) for one in made) - 1
        for row, (one, seed) in enumerate(zip(made, seeds, strict=True)):
            self.read[seed] = self._read(rows, row, one, positions)
        return [self.writer.reply(one) for one in made]

    def _read(self, rows: GeneratedRows, row: int, made: Generation, positions: int) -> ReadWhileWritten:
        host = self.writer.host
        end = rows.reached(row, _story_end(host, made, self.writer.reply(made)))
        count = int(counted_tokens(host, made.new_ids, self.first_token)[:end].sum())
        mean = None
        if count:
            mean = (rows.total(row, end) / count).astype(np.float32)
            check_finite(mean[None], self.layers, host.name)
        return ReadWhileWritten(mean, count, len(made.tokens) - 1, positions)


def counted_tokens(host: Host, new_ids: Sequence[int], first_token: int) -> Bool[np.ndarray, " generated"]:
    """True on the generated tokens that are content, from the `first_token`-th such token on."""
    content = ~np.isin(np.asarray(new_ids, np.int64), np.asarray(sorted(host.special_ids), np.int64))
    found: Bool[np.ndarray, " generated"] = content & (np.cumsum(content) >= first_token)
    return found


def _story_end(host: Host, made: Generation, reply: str) -> int:
    """Generated tokens up to the one that completes the answer, white space at its end aside."""
    story, end = reply.rstrip(), len(made.new_ids)
    while end and host.tokenizer.decode(made.new_ids[: end - 1], skip_special_tokens=True).startswith(story):
        end -= 1
    return end
