"""Coding agents of a study: many episodes side by side under one condition, tests run in a sandbox."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thymos.errors import UsageError
from thymos.models import Generation, Host, Sampling, Tokens, chat_tokens, generate
from thymos.steering import repetition
from thymos.studies.agent_loop import Ask, Episode, Loop, LoopRules, Run, coding_loop
from thymos.studies.bench import Bench
from thymos.studies.coding_tasks import CodingTask
from thymos.studies.rollouts import Push
from thymos.studies.sandboxes import Runner
from thymos.studies.slots import Item
from thymos.studies.trials import Block, Record

__all__ = ["Agents", "episode_block", "judged_view", "trace_items"]

_AT_ONCE = 8
"""Replies generated together, of conversations that are near in length; part of what a seed means."""
_MARGIN = 16
"""Places left free behind a reply: read again as a finished turn, it has a frame of the template more."""
_LEAST_ROOM = 64
"""Tokens that a reply must have."""


@dataclass(frozen=True)
class Agents:
    """How episodes are sampled.

    Attributes:
        episodes: Of each task.
        max_new_tokens: Longest reply.
        temperature: Zero is greedy, with one episode.
        rules: Tries and time limit.
    """

    episodes: int
    max_new_tokens: int = 1024
    temperature: float = 1.0
    rules: LoopRules = field(default_factory=LoopRules)

    def __post_init__(self) -> None:
        if self.episodes < 1 or (self.temperature == 0 and self.episodes > 1):
            raise UsageError(
                f"{self.episodes} episodes at temperature {self.temperature:g}; take at least 1, and just 1 at 0"
            )


@dataclass
class _Live:
    """An episode that is under way."""

    loop: Loop
    wants: Ask | Run | None = None
    fed: Tokens | None = None
    tokens: int = 0
    finish: str = ""
    done: Episode | None = None

    def send(self, answer: object) -> None:
        try:
            self.wants = self.loop.send(answer)
        except StopIteration as stop:
            self.wants, self.done = None, stop.value


def episode_block(
    bench: Bench, name: str, tasks: Sequence[CodingTask], agents: Agents, runner: Runner, push: Push | None = None
) -> Block:
    """Whole episodes under one condition.

    Records: one per task: `id`, `text` (what the agent was given), `prefill`, `meta`, `intervention` (null for none),
    and `replies`, one per episode: the grade with its evidence, the diff of every file, every test run, `messages`,
    `ids` (the last prompt that was fed), `reply` (the report), `tokens`, `finish`, `repetition`.
    """

    def make() -> Iterator[Record]:
        live = [_Live(coding_loop(task, agents.rules)) for task in tasks for _ in range(agents.episodes)]
        for one in live:
            one.send(None)
        turn = 0
        while any(one.wants is not None for one in live):
            _reply(bench, [one for one in live if isinstance(one.wants, Ask)], agents, push, turn)
            for one in live:
                while isinstance(one.wants, Run):
                    one.send(runner.run(one.wants))
            turn += 1
        for number, task in enumerate(tasks):
            mine = live[number * agents.episodes : (number + 1) * agents.episodes]
            yield {
                "id": task.id,
                "text": f"{task.statement}\n\n{json.dumps(dict(task.files), indent=1)}",
                "prefill": "",
                "meta": {"group": task.group, "kind": task.kind},
                "intervention": None if push is None else push.to_dict(),
                "replies": [_record(one) for one in mine],
            }

    return Block(name, len(tasks), make)


def _record(one: _Live) -> dict[str, Any]:
    if one.done is None:
        raise UsageError("an episode was not brought to its end; this is a mistake in thymos")
    said = " ".join(turn["content"] for turn in one.done.messages if turn["role"] == "assistant")
    return {
        **one.done.to_dict(),
        "reply": one.done.report,
        "messages": [dict(message) for message in one.done.messages],
        "ids": [] if one.fed is None else one.fed.ids.tolist(),
        "tokens": one.tokens,
        "finish": one.finish,
        "repetition": repetition(said),
    }


def _reply(bench: Bench, asking: Sequence[_Live], agents: Agents, push: Push | None, turn: int) -> None:
    """Send every asking episode its reply, or None where the context is full."""
    fed = [(one, _fed(bench.host, one.wants)) for one in asking if isinstance(one.wants, Ask)]
    for one, tokens in fed:
        if tokens is None:
            one.send(None)
    open_ = sorted(((one, tokens) for one, tokens in fed if tokens is not None), key=lambda pair: len(pair[1]))
    for start in range(0, len(open_), _AT_ONCE):
        some = open_[start : start + _AT_ONCE]
        seed = bench.seed_for("agents", str(turn), str(start))
        for (one, tokens), made in zip(some, _made(bench, [t for _, t in some], agents, push, seed), strict=True):
            one.fed, one.finish = tokens, made.finish
            one.tokens += len(made.new_ids)
            one.send(made.text)


def _made(bench: Bench, fed: Sequence[Tokens], agents: Agents, push: Push | None, seed: int) -> list[Generation]:
    room = agents.max_new_tokens
    if bench.host.max_positions is not None:
        room = min(room, bench.host.max_positions - max(map(len, fed)) - _MARGIN)
    how = Sampling(room, temperature=agents.temperature, seed=seed)
    return generate(bench.host, fed, how, interventions=() if push is None else (push.intervention,))


def _fed(host: Host, ask: Ask) -> Tokens | None:
    """The tokens of a conversation; None where they leave no room for a reply."""
    tokens = chat_tokens(host, ask.messages, overflow="cut", enable_thinking=False)
    full = host.max_positions is not None and len(tokens) + _MARGIN + _LEAST_ROOM > host.max_positions
    return None if full else tokens


def trace_items(host: Host, records: Sequence[Record]) -> list[Item]:
    """The prompts of every turn of every episode, to be read at the reply slot: before the first try, after each run.

    `meta`: episode, group, kind, round (0 before the first try), event ("start", "fail" or "pass"), `next` (whether the
    reply that follows is the first with a sign of a shortcut) and the outcome.
    """
    found = []
    for record in records:
        for number, reply in enumerate(record["replies"]):
            for at, upto in enumerate(_prompts(reply["messages"])):
                item = Item(f"{record['id']}/{number}/{at}", upto, _meta(record, number, reply, at))
                if host.max_positions is None or len(chat_tokens(host, upto, overflow="cut")) < host.max_positions:
                    found.append(item)
    return found


def _prompts(messages: Sequence[Mapping[str, str]]) -> Iterator[tuple[Mapping[str, str], ...]]:
    for place, message in enumerate(messages):
        if message["role"] == "user":
            yield tuple(messages[: place + 1])


def _meta(record: Record, number: int, reply: Mapping[str, Any], at: int) -> dict[str, Any]:
    rounds = reply["rounds"]
    signed = [any(one["signs"][kind] for kind in ("tests_edited", "special_cased", "hard_coded")) for one in rounds]
    first = signed.index(True) if True in signed else len(rounds)
    event = "start" if at == 0 else "pass" if rounds[at - 1]["passed"] else "fail"
    return {
        "episode": f"{record['id']}/{number}",
        "group": record["meta"]["group"],
        "kind": record["meta"]["kind"],
        "round": at,
        "event": event,
        "next": at == first and at < len(rounds),
        "tries": len(rounds),
        "outcome": reply["outcome"],
    }


def judged_view(records: Sequence[Record]) -> list[Record]:
    """Records as a judge is shown them: as the reply, the changes of all files and the last message."""
    found: list[Record] = []
    for record in records:
        replies = []
        for reply in record["replies"]:
            changes = "\n\n".join(reply["diff"].values()) or "(no file was changed)"
            replies.append({**reply, "reply": f"CHANGES\n{changes}\n\nLAST MESSAGE\n{reply['reply'] or '(none)'}"})
        found.append({**record, "replies": replies})
    return found
