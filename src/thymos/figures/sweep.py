"""A metric by layer, and explained variance by component."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.figures._checks import check_array, check_frame
from thymos.figures._marks import level_lines
from thymos.figures.colours import category
from thymos.figures.theme import INK, RULE, AnyChart, Caption, categories, finish, padded

_WIDTH, _HEIGHT = 560.0, 300.0


def recall_by_layer(
    layers: pd.DataFrame,
    *,
    caption: Caption,
    metric: str = "Held-out recall",
    chance: float | None = None,
    baselines: Mapping[str, float] | None = None,
    chosen: int | None = None,
) -> AnyChart:
    """Recall, AUROC or another metric against relative depth, with an interval band.

    Args:
        layers: One row per layer (and series): `layer` (int), `depth` (fraction of the blocks, 0 to 1), `value`, and
            optionally `low` and `high` (interval) and `series` (name of a line, e.g. an estimator).
        caption: The words.
        metric: Title of the vertical axis.
        chance: Height of the chance line.
        baselines: Name and value of each baseline, e.g. {"bag of words": 0.22}.
        chosen: The layer in use; a vertical line marks it.

    Raises:
        UsageError: No rows, missing columns, NaN, or a chosen layer without a row.
    """
    check_frame("layer sweep", layers, ("layer", "depth", "value"), ("layer", "depth", "value", "low", "high"))
    frame = layers.copy()
    several = "series" in frame.columns
    names = [str(name) for name in frame["series"].unique()] if several else [metric]
    frame["series"] = frame["series"].astype(str) if several else metric
    lines = {**({"chance": chance} if chance is not None else {}), **(baselines or {})}
    domain = _domain(frame, list(lines.values()))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(domain=domain, nice=False))
    x = alt.X("depth:Q", title="Relative depth (share of the blocks)", scale=alt.Scale(domain=[0, 1.0]))
    legend = alt.Legend(title=None, orient="top", symbolType="stroke") if several else None
    colour = alt.Color("series:N", scale=alt.Scale(**categories(names)), legend=legend)
    base = alt.Chart(frame)
    parts: list[Any] = []
    if chosen is not None:
        parts += _chosen(frame, chosen)
    if {"low", "high"} <= set(frame.columns):
        band = base.mark_area(opacity=0.2).encode(x=x, y=alt.Y("low:Q", title=metric), y2="high:Q", color=colour)
        parts.append(band)
    parts += level_lines(lines, domain, _WIDTH, _HEIGHT)
    told = [
        alt.Tooltip("series:N"),
        "layer:Q",
        alt.Tooltip("depth:Q", format=".2f"),
        alt.Tooltip("value:Q", format=".3f"),
    ]
    parts.append(base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour))
    parts.append(base.mark_point(filled=True, size=34, opacity=1).encode(x=x, y=y, color=colour, tooltip=told))
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_HEIGHT), caption, _WIDTH + 40)


def explained_variance(
    shares: Float[np.ndarray, " components"],
    *,
    caption: Caption,
    kept: int | None = None,
    threshold: float | None = None,
) -> AnyChart:
    """Share of the variance of each principal component, and their running sum.

    Args:
        shares: Explained-variance ratios in falling order, each 0 to 1.
        caption: The words.
        kept: How many components are in use (removed, or kept); drawn darker.
        threshold: A share of the variance to reach, drawn as a line.

    Raises:
        UsageError: No components, NaN, or ratios outside 0 to 1.
    """
    check_array("explained variance", shares)
    if shares.min() < 0 or shares.sum() > 1 + 1e-6:
        raise UsageError(
            f"explained variance: the ratios run from {shares.min():.3g} to {shares.max():.3g} and sum to "
            f"{shares.sum():.3g}; they must be 0 to 1 and sum to at most 1: divide by the total variance"
        )
    rank = np.arange(1, len(shares) + 1)
    frame = pd.DataFrame({"component": rank, "share": shares, "sum": np.minimum(np.cumsum(shares), 1.0)})
    frame["use"] = np.where(rank <= (kept if kept is not None else len(shares)), "in use", "not in use")
    x = alt.X("component:O", title="Principal component", axis=alt.Axis(labelAngle=0, labelOverlap="greedy"))
    y = alt.Y("share:Q", title="Share of variance", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    colour = alt.Color("use:N", scale=alt.Scale(domain=["in use", "not in use"], range=[category(0), "#a9c4d8"]))
    legend = alt.Legend(title=None, orient="top") if kept is not None else None
    told = ["component:O", alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("sum:Q", format=".1%")]
    bars = alt.Chart(frame).mark_bar().encode(x=x, y=y, color=colour.legend(legend), tooltip=told)
    line = alt.Chart(frame).mark_line(color=category(1), point={"size": 28, "color": category(1)}, strokeWidth=2)
    running = line.encode(x=x, y="sum:Q")
    last = alt.Chart(frame.tail(1)).mark_text(align="right", dy=-10, color=category(1), text="running sum")
    parts = [bars, running, last.encode(x=x, y="sum:Q")]
    if threshold is not None:
        parts += level_lines({"pass mark": threshold}, (0.0, 1.0), _WIDTH, _HEIGHT)
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_HEIGHT), caption, _WIDTH + 40)


def _domain(frame: pd.DataFrame, levels: Sequence[float]) -> list[float]:
    present = [frame[name] for name in ("value", "low", "high") if name in frame.columns]
    low = min([float(column.min()) for column in present] + list(levels))
    high = max([float(column.max()) for column in present] + list(levels))
    domain = padded(low, high)
    # Shares and AUROCs live in 0 to 1: the axis shows 0 whenever the data comes near it, and never more than all.
    if low >= 0 and high <= 1:
        domain = [0.0 if low < 0.5 else max(0.0, domain[0]), min(1.0, domain[1])]
    return domain


def _chosen(frame: pd.DataFrame, layer: int) -> list[Any]:
    row = frame[frame["layer"] == layer]
    if row.empty:
        known = sorted(int(value) for value in frame["layer"].unique())
        raise UsageError(f"layer sweep: the chosen layer {layer} has no row; layers drawn: {known}")
    data = alt.Data(values=[{"depth": float(row["depth"].iloc[0]), "name": f"layer {layer}"}])
    rule = alt.Chart(data).mark_rule(color=RULE, strokeWidth=1.2).encode(x="depth:Q")
    text = alt.Chart(data).mark_text(align="left", dx=4, dy=7, color=INK, fontSize=10.5)
    return [rule, text.encode(x="depth:Q", y=alt.value(0), text="name:N")]
