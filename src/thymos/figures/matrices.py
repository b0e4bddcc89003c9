"""Square pictures: cosines of concepts with their tree, confusions, similarity of layers."""

from collections.abc import Sequence

import altair as alt
import numpy as np
from jaxtyping import Float, Real
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from thymos.errors import UsageError
from thymos.figures._checks import check_array, check_named
from thymos.figures.colours import CHART_MAP, contrast_ratio, sequential
from thymos.figures.theme import RULE, AnyChart, Caption, finish

_ON_DARK, _ON_LIGHT = "#ffffff", "#000000"
"""Ink on coloured cells; not page colours, because the cells keep their colours on a dark page."""


def concept_tree(cosines: Float[np.ndarray, "concepts concepts"]) -> Float[np.ndarray, "merges 4"]:
    """Average linkage on 1 - cosine, with neighbours ordered so that near leaves are near concepts.

    Args:
        cosines: Symmetric, 1 on the diagonal.

    Returns:
        The linkage matrix of `scipy.cluster.hierarchy`.

    Raises:
        UsageError: Fewer than two concepts, NaN, not square, not symmetric, or values outside -1 to 1.
    """
    _check_square("cosine matrix", cosines, least=2)
    if float(np.abs(cosines - cosines.T).max()) > 1e-4:
        raise UsageError("cosine matrix: it is not symmetric; give the cosines of one set of vectors with itself")
    if float(np.abs(cosines).max()) > 1 + 1e-4:
        raise UsageError(
            f"cosine matrix: the values run from {cosines.min():.3g} to {cosines.max():.3g}; cosines are -1 to 1: "
            "divide each vector by its norm first"
        )
    apart = np.clip(1.0 - (cosines + cosines.T).astype(np.float64) / 2, 0.0, None)
    np.fill_diagonal(apart, 0.0)
    return hierarchy.linkage(squareform(apart, checks=False), method="average", optimal_ordering=True)


def leaf_order(cosines: Float[np.ndarray, "concepts concepts"]) -> list[int]:
    """Row numbers in the order of the tree's leaves, left to right.

    Raises:
        UsageError: See `concept_tree`.
    """
    return [int(leaf) for leaf in hierarchy.leaves_list(concept_tree(cosines))]


def cosine_heatmap(
    cosines: Float[np.ndarray, "concepts concepts"], concepts: Sequence[str], *, caption: Caption
) -> AnyChart:
    """Cosine similarities of the concepts, both axes in the leaf order of the tree above them.

    The colour scale is symmetric about 0 and ends at the largest cosine off the diagonal, so that the diagonal does not
    flatten the rest. With more than 171 concepts the cells shrink and the names go.

    Args:
        cosines: Symmetric, 1 on the diagonal.
        concepts: One name per row.
        caption: The words.

    Raises:
        UsageError: See `concept_tree`; also names that do not fit the rows.
    """
    check_named("cosine heat map", concepts, cosines.shape[0])
    tree = concept_tree(cosines)
    order = [int(leaf) for leaf in hierarchy.leaves_list(tree)]
    names = [concepts[index] for index in order]
    count = len(names)
    cell = 26.0 if count <= 16 else max(9.0, 420.0 / count) if count <= 171 else max(1.0, 1500.0 / count)
    off = cosines[~np.eye(count, dtype=bool)]
    limit = float(np.clip(np.abs(off).max(), 0.05, 1.0))
    sorted_cosines = np.round(cosines[np.ix_(order, order)].astype(np.float64), 3)
    cells = _cells(sorted_cosines, names, names, ("one", "other", "cosine"))
    scale = alt.Scale(domain=[-limit, limit], range=CHART_MAP.stops(), clamp=True)
    side = count * cell
    bar = alt.Legend(title="cosine", format=".2f", gradientLength=min(220.0, side), values=[-limit, 0, limit])
    axis = alt.Axis(
        labels=count <= 171,
        labelOverlap=False,
        labelFontSize=min(11.0, cell - 0.5),
        labelPadding=3,
        ticks=False,
        domain=False,
        title=None,
    )
    heat = (
        alt.Chart(cells)
        .mark_rect(aria=False)
        .encode(
            x=alt.X("other:O", sort=None, axis=axis, scale=alt.Scale(domain=names)),
            y=alt.Y("one:O", sort=None, axis=axis, scale=alt.Scale(domain=names)),
            color=alt.Color("cosine:Q", scale=scale, legend=bar),
            tooltip=["one:O", "other:O", alt.Tooltip("cosine:Q", format="+.3f")],
        )
        .properties(width=side, height=side)
    )
    stack = alt.vconcat(_branches(tree, side), heat, spacing=2).resolve_scale(x="independent")
    return finish(stack, caption, side + 130)


def confusion(counts: Real[np.ndarray, "true predicted"], labels: Sequence[str], *, caption: Caption) -> AnyChart:
    """Confusion matrix: each row is one true label and sums to 100%; the number of items stands beside its name.

    Args:
        counts: Items by true label (rows) and predicted label (columns); rows may be empty and are left blank.
        labels: One name per row and column.
        caption: The words.

    Raises:
        UsageError: Not square, NaN, negative, or no items at all.
    """
    _check_square("confusion matrix", counts, least=1)
    check_named("confusion matrix", labels, counts.shape[0])
    if counts.min() < 0 or counts.sum() == 0:
        raise UsageError(
            f"confusion matrix: counts run from {counts.min()} to {counts.max()}; they must be 0 or more, with one item"
        )
    totals = counts.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    rows = [f"{label}  (n = {total:g})" for label, total in zip(labels, totals[:, 0], strict=True)]
    cells = _cells(np.round(shares, 4), rows, list(labels), ("true", "predicted", "share"))
    for cell, count in zip(cells.values, counts.ravel(), strict=True):
        cell["count"] = float(count)
    cells.values = [cell for cell, total in zip(cells.values, np.repeat(totals, len(labels)), strict=True) if total > 0]
    size = 34.0 if len(labels) <= 16 else max(10.0, 560.0 / len(labels))
    side = size * len(labels)
    axis = alt.Axis(ticks=False, domain=False, labelFontSize=min(11.0, size), labelAngle=-45 if len(labels) > 3 else 0)
    x = alt.X("predicted:O", title="Predicted", sort=None, axis=axis, scale=alt.Scale(domain=list(labels)))
    y_axis = alt.Axis(ticks=False, domain=False, labelFontSize=min(11.0, size))
    y = alt.Y("true:O", title="True", sort=None, axis=y_axis, scale=alt.Scale(domain=rows))
    fill = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=sequential()), legend=_share_legend(side))
    base = alt.Chart(cells).properties(width=side, height=side)
    told = ["true:O", "predicted:O", alt.Tooltip("share:Q", format=".0%"), "count:Q"]
    heat = base.mark_rect(aria=False).encode(x=x, y=y, color=fill, tooltip=told)
    if size < 26:
        return finish(heat, caption, side + 150)
    ink = alt.condition(f"datum.share > {_ink_turns_white():.3f}", alt.value(_ON_DARK), alt.value(_ON_LIGHT))
    shown = base.transform_filter("datum.share >= 0.005").mark_text(fontSize=10)
    text = shown.encode(x=x, y=y, text=alt.Text("share:Q", format=".0%"), color=ink)
    return finish(alt.layer(heat, text), caption, side + 150)


def layer_similarity(
    similarity: Float[np.ndarray, "layers layers"], layers: Sequence[int], *, caption: Caption, measure: str = "CKA"
) -> AnyChart:
    """How alike the layers are, e.g. by CKA or by correlation of their cosine matrices.

    Args:
        similarity: One row and one column per layer; 0 to 1, or with negative values (then the colours diverge).
        layers: Layer numbers, counted from 0.
        caption: The words.
        measure: Name of the similarity.

    Raises:
        UsageError: Not square, NaN, or layers that do not fit the rows.
    """
    _check_square("layer similarity", similarity, least=1)
    check_named("layer similarity", layers, similarity.shape[0])
    cell = max(6.0, min(26.0, 380.0 / len(layers)))
    side = cell * len(layers)
    names = [str(layer) for layer in layers]
    cells = _cells(np.round(similarity.astype(np.float64), 4), names, names, ("layer", "other layer", "similarity"))
    limit = max(1.0, float(np.abs(similarity).max()))
    signed = bool(similarity.min() < 0)
    scale = alt.Scale(domain=[-limit if signed else 0, limit], range=CHART_MAP.stops() if signed else sequential())
    legend = alt.Legend(title=measure, gradientLength=min(200.0, side))
    axis = alt.Axis(ticks=False, domain=False, labelAngle=0, labelOverlap="greedy")
    heat = alt.Chart(cells).mark_rect(aria=False)
    heat = heat.encode(
        x=alt.X("other layer:O", title="Layer", sort=None, axis=axis),
        y=alt.Y("layer:O", title="Layer", sort=None, axis=axis),
        color=alt.Color("similarity:Q", scale=scale, legend=legend),
        tooltip=["layer:O", "other layer:O", alt.Tooltip("similarity:Q", format=".3f")],
    )
    return finish(heat.properties(width=side, height=side), caption, side + 110)


def _check_square(what: str, matrix: Real[np.ndarray, "..."], least: int) -> None:
    check_array(what, matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < least:
        raise UsageError(f"{what}: shape {matrix.shape}; give a square matrix with at least {least} rows")


def _cells(
    values: Real[np.ndarray, "rows columns"], rows: Sequence[str], columns: Sequence[str], names: tuple[str, str, str]
) -> alt.InlineData:
    """One record per cell. Given inline, because Altair refuses frames of more than 5000 rows."""
    row, column, value = names
    records = [
        {row: one, column: other, value: float(values[i, j])}
        for i, one in enumerate(rows)
        for j, other in enumerate(columns)
    ]
    return alt.InlineData(values=records)


def _ink_turns_white() -> float:
    """The share from which white reads better than black on the sequential map."""
    colours = sequential(101)
    better = [contrast_ratio(colour, _ON_DARK) > contrast_ratio(colour, _ON_LIGHT) for colour in colours]
    return better.index(True) / 100


def _share_legend(side: float) -> alt.Legend:
    return alt.Legend(title="share of row", format=".0%", gradientLength=min(200.0, side))


def _branches(tree: Float[np.ndarray, "merges 4"], side: float) -> alt.Chart:
    """The tree, drawn so that leaf i stands over the middle of column i."""
    drawn = hierarchy.dendrogram(tree, no_plot=True)
    records = [
        # scipy puts leaf i at 5 + 10 i.
        {"merge": merge, "step": step, "leaf": x / 10.0, "distance": y}
        for merge, (xs, ys) in enumerate(zip(drawn["icoord"], drawn["dcoord"], strict=True))
        for step, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]
    scale = alt.Scale(domain=[0, len(tree) + 1], nice=False)
    height = min(150.0, max(60.0, side / 6))
    return (
        alt.Chart(alt.InlineData(values=records))
        .mark_line(color=RULE, strokeWidth=1, aria=False)
        .encode(
            x=alt.X("leaf:Q", scale=scale, axis=None),
            y=alt.Y("distance:Q", title="1 − cosine", axis=alt.Axis(tickCount=3, grid=False)),
            detail="merge:N",
            order="step:Q",
        )
        .properties(width=side, height=height)
    )
