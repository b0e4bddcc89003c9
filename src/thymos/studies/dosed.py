"""What a study of doses shares: vectors at all doses, controls at the dose of the claims, and what follows from both.

Exact decisions and sampled replies end in the same two curves, so that claims are made of either in one way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from thymos.behaviour import DoseCurve
from thymos.stats import bootstrap, dose_response
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import Case, Dosing, causal, curve_of, decide_block
from thymos.studies.protocol import Estimate, Settings, estimate, option
from thymos.studies.trials import Block, Record, Records

__all__ = [
    "Dosed",
    "DosedSettings",
    "Plan",
    "chart_rows",
    "disposition_of",
    "dosed_blocks",
    "dosed_of",
    "dosed_of_replies",
    "effects",
    "log_odds",
    "rows_of_frame",
    "slopes",
]

_SAFE = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken."""

_DESCRIPTIVE = "sampled replies: too few random directions for a small p, read it as a description"


@dataclass(frozen=True)
class Plan:
    """Which directions are dosed.

    Attributes:
        concepts: Vectors.
        strengths: Doses of the vectors, fractions of the mean residual norm.
        strength: Dose of the claims and of all controls.
        randoms: Random directions of equal norm.
        spanned: Random directions inside the span of the vectors.
    """

    concepts: tuple[str, ...]
    strengths: tuple[float, ...]
    strength: float
    randoms: int
    spanned: int

    @property
    def doses(self) -> tuple[float, ...]:
        """All doses of the vectors, that of the claims among them."""
        return tuple(sorted({*self.strengths, self.strength} - {0.0}))

    @property
    def dosing(self) -> Dosing:
        """The whole plan as one dosing."""
        return Dosing(self.concepts, self.doses, self.randoms, self.spanned)


@dataclass(frozen=True)
class DosedSettings(Settings):
    """Settings of every study that adds vectors and looks at what is done; a study says what is different there."""

    concepts: tuple[str, ...] = option((), "vectors that are steered")
    strengths: tuple[float, ...] = option((-0.2, -0.1, 0.1, 0.2), "doses, as fractions of the mean residual norm")
    strength: float = option(0.2, "dose of the claims and of all controls")
    randoms: int = option(200, "random directions of equal norm where decisions are scored exactly")
    sampled_randoms: int = option(20, "random directions where replies are sampled")
    spanned: int = option(20, "random directions inside the span of the vectors")
    max_new_tokens: int = option(1024, "longest reply where replies are sampled")
    temperature: float = option(1.0, "of sampled replies")
    panel: int = option(24, "texts and tasks of the panel of costs; 0 leaves it out")

    def plan(self, bench: Bench, *, exact: bool) -> Plan:
        """Directions, doses and controls, for decisions that are scored exactly or for sampled replies."""
        randoms = self.randoms if exact else self.sampled_randoms
        spanned = min(self.spanned, randoms)
        return Plan(bench.known(self.concepts), self.strengths, self.strength, randoms, spanned)


@dataclass(frozen=True, eq=False)
class Dosed:
    """An outcome under doses.

    Attributes:
        curve: Vectors at all doses.
        controls: Vectors and control directions at the dose of the claims.
        exact: Whether these are probabilities; else they are means over sampled replies.
    """

    curve: DoseCurve
    controls: DoseCurve
    exact: bool = True

    @property
    def concepts(self) -> tuple[str, ...]:
        """The vectors."""
        return tuple(name for name, arm in zip(self.curve.names, self.curve.arms, strict=True) if arm == "vector")


def dosed_blocks(bench: Bench, prefix: str, cases: Sequence[Case], plan: Plan) -> Iterator[Block]:
    """Exact decisions: controls at the dose of the claims, then the vectors alone at all doses."""
    controls = Dosing(plan.concepts, (plan.strength,), plan.randoms, plan.spanned)
    yield decide_block(bench, f"{prefix}/controls", cases, controls)
    if set(plan.doses) != {plan.strength}:
        # Two hundred random directions at every dose would cost most of a study and say no more.
        yield decide_block(bench, f"{prefix}/curve", cases, Dosing(plan.concepts, plan.doses, 0, 0))


def dosed_of(records: Records, prefix: str, outcome: str) -> Dosed | None:
    """What `dosed_blocks` wrote; None where it was not run."""
    if f"{prefix}/controls" not in records:
        return None
    controls = curve_of(records[f"{prefix}/controls"], outcome)
    curve = curve_of(records[f"{prefix}/curve"], outcome) if f"{prefix}/curve" in records else controls
    return Dosed(curve, controls)


def dosed_of_replies(
    blocks: Mapping[str, Sequence[Record]],
    outcome: str,
    value: Callable[[Mapping[str, Any]], float],
    *,
    by_case: bool,
    seed: int = 0,
) -> Dosed | None:
    """What `rollout_blocks` wrote, as curves; None where it was not run.

    Args:
        blocks: `records.under(prefix)`.
        outcome: Name of what is counted.
        value: A reply's number: 1 for the outcome, or a measure.
        by_case: Whether a case is one item (its mean), as it must be where a claim is about other cases as well; else
            every reply is one, and intervals are about these cases.
        seed: Of the bootstrap.
    """
    cells: dict[tuple[str, str, float], Float[np.ndarray, " items"]] = {}
    layer = 0
    for rows in blocks.values():
        how = rows[0]["intervention"]
        grid = np.asarray([[value(reply) for reply in row["replies"]] for row in rows], np.float64)
        cells[how["name"], how["arm"], float(how["strength"])] = grid.mean(axis=1) if by_case else grid.ravel()
        layer = int(how["layer"])
    if len(cells) < 2:
        return None
    zero = cells.pop(("zero", "zero", 0.0))
    vectors = {key: row for key, row in cells.items() if key[1] == "vector"}
    others = {key: row for key, row in cells.items() if key[1] != "vector"}
    dose = next((key[2] for key in others), None)
    same = {key: row for key, row in vectors.items() if key[2] == dose}
    curve = _curve(outcome, vectors, zero, layer, seed)
    return Dosed(curve, _curve(outcome, same | others, zero, layer, seed) if others else curve, exact=False)


def _curve(
    outcome: str,
    cells: Mapping[tuple[str, str, float], Float[np.ndarray, " items"]],
    zero: Float[np.ndarray, " items"],
    layer: int,
    seed: int,
) -> DoseCurve:
    names = tuple(dict.fromkeys((name, arm) for name, arm, _ in cells))
    doses = np.asarray(sorted({0.0, *(dose for _, _, dose in cells)}), np.float64)
    values = np.stack([np.stack([cells.get((*name, float(dose)), zero) for dose in doses]) for name in names])
    labels, arms = tuple(name for name, _ in names), tuple(arm for _, arm in names)
    return DoseCurve(outcome, (layer,), labels, arms, doses, values, zero, seed)


def effects(dosed: Dosed, strength: float, told: Mapping[str, Mapping[str, Any]], what: str = "") -> list[Estimate]:
    """The effect of every vector at one dose against all controls.

    Args:
        dosed: The curves.
        strength: The dose.
        told: More fields of the estimate of a concept: mark, side, truth, paper, primary.
        what: Name of what is counted; default: the outcome.
    """
    found = []
    for concept in dosed.concepts:
        name = f"{what or dosed.curve.outcome} under {concept} {strength:+g}"
        one = causal(dosed.curve, concept, strength, controls=dosed.controls, name=name, **told.get(concept, {}))
        found.append(one if dosed.exact else replace(one, note=f"{one.note}; {_DESCRIPTIVE}"))
    return found


def slopes(dosed: Dosed, what: str = "", seed: int = 0) -> list[Estimate]:
    """Log-odds per 0.1 of dose for every vector, where there are several doses.

    Exact decisions: the least-squares slope of every item's own log-odds, averaged over items with their bootstrap: a
    logistic regression with intercept and slope of every item, which exact probabilities allow without a fit of counts.
    Sampled replies: Firth's logistic regression of the counts.
    """
    if len(dosed.curve.strengths) < 3:
        return []
    found = []
    for concept in dosed.concepts:
        name = f"{what or dosed.curve.outcome}: log-odds per 0.1 of {concept}"
        rows = dosed.curve.probabilities[dosed.curve.names.index(concept)]
        if dosed.exact:
            found.append(estimate(name, bootstrap(_slopes(rows, dosed.curve.strengths), seed=seed), **_null(dosed)))
        elif np.isin(rows, (0.0, 1.0)).all():
            counts = rows.sum(axis=1).astype(np.int64)
            fit = dose_response(dosed.curve.strengths * 10, counts, np.full(len(counts), rows.shape[1], np.int64))
            found.append(estimate(name, fit.slope, p=fit.p, note="p of the logistic fit, replies taken as independent"))
    return found


def _slopes(
    rows: Float[np.ndarray, "strengths items"], strengths: Float[np.ndarray, " strengths"]
) -> Float[np.ndarray, " items"]:
    """Slope of every item's log-odds on dose, per 0.1."""
    odds = log_odds(rows)
    centred = strengths - strengths.mean()
    return 0.1 * (centred @ odds) / float(centred @ centred)


def log_odds(p: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, kept finite."""
    safe = np.clip(p, _SAFE, 1 - _SAFE)
    return np.log(safe) - np.log1p(-safe)


def _null(dosed: Dosed) -> dict[str, Any]:
    """The same slopes of the random directions, between nothing and their one dose."""
    random = [place for place, arm in enumerate(dosed.controls.arms) if arm == "random"]
    at = int(np.argmax(np.abs(dosed.controls.strengths)))
    if not random:
        return {}
    gained = log_odds(dosed.controls.probabilities[random, at]) - log_odds(dosed.controls.zero)
    null = 0.1 * gained.mean(axis=1) / float(dosed.controls.strengths[at])
    return {"control": f"{len(null)} random directions {null.min():+.2f} to {null.max():+.2f}"}


def rows_of_frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a data frame as plain mappings."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def chart_rows(dosed: Dosed, name: str) -> list[dict[str, Any]]:
    """What a dose chart draws: one row per vector and dose, and the central 95% of the controls."""
    rows = [{"decision": name, **row} for row in rows_of_frame(dosed.curve.chart_frame(*dosed.concepts))]
    if dosed.controls is dosed.curve:
        return rows
    bands = dosed.controls.chart_frame(dosed.concepts[0])
    return rows + [{"decision": name, **row} for row in rows_of_frame(bands[bands["arm"] != dosed.concepts[0]])]


def disposition_of(context: Context, drive: str, concept: str) -> str:
    """The planted disposition of a concept in words; empty where nothing was planted."""
    planted = context.truth.get("dispositions", {}).get(drive, {})
    return f"disposition {planted[concept]:+.2f} sd" if concept in planted else ""
