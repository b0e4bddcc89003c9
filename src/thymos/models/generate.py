"""Generation with interventions and per-token readings in the same pass.

Decoding is transformers' own `generate`; sampling is Gumbel-max with one random stream per row, so a row's text does
not depend on what else is in its batch.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GenerationConfig
from transformers.generation.logits_process import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.streamers import BaseStreamer

from thymos.errors import UsageError
from thymos.models.capture import pad
from thymos.models.chat import Message, chat_tokens
from thymos.models.hooks import Step
from thymos.models.host import Host
from thymos.models.intervene import Intervention, intervene
from thymos.models.tokens import Tokens

__all__ = ["Generation", "Probe", "Sampling", "TokenEvent", "chat", "generate", "stream"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0
    """Row r of a call draws from its own stream, seeded by (seed, r)."""
    stop: tuple[str, ...] = ()
    """Strings that end a row."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UsageError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise UsageError(
                f"temperature={self.temperature}, top_p={self.top_p}, top_k={self.top_k}; valid: temperature >= 0, "
                "0 < top_p <= 1, top_k >= 0"
            )


@dataclass(frozen=True, eq=False)
class Probe:
    """Directions read at every token while generating: scores leave the device, hidden states do not."""

    directions: Mapping[int, Float[np.ndarray, "concepts hidden"]]
    """Layer -> unit rows."""
    centres: Mapping[int, Float[np.ndarray, " hidden"]] | None = None
    """Layer -> mean subtracted first; None reads the uncentred row."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers read."""
        return tuple(sorted(self.directions))


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


@dataclass(frozen=True, eq=False)
class Generation:
    """One finished row."""

    text: str
    """The generated text, special tokens left out."""
    tokens: Tokens
    """Prompt and generated ids, with role spans of the prompt and `prompt_length`."""
    new_ids: tuple[int, ...]
    scores: Float[np.ndarray, "fed layers concepts"] | None
    """Cosines at every token that was fed; the last generated token never passes through the layers."""
    finish: str
    """"stop" (end token or stop string) or "length"."""


class _GumbelMax(LogitsProcessor):  # type: ignore[misc]
    """Turns the argmax that follows into a draw from the distribution, one random stream per row."""

    def __init__(self, generators: list[torch.Generator]) -> None:
        self.generators = generators

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers' signature
        noise = torch.empty_like(scores, dtype=torch.float32)
        for row, generator in enumerate(self.generators):
            noise[row].exponential_(generator=generator)
        return torch.log_softmax(scores.float(), dim=-1) - noise.log()


class _Callback(BaseStreamer):  # type: ignore[misc]
    """Hands each new token to a function; the prompt, which comes first, is skipped."""

    def __init__(self, host: Host, rows: int, on_token: Callable[[TokenEvent], None], reader: "_Reader | None") -> None:
        self.host, self.ends, self.on_token, self.reader = host, _ends(host), on_token, reader
        self.ids: list[list[int]] = [[] for _ in range(rows)]
        self.shown = [""] * rows
        self.prompt_seen = False
        self.done = [False] * rows

    def put(self, value: Tensor) -> None:
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        for row, token in enumerate(value.reshape(-1).tolist()):
            if self.done[row]:
                continue
            self.ids[row].append(token)
            text = self.host.tokenizer.decode(self.ids[row], skip_special_tokens=True)
            # An unfinished character decodes to the replacement sign; wait for its other bytes.
            piece = "" if text.endswith("\ufffd") else text[len(self.shown[row]) :]
            self.shown[row] += piece
            self.done[row] = token in self.ends
            scores = self.reader.latest(row) if self.reader is not None else None
            self.on_token(TokenEvent(row, token, piece, len(self.ids[row]) - 1, scores))

    def end(self) -> None:
        return


class _Reader:
    """Cosines of every fed row with the probe, kept as small arrays."""

    def __init__(self, host: Host, probe: Probe) -> None:
        self.layers = probe.layers
        self.kept: dict[int, list[Tensor]] = {layer: [] for layer in self.layers}
        self.matrix: dict[int, Tensor] = {}
        self.centre: dict[int, Tensor] = {}
        for layer in self.layers:
            host.hooks.check_layer(layer)
            like = next(host.sites.blocks[layer].parameters())
            matrix = torch.from_numpy(np.ascontiguousarray(probe.directions[layer], np.float32))
            self.matrix[layer] = matrix.T.contiguous().to(device=like.device, dtype=like.dtype)
            if probe.centres is not None:
                self.centre[layer] = torch.from_numpy(probe.centres[layer]).to(device=like.device, dtype=like.dtype)

    def __call__(self, layer: int, hidden: Tensor, step: Callable[[], Step]) -> None:  # noqa: ARG002
        if layer in self.centre:
            hidden = hidden - self.centre[layer]
        scores = (hidden @ self.matrix[layer]) / torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        self.kept[layer].append(scores.float().cpu())

    def latest(self, index: int) -> Float[np.ndarray, "layers concepts"]:
        """Scores of the last row fed for one batch row."""
        return torch.stack([self.kept[layer][-1][index, -1] for layer in self.layers]).numpy()

    def row(self, index: int, first: int, length: int) -> Float[np.ndarray, "fed layers concepts"]:
        """Scores of one batch row, padding cut off."""
        stacked = torch.stack([torch.cat(self.kept[layer], dim=1)[index] for layer in self.layers], dim=1)
        return stacked[first : first + length].numpy()


def _ends(host: Host) -> frozenset[int]:
    config = getattr(host.network, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    if found is None:
        found = host.tokenizer.eos_token_id
    if found is None:
        return frozenset()
    return frozenset(found if isinstance(found, list) else [found])


def _processors(host: Host, sampling: Sampling, rows: int) -> LogitsProcessorList:
    found = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        found.append(RepetitionPenaltyLogitsProcessor(penalty=sampling.repetition_penalty))
    if sampling.temperature > 0:
        found.append(TemperatureLogitsWarper(sampling.temperature)) if sampling.temperature != 1.0 else None
        found.append(TopKLogitsWarper(top_k=sampling.top_k)) if sampling.top_k else None
        found.append(TopPLogitsWarper(top_p=sampling.top_p)) if sampling.top_p < 1.0 else None
        seeds = np.random.SeedSequence(sampling.seed).spawn(rows)
        generators = [
            torch.Generator(device=host.device).manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
            for seed in seeds
        ]
        found.append(_GumbelMax(generators))
    return found


def generate(
    host: Host,
    prompts: Sequence[str | Tokens],
    sampling: Sampling | None = None,
    *,
    interventions: Sequence[Intervention] = (),
    probe: Probe | None = None,
    on_token: Callable[[TokenEvent], None] | None = None,
) -> list[Generation]:
    """Continue prompts, in one batch.

    Args:
        host: A decoder.
        prompts: Texts, or tokens from `chat_tokens`.
        sampling: How tokens are chosen; greedy by default.
        interventions: Applied during this call, on top of any that are already active.
        probe: Directions read at every fed token.
        on_token: Called with each new token, in the order of generation.

    Returns:
        One Generation per prompt.

    Raises:
        UsageError: The model is an encoder, or a prompt is empty.
    """
    how = sampling or Sampling()
    if host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder and cannot generate; use a causal language model")
    fed = [host.tokens(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    if not fed or any(len(tokens) == 0 for tokens in fed):
        raise UsageError("a prompt has no tokens; give each prompt at least one token")
    padded = pad(host, fed, "left")
    ends = _ends(host)
    config = GenerationConfig(
        max_new_tokens=how.max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(ends) or None,
        pad_token_id=host.pad_id,
        stop_strings=list(how.stop) or None,
        return_dict_in_generate=False,
    )
    reader = _Reader(host, probe) if probe is not None else None
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(intervene(host, *interventions, prompts=fed))
        if reader is not None:
            stack.enter_context(host.hooks.reading(reader.layers, reader, stop=False))
        out: Any = host.network.generate(
            input_ids=padded.ids,
            attention_mask=padded.real.long(),
            generation_config=config,
            logits_processor=_processors(host, how, len(fed)),
            streamer=_Callback(host, len(fed), on_token, reader) if on_token is not None else None,
            **({"tokenizer": host.tokenizer} if how.stop else {}),
        )
    longest = padded.ids.shape[1]
    return [
        _finish(host, fed[row], out[row, longest:].tolist(), (ends, reader, row, longest, how))
        for row in range(len(fed))
    ]


def _finish(
    host: Host, prompt: Tokens, drawn: list[int], context: tuple[frozenset[int], _Reader | None, int, int, Sampling]
) -> Generation:
    ends, reader, row, longest, how = context
    cut = next((i + 1 for i, token in enumerate(drawn) if token in ends), None)
    new_ids = drawn if cut is None else drawn[:cut]
    text = host.tokenizer.decode(new_ids, skip_special_tokens=True)
    if cut is None and how.stop:
        # Rows that met a stop string are padded while the others go on.
        while len(new_ids) > 1 and new_ids[-1] == host.pad_id:
            new_ids = new_ids[:-1]
        text = host.tokenizer.decode(new_ids, skip_special_tokens=True)
    stopped = cut is not None or any(mark in text for mark in how.stop)
    tokens = host.with_ids(prompt, new_ids)
    scores = None
    if reader is not None:
        scores = reader.row(row, longest - len(prompt), len(prompt) + len(new_ids) - 1)
    return Generation(text, tokens, tuple(new_ids), scores, "stop" if stopped else "length")


def chat(
    host: Host, conversation: str | Sequence[Message], sampling: Sampling | None = None, **options: Any
) -> Generation:
    """Reply to a conversation; `options` are those of `generate`."""
    return generate(host, [chat_tokens(host, conversation)], sampling, **options)[0]


def stream(host: Host, prompt: str | Tokens, sampling: Sampling | None = None, **options: Any) -> Iterator[TokenEvent]:
    """Generated tokens of one prompt, one by one as they appear.

    Closing the iterator early lets the running call finish in the background; its tokens are dropped.
    """
    events: queue.Queue[TokenEvent | BaseException | None] = queue.Queue()

    def work() -> None:
        try:
            generate(host, [prompt], sampling, on_token=events.put, **options)
            events.put(None)
        except BaseException as err:  # handed to the reader, who raises it
            events.put(err)

    threading.Thread(target=work, daemon=True).start()
    while (event := events.get()) is not None:
        if isinstance(event, BaseException):
            raise event
        yield event
