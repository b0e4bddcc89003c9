"""Lines over an axis of numbers, and the loss curve of a training."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from thymos.figures._checks import check_frame
from thymos.figures._marks import level_lines
from thymos.figures.theme import AnyChart, Caption, categories, finish, padded

_WIDTH, _HEIGHT = 560.0, 300.0
_MOST_ROWS = 2_000
"""A loss curve with more rows is averaged in stretches: no screen shows more."""


def series_lines(
    points: pd.DataFrame, *, caption: Caption, axes: tuple[str, str] = ("x", "y"), dashed: str | None = None
) -> AnyChart:
    """One line per series over a common axis.

    Args:
        points: One row per point: `x`, `y` (numbers) and `series`; the series keep their order of appearance.
        caption: The words.
        axes: Titles of the axes.
        dashed: Series whose name holds this are dashed: the control.

    Raises:
        UsageError: No rows, missing columns, or NaN.
    """
    check_frame("lines", points, ("x", "y", "series"), ("x", "y"))
    frame = points.assign(series=points["series"].astype(str))
    names = [str(name) for name in frame["series"].unique()]
    x_ends = padded(float(frame["x"].min()), float(frame["x"].max()), 0.03)
    y_ends = padded(float(frame["y"].min()), float(frame["y"].max()))
    x = alt.X("x:Q", title=axes[0], scale=alt.Scale(domain=x_ends, nice=False, zero=False), axis=alt.Axis(tickCount=6))
    y = alt.Y("y:Q", title=axes[1], scale=alt.Scale(domain=y_ends, nice=False, zero=False))
    legend = alt.Legend(title=None, orient="top", symbolType="stroke") if len(names) > 1 else None
    colour = alt.Color("series:N", scale=alt.Scale(**categories(names)), legend=legend)
    strokes = [[5, 3] if dashed and dashed in name else [1, 0] for name in names]
    dash = alt.StrokeDash("series:N", scale=alt.Scale(domain=names, range=strokes), legend=legend)
    told = ["series:N", alt.Tooltip("x:Q", title=axes[0]), alt.Tooltip("y:Q", title=axes[1], format=".3f")]
    base = alt.Chart(frame)
    parts: list[Any] = [base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash)]
    parts.append(base.mark_point(filled=True, size=30, opacity=1).encode(x=x, y=y, color=colour, tooltip=told))
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_HEIGHT), caption, _WIDTH + 40)


def training_curve(losses: pd.DataFrame, *, caption: Caption, levels: dict[str, float] | None = None) -> AnyChart:
    """Loss against tokens seen, one line per stage of a training, with its running mean.

    Args:
        losses: One row per logged step, in order: `tokens` (seen so far, over all stages), `loss` (nats a token) and
            `stage`.
        caption: The words.
        levels: Name and height of horizontal lines, e.g. the entropy of the texts.

    Raises:
        UsageError: No rows, missing columns, or NaN.
    """
    check_frame("training curve", losses, ("tokens", "loss", "stage"), ("tokens", "loss"))
    stages = [str(name) for name in losses["stage"].unique()]
    frame = pd.concat([_smoothed(losses[losses["stage"].astype(str) == name]) for name in stages])
    lines = levels or {}
    domain = padded(min(float(frame["loss"].min()), *lines.values(), 1e9), float(frame["loss"].max()))
    end = float(frame["tokens"].max())
    x_scale = alt.Scale(domain=[0, end or 1.0], nice=False)
    x = alt.X("tokens:Q", title="Tokens seen", scale=x_scale, axis=alt.Axis(format="~s"))
    scale = alt.Scale(domain=[max(domain[0], 0.0), domain[1]], nice=False, zero=False)
    y = alt.Y("loss:Q", title="Loss (nats a token)", scale=scale)
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolOpacity=1)
    colour = alt.Color("stage:N", scale=alt.Scale(**categories(stages)), legend=legend if len(stages) > 1 else None)
    told = ["stage:N", alt.Tooltip("tokens:Q", format=","), alt.Tooltip("mean:Q", title="running mean", format=".3f")]
    base = alt.Chart(frame)
    parts: list[Any] = [base.mark_line(strokeWidth=1, opacity=0.35).encode(x=x, y=y, color=colour)]
    smooth = alt.Y("mean:Q", title="Loss (nats a token)", scale=scale)
    parts.append(base.mark_line(strokeWidth=2).encode(x=x, y=smooth, color=colour, tooltip=told))
    parts += level_lines(lines, [max(domain[0], 0.0), domain[1]], _WIDTH, _HEIGHT)
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_HEIGHT), caption, _WIDTH + 40)


def _smoothed(rows: pd.DataFrame) -> pd.DataFrame:
    """The curve, no longer than is drawn, with its running mean over a fiftieth of it."""
    frame = rows[["tokens", "loss", "stage"]].reset_index(drop=True)
    if len(frame) > _MOST_ROWS:
        part = np.arange(len(frame)) * _MOST_ROWS // len(frame)
        frame = frame.groupby(part).agg({"tokens": "last", "loss": "mean", "stage": "first"})
    window = max(len(frame) // 50, 1)
    return frame.assign(mean=frame["loss"].rolling(window, min_periods=1).mean())
