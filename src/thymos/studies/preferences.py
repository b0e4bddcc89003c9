"""Do readings of activities follow preferences between them, and do vectors on their words move those preferences?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thymos.models import chat_tokens
from thymos.stats import position_bias
from thymos.studies.bench import Bench, Context, seed_of
from thymos.studies.decisions import base_rate, refusal, score_block
from thymos.studies.preference_descriptions import describe_block, described
from thymos.studies.preference_effects import Choices
from thymos.studies.preference_findings import by_activity, claims_of, observation, rated, steering, sweeps
from thymos.studies.preference_pairs import (
    SIDES,
    Pair,
    Push,
    case_of,
    first_chosen,
    halves,
    mixed,
    ordered_pairs,
    ratings,
    steer_block,
)
from thymos.studies.projections import (
    Places,
    columns_r,
    project_block,
    projected,
    spread,
    with_controls,
)
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.slots import Item
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record, Records

__all__ = ["Preferences", "PreferencesSettings"]

_ADVICE = "try other --set wordings, or a model that answers (A) or (B) by content and not by place"


@dataclass(frozen=True)
class PreferencesSettings(Settings):
    """Settings of `preferences`."""

    per_category: int = option(8, "activities of each of the eight categories; 8 gives 64, and 4,032 ordered pairs")
    wordings: int = option(4, "wordings of the pair question, in turn; the same one for both orders of a pair")
    feelings: int = option(4, "wordings of the question that readings are made on")
    vectors: int = option(35, "vectors that are steered, spread over the range of observed correlations")
    splits: int = option(10, "random halves of the activities; the controls are run on the first")
    strength: float = option(0.2, "dose of the claims, as a fraction of the mean residual norm; the paper: 0.5")
    raising: tuple[str, ...] = option(
        ("blissful", "joyful", "happy", "loving"), "the first one that the vectors hold is expected to raise preference"
    )
    lowering: tuple[str, ...] = option(
        ("hostile", "hateful", "angry"), "the first one that the vectors hold is expected to lower it"
    )
    randoms: int = option(200, "random directions of equal norm")
    spanned: int = option(20, "random directions inside the span of the vectors")
    permutations: int = option(4000, "shuffles of the activities")
    sweep: bool = option(True, "whether the dose curve and the layer sweep are run")
    doses: tuple[float, ...] = option((0.05, 0.1, 0.2, 0.3, 0.5), "doses of the dose curve")
    layers: int = option(8, "layers of the layer sweep, spread evenly")
    describe: int = option(8, "activities that are described under doses of the claims; 0 leaves this out")
    mark: float = option(0.6, "pass mark of r(observation, steering) over vectors")

    @classmethod
    def quick(cls) -> "PreferencesSettings":
        """16 activities, 240 ordered pairs, 8 vectors, no sweeps."""
        return cls(
            per_category=2, wordings=1, feelings=2, vectors=8, splits=6, permutations=2000, sweep=False, describe=0
        )


class Preferences(Study):
    """Activities of eight categories: all ordered pairs, ratings, readings, and vectors on the words of activities."""

    name = "preferences"
    question = "Do vectors whose readings follow preferences between activities also move them when they are added?"
    source = "Sofroniew et al. 2026, preferences"
    settings = PreferencesSettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: PreferencesSettings) -> Blocks:
        """Choices and readings first; then vectors and controls where choices are not made by place alone."""
        told = load_stimuli("preferences", bench.world)
        activities = _activities(told["activities"], settings)
        pairs = ordered_pairs(activities, told["pair_prompts"][: settings.wordings])
        cases = [case_of(pair, told["prefill"]) for pair in pairs]
        base = yield score_block(bench, "pairs", cases)
        layers = _layers(bench, settings)
        # Every concept is read; what they are needs no list.
        places = Places(bench.vectors.concepts, layers, "activity", settings.randoms, 0)
        items = _items(bench, activities, told["feeling_prompts"][: settings.feelings])
        feelings = yield project_block(bench, "feelings", items, places)
        for number, other in enumerate(bench.others):
            twin = replace(bench, host=other, others=(), allow_mismatch=True)
            yield score_block(twin, f"others/{number}", cases)
        if _refused(base) is None:
            chosen = _chosen(base, feelings, bench.vectors.layer, settings)
            yield from _steered(bench, (pairs, told["prefill"], len(activities)), chosen, settings)
            words = [word for word, _ in claims_of(chosen, settings)]
            if settings.describe and words and told["describe_prompts"]:
                yield describe_block(bench, activities, told["describe_prompts"], words, settings.describe)

    def analyse(self, records: Records, context: Context, settings: PreferencesSettings) -> Findings:
        """Ratings, what readings have to do with them, and what steering does to them."""
        feelings = projected(records["feelings"])
        activities = _described(records["feelings"])
        chosen = first_chosen(records["pairs"], len(activities))
        seed = _split_seed(context.seed)
        choices = Choices(chosen, ratings(chosen), halves(len(activities), settings.splits, seed))
        estimates = [*_base(records["pairs"], chosen, context), *rated(activities, choices, records, context)]
        refusals = [told] if (told := _refused(records["pairs"])) else []
        tables: dict[str, list[dict[str, Any]]] = {"activities": _ranking(activities, choices)}
        seen, tables["observation"] = observation(feelings, activities, choices, (context, settings))
        found: list[Estimate] = []
        if "steered" in records:
            found, tables["steering"] = steering(records, feelings, choices, (context, settings))
            for name, rows in sweeps(records, feelings, choices, (context, settings)).items():
                tables[name] = rows
        if "descriptions" in records:
            more, tables["descriptions"] = described(records["descriptions"], context.seed)
            found += more
        return Findings((*found, *seen, *estimates), tables, tuple(refusals), (_REMARK,))


_REMARK = (
    "In every split one half of the activities is steered, on the tokens of their words alone, wherever they meet the "
    "other half; pairs inside a half stay as they were, because what steering both sides does cancels from the "
    "difference between halves. Most variance of ratings lies between categories: the correlation within categories is "
    "printed beside the overall one."
)


def _split_seed(seed: int) -> int:
    return seed_of(seed, "preferences", "halves")


def _activities(rows: Sequence[Mapping[str, Any]], settings: PreferencesSettings) -> list[Mapping[str, Any]]:
    """The first few of each category, in the order of the file."""
    counts: dict[str, int] = {}
    found = []
    for row in rows:
        counts[row["category"]] = counts.get(row["category"], 0) + 1
        if counts[row["category"]] <= settings.per_category:
            found.append(row)
    return found


def _items(bench: Bench, activities: Sequence[Mapping[str, Any]], prompts: Sequence[str]) -> list[Item]:
    items = []
    for number, activity in enumerate(activities):
        for wording, prompt in enumerate(prompts):
            before, _, after = prompt.strip().partition("{activity}")
            message = {"role": "user", "content": f"{before}{activity['text']}{after}"}
            at = chat_tokens(bench.host, [message]).text.index(message["content"]) + len(before)
            meta = {
                "number": number, "wording": wording, "activity": activity["id"], "text": activity["text"],
                "category": activity["category"], "utility": activity.get("utility"),
            }  # fmt: skip
            chars = {"activity": ((at, at + len(activity["text"])),)}
            items.append(Item(f"{activity['id']}/{wording}", (message,), meta, chars))
    return items


def _layers(bench: Bench, settings: PreferencesSettings) -> tuple[int, ...]:
    own = (bench.vectors.layer, bench.steered)
    return spread(bench.vectors.layers, settings.layers, keep=own) if settings.sweep else tuple(sorted(set(own)))


def _refused(base: Sequence[Record]) -> str | None:
    return refusal("choice of (A)", base_rate([one["p"]["A"] for one in base]), _ADVICE)


def _chosen(
    base: Sequence[Record], feelings: Sequence[Record], layer: int, settings: PreferencesSettings
) -> tuple[str, ...]:
    """The claims, and vectors spread over the range of observed correlations."""
    read = projected(feelings)
    n = 1 + max(int(meta["number"]) for meta in read.metas)
    own = read.arm("vector")
    r = columns_r(by_activity(read.at(layer)[:, own], n), ratings(first_chosen(base, n)))
    ordered = [read.names[place] for place in np.argsort(r, kind="stable").tolist()]
    claims = [word for word, _ in claims_of(ordered, settings)]
    rest = [word for word in ordered if word not in claims]
    wanted = max(0, min(settings.vectors, len(ordered)) - len(claims))
    places = spread(tuple(range(len(rest))), wanted) if wanted and rest else ()
    picked = {*claims, *(rest[place] for place in places)}
    return tuple(word for word in ordered if word in picked)


def _steered(
    bench: Bench, asked: tuple[list[Pair], str, int], chosen: tuple[str, ...], settings: PreferencesSettings
) -> Iterator[Block]:
    pairs, prefill, n = asked
    first = halves(n, 1, _split_seed(bench.seed))[0]
    found = bench.vectors.at(bench.steered)
    own = found.vectors[[bench.vectors.index(word) for word in chosen]]
    vectors = ("vector",) * len(own)
    every = [(pair, side) for pair in pairs for side in SIDES]
    push = Push(chosen, vectors, own, (settings.strength,), bench.steered)
    yield steer_block(bench, "steered", every, prefill, push)
    # The same random directions as those that were read, so that each has an observation as well.
    arms, rows = with_controls(own, settings.randoms, settings.spanned, bench.seed_for("controls"))
    kept = [place for place, arm in enumerate(arms) if arm != "vector"]
    counts = {arm: iter(range(len(arms))) for arm in ("random", "span")}
    names = tuple(f"{arms[place]} {next(counts[arms[place]])}" for place in kept)
    controls = Push(names, tuple(arms[place] for place in kept), rows[kept], (settings.strength,), bench.steered)
    some = mixed(pairs, first)
    yield steer_block(bench, "controls", some, prefill, controls)
    if not settings.sweep:
        return
    claims = [word for word, _ in claims_of(chosen, settings)]
    few = np.concatenate([own[[chosen.index(word) for word in claims]], rows[kept][: settings.spanned]])
    labels = (*claims, *names[: settings.spanned])
    few_arms = ("vector",) * len(claims) + controls.arms[: settings.spanned]
    yield steer_block(bench, "doses", some, prefill, Push(labels, few_arms, few, settings.doses, bench.steered))
    for layer in _layers(bench, settings):
        at = bench.vectors.at(layer).vectors[[bench.vectors.index(word) for word in chosen]]
        one = Push(chosen, vectors, at, (settings.strength,), layer)
        yield steer_block(bench, f"layers/{layer}", some, prefill, one)


def _described(feelings: Sequence[Record]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for record in feelings[1:]:
        found.setdefault(record["meta"]["number"], dict(record["meta"]))
    return [found[number] for number in sorted(found)]


def _base(base: Sequence[Record], chosen: np.ndarray, context: Context) -> list[Estimate]:
    mass = np.asarray([one["mass"] for one in base], np.float64)
    bias = position_bias(chosen)
    return [
        estimate("position bias: choice of (A) beyond a half", bias, n=len(base), note="cancelled by both orders"),
        estimate("probability that the reply is (A) or (B) at all", base_rate(mass, context.seed)),
    ]


def _ranking(activities: Sequence[Mapping[str, Any]], choices: Choices) -> list[dict[str, Any]]:
    rows = [
        {
            "activity": one["text"],
            "category": one["category"],
            "rating": round(float(elo), 1),
            "utility": one["utility"],
        }
        for one, elo in zip(activities, choices.elo, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["rating"])
