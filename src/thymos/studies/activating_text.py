"""Which passages of a corpus move each vector most, and are they about the concept?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from thymos.errors import UsageError
from thymos.stats import bootstrap, bootstrap_items, max_statistic_permutation
from thymos.studies.bench import Bench, Context, seed_of
from thymos.studies.corpus_scan import Scan, corpus_of, names_itself, scan
from thymos.studies.probes import group_splits, lexical_scores
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.trials import Block, Record, Records

__all__ = ["ActivatingText", "ActivatingTextSettings"]

_CONCEPTS = (
    "happy", "inspired", "loving", "proud", "calm", "desperate", "angry", "guilty", "sad", "afraid", "nervous",
    "surprised",
)  # fmt: skip
_PAPER = "top snippets portray the emotion; no figure"
_LEAST_TEXTS = 2
_FOLDS = 5
_BRIGHT = 0.9
_OTHER = ""


@dataclass(frozen=True)
class ActivatingTextSettings(Settings):
    """Settings of `activating-text`."""

    concepts: tuple[str, ...] = option(_CONCEPTS, "vectors that passages are looked for")
    top: int = option(10, "passages of each concept")
    most: int = option(100_000, "rows of the corpus that are read at most")
    shard: int = option(5_000, "rows between two entries of the log; an interrupted run goes on behind the last one")
    window: int = option(64, "tokens of a passage")
    longest: int = option(512, "tokens of a text that are read")
    kept: int = option(2_000, "first rows of the corpus whose readings are kept, for figures about labels")
    randoms: int = option(200, "random directions")
    permutations: int = option(4000, "shuffles of the labels")
    mark: float = option(0.75, "pass mark of the mean area under the ROC curve, own passages against all others")

    @classmethod
    def quick(cls) -> "ActivatingTextSettings":
        """At most 2,000 rows, five passages of each concept."""
        return cls(top=5, most=2_000, permutations=2000)


class ActivatingText(Study):
    """Maximally activating passages of a corpus, streamed, with the labels of its texts as a blinded judge."""

    name = "activating-text"
    question = "Do passages that move a vector most show its concept, more than their words alone would tell?"
    source = "Sofroniew et al. 2026, maximally activating text"
    settings = ActivatingTextSettings

    def blocks(self, bench: Bench, settings: ActivatingTextSettings) -> Blocks:
        """One block per part of the corpus, until it ends."""
        if min(settings.shard, settings.most, settings.top, settings.window) < 1:
            raise UsageError("shard, most, top and window must be at least 1; the defaults are fine")
        concepts = bench.known(settings.concepts)
        how = Scan(concepts, settings.randoms, settings.top, settings.window, settings.longest, settings.kept)
        corpus = corpus_of(bench)
        for number, start in enumerate(range(0, settings.most, settings.shard)):
            part = (start, min(start + settings.shard, settings.most))

            def make(part: tuple[int, int] = part) -> Iterator[Record]:
                return scan(bench, corpus, how, part)

            rows = yield Block(f"corpus/{number}", part[1] - part[0], make)
            if rows[0]["seen"] < part[1] - part[0]:
                return

    def analyse(self, records: Records, context: Context, settings: ActivatingTextSettings) -> Findings:
        """The passages; where texts are labelled, how well readings tell the labels, beside words and controls."""
        parts = list(records.under("corpus/").values())
        heads = [part[0] for part in parts]
        texts = [row for part in parts for row in part[1:] if row["kind"] == "text"]
        passages = _merged([row for part in parts for row in part[1:] if row["kind"] == "top"], settings.top)
        concepts = [name for name, arm in zip(heads[0]["names"], heads[0]["arms"], strict=True) if arm == "vector"]
        labelled = Labelled.of(texts, concepts, heads[0]["names"])
        estimates: list[Estimate] = []
        remarks = [_REMARK, _read(heads)]
        if labelled is None:
            remarks.append(
                "fewer than two concepts have labelled texts in this corpus, so nothing is claimed; give the passages "
                "of the table 'blind' to a judge, and compare with the table 'key'"
            )
        else:
            estimates += _claims(labelled, context, settings)
            estimates += _precision(passages, labelled, context)
            estimates += _spans(labelled, context)
        estimates.append(_naming(passages, texts))
        tables = {"passages": [_shown(one) for one in passages], **_blind(passages, context)}
        return Findings(tuple(estimates), tables, (), tuple(remarks))


_REMARK = (
    "Every text gives at most one passage to a concept. A main effect of a concept, such as a vector that is high "
    "everywhere, cannot change the order of passages; for the choice between concepts, readings are centred over the "
    "kept texts."
)


def _read(heads: Sequence[Record]) -> str:
    used, blank, tokens = (sum(int(head[key]) for head in heads) for key in ("used", "blank", "tokens"))
    empty = f"; {blank} rows without text were passed over" if blank else ""
    return f"{used} texts and {tokens} tokens of {heads[0]['corpus']} were read{empty}"


@dataclass(frozen=True, eq=False)
class Labelled:
    """The kept texts, where labels of at least two of the concepts occur.

    Attributes:
        concepts: Those that occur as labels.
        texts: The records.
        scores: Readings of these concepts.
        random: Readings along random directions.
        codes: Number of each text's concept; one past the last where it has none of them.
        names: All names that were read, in the order of the records.
    """

    concepts: tuple[str, ...]
    texts: tuple[Record, ...]
    scores: Float[np.ndarray, "texts concepts"]
    random: Float[np.ndarray, "texts randoms"]
    codes: Int[np.ndarray, " texts"]
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[Record], concepts: Sequence[str], names: Sequence[str]) -> "Labelled | None":
        """None with fewer than two concepts of at least two texts each."""
        labels = [row["emotion"] for row in texts]
        present = [word for word in concepts if labels.count(word) >= _LEAST_TEXTS]
        if len(present) < 2:
            return None
        every = np.asarray([row["scores"] for row in texts], np.float64)
        codes = np.asarray([present.index(word) if word in present else len(present) for word in labels], np.int64)
        own = [list(names).index(word) for word in present]
        return cls(tuple(present), tuple(texts), every[:, own], every[:, len(concepts) :], codes, tuple(names))

    @property
    def own(self) -> Float[np.ndarray, "texts concepts"]:
        """1 where a text is labelled with the concept."""
        found: Float[np.ndarray, "texts concepts"] = np.eye(len(self.concepts) + 1)[self.codes][:, :-1]
        return found


def areas(ranks: Float[np.ndarray, "texts columns"], own: Float[np.ndarray, "texts columns"]) -> Any:
    """Area under the ROC curve of every column; NaN where a label has no text, or all of them."""
    count = own.sum(axis=0)
    pairs = count * (len(own) - count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((ranks * own).sum(axis=0) - count * (count + 1) / 2) / np.where(pairs > 0, pairs, np.nan)


def _macro(scores: Float[np.ndarray, "texts concepts"], own: Float[np.ndarray, "texts concepts"]) -> float:
    found = areas(rankdata(scores, axis=0), own)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def _claims(found: Labelled, context: Context, settings: ActivatingTextSettings) -> list[Estimate]:
    own, seed = found.own, context.seed
    ranks = rankdata(found.scores, axis=0)
    each = areas(ranks, own)
    test = max_statistic_permutation(
        lambda codes: areas(ranks, np.eye(len(found.concepts) + 1)[codes][:, :-1]),
        found.codes,
        permutations=settings.permutations,
        seed=seed,
    )
    null = _shuffled_macro(ranks, found, settings, seed)
    macro = bootstrap_items(lambda at: _macro(found.scores[at], own[at]), len(own), resamples=1000, seed=seed)
    randoms = _random_macro(found, seed)
    words = _word_scores(found, seed)
    named = np.asarray(
        [[float(names_itself(row["text"], word)) for word in found.concepts] for row in found.texts], np.float64
    )
    p = float((1 + (null >= macro.estimate - 1e-12).sum()) / (1 + len(null)))
    beside = f"random directions up to {randoms.max():.2f}" if len(randoms) else "no random directions"
    lexical = "" if words is None else f"; words {_macro(words, own):.2f}"
    told = [
        estimate(
            "area under the ROC curve, own passages against all others, mean over concepts", macro, p=p, chance=0.5,
            side="at least", mark=settings.mark, primary=True, paper=_PAPER,
            clear=bool(macro.estimate > randoms.max()) if len(randoms) else None,
            control=f"{beside}{lexical}; the concept's own word in the text {_macro(named, own):.2f}",
            truth="1.00: one concept a text" if context.planted else "",
            note=f"{len(found.concepts)} concepts, {int(own.sum())} of {len(own)} texts labelled with them",
        )
    ]  # fmt: skip
    told += _against_words(found, words, context)
    told += [
        estimate(
            f"{word}: area under the ROC curve", float(each[k]), n=int(own[:, k].sum()), p=float(test.p[k]),
            chance=0.5, note="p over all concepts",
        )
        for k, word in enumerate(found.concepts)
    ]  # fmt: skip
    return told


def _shuffled_macro(
    ranks: Float[np.ndarray, "texts concepts"], found: Labelled, settings: ActivatingTextSettings, seed: int
) -> Float[np.ndarray, " permutations"]:
    rng = np.random.default_rng(seed_of(seed, "macro"))
    own = found.own
    return np.asarray([np.nanmean(areas(ranks, rng.permutation(own))) for _ in range(settings.permutations)])


def _random_macro(found: Labelled, seed: int) -> Float[np.ndarray, " draws"]:
    """The same mean with a random direction in the place of each vector, as many draws as there are directions."""
    count = found.random.shape[1]
    if count < len(found.concepts):
        return np.zeros(0)
    ranks = rankdata(found.random, axis=0)
    each = np.stack([areas(ranks, np.repeat(column[:, None], count, axis=1)) for column in found.own.T])
    rng = np.random.default_rng(seed_of(seed, "random sets"))
    rows = np.arange(len(found.concepts))
    return np.asarray([each[rows, rng.permutation(count)[: len(rows)]].mean() for _ in range(count)])


def _word_scores(found: Labelled, seed: int) -> Float[np.ndarray, "texts concepts"] | None:
    """Held-out scores of a logistic regression on words, held out by genre or topic; None where they are too few."""
    groups = [str(row["group"]) for row in found.texts]
    if len(set(groups)) < 2:
        groups = [str(row["id"]) for row in found.texts]
    splits = group_splits(groups, _FOLDS, seed)
    texts = [str(row["text"]) for row in found.texts]
    try:
        scores = lexical_scores(texts, found.codes, len(found.concepts) + 1, splits)
    except UsageError:
        return None
    return scores[:, : len(found.concepts)]


def _against_words(
    found: Labelled, words: Float[np.ndarray, "texts concepts"] | None, context: Context
) -> list[Estimate]:
    own, emotional = found.own, found.codes < len(found.concepts)
    kinds = {"raw": found.scores, "centred": found.scores - found.scores.mean(axis=0)}
    told = []
    if words is not None:
        gap = bootstrap_items(
            lambda at: _macro(found.scores[at], own[at]) - _macro(words[at], own[at]),
            len(own),
            resamples=1000,
            seed=context.seed,
        )
        told.append(
            estimate(
                "area under the ROC curve, vectors minus words", gap, side="at least", mark=0.0, primary=True,
                clear=bool(gap.low > 0), control="tf-idf logistic regression, held out by genre or topic",
                paper="15 emotions: words .40, probes .73 to .85 (a replication)",
            )
        )  # fmt: skip
    beside = "" if words is None else f"words {_hits(words, found)[emotional].mean():.2f}"
    told += [
        estimate(
            f"labelled texts whose own concept reads highest, {kind}",
            bootstrap(_hits(scores, found)[emotional], seed=context.seed), control=beside,
            chance=1 / len(found.concepts),
        )
        for kind, scores in kinds.items()
    ]  # fmt: skip
    return told


def _hits(scores: Float[np.ndarray, "texts concepts"], found: Labelled) -> Float[np.ndarray, " texts"]:
    return (scores.argmax(axis=1) == found.codes).astype(np.float64)


def _precision(passages: Sequence[Record], found: Labelled, context: Context) -> list[Estimate]:
    """Share of the top passages whose text is labelled with the concept; the label was never shown to the reader."""
    mine = [row for row in passages if row["concept"] in found.concepts]
    if len(mine) < _LEAST_TEXTS:
        return []
    hits = np.asarray([float(row["emotion"] == row["concept"]) for row in mine])
    base = float(found.own.mean(axis=0).mean())
    by_random: list[float] = []
    top = max(1, len(mine) // len(found.concepts))
    for column in found.random.T:
        best = np.argsort(-column, kind="stable")[:top]
        by_random.append(float(found.own[best].mean(axis=0).max()))
    control = f"random directions, best label each, mean {np.mean(by_random):.2f}" if by_random else ""
    return [
        estimate(
            "top passages that are labelled with the concept", bootstrap(hits, seed=context.seed), chance=base,
            control=control, paper=_PAPER, note="a label test that is blind: the labels are the corpus's own",
        )
    ]  # fmt: skip


def _spans(found: Labelled, context: Context) -> list[Estimate]:
    """Readings of the own concept inside the planted phrases, minus outside."""
    gaps = []
    for row, code in zip(found.texts, found.codes.tolist(), strict=True):
        if row["gap"] is not None and code < len(found.concepts):
            gaps.append((row["gap"], code))
    if len(gaps) < _LEAST_TEXTS:
        return []
    count = found.random.shape[1]
    offset = len(found.names) - count
    own = np.asarray([gap[found.names.index(found.concepts[code])] for gap, code in gaps], np.float64)
    randoms = np.asarray([gap[offset:] for gap, _ in gaps], np.float64).mean(axis=0)
    control = f"{count} random directions {randoms.min():+.3f} to {randoms.max():+.3f}" if count else ""
    interval = bootstrap(own, seed=context.seed)
    return [
        estimate(
            "own concept: reading inside the planted phrases minus outside", interval, control=control,
            clear=bool(interval.estimate > randoms.max()) if count else None, truth="above 0",
            paper="activity concentrates on the emotion-bearing phrases",
        )
    ]  # fmt: skip


def _naming(passages: Sequence[Record], texts: Sequence[Record]) -> Estimate:
    """How many top passages simply hold the word: what a search for the word would have found."""
    share = float(np.mean([row["names_itself"] for row in passages])) if passages else 0.0
    words = sorted({row["concept"] for row in passages})
    base = [float(names_itself(row["text"], word)) for row in texts for word in words]
    return estimate(
        "top passages that hold the concept's own word, a form or a synonym of it", share, n=len(passages),
        chance=float(np.mean(base)) if base else None, note="chance: all kept texts",
    )  # fmt: skip


def _merged(rows: Sequence[Record], top: int) -> list[Record]:
    """The top passages of all parts together."""
    found: dict[str, list[Record]] = {}
    for row in rows:
        found.setdefault(row["concept"], []).append(row)
    return [row for mine in found.values() for row in sorted(mine, key=lambda one: -one["score"])[:top]]


def _shown(row: Record) -> dict[str, Any]:
    """A passage for the report, with its brightest tokens: those at or above the 90th percentile of the passage."""
    readings = np.asarray(row["readings"], np.float64)
    bar = float(np.quantile(readings, _BRIGHT))
    bright = [token.strip() for token, value in zip(row["tokens"], readings, strict=True) if value >= bar]
    return {
        "concept": row["concept"],
        "score": row["score"],
        "label": row["emotion"] or _OTHER,
        "text": row["text"],
        "brightest": " | ".join(token for token in bright if token),
    }


def _blind(passages: Sequence[Record], context: Context) -> Mapping[str, list[dict[str, Any]]]:
    """The passages in random order without their concepts, for a judge, and the key apart."""
    order = np.random.default_rng(seed_of(context.seed, "blind")).permutation(len(passages)).tolist()
    return {
        "blind": [{"passage": number, "text": passages[at]["text"]} for number, at in enumerate(order)],
        "key": [{"passage": number, "concept": passages[at]["concept"]} for number, at in enumerate(order)],
    }
