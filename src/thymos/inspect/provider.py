"""The provider `thymos`: any model that thymos loads, with concept vectors added and read while it replies."""

import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from thymos.behaviour.points import continuation_ids
from thymos.errors import UsageError, did_you_mean
from thymos.models import Generation, Intervention, Message, Model, Probe, Sampling, Tokens, chat_tokens, generate, load
from thymos.steering import interventions
from thymos.vectors import EmotionVectors

__all__ = ["ThymosAPI", "parse_doses", "thymos_api"]

_MAX_TOKENS = 1024
_MARGIN = 1
_LOADING = ("revision", "dtype", "device", "device_map", "quantization", "trust_remote_code", "blocks")
_OURS = ("vectors", "steer", "layer", "reads", "allow_mismatch", "thinking", "host")


def parse_doses(told: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Doses from `concept:strength[,concept:strength]`, in fractions of the mean residual norm.

    Raises:
        UsageError: Not of that form.
    """
    if isinstance(told, Mapping):
        return {str(concept): float(strength) for concept, strength in told.items()}
    found: dict[str, float] = {}
    for part in _listed(told):
        concept, _, strength = part.rpartition(":")
        try:
            value = float(strength)
        except ValueError:
            value = float("nan")
        if not concept or not np.isfinite(value):
            raise UsageError(f"steer={part!r} is no dose; write concept:strength, for example steer=calm:0.05")
        if concept.strip() in found:
            raise UsageError(f"steer names {concept.strip()!r} twice; give each concept one strength")
        found[concept.strip()] = value
    return found


def _listed(told: str | Sequence[str]) -> list[str]:
    # Inspect's command line splits values at commas itself.
    parts = told.split(",") if isinstance(told, str) else [str(one) for one in told]
    return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True, eq=False)
class _Condition:
    """What is done to the model and read from it."""

    doses: Mapping[str, float]
    edits: tuple[Intervention, ...]
    reads: tuple[str, ...]
    probe: Probe | None
    layer: int | None


@dataclass(eq=False)
class _Draws:
    """A seed per prompt and repetition, so that a run does not depend on the order in which Inspect asks."""

    seen: Counter[int] = field(default_factory=Counter)

    def seed(self, base: int, text: str) -> int:
        key = zlib.crc32(text.encode())
        self.seen[key] += 1
        return zlib.crc32(f"{base}/{key}/{self.seen[key]}".encode())


class ThymosAPI(ModelAPI):
    """Inspect's interface to a model of thymos: `thymos/ID_OR_PATH`.

    Model arguments (`-M`): `vectors` (a folder), `steer` (`concept:strength`, several separated by commas), `layer`
    (where to steer and read; default: the vectors' own), `reads` (concepts whose readings go into the metadata of every
    output, under "thymos"), `allow_mismatch`, `thinking` (whether models that can think are asked to), and those of
    `thymos.load`: `dtype`, `device`, `device_map`, `revision`, `quantization`, `trust_remote_code`, `blocks`. From
    Python, `host` and `vectors` may also be objects.

    A reply without a temperature is sampled at 1. Replies are generated one at a time; each prompt has draws of its
    own, so results do not depend on the order of samples.

    Raises:
        UsageError: An unknown argument, doses or readings without vectors, or a dose that cannot be read.
        UnknownConceptError: A concept that the vectors do not hold.
        FingerprintMismatchError: Vectors of another model.
        ModelError: The model cannot be loaded.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - Inspect's signature
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        for name in model_args:
            if name not in (*_OURS, *_LOADING):
                known = (*_OURS[:-1], *_LOADING)
                raise UsageError(f"unknown -M {name}{did_you_mean(name, known)}; valid: {', '.join(known)}")
        host = model_args.get("host")
        loading = {name: model_args[name] for name in _LOADING if name in model_args}
        self.host: Model = host if isinstance(host, Model) else load(model_name, **loading)
        if self.host.kind == "encoder":
            raise UsageError(f"{model_name!r} is an encoder and cannot reply; use a causal language model")
        self.thinking = bool(model_args.get("thinking", False))
        self.vectors = _vectors(self.host, model_args)
        self.condition = _condition(self.vectors, model_args)
        self._draws = _Draws()
        self._lock = threading.Lock()

    def max_connections(self) -> int:
        """One: the model replies to one prompt at a time."""
        return 1

    def connection_key(self) -> str:
        """Each loaded model by itself."""
        return self.model_name

    async def count_text_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer; Inspect's default would download one."""
        return len(self.host.tokenizer(text, add_special_tokens=False)["input_ids"])

    async def count_tokens(self, input: str | list[ChatMessage], config: GenerateConfig | None = None) -> int:  # noqa: ARG002
        """Tokens of a text, or of a conversation in the model's template, reply slot included."""
        if isinstance(input, str):
            return await self.count_text_tokens(input)
        messages = _messages(input)
        return len(chat_tokens(self.host, messages, overflow="cut", **self._template)) if messages else 0

    async def tokenize(self, text: str) -> list[int]:
        """Ids of a text."""
        return [int(one) for one in self.host.tokenizer(text, add_special_tokens=False)["input_ids"]]

    @property
    def _template(self) -> dict[str, Any]:
        return {"enable_thinking": self.thinking}

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,  # noqa: ARG002 - Inspect's signature
        config: GenerateConfig,
    ) -> ModelOutput:
        """Reply to a conversation; one that ends with an assistant's message is continued there."""
        if tools:
            raise UsageError(
                f"{self.model_name!r} was given {len(tools)} tool(s), and thymos models have no tool calls; take a "
                "task in which the model speaks in plain text"
            )
        return await anyio.to_thread.run_sync(self._reply, _messages(input), config)

    def _reply(self, messages: list[Message], config: GenerateConfig) -> ModelOutput:
        with self._lock:
            fed, start = self._fed(messages)
            room = None if self.host.max_positions is None else self.host.max_positions - len(fed) - _MARGIN
            wanted = config.max_tokens or _MAX_TOKENS
            if room is not None and room < 1:
                return self._output("", fed, 0, "model_length", {})
            most = wanted if room is None else min(wanted, room)
            how = self._sampling(config, most, fed.text)
            rows = max(config.num_choices or 1, 1)
            made = generate(
                self.host, [fed] * rows, how, interventions=self.condition.edits, probe=self.condition.probe
            )
            cut = "max_tokens" if most == wanted else "model_length"
            outputs = [self._one(one, start, how, cut, fed) for one in made]
        output = outputs[0]
        output.choices = [one.choices[0] for one in outputs]
        return output

    def _fed(self, messages: list[Message]) -> tuple[Tokens, int]:
        """The tokens of a conversation, and the position of the reply slot."""
        begun = str(messages[-1]["content"]) if messages[-1]["role"] == "assistant" else ""
        tokens = chat_tokens(self.host, messages[:-1] if begun else messages, overflow="cut", **self._template)
        slot = len(tokens) - 1
        if not begun or len(tokens) == self.host.max_positions:
            return tokens, slot
        return self.host.with_ids(tokens, continuation_ids(self.host, tokens, [begun])[0]), slot

    def _sampling(self, config: GenerateConfig, most: int, text: str) -> Sampling:
        return Sampling(
            most,
            temperature=1.0 if config.temperature is None else config.temperature,
            top_p=1.0 if config.top_p is None else config.top_p,
            top_k=config.top_k or 0,
            seed=self._draws.seed(config.seed or 0, text),
            stop=tuple(config.stop_seqs or ()),
        )

    def _one(self, made: Generation, slot: int, how: Sampling, cut: str, fed: Tokens) -> ModelOutput:
        text = made.text
        for mark in how.stop:
            text = text.split(mark, 1)[0]
        reason = "stop" if made.finish == "stop" else cut
        told = {"seed": how.seed, **self._told(), **self._readings(made, slot, len(fed))}
        return self._output(text, fed, len(made.new_ids), reason, told)

    def _told(self) -> dict[str, Any]:
        return {"steer": dict(self.condition.doses), "layer": self.condition.layer, "model": self.host.name}

    def _readings(self, made: Generation, slot: int, prompt: int) -> dict[str, Any]:
        """Cosines at the reply slot, and their mean over the reply."""
        if made.scores is None:
            return {}
        scores = made.scores[:, 0, :]
        reply = scores[prompt:].mean(axis=0) if len(scores) > prompt else scores[slot]
        found = {"reply_slot": scores[slot], "reply": reply}
        return {
            "reads": {
                name: dict(zip(self.condition.reads, row.astype(float).tolist(), strict=True))
                for name, row in found.items()
            }
        }

    def _output(self, text: str, fed: Tokens, new: int, reason: Any, told: dict[str, Any]) -> ModelOutput:
        message = ChatMessageAssistant(content=text, source="generate", model=self.model_name)
        usage = ModelUsage(input_tokens=len(fed), output_tokens=new, total_tokens=len(fed) + new)
        choice = ChatCompletionChoice(message=message, stop_reason=reason)
        return ModelOutput(model=self.model_name, choices=[choice], usage=usage, metadata={"thymos": told})


@modelapi(name="thymos")
def thymos_api() -> type[ModelAPI]:
    """The provider, as Inspect finds it."""
    return ThymosAPI


def _vectors(host: Model, told: Mapping[str, Any]) -> EmotionVectors | None:
    source, mismatch = told.get("vectors"), bool(told.get("allow_mismatch", False))
    if source is None:
        for name in ("steer", "reads"):
            if told.get(name):
                raise UsageError(f"-M {name} needs concept vectors; add -M vectors=FOLDER ('thymos extract' makes one)")
        return None
    if isinstance(source, EmotionVectors):
        source.check_model(host, allow_mismatch=mismatch)
        return source
    return EmotionVectors.load(Path(str(source)), host, allow_mismatch=mismatch)


def _condition(vectors: EmotionVectors | None, told: Mapping[str, Any]) -> _Condition:
    if vectors is None:
        return _Condition({}, (), (), None, None)
    layer = int(told["layer"]) if told.get("layer") is not None else vectors.layer
    at = vectors.at(layer)
    doses = parse_doses(told.get("steer") or "")
    edits = tuple(
        edit
        for concept, strength in doses.items()
        for edit in interventions(vectors[concept] * strength, layers=(layer,))
    )
    reads = tuple(_listed(told.get("reads") or ""))
    rows = [vectors.index(concept) for concept in reads]
    probe = Probe({layer: at.vectors[rows]}) if rows else None
    return _Condition(doses, edits, reads, probe, layer)


def _messages(input: Sequence[ChatMessage]) -> list[Message]:
    """Inspect's messages as thymos takes them; neighbours of one role are joined, as most templates demand."""
    found: list[dict[str, str]] = []
    for message in input:
        if message.role == "tool":
            raise UsageError("the conversation holds a tool's answer, and thymos models have no tool calls")
        if found and found[-1]["role"] == message.role:
            found[-1]["content"] += f"\n\n{message.text}"
        else:
            found.append({"role": message.role, "content": message.text})
    return list(found)
