"""The figures of `post-training`: differences between two checkpoints on the same prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from thymos.behaviour.curve import mean_intervals
from thymos.stats import bootstrap_items, correlation
from thymos.studies.bench import Context
from thymos.studies.preference_effects import r_estimate
from thymos.studies.projections import Projected, standardised
from thymos.studies.protocol import Estimate, estimate

__all__ = [
    "Profiles",
    "growth_estimate",
    "over_layers",
    "own_estimates",
    "planted_estimates",
    "profile_estimates",
    "reliability_estimates",
    "shift_table",
]

_FAMILY = 0.05
_KINDS = ("challenging", "neutral")
_PAPER_R = {"challenging": ".67", "neutral": ".83"}
_PAPER_SHIFT: Mapping[str, float] = {
    "brooding": 0.040, "gloomy": 0.031, "reflective": 0.030, "vulnerable": 0.029, "sullen": 0.028, "spiteful": -0.030,
    "playful": -0.028, "exuberant": -0.028, "enthusiastic": -0.027, "smug": -0.026, "impatient": -0.025,
    "desperate": -0.0056, "calm": 0.004,
}  # fmt: skip
_WIDTH = 0.6
"""Width of the kernel over appraisals that the planted shift is smoothed with."""


@dataclass(frozen=True, eq=False)
class Profiles:
    """Readings of the same prompts in two checkpoints.

    Attributes:
        label: Begins the names of estimates.
        after: Of the measured checkpoint.
        before: Of the other one.
        kinds: "challenging" or "neutral" per prompt.
        arms: "vector", "random" or "span" per name.
    """

    label: str
    after: Float[np.ndarray, "items names"]
    before: Float[np.ndarray, "items names"]
    kinds: list[str]
    arms: tuple[str, ...]

    @property
    def own(self) -> Bool[np.ndarray, " names"]:
        """True on concepts."""
        return np.asarray([arm == "vector" for arm in self.arms])

    @property
    def shift(self) -> Float[np.ndarray, "items concepts"]:
        """After minus before, concepts only."""
        found: Float[np.ndarray, "items concepts"] = (self.after - self.before)[:, self.own]
        return found

    def of(self, kind: str) -> Bool[np.ndarray, " items"]:
        """True on the prompts of a kind."""
        return np.asarray([one == kind for one in self.kinds])


def _r(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> float:
    return float(standardised(x) @ standardised(y))


def reliability_estimates(both: Profiles, context: Context, settings: Any) -> tuple[list[Estimate], bool]:
    """Agreement of the mean shift between random halves of the prompts, and whether it reaches its mark.

    The shift must agree within kinds: halves are drawn of each kind apart.
    """
    shift = both.shift
    rng = np.random.default_rng(context.seed)
    found = []
    for _ in range(settings.splits):
        half = np.zeros(len(shift), bool)
        for kind in sorted(set(both.kinds)):
            places = np.flatnonzero(both.of(kind))
            half[rng.permutation(places)[: len(places) // 2]] = True
        found.append(_r(shift[half].mean(axis=0), shift[~half].mean(axis=0)) if half.any() else 0.0)
    values = np.asarray(found)
    mean = float(values.mean())
    low, high = (float(value) for value in np.quantile(values, [0.025, 0.975]))
    whole = 2 * mean / (1 + mean) if mean > 0 else mean
    reliable = mean >= settings.reliable
    sizes = [float(np.sqrt((shift**2).mean()))]
    sizes += [
        float(np.sqrt(((both.after - both.before)[:, [arm == which for arm in both.arms]].mean(axis=0) ** 2).mean()))
        for which in ("vector", "random")
        if which in both.arms
    ]
    control = f"random directions {sizes[2]:.4f}" if len(sizes) > 2 else ""
    return [
        Estimate(
            f"{both.label}split-half reliability of the shift over concepts", mean, low, high, len(shift),
            side="at least", mark=settings.reliable, chance=0.0, paper="not reported",
            note=f"{settings.splits} splits, interval over splits; of all prompts (Spearman-Brown) {whole:.2f}",
        ),
        estimate(
            f"{both.label}size of the mean shift, root mean square over concepts", sizes[1], n=len(shift),
            control=control, paper="single concepts up to .040", note=f"of single prompts {sizes[0]:.4f}",
        ),
    ], reliable  # fmt: skip


def profile_estimates(both: Profiles, context: Context) -> list[Estimate]:
    """Correlation of mean profiles before and after, and of the shifts of the two kinds, over concepts."""
    found = []
    own = both.own
    for kind in _KINDS:
        items = both.of(kind)
        if items.any():
            before, after = both.before[items][:, own].mean(axis=0), both.after[items][:, own].mean(axis=0)
            found.append(
                r_estimate(
                    f"{both.label}r(profile before, profile after), {kind} prompts", before, after, context.seed,
                    paper=_PAPER_R[kind], note=f"{int(items.sum())} prompts; over concepts",
                )
            )  # fmt: skip
    one, other = (both.of(kind) for kind in _KINDS)
    if one.any() and other.any():
        shift = both.shift
        mean = [shift[items].mean(axis=0) for items in (one, other)]
        found.append(
            r_estimate(f"{both.label}r(shift challenging, shift neutral)", mean[0], mean[1], context.seed, paper=".90")
        )
        size = [float(np.sqrt((values**2).mean())) for values in mean]
        found.append(
            estimate(
                f"{both.label}size of the shift, challenging over neutral",
                size[0] / size[1] if size[1] > 0 else 1.0, n=len(shift), paper="larger for challenging",
            )
        )  # fmt: skip
    return found


def shift_table(both: Profiles, names: Sequence[str], context: Context, settings: Any) -> list[dict[str, Any]]:
    """Every concept's shift with its interval over prompts and its family-wise p under sign flips of prompts."""
    shift = both.shift
    words = [name for name, mine in zip(names, both.own, strict=True) if mine]
    low, high = mean_intervals(np.ascontiguousarray(shift.T), context.seed)
    p = _flipped_p(shift, settings.permutations, context.seed)
    rows = []
    for k, word in enumerate(words):
        row: dict[str, Any] = {"against": both.label.rstrip(": ") or "base", "concept": word}
        row |= {"shift": float(shift[:, k].mean()), "low": float(low[k]), "high": float(high[k]), "p": float(p[k])}
        for kind in _KINDS:
            items = both.of(kind)
            row[kind] = float(shift[items, k].mean()) if items.any() else None
        row["paper"] = _PAPER_SHIFT.get(word, "")
        row["planted"] = context.truth.get("shift", {}).get(word, "")
        rows.append(row)
    return sorted(rows, key=lambda row: -float(row["shift"]))


def _flipped_p(
    shift: Float[np.ndarray, "items concepts"], permutations: int, seed: int
) -> Float[np.ndarray, " concepts"]:
    """Two-sided p of each mean against the largest of all under random signs of whole prompts."""
    spread = shift.std(axis=0, ddof=1) / np.sqrt(len(shift))
    moved = spread > 1e-12
    if not moved.any():
        return np.ones(shift.shape[1])
    scaled = shift[:, moved] / spread[moved] / len(shift)
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.asarray([-1.0, 1.0]), (permutations, len(shift)))
    null = np.sort(np.abs(signs @ scaled).max(axis=1))
    observed = np.abs(scaled.sum(axis=0))
    found = np.ones(shift.shape[1])
    found[moved] = (1 + len(null) - np.searchsorted(null, observed - 1e-12)) / (1 + permutations)
    return found


def planted_estimates(both: Profiles, names: Sequence[str], context: Context, settings: Any) -> list[Estimate]:
    """Rank correlation of the shift with the planted one; nothing where nothing was planted."""
    truth: Mapping[str, float] = context.truth.get("shift", {})
    words = [name for name, mine in zip(names, both.own, strict=True) if mine]
    known = np.asarray([word in truth for word in words])
    name = f"{both.label}rank correlation of the shift with the planted one"
    if known.sum() < 4:
        return []
    planted = np.asarray([truth[word] for word in words if word in truth], np.float64)
    shift = both.shift[:, known]
    mean = shift.mean(axis=0)
    mark = {"side": "at least", "mark": settings.mark, "primary": True, "truth": "1.00", "chance": 0.0}
    if not standardised(mean).any():
        return [estimate(name, 0.0, n=int(known.sum()), p=1.0, clear=False, note="no shift at all", **mark)]
    ranks = standardised(rankdata(planted))
    p, null = _planted_null(mean, [word for word in words if word in truth], context, settings)
    over_prompts = bootstrap_items(
        lambda items: float(ranks @ standardised(rankdata(shift[items].mean(axis=0)))),
        len(shift),
        resamples=1000,
        seed=context.seed,
    )
    over = correlation(planted, mean, kind="spearman", seed=context.seed)
    control = f"{len(null)} shifts of shuffled resting moods: up to {null.max():.2f}" if len(null) else ""
    return [
        estimate(
            name, over_prompts, p=p, clear=bool(p < _FAMILY), control=control,
            note=f"interval over prompts; over {int(known.sum())} concepts {over.interval}", **mark,
        )
    ]  # fmt: skip


def _planted_null(
    mean: Float[np.ndarray, " concepts"], words: Sequence[str], context: Context, settings: Any
) -> tuple[float, Float[np.ndarray, " draws"]]:
    """The same correlation with shifts in which other emotions are the resting moods.

    Neighbouring concepts shift together, so shuffling concepts would take too little for chance. Shuffling which
    emotions the moods are, and smoothing over appraisals as the plant is, keeps that.
    """
    rest, points = context.truth.get("rest", {}), context.truth.get("points", {})
    if not rest or not points:
        return 1.0, np.zeros(0)
    every = list(points)
    places = np.asarray([points[word] for word in every], np.float64)
    far = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
    kernel = np.exp(-far / (2 * _WIDTH**2))
    kernel /= kernel.sum(axis=1, keepdims=True)
    change = np.zeros(len(every))
    for sign, stage in ((-1.0, "base"), (1.0, "tuned")):
        total = float(sum(rest[stage].values()))
        for word, weight in rest[stage].items():
            change[every.index(word)] += sign * float(weight) / total
    rng = np.random.default_rng(context.seed)
    draws = np.stack([rng.permutation(change) for _ in range(settings.permutations)]) @ kernel
    chosen = draws[:, [every.index(word) for word in words]]
    target = standardised(rankdata(mean))
    null = standardised(rankdata(chosen, axis=1).T).T @ target
    truth = context.truth["shift"]
    observed = float(standardised(rankdata([truth[word] for word in words])) @ target)
    return float((1 + (null >= observed - 1e-12).sum()) / (1 + len(null))), null


def over_layers(label: str, after: Projected, before: Projected, context: Context) -> list[dict[str, Any]]:
    """Size of the mean shift at every layer, beside random directions, and its likeness to that of the chosen layer."""
    own, randoms = after.arm("vector"), after.arm("random")
    chosen = (after.at(context.layer) - before.at(context.layer))[:, own].mean(axis=0)
    rows = []
    for layer in after.layers:
        shift = (after.at(layer) - before.at(layer)).mean(axis=0)
        row = {
            "against": label.rstrip(": ") or "base",
            "layer": layer,
            "size": float(np.sqrt((shift[own] ** 2).mean())),
            "random": float(np.sqrt((shift[randoms] ** 2).mean())) if randoms.any() else 0.0,
            "r_with_chosen_layer": _r(shift[own], chosen),
        }
        rows.append(row)
    return rows


def growth_estimate(label: str, rows: Sequence[Mapping[str, Any]]) -> Estimate:
    """How much larger the shift is at the last layer than at the first, from the rows of `over_layers`."""
    first, last = rows[0], rows[-1]
    ratio = float(last["size"]) / float(first["size"]) if float(first["size"]) > 0 else 1.0
    beside = float(last["random"]) / float(first["random"]) if float(first["random"]) > 0 else 1.0
    return estimate(
        f"{label}size of the shift, last over first layer", ratio, n=len(rows),
        control=f"random directions {beside:.2f}", paper="grows to late layers", chance=1.0,
    )  # fmt: skip


def own_estimates(
    shared: Profiles, own: Profiles, names: tuple[Sequence[str], Sequence[str]], context: Context
) -> list[Estimate]:
    """The shift with each checkpoint's own vectors, beside the one with shared vectors, over the concepts of both."""
    mine = [name for name, is_own in zip(names[0], shared.own, strict=True) if is_own]
    both = [word for word in mine if word in set(names[1])]
    places = ([mine.index(word) for word in both], [list(names[1]).index(word) for word in both])
    shifts = (shared.shift.mean(axis=0)[places[0]], own.shift.mean(axis=0)[places[1]])
    profiles = (own.before.mean(axis=0), own.after.mean(axis=0))
    return [
        r_estimate(
            f"{shared.label}r(shift with shared vectors, shift with own vectors)", shifts[0], shifts[1], context.seed,
            note="over the concepts that both sets have; own vectors come from the shipped stories",
        ),
        r_estimate(
            f"{shared.label}r(profile before, profile after), own vectors, all prompts", profiles[0], profiles[1],
            context.seed,
        ),
    ]  # fmt: skip
