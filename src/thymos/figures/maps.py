"""Concepts as points in the plane: circumplex, clusters, and a component against a human norm."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from thymos.errors import UsageError
from thymos.figures._checks import check_frame
from thymos.figures._marks import place_labels
from thymos.figures.colours import CHART_MAP, category
from thymos.figures.theme import INK, MUTED, PAPER, RULE, AnyChart, Caption, categories, finish, padded

_WIDTH, _HEIGHT = 640.0, 520.0
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def circumplex(
    concepts: pd.DataFrame,
    *,
    caption: Caption,
    r: float,
    p: float,
    midpoint: float = 0.0,
    axes: tuple[str, str] = ("PC1", "PC2"),
) -> AnyChart:
    """The first two principal components, coloured by human pleasure.

    Args:
        concepts: One row per concept: `concept`, `x`, `y`, and `pleasure`, the human rating (NaN where there is none:
            drawn hollow). The ratings must not have been used to find the axes; say so in the caption.
        caption: The words; r and p are added to its subtitle.
        r: Correlation of the first axis with pleasure.
        p: Its permutation p-value.
        midpoint: The neutral rating, e.g. 0 for -1..1 or 5 for 1..9; the colours diverge there.
        axes: Titles of the axes, e.g. ("PC1 (31% of variance)", "PC2 (18%)").

    Raises:
        UsageError: No rows, missing columns, NaN positions, or no rated concept at all.

    Source: Russell 1980, https://doi.org/10.1037/h0077714.
    """
    check_frame("circumplex", concepts, ("concept", "x", "y", "pleasure"), ("x", "y"))
    rated = concepts.dropna(subset=["pleasure"])
    check_frame("circumplex, concepts with a human rating", rated, ("pleasure",), ("pleasure",))
    frame = concepts.copy()
    frame["known"] = frame["pleasure"].notna()
    limit = float((rated["pleasure"] - midpoint).abs().max()) or 1.0
    ends = [midpoint - limit, midpoint + limit]
    legend = alt.Legend(title="human pleasure", gradientLength=180, values=[ends[0], midpoint, ends[1]], format=".2g")
    scale = alt.Scale(domain=ends, range=CHART_MAP.stops())
    told = ["concept:N", alt.Tooltip("x:Q", format=".2f"), alt.Tooltip("y:Q", format=".2f"), "pleasure:Q"]
    x, y = _axes(frame, axes)
    base = alt.Chart(frame)
    filled = base.transform_filter("datum.known").mark_circle(size=64, stroke=RULE, strokeWidth=0.8, opacity=1)
    hollow = base.transform_filter("!datum.known").mark_circle(
        size=30, fill=PAPER, stroke=RULE, strokeWidth=1, opacity=1
    )
    colour = alt.Color("pleasure:Q", scale=scale, legend=legend)
    parts = [*_cross(frame), hollow.encode(x=x, y=y, tooltip=told), filled.encode(x=x, y=y, color=colour, tooltip=told)]
    note = f"r = {r:.2f}, permutation p = {p:.2g}"
    if len(rated) < len(frame):
        note += f"; {len(frame) - len(rated)} concepts without a rating are hollow"
    chart = alt.layer(*parts, *_names(frame)).properties(width=_WIDTH, height=_HEIGHT)
    return finish(chart, caption.adding(note), _WIDTH + 60)


def cluster_map(concepts: pd.DataFrame, *, caption: Caption, method: str, seed: int) -> AnyChart:
    """A two-dimensional embedding (UMAP, t-SNE, PCA), one colour and shape per cluster.

    Distances between far clusters mean nothing in such a map: it is a secondary view, so its seed is printed.

    Args:
        concepts: One row per concept: `concept`, `x`, `y` and `cluster` (a name or a number).
        caption: The words; method and seed are added to its subtitle.
        method: How the places were found, e.g. "UMAP, 15 neighbours".
        seed: The seed it ran with.

    Raises:
        UsageError: No rows, missing columns, or NaN.
    """
    check_frame("cluster map", concepts, ("concept", "x", "y", "cluster"), ("x", "y"))
    chart = _clustered(concepts, "cluster map", (None, None))
    return finish(chart, caption.adding(f"{method}, seed {seed}"), _WIDTH + 60)


def cluster_circumplex(concepts: pd.DataFrame, *, caption: Caption, axes: tuple[str, str] = ("PC1", "PC2")) -> AnyChart:
    """Two principal components, one colour and shape per given cluster; the axes know nothing of the clusters.

    Args:
        concepts: One row per concept: `concept`, `x`, `y` and `cluster` (a name).
        caption: The words.
        axes: Titles of the axes.

    Raises:
        UsageError: No rows, missing columns, or NaN.
    """
    check_frame("cluster circumplex", concepts, ("concept", "x", "y", "cluster"), ("x", "y"))
    return finish(_clustered(concepts, "cluster circumplex", axes), caption, _WIDTH + 60)


def _clustered(concepts: pd.DataFrame, what: str, titles: tuple[str | None, str | None]) -> Any:
    if concepts["cluster"].isna().any():
        raise UsageError(f"{what}: {int(concepts['cluster'].isna().sum())} concepts have no cluster; drop or name them")
    frame = concepts.copy()
    names = [str(name) for name in sorted(frame["cluster"].unique())]
    frame["cluster"] = frame["cluster"].astype(str)
    shapes = [_SHAPES[(index + index // 8) % len(_SHAPES)] for index in range(len(names))]
    legend = alt.Legend(title="cluster", symbolSize=70)
    x, y = _axes(frame, titles)
    points = alt.Chart(frame).mark_point(filled=True, size=58, opacity=1, stroke=PAPER, strokeWidth=0.6)
    points = points.encode(
        x=x,
        y=y,
        color=alt.Color("cluster:N", scale=alt.Scale(**categories(names)), legend=legend),
        shape=alt.Shape("cluster:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
        tooltip=["concept:N", "cluster:N"],
    )
    lines = _cross(frame) if titles != (None, None) else []
    return alt.layer(*lines, points, *_names(frame)).properties(width=_WIDTH, height=_HEIGHT)


def component_against_norm(
    concepts: pd.DataFrame, *, caption: Caption, component: str = "PC1", norm: str = "human pleasure"
) -> AnyChart:
    """One component against one human norm, with the least-squares line.

    Args:
        concepts: One row per concept: `concept`, `component` and `norm` (numbers).
        caption: The words.
        component: Title of the vertical axis.
        norm: Title of the horizontal axis.

    Raises:
        UsageError: Fewer than two rows, missing columns, NaN, or a norm that does not vary.
    """
    check_frame("component against norm", concepts, ("concept", "component", "norm"), ("component", "norm"))
    if concepts["norm"].nunique() < 2:
        raise UsageError(
            f"component against norm: all {len(concepts)} concepts have the same norm; a line needs two different ones"
        )
    frame = concepts.rename(columns={"norm": "x", "component": "y"})
    slope, start = np.polyfit(frame["x"].to_numpy(dtype=float), frame["y"].to_numpy(dtype=float), 1)
    ends = [float(frame["x"].min()), float(frame["x"].max())]
    fit = alt.InlineData(values=[{"x": end, "y": float(start + slope * end)} for end in ends])
    x, y = _axes(frame, (norm, component))
    line = alt.Chart(fit).mark_line(color=category(1), strokeWidth=2).encode(x=x, y=y)
    told = [
        "concept:N",
        alt.Tooltip("x:Q", title=norm, format=".2f"),
        alt.Tooltip("y:Q", title=component, format=".2f"),
    ]
    points = alt.Chart(frame).mark_circle(size=52, color=category(0), opacity=0.85)
    points = points.encode(x=x, y=y, tooltip=["concept:N", *told])
    chart = alt.layer(*_cross(frame), line, points, *_names(frame)).properties(width=_WIDTH, height=_HEIGHT)
    return finish(chart, caption, _WIDTH)


def _domains(frame: pd.DataFrame) -> tuple[list[float], list[float]]:
    xs, ys = (padded(float(frame[name].min()), float(frame[name].max())) for name in ("x", "y"))
    return xs, ys


def _axes(frame: pd.DataFrame, titles: tuple[str | None, str | None]) -> tuple[alt.X, alt.Y]:
    xs, ys = _domains(frame)
    # A map without meaningful axes (UMAP) has none.
    axes: list[Any] = [alt.Axis(title=title, grid=False, tickCount=6) if title else None for title in titles]
    x = alt.X("x:Q", axis=axes[0], scale=alt.Scale(domain=xs, nice=False, zero=False))
    y = alt.Y("y:Q", axis=axes[1], scale=alt.Scale(domain=ys, nice=False, zero=False))
    return x, y


def _cross(frame: pd.DataFrame) -> list[Any]:
    """Lines through 0, where 0 is in the picture."""
    xs, ys = _domains(frame)
    zero = alt.InlineData(values=[{"zero": 0}])
    lines: list[Any] = []
    if xs[0] < 0 < xs[1]:
        lines.append(alt.Chart(zero).mark_rule(color=RULE, strokeDash=[2, 3], strokeWidth=0.8).encode(x="zero:Q"))
    if ys[0] < 0 < ys[1]:
        lines.append(alt.Chart(zero).mark_rule(color=RULE, strokeDash=[2, 3], strokeWidth=0.8).encode(y="zero:Q"))
    return lines


def _names(frame: pd.DataFrame) -> list[Any]:
    """Names beside the points; those that fit nowhere are left out (the tooltip has them)."""
    xs, ys = _domains(frame)
    names = [str(name) for name in frame["concept"]]
    font = 10.5 if len(names) <= 60 else 9.0
    across = (frame["x"].to_numpy(dtype=float) - xs[0]) / (xs[1] - xs[0]) * _WIDTH
    down = (ys[1] - frame["y"].to_numpy(dtype=float)) / (ys[1] - ys[0]) * _HEIGHT
    places = place_labels(np.stack([across, down], axis=1), names, size=(_WIDTH, _HEIGHT), font=font)
    texts: list[Any] = []
    for align, side in (("left", 1.0), ("center", 0.0), ("right", -1.0)):
        records = [
            {"name": name, "across": round(float(place[0]), 1), "down": round(float(place[1]), 1)}
            for name, place in zip(names, places, strict=True)
            if place[2] == side
        ]
        if records:
            colour = INK if len(names) <= 60 else MUTED
            text = alt.Chart(alt.InlineData(values=records)).mark_text(
                fontSize=font, color=colour, align=align, baseline="middle", aria=False
            )
            # Pixel positions: `scale=None` hands the numbers through.
            texts.append(text.encode(x=alt.X("across:Q", scale=None), y=alt.Y("down:Q", scale=None), text="name:N"))
    return texts
