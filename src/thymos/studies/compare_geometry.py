"""Do two models arrange the same concepts alike, beyond what the words of the stories bring along?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.feature_extraction.text import TfidfVectorizer

from thymos.models import Host
from thymos.stats import Interval
from thymos.studies.bench import Bench, Context
from thymos.studies.own_vectors import Stories, own_vectors, same_depth, shared_stories
from thymos.studies.projections import spread
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.shapes import (
    angles,
    cosines_of,
    planted_cosines,
    r_between,
    residual,
    shape_record,
    shuffled_p,
)
from thymos.studies.trials import Block, Record, Records

__all__ = ["CompareGeometry", "CompareGeometrySettings"]

_FAMILY = 0.05
_PARTS = ("whole", "even", "odd")
_WORDS: Mapping[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2), "sublinear_tf": True},
    "letters": {"analyzer": "char_wb", "ngram_range": (1, 3), "sublinear_tf": True},
}
"""Readers of the stories that know no model: words and word pairs, and groups of letters."""


@dataclass(frozen=True)
class CompareGeometrySettings(Settings):
    """Settings of `compare-geometry`."""

    stories: int = option(6, "stories of each concept that all models read; half of them for either half")
    neutral: int = option(200, "neutral texts for the components that are taken out")
    layers: int = option(6, "depths that are compared, spread evenly; that of the chosen layer is among them")
    permutations: int = option(4000, "shuffles of the concept names")
    mark: float = option(0.3, "pass mark of the similarity that is left after words and letters are partialled out")

    @classmethod
    def quick(cls) -> "CompareGeometrySettings":
        """Four stories of each concept, four depths."""
        return cls(stories=4, neutral=60, layers=4, permutations=1000)


class CompareGeometry(Study):
    """The angles between concept vectors of two or more models that read the same stories."""

    name = "compare-geometry"
    question = "Do models arrange the same concepts alike, beyond what the words of the stories bring along?"
    source = "Sofroniew et al. 2026, geometry (one model); comparison of models after Kriegeskorte et al. 2008"
    settings = CompareGeometrySettings
    needs = frozenset({"pair"})

    def blocks(self, bench: Bench, settings: CompareGeometrySettings) -> Blocks:
        """One block per model, each with its own vectors at several depths; then the stories without any model."""
        stories = shared_stories(bench, settings.stories, settings.neutral)
        every = tuple(range(bench.host.n_layers))
        layers = spread(every, settings.layers, keep=(bench.vectors.layer,))
        hosts = (bench.host, *bench.others)
        for number, host in enumerate(hosts):
            depths = tuple(same_depth(layer, bench.host, host) for layer in layers)

            def make(host: Host = host, depths: tuple[int, ...] = depths, number: int = number) -> Iterator[Record]:
                return _shapes(host, stories, (layers, depths), None if number == 0 else bench.host)

            yield Block(f"model/{number}", len(layers) * len(_PARTS), make)
        yield Block("stories", len(_WORDS) * len(_PARTS), lambda: _stories(stories))

    def analyse(self, records: Records, context: Context, settings: CompareGeometrySettings) -> Findings:
        """Similarity of each model with the first one: same stories, other stories, and without the words."""
        models = {int(number): rows for number, rows in records.under("model/").items()}
        concepts = tuple(models[0][0]["concepts"])
        called = [str(rows[0]["model"]) for rows in models.values()]
        names = {
            number: name if called.count(name) == 1 else f"{name} (model {number})"
            for number, name in zip(models, called, strict=True)
        }
        estimates: list[Estimate] = []
        table: list[dict[str, Any]] = []
        for number in sorted(models):
            if number:
                pair = (models[0], models[number])
                estimates += _pair(pair, records["stories"], concepts, (context, settings, names[number]))
                table += _depths(pair, len(concepts), names[number])
        truth = planted_cosines(context.truth, concepts)
        if truth is not None:
            for number, rows in sorted(models.items()):
                own = _shape(rows, context.layer, "whole", len(concepts))
                p = shuffled_p(truth, own, settings.permutations, context.seed)
                estimates.append(
                    estimate(
                        f"{names[number]}: r(angles, planted appraisals)", angles(truth, own, context.seed), p=p,
                        control="shuffled concept names", clear=p < _FAMILY, chance=0.0, truth="1.00",
                    )
                )  # fmt: skip
        return Findings(tuple(estimates), {"depths": table}, (), (_REMARK,))


_REMARK = (
    "All models read the same stories and make vectors by the same recipe, so nothing but the model differs. Vectors "
    "made of the same stories share their accidents; the claim is on vectors of different stories."
)


def _shapes(
    host: Host, stories: Stories, depths: tuple[tuple[int, ...], tuple[int, ...]], first: Host | None
) -> Iterator[Record]:
    """Angles of a model at every depth: from all stories, and from either half."""
    layers, own = depths
    found = own_vectors(host, stories, sorted(set(own)))
    beside = None
    # Vectors of one space can be compared one by one as well; models of one design and width may share it.
    if first is not None and (first.architecture, first.hidden_size) == (host.architecture, host.hidden_size):
        beside = own_vectors(first, stories, layers)
    for layer, depth in zip(layers, own, strict=True):
        place = found.layers.index(depth)
        for part, rows in zip(_PARTS, (found.whole, *found.halves), strict=True):
            about: dict[str, Any] = {"model": host.name, "layer": layer, "depth": depth, "part": part}
            about["concepts"] = stories.concepts
            if beside is not None and part == "whole":
                theirs = beside.whole[beside.layers.index(layer)]
                about["cosine"] = [float(f"{value:.6g}") for value in (theirs * rows[place]).sum(axis=1).tolist()]
            yield shape_record(rows[place], **about)


def _stories(stories: Stories) -> Iterator[Record]:
    """Angles between the bags of words, and of letters, of each concept's stories."""
    for reader, how in _WORDS.items():
        flat = [text for texts in stories.texts for text in texts]
        features = TfidfVectorizer(**how).fit_transform(flat)
        per = len(stories.texts[0])
        for part, picked in zip(_PARTS, (slice(None), slice(0, None, 2), slice(1, None, 2)), strict=True):
            means = [
                np.asarray(features[np.arange(k * per, (k + 1) * per)[picked]].mean(axis=0)).ravel()
                for k in range(len(stories.texts))
            ]
            rows = np.stack(means).astype(np.float64)
            yield shape_record(rows - rows.mean(axis=0), reader=reader, part=part)


def _shape(rows: Sequence[Record], layer: int, part: str, n: int) -> Float[np.ndarray, "n n"]:
    return cosines_of(next(one for one in rows if one["layer"] == layer and one["part"] == part), n)


def _crossed(
    pair: tuple[Sequence[Record], Sequence[Record]], layer: int, n: int
) -> list[tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]]:
    """The first model's even against the other's odd stories, and the other way round."""
    return [
        (_shape(pair[0], layer, one, n), _shape(pair[1], layer, other, n))
        for one, other in (("even", "odd"), ("odd", "even"))
    ]


def _pair(
    pair: tuple[Sequence[Record], Sequence[Record]],
    stories: Sequence[Record],
    concepts: Sequence[str],
    how: tuple[Context, CompareGeometrySettings, str],
) -> list[Estimate]:
    context, settings, name = how
    n, layer, seed = len(concepts), context.layer, context.seed
    lexical = {part: [cosines_of(one, n) for one in stories if one["part"] == part] for part in _PARTS}
    crossed = _crossed(pair, layer, n)
    inside = [r_between(_shape(rows, layer, "even", n), _shape(rows, layer, "odd", n)) for rows in pair]
    ceiling = float(np.sqrt(max(inside[0], 0.0) * max(inside[1], 0.0)))
    ends = angles(*crossed[0], seed)
    mean = float(np.mean([r_between(*both) for both in crossed]))
    # The interval of one crossing, at the mean of both.
    moved: Interval | float = mean
    if isinstance(ends, Interval):
        moved = Interval(mean, ends.low + mean - ends.estimate, ends.high + mean - ends.estimate, n=n)
    both = _shape(pair[0], layer, "whole", n), _shape(pair[1], layer, "whole", n)
    words = ", ".join(
        f"{one['reader']} {r_between(cosines_of(one, n), both[0]):.2f}" for one in stories if one["part"] == "whole"
    )
    p = shuffled_p(*crossed[0], settings.permutations, seed)
    given = [*lexical["even"], *lexical["odd"]]
    bare = [(residual(one, given), residual(other, given)) for one, other in crossed]
    left, left_p = (
        float(np.mean([r_between(*two) for two in bare])),
        shuffled_p(*bare[0], settings.permutations, seed),
    )
    control = f"shuffled concept names; the stories alone against the first model: {words}"
    found = [
        estimate(
            f"{name}: similarity of angles left after words and letters", left, n=n, side="at least",
            mark=settings.mark, primary=True, clear=left_p < _FAMILY, p=left_p, control=control, chance=0.0,
            note="partial correlation over pairs of concepts, vectors of different stories",
        ),
        estimate(
            f"{name}: similarity of angles, different stories",
            moved, p=p,
            clear=p < _FAMILY, control=control, chance=0.0,
            note=f"ceiling by the reliability of the halves {ceiling:.2f}",
        ),
        estimate(
            f"{name}: similarity of angles, same stories", angles(*both, seed), chance=0.0,
            note="the stories' accidents are shared",
        ),
        estimate(f"{name}: reliability, even against odd stories", inside[1], n=n, note=f"first model {inside[0]:.2f}"),
    ]  # fmt: skip
    record = next(one for one in pair[1] if one["layer"] == layer and one["part"] == "whole")
    if "cosine" in record:
        values = np.asarray(record["cosine"], np.float64)
        found.append(
            estimate(
                f"{name}: mean cosine of a concept's two vectors", float(values.mean()), n=n,
                note="only models that were trained from one another share a space",
            )
        )  # fmt: skip
    return found


def _depths(pair: tuple[Sequence[Record], Sequence[Record]], n: int, name: str) -> list[dict[str, Any]]:
    """Every depth of the first model against every depth of the other, vectors of different stories."""
    layers = sorted({int(one["layer"]) for one in pair[0]})
    found = []
    for layer in layers:
        for other in layers:
            even = r_between(_shape(pair[0], layer, "even", n), _shape(pair[1], other, "odd", n))
            odd = r_between(_shape(pair[0], layer, "odd", n), _shape(pair[1], other, "even", n))
            found.append({"model": name, "layer": layer, "other": other, "r": (even + odd) / 2})
    return found
