"""What doses do to the tone, the length and the quality of replies to ordinary tasks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thymos.behaviour.rules import incoherent, quality, tone_of
from thymos.stats import bootstrap
from thymos.studies.bench import ENGLISH, Bench, Context
from thymos.studies.costs import Panel, cost_block, cost_rows, costs
from thymos.studies.decisions import Case, refusal
from thymos.studies.dosed import (
    Dosed,
    DosedSettings,
    chart_rows,
    disposition_of,
    dosed_blocks,
    dosed_of,
    dosed_of_replies,
    effects,
    rows_of_frame,
)
from thymos.studies.protocol import Blocks, Estimate, Findings, Study, estimate, option
from thymos.studies.rollouts import Grader, Rolling, replies_of, rollout_blocks
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Records

__all__ = ["Effort", "EffortSettings"]

_ADVICE = "take harder or easier tasks; length, tone and costs are reported all the same"
_MEASURES: Mapping[str, str] = {
    "quality": "share of the task done",
    "words": "length in words",
    "sentences": "length in sentences",
    "length": "length in tokens",
    "shouting": "capitals and exclamation marks per word",
    "harsh": "replies with a harsh phrase",
    "supportive": "replies with a supportive phrase",
    "incoherent": "incoherent replies",
}
_TOLD = ("quality", "words", "length", "shouting")
"""Measures that become estimates; the others stand in the table."""
_CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "inspired": {"side": "at least", "mark": 0.0},
    "lazy": {"side": "at most", "mark": 0.0},
}
"""Marks of quality; not primary, since replies are sampled."""


@dataclass(frozen=True)
class EffortSettings(DosedSettings):
    """Settings of `effort`."""

    tasks: int = option(28, "tasks: how-tos in the bundled world, short tasks with checks in English")
    replies: int = option(4, "sampled replies to each task")
    max_new_tokens: int = option(256, "longest reply")
    concepts: tuple[str, ...] = option(
        ("inspired", "lazy", "listless", "desperate", "calm", "angry", "happy"), "vectors that are steered"
    )
    spanned: int = option(10, "random directions inside the span of the vectors")
    tones: int = option(40, "pieces of work whose comment is scored exactly (bundled model)")

    @classmethod
    def quick(cls) -> "EffortSettings":
        """Sixteen tasks with one reply each, one dose both ways, a small panel."""
        return cls(tasks=16, replies=1, max_new_tokens=160, strengths=(-0.2, 0.2), spanned=5, tones=16, panel=8)


class Effort(Study):
    """Ordinary tasks under positive and negative doses: how long, how good and in what tone the replies are."""

    name = "effort"
    question = "What do doses do to the tone, the length and the quality of replies to ordinary tasks?"
    source = "Sofroniew et al. 2026, reward hacking and sycophancy (tone under doses); the task-quality panel is ours"
    settings = EffortSettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: EffortSettings) -> Blocks:
        """Sampled replies under every condition, the exact tone of comments where it can be scored, costs."""
        told = load_stimuli("effort", bench.world)
        sampled = settings.plan(bench, exact=False)
        chat = bench.world == ENGLISH
        tasks = told["effort"][: settings.tasks]
        cases = [_case(one, chat=chat) for one in tasks]
        grader = _english_grader(tasks) if chat else _planted_grader(tasks)
        rolling = Rolling(grader, settings.replies, settings.max_new_tokens, settings.temperature)
        yield from rollout_blocks(bench, "doses", cases, rolling, sampled.dosing, settings.strength)
        if not chat and settings.tones > 1:
            points = [_point(one) for one in told["tone"][: settings.tones]]
            yield from dosed_blocks(bench, "tone", points, settings.plan(bench, exact=True))
        if settings.panel:
            yield cost_block(bench, "costs", sampled, Panel(settings.panel, settings.panel))

    def analyse(self, records: Records, context: Context, settings: EffortSettings) -> Findings:
        """Every measure under every vector against random directions, and what the doses cost."""
        blocks = records.under("doses/")
        estimates: list[Estimate] = []
        refusals: list[str] = []
        table: list[dict[str, Any]] = []
        for measure, words in _MEASURES.items():
            dosed = dosed_of_replies(blocks, words, _reader(measure), by_case=True, seed=context.seed)
            if dosed is None:
                continue
            rate = bootstrap(dosed.curve.zero, seed=context.seed)
            estimates.append(estimate(f"{words} without a dose", rate))
            if measure == "quality" and (reason := refusal(words, rate, _ADVICE)):
                refusals.append(reason)
            elif measure in _TOLD:
                estimates += effects(dosed, settings.strength, _told(dosed, measure, context))
            table += _rows(dosed, measure)
        tables = {"measures": table}
        tables["tone"] = _tone(records, settings, context, estimates)
        if "costs" in records:
            estimates += costs(records["costs"], settings.strength)
            tables["costs"] = cost_rows(records["costs"])
        return Findings(tuple(estimates), tables, tuple(refusals), _remarks(records))


def _case(one: Mapping[str, Any], *, chat: bool) -> Case:
    prompt = ({"role": "user", "content": one["prompt"]},) if chat else one["prompt"]
    return Case(one["id"], prompt, meta={"topic": one["topic"]})


def _point(one: Mapping[str, Any]) -> Case:
    options = {outcome: tuple(texts) for outcome, texts in one["options"].items()}
    return Case(one["id"], one["prompt"], options, meta={"chances": one["chances"]})


def _english_grader(tasks: list[dict[str, Any]]) -> Grader:
    by_id = {one["id"]: one for one in tasks}
    rules = load_stimuli("sycophancy", ENGLISH)["rules"]

    def grader(case: Case, reply: str) -> Mapping[str, Any]:
        found = quality(reply, by_id[case.id])
        harsh, supportive = tone_of(reply, rules)
        return {
            "outcome": "full" if found.full else "part", "quality": found.share, "words": found.words,
            "sentences": found.sentences, "harsh": harsh, "supportive": supportive, **_manner(reply),
        }  # fmt: skip

    return grader


def _planted_grader(tasks: list[dict[str, Any]]) -> Grader:
    """Which of a how-to's true steps a reply holds; its reasoning does not count as reply."""
    by_id = {one["id"]: one for one in tasks}

    def grader(case: Case, reply: str) -> Mapping[str, Any]:
        task = by_id[case.id]
        said = reply.rpartition("</think>")[2].strip()
        steps = sum(step in said for step in task["steps"])
        foreign = sum(step in said for other in tasks if other is not task for step in other["steps"])
        return {
            "outcome": "full" if steps == len(task["steps"]) else "part", "quality": steps / len(task["steps"]),
            "words": len(said.split()), "sentences": len(re.findall(r"[.?!](?:\s|$)", said)), "foreign": foreign,
            **_manner(said),
        }  # fmt: skip

    return grader


def _manner(reply: str) -> dict[str, Any]:
    """Capitals, exclamation marks and repetition: how loud and how broken a reply is."""
    words = reply.split()
    loud = sum(len(word) > 2 and word.strip(".,!?:;").isupper() for word in words) + reply.count("!")
    return {"shouting": loud / max(len(words), 1), "incoherent": incoherent(reply)}


def _reader(measure: str) -> Callable[[Mapping[str, Any]], float]:
    # What a world does not grade reads as nothing; a reply's tokens are counted by the log itself.
    key = "tokens" if measure == "length" else measure
    return lambda reply: float(reply.get(key, 0.0))


def _told(dosed: Dosed, measure: str, context: Context) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for concept in dosed.concepts:
        told[concept] = {"paper": "examples only"}
        if measure == "quality":
            told[concept] |= {**_CLAIMS.get(concept, {}), "truth": disposition_of(context, "effort", concept)}
    return told


def _rows(dosed: Dosed, measure: str) -> list[dict[str, Any]]:
    frame = dosed.curve.frame().rename(columns={"rate": "mean", "points": "tasks"})
    return [{"measure": measure, **row} for row in rows_of_frame(frame[frame["arm"] == "vector"])]


def _tone(
    records: Records, settings: EffortSettings, context: Context, estimates: list[Estimate]
) -> list[dict[str, Any]]:
    """The exact tone of comments on pieces of work; adds its estimates."""
    rows: list[dict[str, Any]] = []
    for outcome in ("harsh", "warm"):
        dosed = dosed_of(records, "tone", outcome)
        if dosed is None:
            continue
        sign = "" if outcome == "harsh" else "against "
        told = {
            concept: {"truth": f"{sign}{truth}" if (truth := disposition_of(context, "harsh", concept)) else ""}
            for concept in dosed.concepts
        }
        estimates += effects(dosed, settings.strength, told, f"{outcome} comments")
        rows += chart_rows(dosed, f"{outcome} comments")
    return rows


def _remarks(records: Records) -> tuple[str, ...]:
    replies = [reply for rows in records.under("doses/").values() for reply in replies_of(rows)]
    cut = float(np.mean([reply["finish"] == "length" for reply in replies]))
    return (f"{cut:.1%} of the replies were cut off at the length limit; their length is a lower bound",)
