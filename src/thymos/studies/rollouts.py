"""Sampled replies under doses, each graded by rule: for models whose decisions have no fixed wording.

Every condition is a block of its own, so an interrupted run loses one condition at most, and every condition draws
with the same random numbers, so that a reply and its counterpart under a dose are a pair.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.behaviour.points import continuation_ids
from thymos.errors import UsageError
from thymos.models import EVERYWHERE, Add, Generation, Host, Sampling, Select, Tokens, chat_tokens, generate
from thymos.stats import Interval, directions_in_span, random_directions, wilson
from thymos.steering import repetition
from thymos.studies.bench import Bench
from thymos.studies.decisions import Case, Dosing
from thymos.studies.slots import Item
from thymos.studies.trials import Block, Record

__all__ = [
    "LEAST_SAMPLED",
    "REPLIED",
    "Grader",
    "Push",
    "Rolling",
    "pushes_of",
    "rate_of",
    "replied_item",
    "replies_of",
    "rollout_block",
    "rollout_blocks",
]

LEAST_SAMPLED = 20
"""Random directions where replies are sampled: too few for a small p, so what they say is descriptive."""
REPLIED = "assistant"
"""The place of a sampled reply in a `replied_item`."""
_MARGIN = 16
"""Places left free behind a reply: read again as a finished turn, it has a frame of the template more."""
_AT_ONCE = 32
"""Replies generated together; part of what a seed means."""

Grader = Callable[[Case, str], Mapping[str, Any]]
"""Case and its reply (with the prefill) -> plain values, "outcome" among them; blind to the condition."""


@dataclass(frozen=True)
class Rolling:
    """How replies are sampled and graded.

    Attributes:
        grader: What a reply did.
        replies: To each case.
        max_new_tokens: Longest reply; less where the context leaves less.
        temperature: Zero is greedy, with one reply.
        stop: Strings that end a reply.
    """

    grader: Grader
    replies: int = 20
    max_new_tokens: int = 512
    temperature: float = 1.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.replies < 1 or (self.temperature == 0 and self.replies > 1):
            raise UsageError(
                f"{self.replies} replies at temperature {self.temperature:g}; take at least 1, and just 1 at 0"
            )


@dataclass(frozen=True, eq=False)
class Push:
    """One condition: a direction at a strength.

    Attributes:
        name: Of the vector, or "random 0", ...; "zero" for nothing.
        arm: "vector", "random", "span" or "zero".
        strength: Fraction of the mean residual norm.
        layer: Where.
        direction: Unit row.
        norm: Mean residual norm of the layer.
        select: Positions.
    """

    name: str
    arm: str
    strength: float
    layer: int
    direction: Float[np.ndarray, " hidden"]
    norm: float
    select: Select = EVERYWHERE

    @property
    def intervention(self) -> Add:
        """What is added while generating."""
        return Add({self.layer: self.direction}, self.strength, {self.layer: self.norm}, self.select)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a record."""
        return {"name": self.name, "arm": self.arm, "strength": self.strength, "layer": self.layer}


def pushes_of(bench: Bench, dosing: Dosing, name: str, strength: float) -> list[Push]:
    """The conditions of a dosing: nothing, every vector at every strength, every control at one strength.

    Args:
        bench: Model and vectors.
        dosing: Directions and doses.
        name: Seeds the controls.
        strength: Of the controls: that of the claims.
    """
    layer = bench.steered if dosing.layer is None else dosing.layer
    found, select = bench.vectors.at(layer), dosing.select or EVERYWHERE
    own = np.stack([found.vectors[bench.vectors.index(concept)] for concept in dosing.concepts]).astype(np.float32)
    made = [Push("zero", "zero", 0.0, layer, own[0], found.norm, select)]
    for concept, row in zip(dosing.concepts, own, strict=True):
        doses = dict.fromkeys((*dosing.strengths, strength))
        made += [Push(concept, "vector", dose, layer, row, found.norm, select) for dose in doses if dose]
    seed = bench.seed_for(name, "directions")
    controls: dict[str, Float[np.ndarray, "n hidden"]] = {}
    if dosing.randoms:
        controls["random"] = random_directions(dosing.randoms, own.shape[1], seed)
    if dosing.spanned and np.linalg.matrix_rank(own, tol=1e-4) > 1:
        controls["span"] = directions_in_span(own, dosing.spanned, seed)
    for arm, rows in controls.items():
        made += [Push(f"{arm} {n}", arm, strength, layer, row, found.norm, select) for n, row in enumerate(rows)]
    return made


def rollout_blocks(
    bench: Bench, prefix: str, cases: Sequence[Case], rolling: Rolling, dosing: Dosing, strength: float
) -> Iterator[Block]:
    """One block per condition of `pushes_of`, named PREFIX/CONDITION@STRENGTH."""
    for push in pushes_of(bench, dosing, prefix, strength):
        yield rollout_block(bench, f"{prefix}/{push.name}@{push.strength:g}", cases, rolling, push)


def rollout_block(bench: Bench, name: str, cases: Sequence[Case], rolling: Rolling, push: Push | None = None) -> Block:
    """Sampled and graded replies under one condition.

    Records: one per case: `id`, `text`, `ids`, `prefill`, `meta`, `intervention` (null for none), and `replies`, each
    with `reply`, `tokens`, `finish`, `repetition` and what the grader says.
    """

    def make() -> Iterator[Record]:
        fed = [_fed(bench.host, case) for case in cases]
        written = _written(bench, [tokens for tokens in fed for _ in range(rolling.replies)], rolling, push)
        for number, (case, tokens) in enumerate(zip(cases, fed, strict=True)):
            mine = written[number * rolling.replies : (number + 1) * rolling.replies]
            yield {
                "id": case.id,
                "text": tokens.text,
                "ids": tokens.ids.tolist(),
                "prefill": case.prefill,
                "meta": dict(case.meta),
                "intervention": None if push is None else push.to_dict(),
                "replies": [_graded(case, one, rolling.grader) for one in mine],
            }

    return Block(name, len(cases), make)


def _graded(case: Case, made: Generation, grader: Grader) -> dict[str, Any]:
    return {
        "reply": made.text,
        "tokens": len(made.new_ids),
        "finish": made.finish,
        "repetition": repetition(made.text),
        **grader(case, case.prefill + made.text),
    }


def _fed(host: Host, case: Case) -> Tokens:
    """The tokens of a case; models that can think are asked not to, or their thoughts would fill the reply."""
    if isinstance(case.prompt, str):
        return host.tokens(case.prompt + case.prefill)
    tokens = chat_tokens(host, case.prompt, enable_thinking=False)
    if not case.prefill:
        return tokens
    joined = host.with_ids(tokens, continuation_ids(host, tokens, [case.prefill])[0])
    # A given beginning is part of the prompt: what is generated comes after it.
    return replace(joined, text=tokens.text + case.prefill, prompt_length=tokens.prompt_length)


def _written(bench: Bench, fed: Sequence[Tokens], rolling: Rolling, push: Push | None) -> list[Generation]:
    if not fed:
        raise UsageError("there is no case to reply to; give at least one")
    longest, room = max(map(len, fed)), rolling.max_new_tokens
    if bench.host.max_positions is not None:
        room = max(1, min(room, bench.host.max_positions - longest - _MARGIN))
    found: list[Generation] = []
    for start in range(0, len(fed), _AT_ONCE):
        # The seed does not depend on the condition: all conditions share their draws.
        seed = bench.seed_for("replies", str(start))
        how = Sampling(room, temperature=rolling.temperature, seed=seed, stop=rolling.stop)
        pushes = () if push is None else (push.intervention,)
        found += generate(bench.host, fed[start : start + _AT_ONCE], how, interventions=pushes)
    return found


def replied_item(case: Case, reply: str, name: str, meta: Mapping[str, Any]) -> Item:
    """A case with a reply, to be read at the place `REPLIED`: everything the assistant wrote, or was given."""
    whole = case.prefill + reply
    if isinstance(case.prompt, str):
        start = len(case.prompt)
        return Item(name, case.prompt + whole, meta, {REPLIED: ((start, start + len(whole)),)})
    return Item(name, (*case.prompt, {"role": "assistant", "content": whole}), meta)


def replies_of(records: Sequence[Record]) -> list[Mapping[str, Any]]:
    """All replies of a block, in order."""
    return [reply for record in records for reply in record["replies"]]


def rate_of(records: Sequence[Record], *outcomes: str) -> Interval:
    """Share of a block's replies with one of some outcomes; Wilson's interval is about these cases, not others."""
    replies = replies_of(records)
    return wilson(sum(reply["outcome"] in outcomes for reply in replies), len(replies))
