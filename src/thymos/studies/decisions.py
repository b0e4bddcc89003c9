"""Decisions under doses, scored exactly; where replies must be graded instead, see `thymos.studies.rollouts`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.behaviour import (
    DecisionPoint,
    DoseCurve,
    Options,
    decision_point,
    dose_curves,
    score_decisions,
    tokens_at,
)
from thymos.errors import UsageError
from thymos.models import Message, Select
from thymos.stats import Interval, bootstrap, single_case_p
from thymos.studies.bench import Bench
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.trials import Block, Record

__all__ = [
    "LEAST_RANDOMS",
    "Case",
    "Dosing",
    "base_rate",
    "causal",
    "curve_of",
    "decide_block",
    "moves_of",
    "refusal",
    "score_block",
]

FLOOR, CEILING = 0.1, 0.9
"""Base rates outside say nothing about steering: there is no room to move."""
LEAST_RANDOMS = 200
"""Random directions where decisions are scored exactly."""


@dataclass(frozen=True)
class Case:
    """A decision of a study.

    Attributes:
        id: Stable name.
        prompt: Chat messages, or a text that is fed as it is.
        options: Outcome -> texts that mean it; none where replies are graded.
        prefill: Beginning of the reply that is given.
        meta: What the analysis needs to know: planted chances, variant, ...
    """

    id: str
    prompt: str | tuple[Message, ...]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefill: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dosing:
    """Which directions are added, how strongly, and with which controls.

    Attributes:
        concepts: Vectors by name.
        strengths: Fractions of the mean residual norm; zero is always added.
        randoms: Random directions of equal norm.
        spanned: Random directions inside the span of the vectors.
        layer: Default: the bench's.
        select: Positions; everywhere by default.
    """

    concepts: tuple[str, ...]
    strengths: tuple[float, ...]
    randoms: int = LEAST_RANDOMS
    spanned: int = 20
    layer: int | None = None
    select: Select | None = None


def _points(bench: Bench, cases: Sequence[Case]) -> list[DecisionPoint]:
    return [
        decision_point(bench.host, case.prompt, Options(dict(case.options)), case.prefill, id=case.id) for case in cases
    ]


def score_block(bench: Bench, name: str, cases: Sequence[Case]) -> Block:
    """Decisions without any dose: what a base rate is read from.

    Records: `id`, `text`, `ids`, `options`, `meta`, `mass` (probability of all options together), `p` by outcome.
    """

    def make() -> Iterator[Record]:
        points = _points(bench, cases)
        found = score_decisions(bench.host, points)
        for number, (case, point) in enumerate(zip(cases, points, strict=True)):
            p = dict(zip(found.outcomes, found.probabilities[number].tolist(), strict=True))
            known = {outcome: p[outcome] for outcome in case.options}
            yield {**_inputs(bench, case, point), "mass": float(found.mass[number]), "p": known}

    return Block(name, len(cases), make)


def _inputs(bench: Bench, case: Case, point: DecisionPoint) -> dict[str, Any]:
    tokens = tokens_at(bench.host, point)
    options = {outcome: list(texts) for outcome, texts in case.options.items()}
    ids = tokens.ids.tolist()
    return {"id": case.id, "text": tokens.text, "ids": ids, "options": options, "meta": dict(case.meta)}


def decide_block(bench: Bench, name: str, cases: Sequence[Case], dosing: Dosing) -> Block:
    """Exact decisions under vectors, random directions, directions in their span, and the zero dose.

    Records: first the conditions (`names`, `arms`, `strengths`, `layers`, `norm`), then one per case: the inputs,
    `baseline` by outcome (no hook at all), and `p` by outcome [directions][strengths].
    """
    layer = bench.steered if dosing.layer is None else dosing.layer

    def make() -> Iterator[Record]:
        points = _points(bench, cases)
        outcomes = tuple(dict.fromkeys(outcome for case in cases for outcome in case.options))
        curves = dose_curves(
            bench.host,
            points,
            {concept: bench.vectors[concept] for concept in dosing.concepts},
            dosing.strengths,
            outcomes,
            randoms=dosing.randoms,
            in_span=dosing.spanned,
            seed=bench.seed_for(name),
            layer=layer,
            select=dosing.select,
            allow_mismatch=bench.allow_mismatch,
        )
        one = next(iter(curves.values()))
        norm = bench.vectors.at(layer).norm
        yield {
            "names": one.names,
            "arms": one.arms,
            "strengths": one.strengths,
            "layers": one.layers,
            "norm": norm,
            "seed": one.seed,
        }
        for number, (case, point) in enumerate(zip(cases, points, strict=True)):
            yield {
                **_inputs(bench, case, point),
                "baseline": {outcome: float(curve.baseline[number]) for outcome, curve in curves.items()},
                "p": {outcome: _short(curve.probabilities[:, :, number]) for outcome, curve in curves.items()},
            }

    return Block(name, len(cases) + 1, make)


def _short(values: np.ndarray) -> list[list[float]]:
    """Seven digits: more would be rounding of the network."""
    return [[float(f"{value:.7g}") for value in row] for row in values.tolist()]


def curve_of(records: Sequence[Record], outcome: str) -> DoseCurve:
    """The dose curve of an outcome from the records of a `decide_block`."""
    head, *cases = records
    values = np.asarray([case["p"][outcome] for case in cases], np.float64)
    return DoseCurve(
        outcome,
        tuple(head["layers"]),
        tuple(head["names"]),
        tuple(head["arms"]),
        np.asarray(head["strengths"], np.float64),
        np.moveaxis(values, 0, -1),
        np.asarray([case["baseline"][outcome] for case in cases], np.float64),
        int(head["seed"]),
    )


def base_rate(values: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """Mean probability of an outcome without any dose, with an interval over cases."""
    return bootstrap(np.asarray(values, np.float64), seed=seed)


def refusal(cell: str, rate: Interval, advice: str) -> str | None:
    """Why a causal claim is refused at a base rate, and what to do; None where there is room both ways.

    Args:
        cell: What is refused.
        rate: Its base rate.
        advice: How to find a cell with room.
    """
    if FLOOR <= rate.estimate <= CEILING:
        return None
    side = "floor" if rate.estimate < FLOOR else "ceiling"
    return (
        f"{cell}: base rate {rate} is at the {side} (usable: {FLOOR:.0%} to {CEILING:.0%}), so steering has no room to "
        f"show; {advice}"
    )


def causal(
    curve: DoseCurve,
    concept: str,
    strength: float,
    *,
    controls: DoseCurve | None = None,
    name: str | None = None,
    **more: Any,
) -> Estimate:
    """The effect of one vector at one strength, held against every random direction and those of the span.

    It is clear of the controls only where its whole interval lies outside the range of all random directions; its p is
    that of one more value of their distribution (`thymos.stats.single_case_p`).

    Args:
        curve: From `curve_of`.
        concept: The vector.
        strength: The dose.
        controls: A curve of the same decisions that holds the random directions; default: the same. Where it lacks a
            negative strength, the positive one is taken: the opposite of a random direction is a random direction.
        name: Of the estimate; made from outcome, concept and dose if not given.
        **more: Other fields of the estimate.
    """
    effect = curve.effect(concept, strength)
    before = float(curve.zero.mean())
    spread = (effect.high - effect.low) / 3.92
    fields: dict[str, Any] = {
        "note": f"{before:.3f} -> {before + effect.estimate:.3f}; 80% power from a change of {2.8 * spread:.3f}",
    }
    randoms = moves_of(controls or curve, "random", strength)
    if len(randoms):
        words = f"{len(randoms)} random directions {randoms.min():+.3f} to {randoms.max():+.3f}"
        spanned = moves_of(controls or curve, "span", strength)
        if len(spanned):
            words += f"; {len(spanned)} in the span {spanned.min():+.3f} to {spanned.max():+.3f}"
        fields |= {
            "control": words,
            "clear": bool(effect.low > randoms.max() or effect.high < randoms.min()),
            "p": single_case_p(effect.estimate, randoms) if len(randoms) > 2 else None,
        }
    label = name or f"{curve.outcome} under {concept} {strength:+g}"
    return estimate(label, effect, **(fields | more))


def moves_of(curve: DoseCurve, arm: str, strength: float) -> Float[np.ndarray, " directions"]:
    """Mean changes under the control directions of an arm ("random", "span") at a strength or at its opposite.

    Raises:
        UsageError: The curve has neither strength.
    """
    near = np.flatnonzero(np.isclose(np.abs(curve.strengths), abs(strength), rtol=1e-9, atol=1e-12))
    if not len(near):
        raise UsageError(f"no control at strength {strength:g}; the curve has {curve.strengths.tolist()}")
    signed = [at for at in near if np.sign(curve.strengths[at]) == np.sign(strength)]
    column = int(signed[0] if signed else near[0])
    return curve.changes[[one == arm for one in curve.arms], column]
