"""The sections of the HTML report: each figure with its question, n, chance line and pass mark."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from thymos.figures import (
    Caption,
    LensRow,
    circumplex,
    confusion,
    cosine_heatmap,
    explained_variance,
    forest,
    kmeans_table,
    layer_similarity,
    logit_lens_table,
    recall_by_layer,
    to_svg,
    top_concepts,
)
from thymos.geometry import GeometryMap
from thymos.readings import Reading
from thymos.validation import Validation
from thymos.vectors import EmotionVectors

__all__ = ["Section", "geometry_sections", "reading_sections", "validation_sections"]


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    html: str
    """Finished fragment."""


def validation_sections(validation: Validation, vectors: EmotionVectors) -> list[Section]:
    """Recall over layers, against baselines, where it goes wrong, how stable it is, the logit lens."""
    parts: list[Callable[[], Section | None]] = [
        lambda: _sweep(validation, vectors),
        lambda: _comparisons(validation),
        lambda: _confusion(validation),
        lambda: _stability(validation),
        lambda: _lens(validation),
    ]
    return [section for part in parts if (section := part()) is not None]


def _pass_mark(mark: str, met: bool) -> str:
    """What was to be reached, and whether it was: a bare mark reads like a result."""
    return f"pass mark: {mark} ({'met' if met else 'missed'})"


def _sweep(v: Validation, vectors: EmotionVectors) -> Section:
    caption = Caption(
        question="At which depth do the vectors tell the concepts apart?",
        answer=f"Best on development topics: layer {v.layer}; whole procedure on unseen topics {v.sweep.nested:.2f}.",
        mark="One point is one layer; the band is a 95% bootstrap interval over texts",
        n=f"{v.recall.n} texts, {v.recall.folds} topic folds",
        chance=f"chance 1/{len(v.recall.concepts)}",
        passing=_pass_mark("interval of the whole procedure above chance", v.sweep.nested.low > v.sweep.chance),
    )
    frame = pd.DataFrame(v.sweep.records(vectors.card.model.n_layers))
    chart = recall_by_layer(
        frame,
        caption=caption,
        metric="Held-out top-1 recall",
        chance=float(v.sweep.chance),
        baselines={v.baseline.name: float(v.baseline.top1.estimate)},
        chosen=v.layer,
    )
    return Section("Layers", to_svg(chart))


def _comparisons(v: Validation) -> Section:
    rows = [
        ("vectors, whole procedure", v.sweep.nested),
        (f"vectors, layer {v.layer}", v.recall.top1),
        ("vectors, not denoised", v.raw.top1),
        *([("logistic probes", v.probes.top1)] if v.probes is not None else []),
        *((reader.name, reader.top1) for reader in v.lexical),
        (v.length.name, v.length.top1),
    ]
    frame = pd.DataFrame(
        [{"label": name, "estimate": i.estimate, "low": i.low, "high": i.high, "n": i.n} for name, i in rows]
    )
    caption = Caption(
        question="Do the vectors see more than words?",
        answer=f"Vectors minus {v.baseline.name}: {v.difference:+.3f} (paired, 95%).",
        mark="One bar is one reader's top-1 recall on unseen topics, with its 95% bootstrap interval over texts",
        n=f"{v.recall.n} texts, the same folds for all",
        chance=f"line: chance 1/{len(v.recall.concepts)}",
        passing=_pass_mark("lower bound of the paired difference > 0", v.difference.low > 0),
    )
    chart = forest(frame, caption=caption, unit="top-1 recall", reference=float(v.recall.chance[1]))
    return Section("Against baselines", to_svg(chart))


def _confusion(v: Validation) -> Section:
    worst = int(np.argmin(v.recall.by_concept))
    caption = Caption(
        question="Which concepts are taken for which?",
        answer=f"Hardest: {v.recall.concepts[worst]} ({v.recall.by_concept[worst]:.0%} right).",
        mark="One cell is the share of a concept's held-out texts that get the name of the column",
        n=f"{v.recall.n} texts",
        chance=f"chance 1/{len(v.recall.concepts)}",
    )
    return Section("Confusions", to_svg(confusion(v.recall.confusion, v.recall.concepts, caption=caption)))


def _stability(v: Validation) -> Section:
    weakest = v.stability.worst(1)[0]
    caption = Caption(
        question="Would other texts give the same directions?",
        answer=f"Least stable: {weakest[0]} ({weakest[1]:.2f}).",
        mark="One bar is the mean cosine of a direction from resampled texts with the full one",
        n=f"{v.stability.resamples} resamples, {int(v.stability.texts.min())} or more texts per concept",
    )
    frame = pd.DataFrame(
        {
            "concept": v.stability.concepts,
            "score": v.stability.bootstrap.astype(float),
            "low": v.stability.low.astype(float),
            "high": v.stability.high.astype(float),
        }
    )
    chart = top_concepts(frame, caption=caption, unit="cosine", most=min(40, len(frame)))
    return Section("Stability", to_svg(chart))


def _lens(v: Validation) -> Section | None:
    if v.lens is None:
        return None
    rows = []
    for entry in v.lens.entries[:40]:
        note = f"{entry.own[0].token!r} rank {entry.own[0].rank}" if entry.own else ""
        up, down = [t.token for t in entry.top[:6]], [t.token for t in entry.bottom[:6]]
        rows.append(LensRow(entry.concept, up, down, note))
    own = v.lens.own
    caption = Caption(
        question="Which tokens does a direction promote?",
        answer=f"Own word: mean percentile {own.statistic:.0f} (p = {own.p:.2g})." if own is not None else "",
        mark="One row is one direction through the unembedding, final norm not applied",
        n=f"{len(v.lens.entries)} directions, {len(v.lens.tested)} with a single-token word",
        chance="percentile of the same words under other concepts' directions",
    )
    return Section("Logit lens", logit_lens_table(rows, caption=caption, note="own word"))


def geometry_sections(geometry: GeometryMap) -> list[Section]:
    """Cosines, principal axes against norms, clusters, layers."""
    found = [_cosines(geometry), _axes(geometry), _explained(geometry), _clusters(geometry), _layers(geometry)]
    return [section for section in found if section is not None]


def _cosines(g: GeometryMap) -> Section:
    upper = g.cosines[np.triu_indices(len(g.concepts), 1)]
    caption = Caption(
        question="Which directions lie close together?",
        answer=f"Cosines run from {upper.min():+.2f} to {upper.max():+.2f}.",
        mark="One cell is the cosine of two directions; order and tree: average linkage on 1 - cosine",
        n=f"{len(g.concepts)} concepts, layer {g.layer}",
    )
    return Section("Cosine map", to_svg(cosine_heatmap(g.cosines, g.concepts, caption=caption)))


def _axes(g: GeometryMap) -> Section | None:
    if g.axes is None:
        return None
    best = g.axes.best("pleasure")
    first, second = (best.component - 1, 1 if best.component == 1 else 0)
    # The sign of a component is arbitrary: pleasant words are put on the right.
    sign = 1.0 if best.r >= 0 else -1.0
    caption = Caption(
        question="Is there an axis of pleasure?",
        answer=f"PC{best.component}, |r| = {abs(best.r):.2f}.",
        mark="One point is one concept; colour: human pleasure norm (hollow: none); the axes were found without them",
        n=f"{g.axes.n} of {len(g.concepts)} words have norms (Russell & Mehrabian 1977)",
        chance=f"p from {g.axes.permutations} shuffles that repeat the search over axes",
        passing=_pass_mark("p < 0.05", best.p < 0.05),
    )
    frame = pd.DataFrame(
        {
            "concept": g.concepts,
            "x": sign * g.pca.scores[:, first].astype(float),
            "y": g.pca.scores[:, second].astype(float),
            "pleasure": g.norms[:, 0],
        }
    )
    chart = circumplex(
        frame, caption=caption, r=abs(float(best.r)), p=float(best.p), axes=(f"PC{first + 1}", f"PC{second + 1}")
    )
    return Section("Axes", to_svg(chart))


def _explained(g: GeometryMap) -> Section:
    caption = Caption(
        question="How many axes does the set use?",
        answer=f"PC1 holds {g.pca.explained[0]:.0%}, PC2 {g.pca.explained[1]:.0%} of the variance.",
        mark="One bar is one principal component of the unit directions",
        n=f"{len(g.concepts)} concepts span at most {len(g.concepts) - 1} dimensions",
    )
    return Section("Explained variance", to_svg(explained_variance(g.pca.explained.astype(float), caption=caption)))


def _clusters(g: GeometryMap) -> Section | None:
    if not g.clusterings:
        return None
    wanted = len({c for c in g.clusters if c is not None}) or 10
    chosen = min(g.clusterings, key=lambda c: abs(c.k - wanted))
    several = ", ".join(f"k={c.k}: {c.rand:.2f}" for c in g.clusterings if c.rand is not None)
    answer = f"Adjusted Rand with the ten published clusters: {several}." if several else ""
    caption = Caption(
        question=f"Which concepts fall together (k-means, k = {chosen.k})?",
        answer=answer,
        mark="One row is one cluster of unit directions",
        n=f"{len(g.concepts)} concepts, agreement between seeds {chosen.seed_agreement:.2f}",
        chance=f"adjusted Rand 0; p = {chosen.p:.2g}, corrected for the values of k" if chosen.p is not None else None,
    )
    members = {f"{number + 1}": names for number, names in enumerate(chosen.members(g.concepts))}
    return Section("Clusters", kmeans_table(members, caption=caption))


def _layers(g: GeometryMap) -> Section | None:
    if g.layers is None:
        return None
    apart = g.layers.pearson[np.triu_indices(len(g.layers.layers), 1)]
    caption = Caption(
        question="Is the map the same at every layer?",
        answer=f"Correlations of the cosine maps run from {apart.min():.2f} to {apart.max():.2f}.",
        mark="One cell compares the cosine maps of two layers (Pearson, upper triangles)",
        n=f"{len(g.concepts)} concepts",
    )
    chart = layer_similarity(g.layers.pearson, list(g.layers.layers), caption=caption, measure="Pearson r")
    return Section("Layers compared", to_svg(chart))


def reading_sections(readings: tuple[Reading, ...]) -> list[Section]:
    """Token heat maps of new texts, with their top concepts."""
    found = []
    for number, reading in enumerate(readings, 1):
        top = ", ".join(f"{name} {value:+.2f}" for name, value in reading.top(5))
        told = f'<p class="muted">{escape(reading.known)}</p>' if reading.known else ""
        found.append(Section(f"Text {number}: {top}", reading.heatmap() + told))
    return found
