"""What a dose costs: perplexity of neutral text, repetition, and tasks that the model solves without it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thymos.behaviour import DecisionPoint, Options, coherence, decision_point, score_decisions
from thymos.behaviour.rules import solved
from thymos.stats import paired_bootstrap
from thymos.studies.bench import ENGLISH, Bench
from thymos.studies.decisions import Case, Dosing
from thymos.studies.dosed import Plan
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.rollouts import Push, Rolling, pushes_of, rollout_block
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record
from thymos.texts import neutral_dialogues

__all__ = ["Panel", "cost_block", "cost_rows", "costs"]

_RANDOMS = 5
"""Random directions beside the vectors: a dose costs something along any direction."""
_LIMIT = 1.15
"""Perplexity ratio up to which a dose counts as coherent."""


@dataclass(frozen=True)
class Panel:
    """Size of the panel.

    Attributes:
        texts: Neutral texts.
        tasks: Solvable tasks.
        new_tokens: Longest reply to a task.
    """

    texts: int = 20
    tasks: int = 24
    new_tokens: int = 32


def cost_block(bench: Bench, name: str, plan: Plan, panel: Panel) -> Block:
    """The panel under no dose, every vector at every dose, and a few random directions at the dose of the claims.

    Records: one per condition: `intervention`, `perplexity` (ratio to none: estimate, low, high), `solved` and
    `repetition` per task.
    """
    dosing = Dosing(plan.concepts, plan.doses, min(plan.randoms, _RANDOMS), 0)
    pushes = pushes_of(bench, dosing, name, plan.strength)

    def make() -> Iterator[Record]:
        texts = _texts(bench, panel.texts)
        told = load_stimuli("effort", bench.world)
        tasks = told["solvable"][: panel.tasks]
        points = [] if bench.world == ENGLISH else [_point(bench, one) for one in tasks]
        for push in pushes:
            ratio = coherence(bench.host, texts, (push.intervention,), seed=bench.seed)
            replies = _replies(bench, tasks if bench.world == ENGLISH else told["effort"][: panel.tasks], push, panel)
            right = [float(one["solved"]) for one in replies]
            if points:
                right = score_decisions(bench.host, points, (push.intervention,)).of("solved").tolist()
            yield {
                "intervention": push.to_dict(),
                "perplexity": [ratio.estimate, ratio.low, ratio.high],
                "solved": right,
                "repetition": [one["repetition"] for one in replies],
            }

    return Block(name, len(pushes), make)


def _texts(bench: Bench, count: int) -> list[str]:
    if bench.world == ENGLISH:
        return [one.text for one in neutral_dialogues()[:count]]
    return list(load_stimuli("effort", bench.world)["neutral"][:count])


def _point(bench: Bench, one: Mapping[str, Any]) -> DecisionPoint:
    options = Options({outcome: tuple(texts) for outcome, texts in one["options"].items()})
    return decision_point(bench.host, one["prompt"], options, id=one["id"])


def _replies(bench: Bench, tasks: Sequence[Mapping[str, Any]], push: Push, panel: Panel) -> list[Mapping[str, Any]]:
    """Greedy replies; whether a task is solved can be told of those with accepted answers."""
    by_id = {one["id"]: one for one in tasks}

    def grader(case: Case, reply: str) -> Mapping[str, Any]:
        task = by_id[case.id]
        return {"outcome": None, "solved": solved(reply, task) if "accept" in task else False}

    cases = [Case(one["id"], _prompt(one["prompt"], bench.world == ENGLISH)) for one in tasks]
    rolling = Rolling(grader, replies=1, max_new_tokens=panel.new_tokens, temperature=0.0)
    return [record["replies"][0] for record in rollout_block(bench, "panel", cases, rolling, push).make()]


def _prompt(text: str, chat: bool) -> Any:
    return ({"role": "user", "content": text},) if chat else text


def costs(records: Sequence[Record], strength: float) -> list[Estimate]:
    """The dearest vector at a dose, in perplexity and in tasks solved, beside random directions."""
    zero = next(row for row in records if row["intervention"]["arm"] == "zero")
    at = [row for row in records if row["intervention"]["strength"] == strength]
    vectors = [row for row in at if row["intervention"]["arm"] == "vector"]
    randoms = [row for row in at if row["intervention"]["arm"] == "random"]
    if not vectors:
        return []
    dear = max(vectors, key=lambda row: row["perplexity"][0])
    value, low, high = dear["perplexity"]
    ratios = [row["perplexity"][0] for row in randoms]
    dull = min(vectors, key=lambda row: float(np.mean(row["solved"])))
    drop = paired_bootstrap(np.asarray(dull["solved"], np.float64), np.asarray(zero["solved"], np.float64))
    worse = [float(np.mean(row["solved"]) - np.mean(zero["solved"])) for row in randoms]
    name = f"{strength:+g}"
    return [
        Estimate(
            f"perplexity of neutral text, ratio at {name}, dearest vector", value, low, high, len(zero["repetition"]),
            side="at most", mark=_LIMIT, control=_range(ratios), note=str(dear["intervention"]["name"]),
        ),
        estimate(
            f"solvable tasks solved, change at {name}, worst vector", drop, control=_range(worse),
            note=f"{dull['intervention']['name']}; {np.mean(zero['solved']):.3f} without a dose",
        ),
        estimate(
            f"repetition at {name}, largest of the vectors", max(float(np.mean(row["repetition"])) for row in vectors),
            n=len(zero["repetition"]), note=f"{np.mean(zero['repetition']):.3f} without a dose",
        ),
    ]  # fmt: skip


def _range(values: Sequence[float]) -> str:
    return f"{len(values)} random directions {min(values):.3f} to {max(values):.3f}" if values else ""


def cost_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The panel as a table."""
    return [
        {
            **row["intervention"],
            "perplexity_ratio": row["perplexity"][0],
            "low": row["perplexity"][1],
            "high": row["perplexity"][2],
            "solved": float(np.mean(row["solved"])),
            "repetition": float(np.mean(row["repetition"])),
        }
        for row in records
    ]
