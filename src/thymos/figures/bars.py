"""Differences and rankings by concept: dumbbells, a forest plot, the top concepts."""

import altair as alt
import numpy as np
import pandas as pd

from thymos.errors import UsageError
from thymos.figures._checks import check_frame, check_named
from thymos.figures.colours import category
from thymos.figures.theme import INK, MUTED, PAPER, RULE, AnyChart, Caption, finish, padded

_WIDTH = 460.0
_ROW = 22.0


def dumbbells(
    pairs: pd.DataFrame,
    *,
    caption: Caption,
    names: tuple[str, str] = ("before", "after"),
    unit: str = "score",
    order: bool = True,
) -> AnyChart:
    """Two values per concept joined by a line, e.g. base model and tuned model.

    Args:
        pairs: One row per concept: `label`, `first` and `second` (numbers on one scale).
        caption: The words.
        names: What the two values are.
        unit: Title of the horizontal axis.
        order: Sort by difference, largest rise first; otherwise the rows stay in the order given.

    Raises:
        UsageError: No rows, missing columns, NaN, or repeated labels.
    """
    check_frame("paired differences", pairs, ("label", "first", "second"), ("first", "second"))
    check_named("paired differences", list(pairs["label"]), len(pairs))
    frame = pairs.assign(difference=pairs["second"] - pairs["first"])
    if order:
        frame = frame.sort_values("difference", ascending=False, kind="stable")
    rows = [str(label) for label in frame["label"]]
    ends = frame.melt(["label", "difference"], ["first", "second"], "which", "value")
    ends["which"] = ends["which"].map({"first": names[0], "second": names[1]})
    domain = padded(float(ends["value"].min()), float(ends["value"].max()))
    x = alt.X("value:Q", title=unit, scale=alt.Scale(domain=domain, nice=False))
    y = alt.Y("label:N", title=None, sort=None, scale=alt.Scale(domain=rows), axis=alt.Axis(grid=True, ticks=False))
    colour = alt.Color(
        "which:N",
        scale=alt.Scale(domain=list(names), range=[category(4), category(0)]),
        legend=alt.Legend(title=None, orient="top"),
    )
    shape = alt.Shape("which:N", scale=alt.Scale(domain=list(names), range=["square", "circle"]))
    line = alt.Chart(frame).mark_rule(color=RULE, strokeWidth=2)
    joined = line.encode(x=alt.X("first:Q", title=unit, scale=alt.Scale(domain=domain, nice=False)), x2="second:Q", y=y)
    told = ["label:N", "which:N", alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("difference:Q", format="+.3f")]
    points = alt.Chart(ends).mark_point(filled=True, size=70, opacity=1)
    drawn = points.encode(x=x, y=y, color=colour, shape=shape, tooltip=told)
    return finish(alt.layer(joined, drawn).properties(width=_WIDTH, height=_ROW * len(rows)), caption, _WIDTH + 90)


def forest(
    estimates: pd.DataFrame,
    *,
    caption: Caption,
    unit: str = "difference",
    reference: float | None = 0.0,
    order: bool = False,
) -> AnyChart:
    """Estimates with their intervals, one row each, against a line of no effect.

    Intervals that do not reach the reference are filled, the others hollow.

    Args:
        estimates: One row per estimate: `label`, `estimate`, `low`, `high`, and optionally `n`.
        caption: The words.
        unit: Title of the horizontal axis.
        reference: Where "no effect" is, or None.
        order: Sort by estimate, largest first.

    Raises:
        UsageError: No rows, missing columns, NaN, repeated labels, or an interval whose low end is above its high end.
    """
    numbers = ("estimate", "low", "high", "n")
    check_frame("forest plot", estimates, ("label", "estimate", "low", "high"), numbers)
    check_named("forest plot", list(estimates["label"]), len(estimates))
    if (estimates["low"] > estimates["high"]).any():
        first = estimates[estimates["low"] > estimates["high"]].iloc[0]
        raise UsageError(
            f"forest plot: {first['label']!r} has the interval [{first['low']}, {first['high']}]; swap its ends"
        )
    frame = estimates.sort_values("estimate", ascending=False, kind="stable") if order else estimates.copy()
    if "n" in frame.columns:
        frame["label"] = [f"{label}  (n = {n:,.0f})" for label, n in zip(frame["label"], frame["n"], strict=True)]
    rows = [str(label) for label in frame["label"]]
    level = -np.inf if reference is None else reference
    frame["clear"] = (frame["low"] > level) | (frame["high"] < level)
    frame["text"] = [
        f"{e:+.2f} [{a:+.2f}, {b:+.2f}]".replace("-", "−") for e, a, b in frame[["estimate", "low", "high"]].to_numpy()
    ]
    marks = [] if reference is None else [reference]
    domain = padded(min([float(frame["low"].min()), *marks]), max([float(frame["high"].max()), *marks]))
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    y = alt.Y("label:N", title=None, sort=None, scale=alt.Scale(domain=rows), axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(frame)
    bars = base.mark_rule(color=category(0), strokeWidth=2)
    parts = [bars.encode(x=alt.X("low:Q", title=unit, scale=scale), x2="high:Q", y=y)]
    points = base.mark_point(size=64, stroke=category(0), opacity=1, filled=True, strokeWidth=1.6)
    fill = alt.condition("datum.clear", alt.value(category(0)), alt.value(PAPER))
    parts.append(
        points.encode(x=alt.X("estimate:Q", title=unit, scale=scale), y=y, fill=fill, stroke=alt.value(category(0)))
    )
    text = base.mark_text(align="left", dx=10, fontSize=10.5, color=MUTED)
    parts.append(text.encode(x=alt.value(_WIDTH), y=y, text="text:N"))
    if reference is not None:
        zero = alt.Chart(alt.InlineData(values=[{"reference": reference}]))
        parts.insert(
            0, zero.mark_rule(color=INK, strokeDash=[2, 3]).encode(x=alt.X("reference:Q", title=unit, scale=scale))
        )
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_ROW * len(rows)), caption, _WIDTH + 180)


def top_concepts(scores: pd.DataFrame, *, caption: Caption, unit: str = "cosine", most: int = 15) -> AnyChart:
    """The concepts with the largest scores as bars, colour by sign.

    Args:
        scores: One row per concept: `concept`, `score`, and optionally `low` and `high`.
        caption: The words.
        unit: Title of the horizontal axis.
        most: How many bars; the largest by absolute value, drawn in falling order of the score.

    Raises:
        UsageError: No rows, missing columns, NaN, repeated concepts, or `most` below 1.
    """
    check_frame("top concepts", scores, ("concept", "score"), ("score", "low", "high"))
    check_named("top concepts", list(scores["concept"]), len(scores))
    if most < 1:
        raise UsageError(f"top concepts: most={most}; give 1 or more")
    largest = scores.loc[scores["score"].abs().sort_values(ascending=False, kind="stable").index[:most]]
    frame = largest.sort_values("score", ascending=False, kind="stable")
    rows = [str(concept) for concept in frame["concept"]]
    present = [frame[name] for name in ("score", "low", "high") if name in frame.columns]
    ends = (min(0.0, *(float(c.min()) for c in present)), max(0.0, *(float(c.max()) for c in present)))
    low, high = padded(*ends)
    scale = alt.Scale(domain=[low if ends[0] < 0 else 0.0, high if ends[1] > 0 else 0.0], nice=False)
    y = alt.Y(
        "concept:N", title=None, sort=None, scale=alt.Scale(domain=rows), axis=alt.Axis(ticks=False, domain=False)
    )
    base = alt.Chart(frame)
    fill = alt.condition("datum.score < 0", alt.value(category(0)), alt.value(category(1)))
    told = ["concept:N", alt.Tooltip("score:Q", format="+.3f")]
    bars = base.mark_bar(height={"band": 0.72}).encode(
        x=alt.X("score:Q", title=unit, scale=scale), y=y, color=fill, tooltip=told
    )
    parts = [bars]
    if {"low", "high"} <= set(frame.columns):
        whisker = base.mark_rule(color=INK, strokeWidth=1.2)
        parts.append(whisker.encode(x=alt.X("low:Q", title=unit, scale=scale), x2="high:Q", y=y))
    value = base.mark_text(align="left", dx=10, fontSize=10.5, color=MUTED)
    parts.append(value.encode(x=alt.value(_WIDTH), y=y, text=alt.Text("score:Q", format="+.3f")))
    return finish(alt.layer(*parts).properties(width=_WIDTH, height=_ROW * len(rows)), caption, _WIDTH + 130)
