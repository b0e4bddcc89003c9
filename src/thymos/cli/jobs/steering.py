"""Steering: the same prompt without and with a direction, the dose, and what strengths cost."""

from typing import Any

from rich.console import RenderableType
from rich.table import Table

from thymos.cli.jobs.common import host_of, layers_of, neutral_of, vectors_of
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import emit, note, pairs, safe, table
from thymos.cli.options import ModelOptions, Output
from thymos.cli.recipe import parse_recipe
from thymos.cli.steering import Dosing, Replies
from thymos.errors import UsageError
from thymos.models import Generation, Model, Sampling, Select
from thymos.steering import Dose, DosePlan, dose_of, plan_dose
from thymos.steering import steer as steered
from thymos.vectors import ConceptVector, EmotionVectors

__all__ = ["combine", "steer"]

_NEUTRAL_TEXTS = 16
_MUCH = 0.3
"""Strength above which a note warns; the coherent range is mostly within 0.1 (see `plan_dose`)."""


def combine(vectors: EmotionVectors, recipe: str) -> ConceptVector:
    """The vector of a recipe such as "0.05*calm - 0.02*angry".

    Raises:
        UsageError: Not a linear recipe.
        UnknownConceptError: The set does not hold a concept.
    """
    terms = parse_recipe(recipe, vectors.concepts)
    found: ConceptVector | None = None
    for concept, strength in terms.items():
        if found is None:
            found = vectors[concept] * strength
        elif strength < 0:
            found = found - vectors[concept] * -strength
        else:
            found = found + vectors[concept] * strength
    if found is None:
        raise UsageError("the recipe names no concept; write for example 0.05*calm")
    return found


def steer(dosing: Dosing, replies: Replies, options: ModelOptions, output: Output) -> None:
    """Generate twice, and print both with the dose; with --plan also what strengths cost."""
    if not dosing.vector.strip():
        raise UsageError("which direction? give --vector, for example --vector '0.05*calm - 0.02*angry'")
    if dosing.prompt is None and not dosing.plan:
        raise UsageError("give a PROMPT to answer, or --plan to measure what strengths cost")
    vectors = vectors_of(dosing.vectors, dosing.model)
    vector = combine(vectors, dosing.vector)
    sampling = Sampling(replies.max_new_tokens, replies.temperature, replies.top_p, seed=replies.seed)
    host = host_of(dosing.model, options, output)
    if host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder: it can be read, not steered; use a causal language model")
    vectors.check_model(host, allow_mismatch=dosing.allow_mismatch)
    layers = layers_of(host, vectors, dosing.layers)
    vector = vector.at(*layers) if layers is not None else vector
    dose = dose_of(vector)
    result: dict[str, Any] = {
        "model": host.name,
        "prompt": dosing.prompt,
        "recipe": vector.recipe,
        "layers": vector.steered,
        "where": dosing.where,
        "dose": {"per_layer": dose.per_layer, "total": dose.total},
        "seed": replies.seed,
        "unsteered": None,
        "steered": None,
        "plan": None,
    }
    views: list[RenderableType] = []
    if dosing.prompt is not None:
        _warn_of_much(vector, dose, output)
        plain = _reply(host, dosing.prompt, sampling, raw=replies.raw)
        with steered(
            host, vector, select=Select(where=dosing.where, special=True), allow_mismatch=dosing.allow_mismatch
        ):
            moved = _reply(host, dosing.prompt, sampling, raw=replies.raw)
        result |= {"unsteered": _generated(plain), "steered": _generated(moved)}
        views.append(_side_by_side(vector, plain, moved))
    views.append(pairs("Dose, in fractions of the mean residual norm", _dose(vector, dose)))
    if dosing.plan:
        plan = _plan(host, vector, output)
        result["plan"] = _plan_dict(plan)
        views.append(_plan_table(plan))
    emit(output, result, *views)


def _warn_of_much(vector: ConceptVector, dose: Dose, output: Output) -> None:
    """A bare concept is a strength of 1, the whole residual norm, which few mean."""
    layer, most = max(dose.per_layer.items(), key=lambda item: item[1])
    if most > _MUCH:
        note(
            output,
            f"{vector.recipe} adds {most:.3g} of the residual norm at layer {layer}; text mostly breaks down above "
            f"{_MUCH:g}. Try 0.05*{vector.recipe if vector.recipe.isalpha() else 'calm'}, and --plan to measure",
        )


def _reply(host: Model, prompt: str, sampling: Sampling, *, raw: bool) -> Generation:
    return host.generate([prompt], sampling)[0] if raw else host.chat(prompt, sampling)


def _generated(made: Generation) -> dict[str, Any]:
    return {"text": made.text, "tokens": len(made.new_ids), "finish": made.finish}


def _side_by_side(vector: ConceptVector, plain: Generation, moved: Generation) -> Table:
    made = Table(show_lines=False)
    made.add_column("unsteered", ratio=1, overflow="fold")
    made.add_column(safe(vector.recipe), ratio=1, overflow="fold")
    made.add_row(safe(plain.text), safe(moved.text))
    return made


def _dose(vector: ConceptVector, dose: Dose) -> dict[str, object]:
    per_layer = {f"layer {layer}": f"{value:.4g}" for layer, value in sorted(dose.per_layer.items())}
    return {"recipe": vector.recipe, **per_layer, "total": f"{dose.total:.4g}"}


def _plan(host: Model, vector: ConceptVector, output: Output) -> DosePlan:
    texts = [text.text for text, _ in zip(neutral_of(None, host), range(_NEUTRAL_TEXTS), strict=False)]
    with Meter(output) as meter:
        meter.working("measuring what strengths cost")
        return plan_dose(host, vector, texts)


def _plan_dict(plan: DosePlan) -> dict[str, Any]:
    low, high = plan.coherent
    return {"limit": plan.limit, "coherent": [low, high], "points": [dict(point.__dict__) for point in plan.points]}


def _plan_table(plan: DosePlan) -> Table:
    low, high = plan.coherent
    rows = [
        (
            f"{point.strength:+.3g}",
            f"{point.perplexity:.4g}",
            f"{point.cost:+.1%}",
            f"{point.repetition:.2f}",
            f"{point.compression:.2f}",
        )
        for point in plan.points
    ]
    title = f"Strengths of the direction; within {plan.limit:.0%} of perplexity: {low:+.3g} to {high:+.3g}"
    return table(title, ("strength", "perplexity", "cost", "repetition", "compression"), rows)
