"""Is a feeling that a message carries without naming it read where the reply begins?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.stats import PermutationResult, bootstrap, max_statistic_permutation, paired_bootstrap, permutation_test
from thymos.studies.bench import Bench, Context
from thymos.studies.probes import lexical_hits
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.readouts import Probes, known_of, probes_of, ranks_of, rounded, told_against
from thymos.studies.slots import REPLY, Item, matrix, read_block, tokens_of
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record, Records

__all__ = ["Implicit", "ImplicitSettings"]

_PAPER = "clear diagonal over 12 messages, no statistic (Table 2)"
_TOP = 3


@dataclass(frozen=True)
class ImplicitSettings(Settings):
    """Settings of `implicit`."""

    per_concept: int = option(10, "messages per concept")
    randoms: int = option(200, "random directions in place of the vectors")
    spanned: int = option(20, "random directions inside the span of the vectors")
    draws: int = option(1000, "sets of random directions that are read like concepts")
    permutations: int = option(4000, "shuffles of which message carries what")
    mark: float = option(0.25, "pass mark of top-1 after centring (chance is one in twelve)")

    @classmethod
    def quick(cls) -> "ImplicitSettings":
        """Every message, fewer shuffles."""
        return cls(draws=500, permutations=2000)

    @classmethod
    def full(cls) -> "ImplicitSettings":
        """Up to thirty messages per concept, where the set holds so many."""
        return cls(per_concept=30)


class Implicit(Study):
    """Messages that carry a feeling without its words, each with a practical question, read at the reply slot."""

    name = "implicit"
    question = "Is a feeling that a user's message carries without naming it the highest reading at the reply slot?"
    source = "Sofroniew et al. 2026, implicit scenarios (Table 2)"
    settings = ImplicitSettings

    def blocks(self, bench: Bench, settings: ImplicitSettings) -> Blocks:
        """Readings at every layer, then random directions at the chosen one."""
        told = load_stimuli("implicit", bench.world)
        concepts = known_of(bench, [one["emotion"] for one in told])
        items = _items(told, concepts, settings.per_concept)
        yield read_block(bench, "messages", items, concepts, layers=bench.vectors.layers)
        probes = probes_of(bench, "controls", concepts, randoms=settings.randoms, spanned=settings.spanned)
        yield _control_block(bench, items, probes)

    def analyse(self, records: Records, context: Context, settings: ImplicitSettings) -> Findings:
        """Top-1 and top-3 centred and raw, beside shuffles, random directions and words."""
        rows = records["messages"]
        concepts, layers = list(rows[0]["concepts"]), list(rows[0]["layers"])
        labels = np.array([concepts.index(row["meta"]["emotion"]) for row in rows])
        scores = np.stack([matrix(rows, layer=at) for at in range(len(layers))])
        chosen = scores[layers.index(context.layer)]
        words = _words(rows, context.seed)
        estimates = [
            *_accuracies(chosen, labels, records["controls"], (settings, context)),
            *_beside_words(chosen, labels, words, context),
            *_sizes(chosen, labels, concepts, context),
        ]
        profile, best = _profile(scores, labels, layers, settings, context)
        tables = {"concepts": _per_concept(chosen, labels, concepts), "layers": profile}
        remarks = () if words is not None else ("too few topics for a baseline of words",)
        return Findings((*estimates, best), {**tables, "readings": _means(chosen, labels, concepts)}, (), remarks)


def _items(told: Sequence[Mapping[str, Any]], concepts: Sequence[str], most: int) -> list[Item]:
    taken: Counter[str] = Counter()
    items = []
    for one in told:
        emotion = one["emotion"]
        if emotion not in concepts or taken[emotion] >= most:
            continue
        meta = {"emotion": emotion, "topic": one.get("topic") or one["text"], "message": one["text"]}
        items.append(Item(f"{emotion}/{taken[emotion]}", ({"role": "user", "content": one["text"]},), meta))
        taken[emotion] += 1
    return items


def _control_block(bench: Bench, items: Sequence[Item], probes: Probes) -> Block:
    """Cosines of the reply slot with the control directions. Records: `id`, `randoms` (how many), `values`."""

    def make() -> Iterator[Record]:
        for item in items:
            _, controls = probes.read(bench.host, tokens_of(bench.host, item))
            yield {"id": item.id, "place": REPLY, "randoms": probes.randoms, "values": rounded(controls[-1])}

    return Block("controls", len(items), make)


def _top(ranks: Int[np.ndarray, "items concepts"], labels: Int[np.ndarray, " items"], k: int) -> np.ndarray:
    return (ranks[np.arange(len(labels)), labels] < k).astype(np.float64)


def _accuracies(
    scores: Float[np.ndarray, "items concepts"],
    labels: Int[np.ndarray, " items"],
    controls: Sequence[Record],
    about: tuple[ImplicitSettings, Context],
) -> list[Estimate]:
    settings, context = about
    kinds = scores.shape[1]
    values, randoms = np.asarray([row["values"] for row in controls], np.float64), int(controls[0]["randoms"])
    found = []
    for centred in (True, False):
        ranks = ranks_of(scores, centred=centred)
        how = "probe means removed" if centred else "raw"
        for k in (1, _TOP):
            hits = _top(ranks, labels, k)
            null = _shuffled(ranks, labels, k, about)
            more: dict[str, Any] = {"p": null.p, "chance": k / kinds, "paper": _PAPER}
            more["note"] = f"95% of shuffles stay below {np.quantile(null.null, 0.95):.3f}"
            if k == 1:
                nulls = {
                    "sets of random directions": _random_sets(
                        values[:, :randoms], labels, centred, (settings, context)
                    ),
                    "sets in the span": _random_sets(values[:, randoms:], labels, centred, (settings, context)),
                }
                more |= told_against(float(hits.mean()), nulls)
            if k == 1 and centred:
                more |= {"side": "at least", "mark": settings.mark, "primary": True}
                more["truth"] = "the feeling is planted in every message" if context.planted else ""
            found.append(estimate(f"top-{k}, {how}", bootstrap(hits, seed=context.seed), **more))
    return found


def _shuffled(
    ranks: Int[np.ndarray, "items concepts"],
    labels: Int[np.ndarray, " items"],
    k: int,
    about: tuple[ImplicitSettings, Context],
) -> PermutationResult:
    """Shuffled labels: what the same readings would score if any message carried any feeling."""
    settings, context = about
    return permutation_test(
        lambda order: float(_top(ranks, order, k).mean()),
        labels,
        permutations=settings.permutations,
        seed=context.seed,
    )


def _random_sets(
    values: Float[np.ndarray, "items controls"],
    labels: Int[np.ndarray, " items"],
    centred: bool,
    about: tuple[ImplicitSettings, Context],
) -> Float[np.ndarray, " draws"]:
    """Top-1 of as many random directions as there are concepts, each given a concept by chance."""
    settings, context = about
    kinds = int(labels.max()) + 1
    if values.shape[1] < kinds:
        return np.zeros(0)
    rng = np.random.default_rng(context.seed)
    given = values - values.mean(axis=0) if centred else values
    drawn = [given[:, rng.choice(values.shape[1], kinds, replace=False)] for _ in range(settings.draws)]
    return np.array([float((one.argmax(axis=1) == labels).mean()) for one in drawn])


def _words(rows: Sequence[Record], seed: int) -> Float[np.ndarray, " items"] | None:
    metas = [row["meta"] for row in rows]
    return lexical_hits(
        [meta["message"] for meta in metas],
        [meta["emotion"] for meta in metas],
        [meta["topic"] for meta in metas],
        seed,
    )


def _beside_words(
    scores: Float[np.ndarray, "items concepts"],
    labels: Int[np.ndarray, " items"],
    words: Float[np.ndarray, " items"] | None,
    context: Context,
) -> list[Estimate]:
    if words is None:
        return []
    hits = _top(ranks_of(scores, centred=True), labels, 1)
    note = "tf-idf logistic regression trained on the other topics' messages; the vectors never saw any of them"
    return [
        estimate("top-1 of words", bootstrap(words, seed=context.seed), chance=1 / scores.shape[1], note=note),
        estimate("top-1, vectors minus words", paired_bootstrap(hits, words, seed=context.seed)),
    ]


def _sizes(
    scores: Float[np.ndarray, "items concepts"],
    labels: Int[np.ndarray, " items"],
    concepts: Sequence[str],
    context: Context,
) -> list[Estimate]:
    centred = scores - scores.mean(axis=0)
    own = centred[np.arange(len(labels)), labels]
    others = (centred.sum(axis=1) - own) / (scores.shape[1] - 1)
    found = [
        estimate(
            "own reading minus the mean of the others, probe means removed (cosine)",
            bootstrap(own - others, seed=context.seed), paper="readings lie within about 0.1",
        )
    ]  # fmt: skip
    if "loving" in concepts:
        place = list(concepts).index("loving")
        rest = np.delete(scores, place, axis=1).mean(axis=1)
        raised = bootstrap(scores[:, place] - rest, seed=context.seed)
        found.append(estimate("loving minus the mean of the others, raw", raised, paper="raised on all rows"))
    return found


def _profile(
    scores: Float[np.ndarray, "layers items concepts"],
    labels: Int[np.ndarray, " items"],
    layers: Sequence[int],
    settings: ImplicitSettings,
    context: Context,
) -> tuple[list[dict[str, Any]], Estimate]:
    """Top-1 of every layer, p-values against the best layer under shuffled labels."""
    ranks = [ranks_of(one, centred=True) for one in scores]

    def accuracies(order: np.ndarray) -> np.ndarray:
        return np.array([float(_top(one, order, 1).mean()) for one in ranks])

    found = max_statistic_permutation(accuracies, labels, permutations=settings.permutations, seed=context.seed)
    table = [
        {"layer": int(layer), "top1": float(value), "p_family": float(p)}
        for layer, value, p in zip(layers, found.statistics, found.p, strict=True)
    ]
    best = int(found.statistics.argmax())
    told = estimate(
        "top-1 at the best layer, probe means removed", float(found.statistics[best]), n=len(labels),
        p=float(found.p[best]), chance=1 / scores.shape[2],
        note=f"layer {layers[best]}; the search over {len(layers)} layers is inside the null",
    )  # fmt: skip
    return table, told


def _per_concept(
    scores: Float[np.ndarray, "items concepts"], labels: Int[np.ndarray, " items"], concepts: Sequence[str]
) -> list[dict[str, Any]]:
    centred, raw = ranks_of(scores, centred=True), ranks_of(scores, centred=False)
    found = []
    for number, concept in enumerate(concepts):
        mine = labels == number
        row: dict[str, Any] = {"concept": concept, "messages": int(mine.sum())}
        for name, ranks in (("centred", centred), ("raw", raw)):
            row |= {f"top{k} {name}": float(_top(ranks[mine], labels[mine], k).mean()) for k in (1, _TOP)}
        found.append(row)
    return found


def _means(
    scores: Float[np.ndarray, "items concepts"], labels: Int[np.ndarray, " items"], concepts: Sequence[str]
) -> list[dict[str, Any]]:
    """The matrix of the paper: mean reading of every concept over the messages of every concept."""
    centre = scores.mean(axis=0)
    return [
        {"message": one, "concept": two, "raw": float(mean), "centred": float(mean - centre[column])}
        for number, one in enumerate(concepts)
        for column, (two, mean) in enumerate(zip(concepts, scores[labels == number].mean(axis=0), strict=True))
    ]
