"""Are concept vectors arranged like human ratings of the words, in the given groups, and alike over layers?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.concepts import EMOTIONS
from thymos.errors import UsageError
from thymos.geometry import NormCorrelations, kmeans, norm_correlations, pca, random_explained
from thymos.stats import bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.preference_effects import norms_of, r_estimate
from thymos.studies.projections import columns_r, finite, spread
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.shapes import angles, coordinates, cosines_of, planted_cosines, r_between, shape_record, shuffled_p
from thymos.studies.trials import Block, Record, Records

__all__ = ["Geometry", "GeometrySettings"]

_FEWEST_RATED = 8
"""Fewer rated concepts say nothing about axes."""
_FEWEST = 4
_FAMILY = 0.05
_PAPER_AXES = {"pleasure": ".81 (PC1, 45 words)", "arousal": ".66 (PC2, 45 words)"}
_EMBEDDING = "embedding"


@dataclass(frozen=True)
class GeometrySettings(Settings):
    """Settings of `geometry`."""

    layers: int = option(14, "layers that are compared, spread evenly; the chosen one is among them")
    clusters: int = option(10, "clusters of the claim, beside 5 and 15")
    components: int = option(3, "components searched for each human norm; the search is inside the null")
    permutations: int = option(4000, "shuffles of the words")
    draws: int = option(200, "sets of random directions whose explained variance is the control")
    pleasure: float = option(0.6, "pass mark of |r| between a component and human pleasure")
    arousal: float = option(0.4, "pass mark of |r| between a component and human arousal")
    rand: float = option(0.1, "pass mark of the adjusted Rand index with the given groups")
    similarity: float = option(0.7, "pass mark of the mean similarity of neighbouring layers")

    @classmethod
    def quick(cls) -> "GeometrySettings":
        """Fewer shuffles and draws."""
        return cls(permutations=1000, draws=50)


class Geometry(Study):
    """The map of a vector set, made from the angles between its vectors at several layers."""

    name = "geometry"
    question = "Are the vectors arranged like human ratings of the words, in the given groups, and alike over layers?"
    source = "Sofroniew et al. 2026, geometry of emotion vectors"
    settings = GeometrySettings

    def blocks(self, bench: Bench, settings: GeometrySettings) -> Blocks:
        """One record per layer, and one of the model's own word embeddings."""
        if len(bench.vectors) < _FEWEST:
            raise UsageError(f"the vector set holds {len(bench.vectors)} concepts; a geometry needs at least {_FEWEST}")
        layers = spread(bench.vectors.layers, settings.layers, keep=(bench.vectors.layer,))
        yield Block("shapes", len(layers), lambda: _shapes(bench, layers))
        yield Block("words", 1, lambda: _words(bench))

    def analyse(self, records: Records, context: Context, settings: GeometrySettings) -> Findings:
        """Axes against norms, groups, layers; every search is inside its null."""
        words, n = context.concepts, len(context.concepts)
        shapes = {int(one["layer"]): cosines_of(one, n) for one in records["shapes"]}
        own = next(one for one in records["shapes"] if one["layer"] == context.layer)
        embedded = next(iter(records["words"]), None)
        embedding = None if embedded is None else cosines_of(embedded, n)
        chosen = coordinates(shapes[context.layer])
        axes, told = _axes(chosen, embedding, context, settings)
        groups, clusters = _groups(chosen, context, settings)
        layers, table = _over_layers(shapes, context, settings)
        estimates = [*axes, *groups, *layers, *_explained(chosen, own, context, settings)]
        if context.planted:
            estimates += _planted(chosen, shapes[context.layer], context, settings)
        if embedding is not None:
            r = r_between(embedding, shapes[context.layer])
            note = "geometry that the words alone bring along"
            estimates.append(estimate("r(angles, angles of the word embeddings)", r, n=n, note=note))
        tables = {"layers": table, "clusters": clusters, "components": _coordinates(words, chosen, context)}
        return Findings(tuple(estimates), tables, (told,) if told else (), (_REMARK,))


_REMARK = (
    "Components are of unit vectors, so lengths cannot make them. Such a map is expected of any model that knows what "
    "the words mean; it is a check of the vectors and no evidence of what they do. Linkage, seeds and normalisation of "
    "the paper's clusters are unknown."
)


def _shapes(bench: Bench, layers: Sequence[int]) -> Iterator[Record]:
    for layer in layers:
        found = bench.vectors.at(layer)
        lengths = np.linalg.norm(found.raw.astype(np.float64), axis=1)
        yield shape_record(
            found.vectors,
            layer=layer,
            hidden=int(found.vectors.shape[1]),
            lengths=[float(f"{value:.7g}") for value in lengths.tolist()],
        )


def _words(bench: Bench) -> Iterator[Record]:
    """Angles between the input embeddings of the words themselves: what no context has touched yet."""
    table = bench.host.network.get_input_embeddings()
    weight = getattr(table, "weight", None)
    if weight is None or weight.is_meta or not weight.is_floating_point():
        return
    rows = []
    for word in bench.vectors.concepts:
        ids = bench.host.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        rows.append(weight[ids].detach().float().mean(dim=0).cpu().numpy())
    values = np.stack(rows).astype(np.float64)
    centred = values - values.mean(axis=0)
    if np.linalg.norm(centred, axis=1).min() > 0:
        yield shape_record(centred, layer=_EMBEDDING, hidden=int(values.shape[1]))


def _human(words: Sequence[str]) -> Float[np.ndarray, "words 3"]:
    norms = np.full((len(words), 3), np.nan)
    for row, word in enumerate(words):
        known = EMOTIONS[word].norms if word in EMOTIONS else None
        if known is not None:
            norms[row] = (known.pleasure, known.arousal, known.dominance)
    return norms


def _correlations(
    rows: Float[np.ndarray, "concepts rank"],
    norms: Float[np.ndarray, "concepts 3"],
    context: Context,
    settings: GeometrySettings,
) -> NormCorrelations:
    return norm_correlations(
        {context.layer: rows},
        norms,
        components=settings.components,
        permutations=settings.permutations,
        seed=context.seed,
    )


def _axes(
    chosen: Float[np.ndarray, "concepts rank"],
    embedding: Float[np.ndarray, "concepts concepts"] | None,
    context: Context,
    settings: GeometrySettings,
) -> tuple[list[Estimate], str | None]:
    norms = _human(context.concepts)
    rated = int(np.isfinite(norms).all(axis=1).sum())
    if rated < _FEWEST_RATED:
        return [], (
            f"axes against human norms: {rated} of {len(norms)} concepts have norms, at least {_FEWEST_RATED} are "
            "needed; extract more of the 45 rated words"
        )
    found = _correlations(chosen, norms, context, settings)
    words = None if embedding is None else _correlations(coordinates(embedding), norms, context, settings)
    estimates = []
    for norm, mark in (("pleasure", settings.pleasure), ("arousal", settings.arousal)):
        best = found.best(norm)
        interval = found.at(best.layer, best.component, norm, seed=context.seed).interval
        ends = (interval.low, interval.high) if best.r >= 0 else (-interval.high, -interval.low)
        beside = "" if words is None else f"word embeddings {abs(words.best(norm).r):.2f}; "
        estimates.append(
            Estimate(
                f"|r| of a component with human {norm}", abs(best.r), ends[0], ends[1], rated,
                control=f"{beside}null: best of {settings.components} components under shuffled words",
                clear=best.p < _FAMILY, p=best.p, paper=_PAPER_AXES[norm], side="at least", mark=mark, primary=True,
                note=f"PC{best.component}, the best of {settings.components}",
            )
        )  # fmt: skip
    return estimates, None


def _groups(
    chosen: Float[np.ndarray, "concepts rank"], context: Context, settings: GeometrySettings
) -> tuple[list[Estimate], list[dict[str, Any]]]:
    words = context.concepts
    given = [EMOTIONS[word].cluster if word in EMOTIONS else None for word in words]
    grouped = len({one for one in given if one is not None}) > 1
    ks = [k for k in sorted({5, settings.clusters, 15}) if 2 <= k < len(words)]
    if not ks:
        return [], []
    found = kmeans(chosen, ks, groups=given if grouped else None, permutations=settings.permutations, seed=context.seed)
    estimates = []
    for one in found:
        claim = one.k == settings.clusters
        if one.rand is not None and one.p is not None:
            estimates.append(
                estimate(
                    f"adjusted Rand index with the given groups, k = {one.k}", float(one.rand), n=one.compared,
                    p=float(one.p), clear=bool(one.p < _FAMILY), chance=0.0, control="shuffled groups, all k tried",
                    paper="the groups are the paper's own clusters (k = 10)",
                    note=f"silhouette {one.silhouette:.2f}, agreement of seeds {one.seed_agreement:.2f}",
                    **({"side": "at least", "mark": settings.rand, "primary": True} if claim else {}),
                )
            )  # fmt: skip
    table = [
        {"k": one.k, "cluster": number, "concepts": ", ".join(members)}
        for one in found
        for number, members in enumerate(one.members(words))
    ]
    return estimates, table


def _over_layers(
    shapes: Mapping[int, Float[np.ndarray, "n n"]], context: Context, settings: GeometrySettings
) -> tuple[list[Estimate], list[dict[str, Any]]]:
    layers = sorted(shapes)
    table = [
        {"layer": one, "other": other, "r": r_between(shapes[one], shapes[other])} for one in layers for other in layers
    ]
    if len(layers) < 2:
        return [], table
    near = [r_between(shapes[one], shapes[other]) for one, other in zip(layers, layers[1:], strict=False)]
    ends = angles(shapes[layers[0]], shapes[layers[-1]], context.seed)
    p = shuffled_p(shapes[layers[0]], shapes[layers[-1]], settings.permutations, context.seed)
    return [
        estimate(
            "similarity of neighbouring layers, mean r of angles",
            bootstrap(np.asarray(near), seed=context.seed) if len(near) > 1 else float(near[0]),
            n=len(near), side="at least", mark=settings.similarity, paper=".8 to 1 (cosine of matrices, 14 layers)",
        ),
        estimate(
            "similarity of first and last layer, r of angles", ends, p=p, control="shuffled concept names",
            clear=p < _FAMILY, chance=0.0,
        ),
    ], table  # fmt: skip


def _explained(
    chosen: Float[np.ndarray, "concepts rank"], own: Record, context: Context, settings: GeometrySettings
) -> list[Estimate]:
    found = pca(chosen, 3)
    hidden, n = int(own["hidden"]), len(context.concepts)
    null = random_explained(n, hidden, 2, draws=settings.draws, seed=context.seed)
    paper = ("26% (27%)", "15% (14%)")
    told = []
    for k in range(min(2, found.explained.shape[0])):
        share, top = float(found.explained[k]), float(null[:, k].max())
        told.append(
            estimate(
                f"share of variance of PC{k + 1}", share, n=n, paper=paper[k], clear=share > top,
                control=f"at most {top:.3f} in {settings.draws} sets of random directions",
            )
        )  # fmt: skip
    lengths = np.asarray(own["lengths"], np.float64)
    told.append(
        r_estimate(
            "r(PC1, length of the vector before it is scaled)", found.scores[:, 0], lengths, context.seed,
            note="lengths must not make the first component; its sign is a convention",
        )
    )  # fmt: skip
    return told


def _planted(
    chosen: Float[np.ndarray, "concepts rank"],
    cosines: Float[np.ndarray, "concepts concepts"],
    context: Context,
    settings: GeometrySettings,
) -> list[Estimate]:
    """Components and angles against what was planted."""
    scores = pca(chosen, 3).scores
    found = []
    for axis, places in (("valence", (0,)), ("arousal", (1, 2))):
        planted = norms_of(context, context.concepts, axis)
        known, usable = np.isfinite(planted), [place for place in places if place < scores.shape[1]]
        if known.sum() < _FEWEST_RATED or not usable:
            continue
        r = columns_r(scores[known], planted[known])
        best = max(usable, key=lambda place: abs(float(r[place])))
        sign = 1.0 if r[best] >= 0 else -1.0
        which = "PC1" if len(places) == 1 else f"PC{best + 1}, the better of PC2 and PC3,"
        found.append(
            r_estimate(
                f"|r| of {which} with planted {axis}", sign * scores[known, best], planted[known], context.seed,
                truth="1.00",
            )
        )  # fmt: skip
    truth = planted_cosines(context.truth, context.concepts)
    if truth is not None:
        p = shuffled_p(truth, cosines, settings.permutations, context.seed)
        found.append(
            estimate(
                "r(angles, angles of the planted appraisals)", angles(truth, cosines, context.seed), p=p,
                clear=p < _FAMILY, control="shuffled concept names", chance=0.0, truth="1.00",
            )
        )  # fmt: skip
    return found


def _coordinates(
    words: Sequence[str], chosen: Float[np.ndarray, "concepts rank"], context: Context
) -> list[dict[str, Any]]:
    scores = pca(chosen, 3).scores
    valence = norms_of(context, words, "valence")
    return [
        {
            "concept": word,
            "cluster": (EMOTIONS[word].cluster if word in EMOTIONS else None) or "",
            **{f"PC{k + 1}": float(value) for k, value in enumerate(scores[row])},
            "valence": finite(valence[row]),
        }
        for row, word in enumerate(words)
    ]
