"""Analysis of `transcripts`: standardised readings, what was expected, base rates, rankings, pairs for a reader."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from thymos.concepts import EMOTIONS
from thymos.errors import CorpusError
from thymos.stats import bootstrap, permutation_test
from thymos.studies.bench import Context
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.trials import Record

__all__ = ["Ranks", "rank_estimates", "rank_tables"]

_EXCERPT = 240


@runtime_checkable
class _Ranking(Protocol):
    """What of the settings is used here."""

    @property
    def top(self) -> int: ...
    @property
    def high(self) -> float: ...
    @property
    def permutations(self) -> int: ...


class Ranks:
    """Standardised readings of all transcripts that have some."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = [record for record in records if record["own"] is not None]
        if len(self.records) < 2:
            raise CorpusError(
                f"{len(self.records)} of {len(records)} transcripts could be read, and a base rate needs at least two; "
                f"{next((record['why'] for record in records if record['why']), 'give more')}"
            )
        self.concepts = list(self.records[0]["concepts"])
        self.metas = [record["meta"] for record in self.records]
        self.z = {kind: _standard(self.part(kind, 0)) for kind in ("own", "random", "span")}

    def part(self, kind: str, part: int) -> Float[np.ndarray, "transcripts probes"]:
        """Readings of all tokens (0), of the first half (1), of the second (2)."""
        return np.asarray([record[kind][part] for record in self.records], np.float64)

    def of(self, concept: str) -> Float[np.ndarray, " transcripts"]:
        """Standard deviations from the mean over transcripts."""
        found: Float[np.ndarray, " transcripts"] = self.z["own"][:, self.concepts.index(concept)]
        return found


def _standard(values: Float[np.ndarray, "transcripts probes"]) -> Float[np.ndarray, "transcripts probes"]:
    spread = values.std(axis=0)
    found: Float[np.ndarray, "transcripts probes"] = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return found


def rank_estimates(ranks: Ranks, settings: _Ranking, context: Context) -> list[Estimate]:
    """What was expected, base rates beside random probes, and the agreement of halves."""
    return [*_expected(ranks, settings, context), *_excess(ranks, settings, context), _halves(ranks, context)]


def rank_tables(
    ranks: Ranks, watched: Sequence[str], settings: _Ranking, context: Context
) -> dict[str, list[dict[str, Any]]]:
    """Base rates of all concepts, the ranking of the watched ones, and pairs for a second reader with their key."""
    return {
        "base rates": _rates(ranks, settings),
        "ranking": _ranking(ranks, watched, settings),
        "second reader": _blinded(ranks, watched, context),
        "second reader, key": _key(ranks, watched, context),
    }


def _expected(ranks: Ranks, settings: _Ranking, context: Context) -> list[Estimate]:
    """Percentile of expected concepts among all concepts of their transcripts, against shuffled expectations."""
    pairs = [
        (place, ranks.concepts.index(concept))
        for place, meta in enumerate(ranks.metas)
        for concept in meta["expected"]
        if concept in ranks.concepts
    ]
    if len({place for place, _ in pairs}) < 2:
        return []
    places = np.asarray([place for place, _ in pairs])
    columns = np.asarray([column for _, column in pairs])
    # Expectations move between transcripts that have some, each transcript's own together.
    having, owner = np.unique(places, return_inverse=True)
    shares = _percentiles(ranks.z["own"])
    words = _percentiles(np.asarray([_spelt(meta["said"], ranks.concepts) for meta in ranks.metas], np.float64))

    def mean(order: np.ndarray) -> float:
        return float(shares[having[order][owner], columns].mean())

    test = permutation_test(mean, np.arange(len(having)), permutations=settings.permutations, seed=context.seed)
    each = np.asarray([shares[place, columns[places == place]].mean() for place in having])
    by_words = np.asarray([words[place, columns[places == place]].mean() for place in having])
    quiet = [place for place, meta in enumerate(ranks.metas) if meta["kind"] == "ordinary"]
    told = [
        estimate(
            "expected concepts on the assistant's tokens: percentile among all concepts",
            bootstrap(each, seed=context.seed), chance=float(test.null.mean()), p=test.p, primary=True,
            paper="single cases, no rates", truth="planted as the assistant's emotion" if context.planted else "",
            control=f"by the concept's own words in the text {by_words.mean():.3f}; shuffled expectations, 95% below "
            f"{np.quantile(test.null, 0.95):.3f}",
        )
    ]  # fmt: skip
    if quiet:
        z = ranks.z["own"]
        gap = np.asarray(
            [
                np.mean([(z[place, c] > z[quiet, c]).mean() for c in columns[places == place]])
                for place in having
            ]
        )  # fmt: skip
        told.append(
            estimate(
                "expected concepts: above ordinary transcripts, share",
                bootstrap(gap, seed=context.seed),
                chance=0.5,
                note=f"{len(having)} eventful against {len(quiet)} ordinary transcripts",
            )  # fmt: skip
        )
    return told


def _percentiles(values: Float[np.ndarray, "transcripts concepts"]) -> Float[np.ndarray, "transcripts concepts"]:
    """Share of the other concepts of a transcript that are lower; ties count half."""
    below = rankdata(values, axis=1) - 1.0
    found: Float[np.ndarray, "transcripts concepts"] = below / max(values.shape[1] - 1, 1)
    return found


def _spelt(text: str, concepts: Sequence[str]) -> list[float]:
    """How often each concept's own words occur in a text: the word baseline where nothing can be trained."""
    words = "".join(letter.lower() if letter.isalpha() else " " for letter in text).split()
    counts = {word: words.count(word) for word in set(words)}
    found = []
    for concept in concepts:
        forms = EMOTIONS[concept].forms if concept in EMOTIONS.words else (concept,)
        found.append(float(sum(counts.get(form.lower(), 0) for form in forms)))
    return found


def _excess(ranks: Ranks, settings: _Ranking, context: Context) -> list[Estimate]:
    """Do concept probes single out transcripts more than random probes do?"""
    measures: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
        ("highest transcript, standard deviations", lambda z: z.max(axis=0)),
        (f"transcripts above {settings.high:g} standard deviations, share", lambda z: (z > settings.high).mean(axis=0)),
    )
    told = []
    for what, measure in measures:
        own, random, span = (measure(ranks.z[kind]) for kind in ("own", "random", "span"))
        low, high = np.quantile(random, [0.025, 0.975])
        told.append(
            estimate(
                f"base rate per concept: {what}",
                bootstrap(own, seed=context.seed) if len(own) > 1 else float(own[0]),
                control=f"{len(random)} random probes, mean {random.mean():.3f}, 95% {low:.3f} to {high:.3f}; "
                f"{len(span)} in the span, mean {span.mean():.3f}",
                paper="no controls",
                note="interval over concepts, which are not independent",
            )  # fmt: skip
        )
    return told


def _halves(ranks: Ranks, context: Context) -> Estimate:
    """Agreement of the two halves of the assistant's tokens, per probe over transcripts."""
    found = {}
    for kind in ("own", "random"):
        first, second = (_standard(ranks.part(kind, part)) for part in (1, 2))
        found[kind] = (first * second).mean(axis=0)
    own, loose = found["own"], found["random"]
    size = bootstrap(own, seed=context.seed) if len(own) > 1 else float(own[0])
    return estimate(
        "agreement of the two halves of the assistant's tokens, r over transcripts", size,
        control=f"random probes {loose.mean():.3f}", paper="local averages make sense",
    )  # fmt: skip


def _rates(ranks: Ranks, settings: _Ranking) -> list[dict[str, Any]]:
    values, z = ranks.part("own", 0), ranks.z["own"]
    return [
        {
            "concept": concept, "mean": float(values[:, column].mean()), "sd": float(values[:, column].std()),
            "share high": float((z[:, column] > settings.high).mean()), "highest, sd": float(z[:, column].max()),
        }
        for column, concept in enumerate(ranks.concepts)
    ]  # fmt: skip


def _ranking(ranks: Ranks, watched: Sequence[str], settings: _Ranking) -> list[dict[str, Any]]:
    rows_ = []
    for concept in watched:
        values = ranks.of(concept)
        share = float((values > settings.high).mean())
        for number, place in enumerate(np.argsort(-values, kind="stable")[: settings.top].tolist()):
            record = ranks.records[place]
            rows_.append(
                {
                    "concept": concept,
                    "rank": number + 1,
                    "transcript": record["id"],
                    "sd above mean": values[place],
                    "share of transcripts that high": float((values >= values[place]).mean()),
                    "base rate": share,
                    "theme": record["meta"]["theme"],
                    "excerpt": record["meta"]["said"][:_EXCERPT],
                }  # fmt: skip
            )
    return rows_


def _pairs(ranks: Ranks, watched: Sequence[str], context: Context) -> list[tuple[str, int, int, bool]]:
    """Per concept: its highest transcript, one drawn at random, and which of them is shown first."""
    rng = np.random.default_rng(context.seed)
    found = []
    for concept in watched:
        best = int(np.argmax(ranks.of(concept)))
        other = int(rng.choice([place for place in range(len(ranks.records)) if place != best]))
        found.append((concept, best, other, bool(rng.random() < 0.5)))
    return found


def _blinded(ranks: Ranks, watched: Sequence[str], context: Context) -> list[dict[str, Any]]:
    return [
        {
            "concept": concept,
            "A": ranks.metas[best if first else other]["said"][:_EXCERPT],
            "B": ranks.metas[other if first else best]["said"][:_EXCERPT],
        }
        for concept, best, other, first in _pairs(ranks, watched, context)
    ]


def _key(ranks: Ranks, watched: Sequence[str], context: Context) -> list[dict[str, Any]]:
    return [
        {"concept": concept, "higher reading": "A" if first else "B", "transcript": ranks.records[best]["id"]}
        for concept, best, _, first in _pairs(ranks, watched, context)
    ]
