"""Generation with interventions and per-token readings in the same pass.

Decoding is transformers' own `generate`; sampling is Gumbel-max with one random stream per row, so a row's text does
not depend on what else is in its batch.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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

from thymos.errors import UsageError
from thymos.models.capture import Padded, pad
from thymos.models.chat import Message, chat_tokens
from thymos.models.hooks import Read
from thymos.models.host import Host
from thymos.models.intervene import Intervention, intervene
from thymos.models.probe import Probe, ProbeReader
from thymos.models.streaming import Ending, TokenEvent, TokenStreamer
from thymos.models.tokens import Tokens

__all__ = ["Generation", "Observer", "Sampling", "chat", "generate", "stream"]


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
class Generation:
    """One finished row."""

    text: str
    """The generated text, special tokens left out."""
    tokens: Tokens
    """Prompt and generated ids, with role spans and `prompt_length`; in a chat, the reply is a span of its own."""
    new_ids: tuple[int, ...]
    scores: Float[np.ndarray, "fed layers concepts"] | None
    """Cosines at every token that was fed; the last generated token never passes through the layers."""
    finish: str
    """"stop" (end token or stop string) or "length"."""


@dataclass(frozen=True, eq=False)
class Observer:
    """A reader of the residual stream while a model generates, after all edits of a layer."""

    layers: tuple[int, ...]
    read: Read
    """(layer, hidden [batch, seq, hidden], step): called in every pass, the prompt's first. Batch row r continues
    prompt r; padding is on the left, so the newest token is the last row. Rows whose text is over go on being fed."""


class _GumbelMax(LogitsProcessor):  # type: ignore[misc]
    """Turns the argmax that follows into a draw from the distribution, one random stream per row."""

    def __init__(self, generators: list[torch.Generator]) -> None:
        self.generators = generators

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers' signature
        noise = torch.empty_like(scores, dtype=torch.float32)
        for row, generator in enumerate(self.generators):
            noise[row].exponential_(generator=generator)
        return torch.log_softmax(scores.float(), dim=-1) - noise.log()


class _RepetitionPenalty(RepetitionPenaltyLogitsProcessor):  # type: ignore[misc]
    """transformers' penalty, blind to padding: its id, often that of the end token, must not count as said."""

    def __init__(self, penalty: float, padded: Padded) -> None:
        super().__init__(penalty=penalty)
        self.prompt = torch.where(padded.real, padded.ids, padded.ids[:, -1:])

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return super().__call__(torch.cat([self.prompt, input_ids[:, self.prompt.shape[1] :]], dim=1), scores)


@contextmanager
def _own_settings(network: Any) -> Iterator[None]:
    """Keep the checkpoint's generation defaults (penalties, suppressed tokens, ...) out of settings left unset."""
    defaults = getattr(network, "generation_config", None)
    network.generation_config = GenerationConfig()
    try:
        yield
    finally:
        network.generation_config = defaults


def _processors(host: Host, sampling: Sampling, padded: Padded) -> LogitsProcessorList:
    found = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        found.append(_RepetitionPenalty(sampling.repetition_penalty, padded))
    if sampling.temperature > 0:
        found.append(TemperatureLogitsWarper(sampling.temperature)) if sampling.temperature != 1.0 else None
        found.append(TopKLogitsWarper(top_k=sampling.top_k)) if sampling.top_k else None
        found.append(TopPLogitsWarper(top_p=sampling.top_p)) if sampling.top_p < 1.0 else None
        seeds = np.random.SeedSequence(sampling.seed).spawn(padded.ids.shape[0])
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
    observers: Sequence[Observer] = (),
) -> list[Generation]:
    """Continue prompts, in one batch.

    Args:
        host: A decoder.
        prompts: Texts, or tokens from `chat_tokens`.
        sampling: How tokens are chosen; greedy by default.
        interventions: Applied during this call, on top of any that are already active.
        probe: Directions read at every fed token.
        on_token: Called with each new token, in the order of generation; a token is fed after it was handed over.
        observers: Readers of whole residual rows, in the passes that generate.

    Returns:
        One Generation per prompt.

    Raises:
        UsageError: The model is an encoder, a prompt is empty, or a probe does not fit.
    """
    how = sampling or Sampling()
    fed = _as_fed(host, prompts, how.max_new_tokens)
    padded = pad(host, fed, "left")
    ending = Ending(host, how.stop)
    reader = ProbeReader(host, probe) if probe is not None else None
    streamer = TokenStreamer(ending, fed, how.max_new_tokens, on_token, reader) if on_token is not None else None
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(_own_settings(host.network))
        stack.enter_context(intervene(host, *interventions, prompts=fed))
        if reader is not None:
            stack.enter_context(host.hooks.reading(reader.layers, reader, stop=False))
        for observer in observers:
            stack.enter_context(host.hooks.reading(observer.layers, observer.read, stop=False, positions=True))
        out: Any = host.network.generate(
            input_ids=padded.ids,
            attention_mask=padded.real.long(),
            generation_config=_config(host, ending, how),
            logits_processor=_processors(host, how, padded),
            streamer=streamer,
            **({"tokenizer": host.tokenizer} if how.stop else {}),
        )
    drawn, longest = out[:, padded.ids.shape[1] :].tolist(), padded.ids.shape[1]
    scores = reader.scores() if reader is not None else None
    found = []
    for row, prompt in enumerate(fed):
        first = longest - len(prompt)
        found.append(_finish(host, ending, prompt, drawn[row], None if scores is None else scores[row, first:]))
    return found


def _as_fed(host: Host, prompts: Sequence[str | Tokens], new: int) -> list[Tokens]:
    if host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder and cannot generate; use a causal language model")
    fed = [host.tokens(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    if not fed or any(len(tokens) == 0 for tokens in fed):
        raise UsageError("a prompt has no tokens; give each prompt at least one token")
    longest = max(map(len, fed))
    if host.max_positions is not None and longest + new > host.max_positions:
        raise UsageError(
            f"a prompt of {longest} tokens and {new} new ones exceed the context of {host.name!r} "
            f"({host.max_positions} tokens); shorten the prompt or lower max_new_tokens"
        )
    return fed


def _config(host: Host, ending: Ending, how: Sampling) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=how.max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(ending.ends) or None,
        pad_token_id=host.pad_id,
        stop_strings=list(how.stop) or None,
        return_dict_in_generate=False,
    )


def _finish(
    host: Host,
    ending: Ending,
    prompt: Tokens,
    drawn: list[int],
    scores: Float[np.ndarray, "steps layers concepts"] | None,
) -> Generation:
    length = ending.length(prompt, drawn)
    new_ids = drawn[:length]
    text = host.tokenizer.decode(new_ids, skip_special_tokens=True)
    # Copied: a slice would keep the scores of the whole batch alive.
    kept = None if scores is None else scores[: len(prompt) + len(new_ids) - 1].copy()
    finish = "length" if length is None else "stop"
    return Generation(text, host.with_ids(prompt, new_ids), tuple(new_ids), kept, finish)


class _Closed(Exception):  # noqa: N818 - control flow: the reader of a stream went away
    """Leaves a running generation."""


def chat(
    host: Host, conversation: str | Sequence[Message], sampling: Sampling | None = None, **options: Any
) -> Generation:
    """Reply to a conversation; `options` are those of `generate`."""
    return generate(host, [chat_tokens(host, conversation)], sampling, **options)[0]


def stream(host: Host, prompt: str | Tokens, sampling: Sampling | None = None, **options: Any) -> Iterator[TokenEvent]:
    """Generated tokens of one prompt, one by one as they appear.

    Closing the iterator early ends the running call after the token it is at, and waits for that. Between tokens the
    interventions and the probe stay on the network: run no other pass of the same model inside the loop.
    """
    events: queue.Queue[TokenEvent | BaseException | None] = queue.Queue()
    closed = threading.Event()

    def hand_over(event: TokenEvent) -> None:
        if closed.is_set():
            raise _Closed
        events.put(event)

    def work() -> None:
        try:
            generate(host, [prompt], sampling, on_token=hand_over, **options)
            events.put(None)
        except BaseException as err:  # handed to the reader, who raises it
            events.put(err)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        closed.set()
        worker.join()
