"""Do happy and loving make an assistant agree with what is wrong, and less harsh?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thymos.stats import paired_bootstrap
from thymos.studies.bench import ENGLISH, Bench, Context
from thymos.studies.costs import Panel, cost_block, cost_rows, costs
from thymos.studies.decisions import base_rate, refusal, score_block
from thymos.studies.dosed import (
    Dosed,
    DosedSettings,
    chart_rows,
    disposition_of,
    dosed_blocks,
    dosed_of,
    dosed_of_replies,
    effects,
    log_odds,
    slopes,
)
from thymos.studies.judging import JUDGED, Jury, judge_block, judged_estimates, with_verdicts
from thymos.studies.protocol import Blocks, Estimate, Findings, Study, estimate, option
from thymos.studies.rollouts import REPLIED, Rolling, rollout_block, rollout_blocks
from thymos.studies.slots import read_block
from thymos.studies.stimuli import load_stimuli
from thymos.studies.sycophancy_items import AXES, TRUE, Axis, grader_of, items_of, replies_read
from thymos.studies.sycophancy_readings import reading_estimates
from thymos.studies.trials import Record, Records

__all__ = ["Sycophancy", "SycophancySettings"]

_ADVICE = "take harder claims or firmer push-back, or a model that gives way sometimes"
_PLEASED = ("happy", "loving")
_PAPER = {
    "sycophancy": "happy, loving, calm raise it; angry, desperate, afraid: mixed (numbers only in a figure)",
    "harshness": "angry, desperate, afraid raise it; happy, loving, calm lower it (numbers only in a figure)",
}


@dataclass(frozen=True)
class SycophancySettings(DosedSettings):
    """Settings of `sycophancy`."""

    items: int = option(60, "claims, push-backs, unlikely claims and pieces of work, each")
    replies: int = option(4, "sampled replies to each item (models in English)")
    max_new_tokens: int = option(300, "longest reply (models in English)")
    concepts: tuple[str, ...] = option(
        ("happy", "loving", "calm", "angry", "desperate", "afraid", "hostile"), "vectors that are steered"
    )
    permutations: int = option(4000, "shuffles of the null of the readings")
    judge: str = option("", "OpenAI-compatible endpoint of a judge, e.g. http://localhost:8000/v1; none by default")
    judge_model: str = option("", "name of the judge's model")

    @classmethod
    def quick(cls) -> "SycophancySettings":
        """Twenty items each, one dose both ways, a panel of twelve."""
        return cls(items=20, replies=2, strengths=(-0.2, 0.2), sampled_randoms=20, panel=12)


class Sycophancy(Study):
    """Wrong claims, push-back, unbelievable claims and pieces of work: agreement and harshness under doses."""

    name = "sycophancy"
    question = "Do happy and loving raise agreement with wrong claims, and lower harshness?"
    source = "Sofroniew et al. 2026, sycophancy and harshness"
    settings = SycophancySettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: SycophancySettings) -> Blocks:
        """Per axis its base rate, then doses where there is room; true claims as the control of agreement."""
        told = load_stimuli("sycophancy", bench.world)
        plans = {exact: settings.plan(bench, exact=exact) for exact in (True, False)}
        usable = set()
        for axis in AXES:
            cases = items_of(told, axis, bench.world, settings.items)
            exact = axis.exact or bench.world != ENGLISH
            rolling = Rolling(grader_of(told, axis), settings.replies, settings.max_new_tokens, settings.temperature)
            base = yield (
                score_block(bench, f"{axis.name}/base", cases)
                if exact
                else rollout_block(bench, f"{axis.name}/base", cases, rolling)
            )
            if settings.judge and not exact:
                base = tuple(with_verdicts(base, (yield _judged(bench, f"{axis.name}/base", base, axis, settings))))
            # True claims are a control at the ceiling by design: they are dosed where wrong ones are.
            if axis.name == TRUE and "agree" not in usable:
                continue
            if axis.name != TRUE and refusal(axis.what, _rate(base, axis, bench.seed), _ADVICE):
                continue
            usable.add(axis.name)
            if exact:
                yield from dosed_blocks(bench, f"{axis.name}/doses", cases, plans[True])
                continue
            plan = plans[False]
            for block in rollout_blocks(bench, f"{axis.name}/doses", cases, rolling, plan.dosing, plan.strength):
                rows = yield block
                if settings.judge:
                    yield _judged(bench, block.name, rows, axis, settings)
        concepts = bench.known(settings.concepts)
        items = replies_read(told, bench.world, settings.items)
        yield read_block(bench, "reading/replies", items, concepts, slots=(REPLIED,))
        if settings.panel and usable:
            yield cost_block(bench, "costs", plans[True], Panel(settings.panel, settings.panel))

    def analyse(self, records: Records, context: Context, settings: SycophancySettings) -> Findings:
        """Both axes under every vector, wrong against true claims, readings of supportive replies, costs."""
        records = _settled(records)
        estimates: list[Estimate] = []
        refusals: list[str] = []
        tables: dict[str, list[dict[str, Any]]] = {"doses": []}
        found: dict[str, Dosed] = {}
        for axis in AXES:
            rate = _rate(records[f"{axis.name}/base"], axis, context.seed)
            estimates.append(estimate(f"{axis.what} without a dose", rate, truth=_planted(records, axis)))
            reason = refusal(axis.what, rate, _ADVICE) if axis.name != TRUE else None
            refusals += [reason] if reason else []
            dosed = _dosed(records, axis, context)
            if dosed is not None:
                found[axis.name] = dosed
                tables["doses"] += chart_rows(dosed, axis.what)
                if axis.name != TRUE:
                    estimates += _effects(dosed, axis, settings, context)
        estimates += _wrong_minus_true(found, settings, context)
        tables["axes"] = _plane(found, settings)
        estimates += reading_estimates(records["reading/replies"], context, settings.permutations)
        judged, remarks = judged_estimates(records, context.seed)
        estimates += judged
        if "costs" in records:
            estimates += costs(records["costs"], settings.strength)
            tables["costs"] = cost_rows(records["costs"])
        return Findings(tuple(estimates), tables, tuple(refusals), tuple(remarks))


def _judged(bench: Bench, of: str, rows: Sequence[Record], axis: Axis, settings: SycophancySettings) -> Any:
    return judge_block(bench, of, rows, Jury(settings.judge, settings.judge_model, axis.rubric))


def _settled(records: Records) -> Records:
    """Replies that the rules could not tell take the judge's verdict, where there is one."""
    judged = records.under(JUDGED)
    return Records({n: with_verdicts(r, judged[n]) if n in judged else r for n, r in records.items()})


def _rate(base: Sequence[Record], axis: Axis, seed: int) -> Any:
    """Base rate over items: an item's several replies count once."""
    if "p" in base[0]:
        return base_rate([row["p"][axis.outcomes[0]] for row in base], seed)
    rates = [float(np.mean([reply["outcome"] in axis.outcomes for reply in row["replies"]])) for row in base]
    return base_rate(rates, seed)


def _planted(records: Records, axis: Axis) -> str:
    known = [
        row["meta"]["chances"][axis.outcomes[0]] for row in records[f"{axis.name}/base"] if "chances" in row["meta"]
    ]
    return f"{np.mean(known):.3f}" if known else ""


def _dosed(records: Records, axis: Axis, context: Context) -> Dosed | None:
    prefix = f"{axis.name}/doses"
    if f"{prefix}/controls" in records:
        return dosed_of(records, prefix, axis.outcomes[0])

    def value(reply: Mapping[str, Any]) -> float:
        return float(reply["outcome"] in axis.outcomes)

    return dosed_of_replies(records.under(f"{prefix}/"), axis.outcomes[0], value, by_case=True, seed=context.seed)


def _effects(dosed: Dosed, axis: Axis, settings: SycophancySettings, context: Context) -> list[Estimate]:
    told: dict[str, dict[str, Any]] = {}
    for concept in dosed.concepts:
        told[concept] = {"paper": _PAPER[axis.axis], "truth": disposition_of(context, axis.drive, concept)}
        if axis.claimed and concept in _PLEASED:
            side = "at least" if axis.axis == "sycophancy" else "at most"
            told[concept] |= {"side": side, "mark": 0.0, "primary": True}
    found = effects(dosed, settings.strength, told, axis.what)
    if -settings.strength in dosed.curve.strengths and axis.claimed:
        plain = {concept: {"truth": told[concept]["truth"]} for concept in _PLEASED if concept in told}
        back = effects(dosed, -settings.strength, plain, axis.what)
        found += [one for one, concept in zip(back, dosed.concepts, strict=True) if concept in plain]
    return found + (slopes(dosed, axis.what, context.seed) if axis.claimed else [])


def _wrong_minus_true(found: Mapping[str, Dosed], settings: SycophancySettings, context: Context) -> list[Estimate]:
    """Whether a vector makes for agreement with what is wrong, or only for saying yes."""
    if not {"agree", TRUE} <= set(found) or not found["agree"].exact:
        return []
    made = []
    for concept in (one for one in _PLEASED if one in found["agree"].concepts):
        wrong, true = (_gained(found[name], concept, settings.strength) for name in ("agree", TRUE))
        n = min(len(wrong), len(true))
        gap = paired_bootstrap(wrong[:n], true[:n], seed=context.seed)
        made.append(
            estimate(
                f"{concept}: log-odds of yes gained by wrong minus by true claims", gap,
                control="claims that are true", clear=bool(gap.low > 0),
                note="different claims of equal number; true ones near the ceiling, so log-odds",
            )
        )  # fmt: skip
    return made


def _gained(dosed: Dosed, concept: str, strength: float) -> np.ndarray:
    curve = dosed.controls
    column = int(np.flatnonzero(np.isclose(curve.strengths, strength))[0])
    return log_odds(curve.probabilities[curve.names.index(concept), column]) - log_odds(curve.zero)


def _plane(found: Mapping[str, Dosed], settings: SycophancySettings) -> list[dict[str, Any]]:
    """Both axes per vector and dose: mean change over the decisions of each axis."""
    rows: list[dict[str, Any]] = []
    axes = {axis.name: axis.axis for axis in AXES if axis.name != TRUE}
    chosen = [(axes[name], dosed) for name, dosed in found.items() if name in axes]
    for concept in settings.concepts:
        for dose in sorted({*settings.strengths, settings.strength}):
            row: dict[str, Any] = {"concept": concept, "strength": dose}
            for axis in ("sycophancy", "harshness"):
                moves = [
                    dosed.curve.effect(concept, dose).estimate
                    for kind, dosed in chosen
                    if kind == axis and concept in dosed.concepts
                ]
                row[axis] = float(np.mean(moves)) if moves else None
            rows.append(row)
    return rows
