"""How readings move over layers and tokens: what went before, how much, not, and whose feeling it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.behaviour.curve import mean_intervals
from thymos.errors import UsageError, did_you_mean
from thymos.stats import bootstrap, paired_bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.context_differences import (
    Differences,
    Nulls,
    Reading,
    binding_differences,
    centred,
    pair_differences,
    readings_of,
)
from thymos.studies.context_places import EXPERIMENTS, concepts_of, experiment_block, sides_of
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.readouts import known_of, probes_of, sign_flips, told_against
from thymos.studies.slots import REPLY
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record, Records

__all__ = ["ContextSettings", "ContextStudy"]

_AGAIN, _BEFORE, _WORD = "name again", "before the number", "emotion word"
_CLAIMS: Mapping[str, tuple[str, str, str]] = {
    "prefix": ("what went before, in identical text", REPLY, "late layers carry it to the colon; no statistic"),
    "dosage": ("high minus low number", REPLY, "about .047 at the colon, one item"),
    "negation": ("affirmed minus negated", REPLY, "early layers do not tell them apart; no statistic"),
    "binding": ("own minus the other person's feeling", _AGAIN, "rises late at the re-reference; no statistic"),
}
"""Experiment -> what its difference is, where the claim is made, and the paper's words."""
_TRUTH: Mapping[str, str] = {
    "prefix": "the feeling of the first sentences lasts",
    "dosage": "feelings follow the number",
    "negation": "a denied feeling is not felt",
    "binding": "a person acts in the feeling that was named",
}


@dataclass(frozen=True)
class ContextSettings(Settings):
    """Settings of `context`."""

    experiments: tuple[str, ...] = option(EXPERIMENTS, "which of prefix, dosage, negation, binding")
    items: int = option(40, "items per experiment")
    examples: int = option(2, "texts of each experiment that are kept token by token")
    randoms: int = option(200, "random directions in place of the vectors")
    spanned: int = option(20, "random directions inside the span of the vectors")
    permutations: int = option(4000, "sign flips of items, and shuffles of concepts")

    @classmethod
    def quick(cls) -> "ContextSettings":
        """A dozen items of the larger experiments."""
        return cls(items=12, permutations=2000)


class ContextStudy(Study):
    """Four kinds of pairs of texts that differ in one thing: maps of layer x place of what is read."""

    name = "context"
    question = "Do later layers carry a feeling into text that no longer names it, and to the person whose it is?"
    source = "Sofroniew et al. 2026, readings over layers and token positions"
    settings = ContextSettings

    def blocks(self, bench: Bench, settings: ContextSettings) -> Blocks:
        """One block per experiment."""
        told = load_stimuli("context", bench.world)
        for name in settings.experiments:
            if name not in EXPERIMENTS:
                raise UsageError(
                    f"unknown experiment {name!r}{did_you_mean(name, EXPERIMENTS)}; valid: {', '.join(EXPERIMENTS)}"
                )
            concepts = known_of(bench, concepts_of(told, name))
            sides = sides_of(told, name, concepts, settings.items)
            # Random directions are the same in all experiments: one seed, one name.
            probes = probes_of(bench, "controls", concepts, randoms=settings.randoms, spanned=settings.spanned)
            yield experiment_block(bench, name, sides, probes, settings.examples)

    def analyse(self, records: Records, context: Context, settings: ContextSettings) -> Findings:
        """Maps of paired differences with intervals, and one claim per experiment."""
        primary: list[Estimate] = []
        told: list[Estimate] = []
        tables: dict[str, list[dict[str, Any]]] = {"map": [], "examples": []}
        refusals = []
        for name, rows in records.items():
            found = _differences(name, rows, context, settings) if rows else None
            if found is None:
                refusals.append(
                    f"{name}: fewer than two independent items whose concepts the vectors hold; extract more"
                )
                continue
            layers = list(rows[0]["layers"])
            primary.append(_claim(name, found, layers, context, settings))
            told += _layers(name, found, layers, context)
            told += _EXTRAS[name](rows, found, context, settings) if name in _EXTRAS else []
            tables["map"] += _map(name, found, layers, context, settings)
            tables["examples"] += _examples(name, rows)
        return Findings((*primary, *told), tables, tuple(refusals))


def _nulls(name: str, rows: Sequence[Record], context: Context, settings: ContextSettings) -> Nulls:
    layer = list(rows[0]["layers"]).index(context.layer)
    return Nulls(_CLAIMS[name][1], layer, int(rows[0]["randoms"]), settings.permutations, context.seed)


def _differences(
    name: str, rows: Sequence[Record], context: Context, settings: ContextSettings, *, part: str | None = None
) -> Differences | None:
    """Of one experiment; `part` is "harmless" in dosage, and "pronoun" or "one gender" in binding."""
    nulls = _nulls(name, rows, context, settings)
    if name == "binding":
        kept = [row for row in rows if _is_part(row["meta"], part)]
        if not kept:
            return None
        others = [list(row["concepts"]).index(row["meta"]["other"]) for row in kept]
        return binding_differences(readings_of(kept), others, nulls)
    if name == "dosage":
        rows = [row for row in rows if row["meta"]["kind"] == (part or "danger")]
    readings = readings_of(rows)
    if name == "negation":
        readings = centred(readings, lambda one: (one.meta["template"], one.arm))
    return pair_differences(readings, nulls) if readings else None


def _is_part(meta: Mapping[str, Any], part: str | None) -> bool:
    if part == "one gender":
        return not meta["pronoun"] and meta["genders"] == "one"
    return bool(meta["pronoun"]) == (part == "pronoun")


def _claim(
    name: str, found: Differences, layers: Sequence[int], context: Context, settings: ContextSettings
) -> Estimate:
    what, place, paper = _CLAIMS[name]
    values = found.at(place, layers.index(context.layer))
    seen = bootstrap(values, seed=context.seed)
    flips = sign_flips(values[:, None], settings.permutations, context.seed)
    p = max(float(flips.p[0]), found.shuffled or 0.0)
    nulls = {"sets of random directions": found.randoms, "sets in the span": found.spanned}
    note = "p: sign flips of items"
    if found.shuffled is not None:
        note = f"p: the larger of sign flips of items ({flips.p[0]:.2g}) and shuffled concepts ({found.shuffled:.2g})"
    return estimate(
        f"{name}: {what}, at the {place} (cosine)", seen, side="at least", mark=0.0, primary=True, p=p, paper=paper,
        truth=_TRUTH[name] if context.planted else "", note=note,
        **told_against(float(seen.estimate), nulls),
    )  # fmt: skip


def _layers(name: str, found: Differences, layers: Sequence[int], context: Context) -> list[Estimate]:
    """How much of the difference is made between the first layer and the chosen one."""
    place = _CLAIMS[name][1]
    late, early = found.at(place, layers.index(context.layer)), found.at(place, 0)
    if context.layer == layers[0]:
        return []
    return [
        estimate(f"{name}: at the {place}, first layer", bootstrap(early, seed=context.seed), paper="none or little"),
        estimate(
            f"{name}: at the {place}, layer {context.layer} minus first layer",
            paired_bootstrap(late, early, seed=context.seed), paper="grows over layers",
        ),
    ]  # fmt: skip


def _dosage(rows: Sequence[Record], found: Differences, context: Context, settings: ContextSettings) -> list[Estimate]:
    """The harmless twin, and identical text in front of the number, which a causal network cannot tell apart."""
    layer = list(rows[0]["layers"]).index(context.layer)
    told = []
    if _BEFORE in found.places:
        largest = float(np.abs(found.values[:, found.places.index(_BEFORE)]).max())
        told.append(estimate("dosage: before the number, largest difference", largest, note="0 in a causal network"))
    twin = _differences("dosage", rows, context, settings, part="harmless")
    if twin is None:
        return told
    both = [group for group in found.groups if group in twin.groups]
    harm, calm = (one.at(REPLY, layer)[[one.groups.index(group) for group in both]] for one in (found, twin))
    if len(both) < 2:
        return told
    gap = paired_bootstrap(harm, calm, seed=context.seed)
    planted = "none" if context.planted else ""
    return [
        *told,
        estimate("dosage: the same numbers in harmless messages", bootstrap(calm, seed=context.seed), truth=planted),
        estimate("dosage: dangerous minus harmless", gap, clear=bool(gap.low > 0), control="harmless twins"),
    ]


def _negation(
    rows: Sequence[Record],
    found: Differences,  # noqa: ARG001 - the signature of all extras
    context: Context,
    settings: ContextSettings,  # noqa: ARG001 - see above
) -> list[Estimate]:
    """How much of an affirmed feeling is read at its own word when it is denied, early and late."""
    layers = list(rows[0]["layers"])
    readings = centred(readings_of(rows), lambda one: (one.meta["template"], one.arm))
    told = []
    for place in (_WORD, REPLY):
        for words, layer in (("first layer", 0), (f"layer {context.layer}", layers.index(context.layer))):
            means = {arm: _own(readings, arm, place, layer) for arm in ("a", "b")}
            for arm, kind in (("a", "affirmed"), ("b", "negated")):
                name = f"negation: {kind} feeling at the {place}, {words}, probe means removed"
                told.append(estimate(name, bootstrap(means[arm], seed=context.seed)))
    return told


def _own(readings: Sequence[Reading], arm: str, place: str, layer: int) -> Float[np.ndarray, " concepts"]:
    """Mean reading of every concept in the texts about it."""
    by_concept: dict[int, list[float]] = {}
    for one in readings:
        if one.arm == arm and place in one.places:
            by_concept.setdefault(one.concept, []).append(float(one.places[place][layer, one.concept]))
    return np.array([float(np.mean(values)) for values in by_concept.values()])


def _binding(rows: Sequence[Record], found: Differences, context: Context, settings: ContextSettings) -> list[Estimate]:
    """Behind the name, at the emotion word, names of one gender, and pronouns that do not say who is meant."""
    layer = list(rows[0]["layers"]).index(context.layer)
    told = [
        estimate(f"binding: at the {place}", bootstrap(found.at(place, layer), seed=context.seed))
        for place in found.places
        if place != _AGAIN
    ]
    right = (found.at(_AGAIN, layer) > 0).astype(np.float64)
    told.append(estimate("binding: items that read the right person", bootstrap(right, seed=context.seed), chance=0.5))
    for part, words in (("one gender", "two names of one gender"), ("pronoun", "a pronoun that fits both persons")):
        some = _differences("binding", rows, context, settings, part=part)
        if some is not None:
            value = bootstrap(some.at(_AGAIN, layer), seed=context.seed)
            truth = "none" if part == "pronoun" and context.planted else ""
            told.append(estimate(f"binding: {words}", value, truth=truth))
    return told


_EXTRAS = {"dosage": _dosage, "negation": _negation, "binding": _binding}


def _map(
    name: str, found: Differences, layers: Sequence[int], context: Context, settings: ContextSettings
) -> list[dict[str, Any]]:
    """Every place and layer: mean difference, its interval, and p against the largest of the whole map."""
    flat = found.values.reshape(len(found.groups), -1)
    low, high = mean_intervals(np.ascontiguousarray(flat.T), context.seed)
    flips = sign_flips(flat, settings.permutations, context.seed)
    cells = [(place, layer) for place in found.places for layer in layers]
    return [
        {
            **{"experiment": name, "place": place, "layer": int(layer), "difference": float(flat[:, at].mean())},
            **{"low": float(low[at]), "high": float(high[at]), "p_family": float(flips.family[at])},
        }
        for at, (place, layer) in enumerate(cells)
    ]


def _examples(name: str, rows: Sequence[Record]) -> list[dict[str, Any]]:
    """The first texts token by token, as they were read along their own concept."""
    return [
        {
            **{"experiment": name, "text": row["id"], "concept": row["concept"], "position": at, "token": token},
            **{"layer": int(layer), "reading": row["map"][number][at]},
        }
        for row in rows
        if "tokens" in row
        for number, layer in enumerate(row["layers"])
        for at, token in enumerate(row["tokens"])
    ]
