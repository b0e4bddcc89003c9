"""Who writes: the model under study, or any OpenAI-compatible endpoint."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from thymos.errors import ModelError, UsageError
from thymos.extras import require
from thymos.models import Generation, Host, Message, Sampling, chat_tokens, generate

__all__ = ["EndpointWriter", "ModelWriter", "Writer"]

_LEAST_ROOM = 32
_NEXT_TURNS = ("\nHuman:", "\n\nSystem:")


@runtime_checkable
class Writer(Protocol):
    """Answers prompts: any function of this shape will do. An attribute `name`, if there, is stored with the texts."""

    def __call__(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int], /) -> list[str]:
        """One answer per prompt; the same prompts and seeds should give the same answers."""
        ...


@dataclass(frozen=True, eq=False)
class ModelWriter:
    """A loaded model as a writer; each call is one batch.

    A model without a chat template gets a plain "Human: ... Assistant:" dialogue and is stopped at the next "Human:".
    Models that can think are asked not to. The draws of a row depend on the seeds of the whole call, so a call is
    repeatable, and a row is repeatable as part of it.
    """

    host: Host
    sampling: Sampling

    @property
    def name(self) -> str:
        """Stored with every text."""
        return f"model:{self.host.name}"

    def __call__(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int], /) -> list[str]:
        """Answer a batch of prompts.

        Raises:
            UsageError: The model is an encoder, or a prompt fills its context.
        """
        return [self.reply(made) for made in self.generations(prompts, seeds)]

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings that end an answer and are no part of it."""
        plain = not getattr(self.host.tokenizer, "chat_template", None)
        return (*self.sampling.stop, *_NEXT_TURNS) if plain else self.sampling.stop

    def reply(self, made: Generation) -> str:
        """The answer in what was generated."""
        return _cut(made.text, self.stops)

    def generations(
        self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int], **options: Any
    ) -> list[Generation]:
        """What is generated for a batch of prompts; `options` are those of `generate`.

        Raises:
            UsageError: The model is an encoder, or a prompt fills its context.
        """
        tokens = [chat_tokens(self.host, prompt, enable_thinking=False) for prompt in prompts]
        sampling = replace(
            self.sampling,
            seed=int.from_bytes(hashlib.sha256(repr(tuple(seeds)).encode()).digest()[:4]),
            max_new_tokens=min(self.sampling.max_new_tokens, self._room(max(len(each) for each in tokens))),
            stop=self.stops,
        )
        return generate(self.host, tokens, sampling, **options)

    def _room(self, longest: int) -> int:
        if self.host.max_positions is None:
            return self.sampling.max_new_tokens
        room = self.host.max_positions - longest
        if room < _LEAST_ROOM:
            raise UsageError(
                f"a prompt of {longest} tokens leaves {room} of the {self.host.max_positions} positions of "
                f"{self.host.name!r} for the answer; use a model with a longer context"
            )
        return room


def _cut(text: str, stops: Sequence[str]) -> str:
    places = [place for place in map(text.find, stops) if place >= 0]
    return text[: min(places)] if places else text


@dataclass(frozen=True, eq=False)
class EndpointWriter:
    """An OpenAI-compatible chat endpoint as a writer; needs the extra `openai`.

    Timeouts and retries (with back-off, for dropped connections, 408, 409, 429 and 5xx) are the client library's.

    Attributes:
        base_url: E.g. "http://localhost:8000/v1".
        model: Name of the model at the endpoint.
        api_key: Default: the environment variable OPENAI_API_KEY, or none for endpoints that want none.
        temperature: Sampling temperature.
        max_tokens: Longest answer.
        concurrency: Requests in flight at a time.
        timeout: Seconds until a request is given up.
        max_retries: Further tries of a failed request.
        options: Further fields of the request, e.g. `{"top_p": 0.95}`; a value of None takes a field out.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    temperature: float = 1.0
    max_tokens: int = 4096
    concurrency: int = 8
    timeout: float = 300.0
    max_retries: int = 4
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UsageError(f"concurrency must be at least 1, got {self.concurrency}")

    @property
    def name(self) -> str:
        """Stored with every text."""
        return f"endpoint:{self.model}"

    def __call__(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int], /) -> list[str]:
        """Answer prompts, several at a time.

        Raises:
            ModelError: The endpoint cannot be reached, refuses the key, does not know the model, or keeps failing.
            MissingExtraError: The package `openai` is not installed.
        """
        openai = require("openai", "openai", "writing texts through an OpenAI-compatible endpoint")
        key = self.api_key or os.environ.get("OPENAI_API_KEY") or "none"
        workers = ThreadPoolExecutor(max_workers=self.concurrency)
        try:
            with openai.OpenAI(
                base_url=self.base_url, api_key=key, timeout=self.timeout, max_retries=self.max_retries
            ) as client:
                create = client.chat.completions.create
                waiting = [workers.submit(self._ask, create, p, s) for p, s in zip(prompts, seeds, strict=True)]
                try:
                    return [each.result() for each in waiting]
                finally:
                    # On an error or Ctrl-C the requests that have not started yet are dropped.
                    workers.shutdown(wait=True, cancel_futures=True)
        except openai.OpenAIError as err:
            raise ModelError(
                f"the endpoint {self.base_url} failed for model {self.model!r}: {type(err).__name__}: "
                f"{' '.join(str(err).split())[:200]}; check the address, the key and the model's name"
            ) from err

    def _ask(self, create: Callable[..., Any], prompt: Sequence[Message], seed: int) -> str:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in prompt],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": seed,
            **self.options,
        }
        answer = create(**{key: value for key, value in request.items() if value is not None})
        return (answer.choices[0].message.content or "") if answer.choices else ""
