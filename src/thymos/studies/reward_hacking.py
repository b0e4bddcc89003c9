"""Does desperate push a model to cheat on tests that cannot be met, and does calm hold it back?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thymos.stats import bootstrap, paired_bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import (
    Case,
    Dosing,
    base_rate,
    causal,
    curve_of,
    decide_block,
    refusal,
    score_block,
)
from thymos.studies.dosed import rows_of_frame
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.slots import Item, matrix, read_block
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record, Records

__all__ = ["RewardHacking", "RewardHackingSettings"]

_ADVICE = "try other tasks, a tighter or looser --set pressure, or a model that cheats sometimes"
_WATCHED = ("desperate", "calm")
_PAPER = {"desperate": "5% -> about 70% at +.1", "calm": "65% (-.1) -> 10% (+.1)"}


@dataclass(frozen=True)
class RewardHackingSettings(Settings):
    """Settings of `reward-hacking`."""

    points: int = option(60, "decision points, each on an impossible task")
    strengths: tuple[float, ...] = option((-0.2, -0.1, 0.1, 0.2), "doses, as fractions of the mean residual norm")
    strength: float = option(0.2, "dose of the claims")
    concepts: tuple[str, ...] = option(
        ("desperate", "calm", "angry", "nervous", "happy", "sad"), "vectors that are steered; the first two are claims"
    )
    randoms: int = option(200, "random directions of equal norm")
    spanned: int = option(20, "random directions inside the span of the vectors")
    traces: int = option(60, "transcripts per pattern of the trace over test rounds")

    @classmethod
    def quick(cls) -> "RewardHackingSettings":
        """Forty points, two doses."""
        return cls(points=40, strengths=(-0.2, 0.2), traces=30)


class RewardHacking(Study):
    """Impossible coding tasks with tests: the decision under doses, and the trace of concepts over test rounds."""

    name = "reward-hacking"
    question = "Does desperate raise, and calm lower, the rate of shortcuts on tasks whose tests cannot be met?"
    source = "Sofroniew et al. 2026, reward hacking"
    settings = RewardHackingSettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: RewardHackingSettings) -> Blocks:
        """Base rate first; doses only where it leaves room; then the trace."""
        told = load_stimuli("reward_hacking", bench.world)
        cases = [_case(one) for one in told["points"][: settings.points]]
        base = yield score_block(bench, "base", cases)
        yield score_block(bench, "solvable", [_case(one) for one in told["solvable"][: settings.points]])
        if refusal("hack", _base(base), _ADVICE) is None:
            dosing = Dosing(bench.known(settings.concepts), settings.strengths, settings.randoms, settings.spanned)
            yield decide_block(bench, "doses", cases, dosing)
        for pattern, traces in told["traces"].items():
            items = [item for trace in traces[: settings.traces] for item in _rounds(trace, pattern)]
            yield read_block(bench, f"trace/{pattern}", items, bench.known(_WATCHED))

    def analyse(self, records: Records, context: Context, settings: RewardHackingSettings) -> Findings:
        """Effects of the two claims, the other vectors, and the trace with its control."""
        rate = _base(records["base"])
        estimates: list[Estimate] = [
            estimate("shortcuts without a dose", rate, truth=_planted(records["base"]), paper="30% (list task)"),
            estimate("solvable tasks solved", base_rate([_solved(one) for one in records["solvable"]], context.seed)),
        ]
        refusals = [told] if (told := refusal("hack", rate, _ADVICE)) else []
        tables: dict[str, list[dict[str, Any]]] = {}
        if "doses" in records:
            curve = curve_of(records["doses"], "hack")
            estimates += _claims(curve, settings, context)
            tables["doses"] = rows_of_frame(curve.chart_frame(*settings.concepts))
        estimates += _trace(records.under("trace/"), context)
        tables["trace"] = _trace_table(records.under("trace/"))
        return Findings(tuple(estimates), tables, tuple(refusals))


def _case(one: Mapping[str, Any]) -> Case:
    options = {outcome: tuple(texts) for outcome, texts in one["options"].items()}
    prompt = one["prompt"] if isinstance(one["prompt"], str) else tuple(one["prompt"])
    return Case(one["id"], prompt, options, meta={"chances": one.get("chances"), "emotion": one.get("emotion")})


def _base(records: Sequence[Record]) -> Any:
    return base_rate([one["p"]["hack"] for one in records])


def _solved(record: Record) -> float:
    return float(record["p"]["solved"])


def _planted(records: Sequence[Record]) -> str:
    known = [one["meta"]["chances"]["hack"] for one in records if one["meta"]["chances"]]
    return f"{np.mean(known):.3f}" if known else ""


def _claims(curve: Any, settings: RewardHackingSettings, context: Context) -> list[Estimate]:
    found = []
    for concept in settings.concepts:
        if concept not in curve.names:
            continue
        more: dict[str, Any] = {"paper": _PAPER.get(concept, ""), "truth": _disposition(context, concept)}
        if concept == "desperate":
            more |= {"side": "at least", "mark": 0.0, "primary": True}
        if concept == "calm":
            more |= {"side": "at most", "mark": 0.0, "primary": True}
        found.append(causal(curve, concept, settings.strength, **more))
    return found


def _disposition(context: Context, concept: str) -> str:
    planted = context.truth.get("dispositions", {}).get("cheat", {})
    return f"disposition {planted[concept]:+.2f} sd" if concept in planted else ""


def _rounds(trace: Mapping[str, Any], pattern: str) -> list[Item]:
    """One item per test round of a transcript: the text up to the reply that follows it."""
    items = []
    for number, prompt in enumerate(trace["prompts"]):
        fed = prompt if isinstance(prompt, str) else tuple(prompt)
        meta = {"trace": trace["id"], "pattern": pattern, "round": number}
        items.append(Item(f"{trace['id']}/{number}", fed, meta))
    return items


def _grid(records: Sequence[Record], concept: str) -> np.ndarray:
    """Readings [transcripts, rounds]."""
    rounds = 1 + max(record["meta"]["round"] for record in records)
    column = records[0]["concepts"].index(concept)
    return matrix(records)[:, column].reshape(-1, rounds)


def _trace(blocks: Mapping[str, Sequence[Record]], context: Context) -> list[Estimate]:
    if not {"failing", "passing"} <= set(blocks):
        return []
    rise = {name: _grid(rows, "desperate")[:, -1] - _grid(rows, "desperate")[:, 0] for name, rows in blocks.items()}
    gap = paired_bootstrap(rise["failing"], rise["passing"], seed=context.seed)
    paper = "rises after each failure, falls on a pass"
    planted = "rises over failures, falls over passes" if context.planted else ""
    failing, passing = (bootstrap(rise[name], seed=context.seed) for name in ("failing", "passing"))
    return [
        estimate("desperate over failing rounds", failing, paper=paper, truth=planted),
        estimate("desperate over passing rounds", passing, truth=planted),
        estimate(
            "desperate, failing minus passing rounds", gap, side="at least", mark=0.0, primary=True,
            clear=bool(gap.low > 0), control="transcripts of equal length whose tests pass",
        ),
    ]  # fmt: skip


def _trace_table(blocks: Mapping[str, Sequence[Record]]) -> list[dict[str, Any]]:
    return [
        {"pattern": pattern, "round": number, "concept": concept, "reading": float(value)}
        for pattern, rows in blocks.items()
        for concept in rows[0]["concepts"]
        for number, value in enumerate(_grid(rows, concept).mean(axis=0))
    ]
