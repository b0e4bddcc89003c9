"""The figures of `preferences`: observation, steering, and the two sweeps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thymos.stats import bootstrap, max_statistic_permutation, single_case_p
from thymos.studies.bench import Context
from thymos.studies.preference_effects import (
    Choices,
    Effect,
    effect_of,
    matched_p,
    norms_of,
    null_changes,
    r_estimate,
    within,
)
from thymos.studies.preference_pairs import Pushed, first_chosen, pushed, ratings
from thymos.studies.projections import Projected, columns_r, finite, standardised
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.trials import Records

__all__ = ["by_activity", "claims_of", "observation", "rated", "steering", "sweeps"]

How = tuple[Context, Any]
"""What an analysis knows: the context, and the settings of `preferences`."""

_PAPER_R = {"blissful": ".71", "hostile": "-.74"}
_PAPER_CHANGE = {"blissful": "+212 (s = .5)", "hostile": "-303 (s = .5)"}
_FAMILY = 0.05


def by_activity(values: Float[np.ndarray, "items names"], n: int) -> Float[np.ndarray, "activities names"]:
    """Means over the wordings of each activity, which stand one behind the other."""
    found: Float[np.ndarray, "activities names"] = values.reshape(n, -1, values.shape[1]).mean(axis=1)
    return found


def claims_of(names: Sequence[str], settings: Any) -> list[tuple[str, float]]:
    """The words that carry claims, with the sign expected of each."""
    found = []
    for wanted, sign in ((settings.raising, 1.0), (settings.lowering, -1.0)):
        word = next((one for one in wanted if one in names), None)
        if word is not None:
            found.append((word, sign))
    return found


def rated(
    activities: Sequence[Mapping[str, Any]], choices: Choices, records: Records, context: Context
) -> list[Estimate]:
    """Ratings beside planted utilities, and beside those of other checkpoints."""
    found = []
    utilities = [one["utility"] for one in activities]
    if all(one is not None for one in utilities):
        planted = np.asarray(utilities, np.float64)
        found.append(
            r_estimate("r(rating, planted utility) over activities", choices.elo, planted, context.seed, truth="1.00")
        )
    spans = within(choices.elo, [str(one["category"]) for one in activities])
    total = float(choices.elo.var())
    share = 1.0 - float(spans.var()) / total if total > 0 else 0.0
    found.append(estimate("share of the variance of ratings between categories", share, n=len(activities)))
    for number, rows in records.under("others/").items():
        theirs = ratings(first_chosen(rows, len(activities)))
        name = f"r(rating, rating in checkpoint {number})"
        found.append(r_estimate(name, choices.elo, theirs, context.seed, paper=".81 (base and post-trained)"))
    return found


def observation(
    feelings: Projected, activities: Sequence[Mapping[str, Any]], choices: Choices, how: How
) -> tuple[list[Estimate], list[dict[str, Any]]]:
    """Correlation of every concept's reading with ratings: overall, within categories, centred."""
    context, settings = how
    n, elo = len(activities), choices.elo
    groups = [str(one["category"]) for one in activities]
    own, randoms = feelings.arm("vector"), feelings.arm("random")
    words = [name for name, mine in zip(feelings.names, own, strict=True) if mine]
    every = by_activity(feelings.at(context.layer), n)
    mine, flat = every[:, own], within(elo, groups)
    r, inner = columns_r(mine, elo), columns_r(within(mine, groups), flat)
    centred = columns_r(by_activity(feelings.at(context.layer, "centred"), n)[:, own], elo)
    p = _family_p(mine, elo, how)
    nulls = columns_r(every[:, randoms], elo)
    valence, arousal = (norms_of(context, words, axis) for axis in ("valence", "arousal"))
    found = []
    for word, _ in claims_of(words, settings):
        k = words.index(word)
        planted = f"planted valence {valence[k]:+.2f}" if context.planted and np.isfinite(valence[k]) else ""
        found += [
            r_estimate(
                f"r(reading of {word}, rating) over activities", mine[:, k], elo, context.seed, p=float(p[k]),
                paper=_PAPER_R.get(word, ""), truth=planted, control=_band(nulls, "{:+.2f}", "random directions"),
                clear=_outside(float(r[k]), nulls), note="p over all concepts",
            ),
            r_estimate(
                f"r(reading of {word}, rating) within categories", within(mine, groups)[:, k], flat, context.seed,
                paper="not reported",
            ),
        ]  # fmt: skip
    found += _mediation(r, (valence, arousal), context)
    table = [
        {
            "concept": word,
            "r": float(r[k]),
            "r_within": float(inner[k]),
            "r_centred": float(centred[k]),
            "p": float(p[k]),
            "valence": finite(valence[k]),
        }
        for k, word in enumerate(words)
    ]
    return found, sorted(table, key=lambda row: -float(row["r"]))


def _family_p(readings: Float[np.ndarray, "n words"], elo: Float[np.ndarray, " n"], how: How) -> np.ndarray:
    context, settings = how
    if not standardised(elo).any():
        return np.ones(readings.shape[1])
    columns = standardised(readings)
    test = max_statistic_permutation(
        lambda order: columns.T @ standardised(order),
        elo,
        permutations=settings.permutations,
        seed=context.seed,
        alternative="two-sided",
    )
    return test.p


def _mediation(r: Float[np.ndarray, " words"], axes: tuple[np.ndarray, np.ndarray], context: Context) -> list[Estimate]:
    valence, arousal = axes
    known = np.isfinite(valence) & np.isfinite(arousal)
    source = "planted appraisals" if context.planted else "human norms"
    values = (r[known], valence[known], arousal[known])
    return [
        r_estimate(
            "r(correlation with rating, valence) over concepts", values[0], values[1], context.seed,
            paper=".76 (judged valence)", note=source,
        ),
        r_estimate(
            "r(correlation with rating, arousal) over concepts", values[0], values[2], context.seed,
            paper="negative", note=source,
        ),
        r_estimate("r(valence, arousal) over concepts", values[1], values[2], context.seed, paper="-.02", note=source),
    ]  # fmt: skip


def _outside(value: float, null: Float[np.ndarray, " null"]) -> bool | None:
    return bool(value > null.max() or value < null.min()) if len(null) else None


def _band(null: Float[np.ndarray, " null"], form: str, what: str) -> str:
    if not len(null):
        return f"no {what}"
    return f"{len(null)} {what} {form.format(float(null.min()))} to {form.format(float(null.max()))}"


def steering(
    records: Records, feelings: Projected, choices: Choices, how: How
) -> tuple[list[Estimate], list[dict[str, Any]]]:
    """Changes of ratings under the vectors, and how far observation foretells them."""
    context, settings = how
    n = len(choices.elo)
    steered, controls = pushed(records["steered"], n), pushed(records["controls"], n)
    effects = {name: effect_of(choices, steered, k, 0, context.seed) for k, name in enumerate(steered.names)}
    nulls = {arm: null_changes(choices, controls, arm) for arm in ("random", "span")}
    found = [
        _claim(word, sign, (effects[word], nulls), context, settings.strength)
        for word, sign in claims_of(steered.names, settings)
    ]
    every = by_activity(feelings.at(context.layer), n)
    places = [feelings.names.index(name) for name in steered.names]
    random_r = columns_r(every[:, feelings.arm("random")], choices.elo)
    found += _matched(every[:, places], effects, (choices, random_r, nulls["random"]), how)
    gap = max(_gap(choices, steered), _gap(choices, controls))
    before = np.asarray([one["mass"] for one in records["pairs"]], np.float64).mean()
    found += [
        estimate("largest change of a choice by a zero dose", gap, note="rounding, unless something is wrong"),
        estimate(
            "probability that the reply is (A) or (B), worst vector", float(steered.mass[0].min()),
            control=f"without a dose {before:.3f}", note="coherence of the answer under the dose",
        ),
    ]  # fmt: skip
    r = columns_r(every[:, places], choices.elo)
    table = [
        {
            "concept": name,
            "r": float(r[k]),
            "change": effects[name].change.estimate,
            "low": effects[name].change.low,
            "high": effects[name].change.high,
            "outside_random": _outside(float(effects[name].by_split[0]), nulls["random"]),
            "mass": float(steered.mass[0, k]),
        }
        for k, name in enumerate(steered.names)
    ]
    return found, sorted(table, key=lambda row: -float(row["change"]))


def _claim(
    word: str, sign: float, found: tuple[Effect, Mapping[str, np.ndarray]], context: Context, strength: float
) -> Estimate:
    effect, nulls = found
    first, randoms = float(effect.by_split[0]), nulls["random"]
    valence = float(norms_of(context, [word], "valence")[0])
    return estimate(
        f"change of rating under {word} {strength:+g}", effect.change,
        side="at least" if sign > 0 else "at most", mark=0.0, primary=True,
        clear=_outside(first, randoms), p=single_case_p(first, randoms) if len(randoms) > 2 else None,
        control=(
            f"{_band(randoms, '{:+.0f}', 'random directions')}; {_band(nulls['span'], '{:+.0f}', 'in the span')}; the "
            f"vector in the same half {first:+.0f}"
        ),
        paper=_PAPER_CHANGE.get(word, ""),
        truth=f"planted valence {valence:+.2f}" if context.planted and np.isfinite(valence) else "",
        note=f"by split {effect.by_split.min():+.0f} to {effect.by_split.max():+.0f}; points of a scale with mean 1500",
    )  # fmt: skip


def _matched(
    readings: Float[np.ndarray, "n vectors"],
    effects: Mapping[str, Effect],
    beside: tuple[Choices, np.ndarray, np.ndarray],
    how: How,
) -> list[Estimate]:
    """r(observation, steering) with what could be behind it: chance, the splits, valence alone."""
    context, settings = how
    choices, random_r, random_change = beside
    changes = np.asarray([effect.change.estimate for effect in effects.values()])
    splits = np.stack([effect.by_split for effect in effects.values()])
    r = columns_r(readings, choices.elo)
    _, p = matched_p(readings, choices.elo, changes, settings.permutations, context.seed)
    by_split = columns_r(splits, r)
    control = "no random directions"
    if len(random_r) > 2:
        control = f"the same over {len(random_r)} random directions: {_r(random_r, random_change):+.2f}"
    valence = norms_of(context, list(effects), "valence")
    known = np.isfinite(valence)
    found = [
        r_estimate(
            "r(observation, steering) over vectors", r, changes, context.seed, side="at least", mark=settings.mark,
            primary=True, p=p, clear=p < _FAMILY, control=control, paper=".85 (35 vectors, s = .5)",
            truth="positive" if context.planted else "",
            note=f"p over shuffled activities; by split {by_split.min():+.2f} to {by_split.max():+.2f}",
        ),
        r_estimate(
            "r(steering, valence) over vectors", changes[known], valence[known], context.seed,
            note="a pure axis of valence would give as much",
        ),
        estimate(
            "r(observation, steering) given valence", _partial(r[known], changes[known], valence[known]),
            n=int(known.sum()), note="partial correlation",
        ),
    ]  # fmt: skip
    if splits.shape[1] > 1 and len(splits) > 2:
        pairs = np.corrcoef(splits.T) if standardised(splits).any(axis=0).all() else np.zeros((2, 2))
        mean = float(pairs[np.triu_indices(len(pairs), 1)].mean())
        found.append(estimate("agreement of splits: mean r of changes over vectors", mean, n=splits.shape[1]))
    return found


def _r(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> float:
    return float(standardised(x) @ standardised(y)) if len(x) else 0.0


def _partial(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    if len(x) < 4:
        return 0.0
    xy, xz, yz = _r(x, y), _r(x, given), _r(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / float(np.sqrt(left)) if left > 1e-12 else 0.0


def _gap(choices: Choices, steered: Pushed) -> float:
    apart = np.abs(steered.zero - choices.chosen)
    return float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0


def sweeps(records: Records, feelings: Projected, choices: Choices, how: How) -> dict[str, list[dict[str, Any]]]:
    """Tables of the dose curve and of the layer sweep, both on the first split."""
    context, settings = how
    n, half = len(choices.elo), choices.halves[0]
    found: dict[str, list[dict[str, Any]]] = {}
    if "doses" in records:
        found["doses"] = _doses(pushed(records["doses"], n), half, context.seed)
    rows: list[dict[str, Any]] = []
    for name, block in records.under("layers/").items():
        steered, layer = pushed(block, n), int(name)
        places = [feelings.names.index(one) for one in steered.names]
        r = columns_r(by_activity(feelings.at(layer), n)[:, places], choices.elo)
        changes = null_changes(choices, steered, "vector")
        row: dict[str, Any] = {"layer": layer, "r": _r(r, changes), "vectors": len(changes)}
        for word, _ in claims_of(steered.names, settings):
            row[f"change under {word}"] = float(changes[steered.names.index(word)])
            row[f"r of {word}"] = float(r[steered.names.index(word)])
        rows.append(row)
    if rows:
        found["layers"] = sorted(rows, key=lambda row: int(row["layer"]))
    return found


def _preferred(
    first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"], half: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " pairs"]:
    """Probability of the steered activity against each untouched one, both orders averaged."""
    inside, outside = np.flatnonzero(half), np.flatnonzero(~half)
    found: Float[np.ndarray, " pairs"] = (
        (first[np.ix_(inside, outside)] + 1.0 - second[np.ix_(outside, inside)].T) / 2.0
    ).ravel()
    return found


def _doses(steered: Pushed, half: Bool[np.ndarray, " n"], seed: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    zero = bootstrap(_preferred(steered.zero[0], steered.zero[1], half), seed=seed)
    names = [steered.names[place] for place in steered.of_arm("vector")]
    controls = [place for place in range(len(steered.names)) if steered.arms[place] != "vector"]
    for name in (*names, *(["random directions"] if controls else [])):
        rows.append({"arm": name, "strength": 0.0, "rate": zero.estimate, "low": zero.low, "high": zero.high})
    for k, strength in enumerate(steered.strengths):
        for place in steered.of_arm("vector"):
            rate = bootstrap(_preferred(steered.first[k, place], steered.second[k, place], half), seed=seed)
            rows.append(
                {
                    "arm": steered.names[place],
                    "strength": strength,
                    "rate": rate.estimate,
                    "low": rate.low,
                    "high": rate.high,
                }
            )
        means = [_preferred(steered.first[k, p], steered.second[k, p], half).mean() for p in controls]
        if means:
            low, high = np.quantile(means, [0.025, 0.975])
            rows.append(
                {
                    "arm": "random directions",
                    "strength": strength,
                    "rate": float(np.mean(means)),
                    "low": float(low),
                    "high": float(high),
                }
            )
    return rows
