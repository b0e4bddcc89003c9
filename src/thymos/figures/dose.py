"""Dose and response: how often a behaviour happens at each steering strength, and what it costs in coherence."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from thymos.figures._checks import check_frame
from thymos.figures._marks import level_lines
from thymos.figures.colours import OKABE_ITO
from thymos.figures.theme import MUTED, RULE, AnyChart, Caption, finish, padded

_WIDTH, _HEIGHT, _LOWER = 540.0, 270.0, 120.0
_STRENGTH = "Strength (share of the mean residual norm)"


def dose_response(
    rates: pd.DataFrame,
    *,
    caption: Caption,
    behaviour: str = "Rate of the behaviour",
    chance: float | None = None,
    unsteered: float | None = None,
    coherence: pd.DataFrame | None = None,
    least_coherence: float | None = None,
) -> AnyChart:
    """Rate of a behaviour against steering strength, with controls, and coherence below on the same axis.

    Args:
        rates: One row per strength and arm: `strength` (in residual norms; negative is away from the concept), `rate`
            (0 to 1), optionally `low` and `high` (Wilson interval) and `arm`. The arms are drawn in their order of
            appearance; those whose name begins with "random" are grey and dashed: they are the control.
        caption: The words.
        behaviour: Title of the vertical axis.
        chance: Height of a line labelled "chance".
        unsteered: Height of a line labelled "unsteered", the rate without any dose.
        coherence: The lower panel, or None: `strength`, `value`, and optionally `low`, `high` and `arm`.
        least_coherence: The coherence fixed beforehand as the limit of usable strengths.

    Raises:
        UsageError: No rows, missing columns, or NaN.
    """
    check_frame("dose-response", rates, ("strength", "rate"), ("strength", "rate", "low", "high"))
    frames = [_armed(rates.rename(columns={"rate": "value"}))]
    if coherence is not None:
        check_frame("coherence", coherence, ("strength", "value"), ("strength", "value", "low", "high"))
        frames.append(_armed(coherence))
    arms = list(dict.fromkeys(str(arm) for frame in frames for arm in frame["arm"]))
    strengths = pd.concat([frame["strength"] for frame in frames])
    domain = padded(float(strengths.min()), float(strengths.max()), 0.03)
    lines = {name: at for name, at in (("chance", chance), ("unsteered", unsteered)) if at is not None}
    upper_lines = level_lines(lines, (0.0, 1.0), _WIDTH, _HEIGHT)
    single = coherence is None
    upper = alt.layer(
        *_zero(domain),
        *upper_lines,
        *_curves(frames[0], arms, domain, (behaviour, [0.0, 1.0], ".0%"), bottom=single),
    ).properties(width=_WIDTH, height=_HEIGHT)
    if single:
        return finish(upper, caption, _WIDTH + 70)
    limits = {} if least_coherence is None else {"limit": least_coherence}
    values = [frames[1][name] for name in ("value", "low", "high") if name in frames[1].columns]
    bottom, top = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    ends = [0.0, 1.0] if bottom >= 0 and top <= 1 else padded(min(bottom, *limits.values(), top), top)
    lower = alt.layer(
        *_zero(domain),
        *level_lines(limits, ends, _WIDTH, _LOWER),
        *_curves(frames[1], arms, domain, ("Coherence", ends, ".2~g"), bottom=True),
    ).properties(width=_WIDTH, height=_LOWER)
    return finish(alt.vconcat(upper, lower, spacing=14), caption, _WIDTH + 70)


def _armed(frame: pd.DataFrame) -> pd.DataFrame:
    if "arm" in frame.columns:
        return frame.assign(arm=frame["arm"].astype(str))
    return frame.assign(arm="steered")


def _arm_colours(arms: Sequence[str]) -> list[str]:
    """Controls are grey; the others take the categories in order."""
    free = iter(OKABE_ITO[index % 6] for index in range(len(arms)))
    return [MUTED if arm.startswith("random") else next(free) for arm in arms]


def _curves(
    frame: pd.DataFrame, arms: list[str], domain: list[float], axis: tuple[str, list[float], str], *, bottom: bool
) -> list[Any]:
    """Band, line and points of every arm in one panel; only the lowest panel names the strength axis."""
    title, ends, form = axis
    x_axis = alt.Axis(title=_STRENGTH if bottom else None, labels=bottom, ticks=bottom, format="+.2~g")
    x = alt.X("strength:Q", axis=x_axis, scale=alt.Scale(domain=domain, nice=False, zero=False))
    scale = alt.Scale(domain=ends, nice=False)
    y_axis = alt.Axis(format=form, tickCount=5 if ends == [0.0, 1.0] else 4)
    y = alt.Y("value:Q", title=title, scale=scale, axis=y_axis)
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5)
    shown = legend if len(arms) > 1 else None
    colour = alt.Color("arm:N", scale=alt.Scale(domain=arms, range=_arm_colours(arms)), legend=shown)
    dashes = alt.Scale(domain=arms, range=[[5, 3] if arm.startswith("random") else [1, 0] for arm in arms])
    base = alt.Chart(frame)
    parts: list[Any] = []
    if {"low", "high"} <= set(frame.columns):
        band = base.mark_area(opacity=0.18, clip=True)
        parts.append(band.encode(x=x, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q", color=colour))
    line = base.mark_line(strokeWidth=2, clip=True)
    parts.append(line.encode(x=x, y=y, color=colour, strokeDash=alt.StrokeDash("arm:N", scale=dashes, legend=shown)))
    told = ["arm:N", alt.Tooltip("strength:Q", format="+.3f"), alt.Tooltip("value:Q", format=".3f")]
    points = base.mark_point(filled=True, size=36, opacity=1)
    parts.append(points.encode(x=x, y=y, color=colour, tooltip=told))
    return parts


def _zero(domain: list[float]) -> list[Any]:
    """A line at strength 0, where every arm must agree."""
    if not domain[0] < 0 < domain[1]:
        return []
    data = alt.InlineData(values=[{"strength": 0}])
    return [alt.Chart(data).mark_rule(color=RULE, strokeWidth=1).encode(x="strength:Q")]
