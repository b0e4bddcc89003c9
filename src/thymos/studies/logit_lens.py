"""Which tokens would a concept vector raise if it reached the unembedding, and is its own word among them?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.concepts import EMOTIONS
from thymos.stats import bootstrap, correlation, max_statistic_permutation, permutation_test
from thymos.studies.bench import Bench, Context
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.readouts import known_of, probes_of, rounded, told_against
from thymos.studies.trials import Block, Record, Records
from thymos.validation import LogitLens, logit_lens

__all__ = ["LogitLensSettings", "LogitLensStudy"]

_TABLE = (
    "happy", "inspired", "loving", "proud", "calm", "desperate", "angry", "guilty", "sad", "afraid", "nervous",
    "surprised",
)  # fmt: skip
"""The twelve of the paper's Table 1."""
_PAPER = "own or kindred tokens lead for 12 of 12 (Table 1, no statistic)"
_LEAST = 4


@dataclass(frozen=True)
class LogitLensSettings(Settings):
    """Settings of `logit-lens`."""

    k: int = option(10, "tokens listed at either end")
    randoms: int = option(200, "random directions")
    spanned: int = option(40, "random directions inside the span of the vectors")
    profile: int = option(8, "layers of the profile, spread evenly")
    permutations: int = option(4000, "shuffles of which direction belongs to which word")
    mark: float = option(80.0, "pass mark of the mean percentile of the own word (random directions give about 50)")
    rank_mark: float = option(0.02, "pass mark of the own word's median rank, as a share of the vocabulary")

    @classmethod
    def quick(cls) -> "LogitLensSettings":
        """Four layers, fewer shuffles."""
        return cls(profile=4, permutations=2000)


class LogitLensStudy(Study):
    """Direct unembedding of every concept vector, beside random directions and the wrong words."""

    name = "logit-lens"
    question = "Does a concept vector, unembedded directly, raise the concept's own word above the vocabulary?"
    source = "Sofroniew et al. 2026, logit lens (Table 1)"
    settings = LogitLensSettings
    needs = frozenset({"decoder"})

    def blocks(self, bench: Bench, settings: LogitLensSettings) -> Blocks:
        """The lens of all vectors; without denoising; through the final norm; random directions; some layers."""
        concepts = known_of(bench, bench.vectors.concepts)
        found = bench.vectors.at(bench.vectors.layer)
        raw = found.raw / np.maximum(np.linalg.norm(found.raw, axis=1, keepdims=True), 1e-12)
        first = yield _lens_block(bench, "lens", found.vectors, settings)
        yield _lens_block(bench, "not denoised", raw, settings)
        yield _lens_block(bench, "final norm", found.vectors, settings, final_norm=True)
        tested = [row["concept"] for row in first if row["percentiles"]]
        if len(tested) < 2:
            return
        probes = probes_of(bench, "controls", concepts, randoms=settings.randoms, spanned=settings.spanned)
        yield _control_block(bench, "random", tested, probes.controls[: settings.randoms])
        yield _control_block(bench, "span", tested, probes.controls[settings.randoms :])
        for layer in _spread(bench.vectors.layers, settings.profile):
            few = [concept for concept in _TABLE if concept in tested] or tested
            rows = bench.vectors.at(layer).vectors[[bench.vectors.index(concept) for concept in few]]
            yield _control_block(bench, f"layer/{layer}", few, rows)

    def analyse(self, records: Records, context: Context, settings: LogitLensSettings) -> Findings:
        """Percentile and rank of the own word, beside wrong words and random directions."""
        rows = records["lens"]
        matrix = _matrix(rows)
        if len(matrix) < 2:
            told = (
                f"{len(matrix)} of {len(rows)} concept words are single tokens of this tokenizer, and at least 2 are "
                "needed; take a model with a larger vocabulary"
            )
            return Findings((), {"tokens": _tokens(rows)}, (f"logit lens: {told}",))
        estimates = [
            _own(rows, records, settings, context),
            *_ranks(rows, settings, context),
            *_variants(records),
            *_table_of_twelve(rows, settings),
            *_neighbours(rows, context),
        ]
        profile, best = _profile(records.under("layer/"), settings, context)
        return Findings((*estimates, *best), {"tokens": _tokens(rows), "layers": profile})


def _lens_block(
    bench: Bench,
    name: str,
    directions: Float[np.ndarray, "concepts hidden"],
    settings: LogitLensSettings,
    *,
    final_norm: bool = False,
) -> Block:
    """The lens of one direction per concept of the set.

    Records, one per concept: `top` and `bottom` (token, logit), `own` (token, rank of the vocabulary), `percentiles`
    of the tested concepts' words under this direction (empty where the concept's own word is no single token).
    """
    concepts = bench.vectors.concepts

    def make() -> Iterator[Record]:
        forms = [_forms(concept) for concept in concepts]
        found = logit_lens(bench.host, directions, concepts, forms=forms, k=settings.k, final_norm=final_norm)
        vocabulary = int(bench.host.network.config.get_text_config().vocab_size)
        for entry in found.entries:
            yield {
                "concept": entry.concept,
                "final_norm": final_norm,
                "vocabulary": vocabulary,
                "top": [(one.token, float(f"{one.logit:.5g}")) for one in entry.top],
                "bottom": [(one.token, float(f"{one.logit:.5g}")) for one in entry.bottom],
                "own": [(one.token, one.rank) for one in entry.own],
                "percentiles": _percentiles(found, entry.concept),
            }

    return Block(name, len(concepts), make)


def _percentiles(found: LogitLens, concept: str) -> list[float]:
    if concept not in found.tested:
        return []
    listed: list[float] = rounded(found.percentiles[found.tested.index(concept)])
    return listed


def _forms(concept: str) -> tuple[str, ...]:
    """The word and its inflections, where the vocabulary of the paper knows them."""
    return (concept, *EMOTIONS[concept].lemmas) if concept in EMOTIONS else (concept,)


def _control_block(
    bench: Bench, name: str, words: Sequence[str], directions: Float[np.ndarray, "directions hidden"]
) -> Block:
    """Percentiles of some concepts' words under any directions. Records, one per direction: `words`, `percentiles`."""

    def make() -> Iterator[Record]:
        forms = [_forms(word) for word in words]
        for start in range(0, len(directions), len(words)):
            some = directions[start : start + len(words)]
            # The lens wants a direction per word; what is missing in the last round is made up and left out.
            padded = np.concatenate([some, np.ones((len(words) - len(some), directions.shape[1]))]).astype(np.float32)
            found = logit_lens(bench.host, padded, words, forms=forms, k=1)
            for row in found.percentiles[: len(some)]:
                yield {"words": found.tested, "percentiles": rounded(row)}

    return Block(name, len(directions), make)


def _spread(layers: Sequence[int], count: int) -> list[int]:
    places = np.unique(np.linspace(0, len(layers) - 1, min(max(count, 1), len(layers))).round().astype(int))
    return [layers[place] for place in places]


def _matrix(rows: Sequence[Record]) -> Float[np.ndarray, "directions words"]:
    found = [row["percentiles"] for row in rows if row["percentiles"]]
    return np.asarray(found, np.float64) if found else np.zeros((0, 0))


def _own(rows: Sequence[Record], records: Records, settings: LogitLensSettings, context: Context) -> Estimate:
    matrix = _matrix(rows)
    place = np.arange(len(matrix))
    value = bootstrap(matrix[place, place], seed=context.seed)
    null = permutation_test(
        lambda words: float(matrix[place, words].mean()),
        place,
        permutations=settings.permutations,
        seed=context.seed,
    )
    nulls = {
        f"sets of {kind}": _set_means(_matrix(records[block]), settings.randoms, context.seed)
        for kind, block in (("random directions", "random"), ("directions in the span", "span"))
    }
    more = told_against(float(value.estimate), nulls)
    return estimate(
        "percentile of the own word under its own direction, mean", value, side="at least", mark=settings.mark,
        primary=True, p=null.p, chance=float(matrix.mean()), paper=_PAPER,
        truth="the word follows the feeling wherever it is named" if context.planted else "",
        note="chance: all words under all directions; the best of several forms is taken", **more,
    )  # fmt: skip


def _set_means(matrix: Float[np.ndarray, "directions words"], draws: int, seed: int) -> Float[np.ndarray, " draws"]:
    """Mean percentile where every word is given one of the directions by chance."""
    if not len(matrix):
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    words = np.arange(matrix.shape[1])
    return np.array([float(matrix[rng.integers(0, len(matrix), len(words)), words].mean()) for _ in range(draws)])


def _ranks(rows: Sequence[Record], settings: LogitLensSettings, context: Context) -> list[Estimate]:
    shares = np.asarray([min(rank for _, rank in row["own"]) / row["vocabulary"] for row in rows if row["own"]])
    median = bootstrap(shares, statistic=np.median, seed=context.seed)
    note = f"{len(shares)} of {len(rows)} concepts have a single-token form"
    return [
        estimate(
            "rank of the own word, median share of the vocabulary", median, side="at most", mark=settings.rank_mark,
            note=note,
        )
    ]  # fmt: skip


def _variants(records: Records) -> list[Estimate]:
    found = []
    for name, words in (("not denoised", "without denoising"), ("final norm", "through the final norm")):
        matrix = _matrix(records[name])
        own = float(np.diagonal(matrix).mean())
        found.append(estimate(f"percentile of the own word, mean, {words}", own, n=len(matrix)))
    return found


def _table_of_twelve(rows: Sequence[Record], settings: LogitLensSettings) -> list[Estimate]:
    listed = [row for row in rows if row["concept"] in _TABLE and row["own"]]
    if not listed:
        return []
    led = [float(min(rank for _, rank in row["own"]) <= settings.k) for row in listed]
    name = f"own word among the first {settings.k}, share of the paper's twelve"
    return [estimate(name, float(np.mean(led)), n=len(led), paper=_PAPER)]


def _neighbours(rows: Sequence[Record], context: Context) -> list[Estimate]:
    """Whether kindred words are raised too: percentiles of other words against planted closeness."""
    points: Mapping[str, Sequence[float]] = context.truth.get("points", {})
    tested = [row["concept"] for row in rows if row["percentiles"]]
    if len(tested) < _LEAST or not all(concept in points for concept in tested):
        return []
    at = np.asarray([points[concept] for concept in tested], np.float64)
    near = -np.linalg.norm(at[:, None] - at[None], axis=2)
    matrix, other = _matrix(rows), ~np.eye(len(tested), dtype=bool)
    # One correlation per direction: the words of one direction are not independent of one another.
    each = [
        correlation(matrix[row, other[row]], near[row, other[row]], kind="spearman", resamples=10).r
        for row in range(len(tested))
        if np.ptp(matrix[row, other[row]]) > 0
    ]
    if len(each) < 2:
        return []
    return [
        estimate(
            "other words: percentile against planted closeness, mean Spearman over directions",
            bootstrap(np.asarray(each), seed=context.seed), chance=0.0, truth="closeness in appraisal space",
        )
    ]  # fmt: skip


def _profile(
    blocks: Mapping[str, Sequence[Record]], settings: LogitLensSettings, context: Context
) -> tuple[list[dict[str, Any]], list[Estimate]]:
    """Mean percentile of the own word by layer, with the search over layers inside the null."""
    layers = [int(name) for name in blocks]
    if not layers:
        return [], []
    stack = np.stack([_matrix(rows) for rows in blocks.values()])
    place = np.arange(stack.shape[1])
    if len(place) < 2:
        return [], []
    found = max_statistic_permutation(
        lambda words: stack[:, place, words].mean(axis=1),
        place,
        permutations=settings.permutations,
        seed=context.seed,
    )
    table = [
        {"layer": layer, "percentile": float(value), "p_family": float(p)}
        for layer, value, p in zip(layers, found.statistics, found.p, strict=True)
    ]
    best = int(found.statistics.argmax())
    told = estimate(
        "percentile of the own word at the best layer, mean", float(found.statistics[best]), n=len(place),
        p=float(found.p[best]), chance=float(stack[best].mean()), note=f"layer {layers[best]} of {len(layers)}",
    )  # fmt: skip
    return table, [told]


def _tokens(rows: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "concept": row["concept"],
            "up": " ".join(token for token, _ in row["top"]),
            "down": " ".join(token for token, _ in row["bottom"]),
            "own rank": min((rank for _, rank in row["own"]), default=None),
        }
        for row in rows
    ]
