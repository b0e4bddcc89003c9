"""Readings over token positions: one panel per concept, role bands behind, thresholds across."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from thymos.errors import UsageError
from thymos.figures._checks import check_frame
from thymos.figures.colours import category
from thymos.figures.theme import MUTED, RULE, AnyChart, Caption, finish, padded

_WIDTH, _HEIGHT = 720.0, 84.0

Band = tuple[str, int, int]
"""Role, first token, one past the last token."""


def score_timeline(
    scores: pd.DataFrame,
    *,
    caption: Caption,
    roles: Sequence[Band] = (),
    thresholds: Mapping[str, float] | None = None,
    alerts: Mapping[str, Sequence[int]] | None = None,
    unit: str = "cosine",
) -> AnyChart:
    """Scores over token positions as small multiples on shared axes.

    Args:
        scores: One row per token and concept: `position` (absolute), `concept`, `score`. Panels follow the order in
            which concepts first appear.
        caption: The words.
        roles: Spans of the chat, shown as bands and named above the first panel, e.g. [("user", 3, 41)].
        thresholds: Threshold by concept, in the unit of the scores.
        alerts: Positions at which a rule fired, by concept; marked above the line.
        unit: Unit of the scores, written beside each concept.

    Raises:
        UsageError: No rows, missing columns, NaN, an empty role span, or a threshold or alert for a concept without
            scores.
    """
    check_frame("timeline", scores, ("position", "concept", "score"), ("position", "score"))
    concepts = [str(concept) for concept in scores["concept"].unique()]
    levels, fired = dict(thresholds or {}), dict(alerts or {})
    for what, names in (("threshold", levels), ("alert", fired)):
        if strange := sorted(set(names) - set(concepts)):
            raise UsageError(f"timeline: {what} for {strange}, which have no scores; concepts drawn: {concepts}")
    for role, start, stop in roles:
        if start >= stop:
            raise UsageError(f"timeline: the span of {role!r} is {start}..{stop}; its end must come after its start")
    low = min([float(scores["score"].min()), *levels.values()])
    high = max([float(scores["score"].max()), *levels.values()])
    y_ends = padded(low, high, 0.08)
    x_ends = [float(scores["position"].min()) - 0.5, float(scores["position"].max()) + 0.5]
    panels = []
    for index, concept in enumerate(concepts):
        edges = (index == 0, index == len(concepts) - 1)
        frame = scores[scores["concept"].astype(str) == concept]
        parts = [
            *_bands(roles, x_ends, named=edges[0]),
            *_line(frame, (x_ends, y_ends), [concept, unit], last=edges[1]),
            *_threshold(levels.get(concept)),
            *_alerts(frame, fired.get(concept, ())),
        ]
        panels.append(alt.layer(*parts).properties(width=_WIDTH, height=_HEIGHT))
    return finish(alt.vconcat(*panels, spacing=10), caption, _WIDTH + 100)


def _bands(roles: Sequence[Band], ends: list[float], *, named: bool) -> list[Any]:
    """Bands keep one colour per role; a thin rule at each start tells neighbours apart without colour."""
    kinds = list(dict.fromkeys(role for role, _, _ in roles))
    parts: list[Any] = []
    for role, start, stop in roles:
        low, high = max(start - 0.5, ends[0]), min(stop - 0.5, ends[1])
        if low >= high:
            continue
        data = alt.InlineData(values=[{"start": low, "stop": high, "role": role}])
        band = alt.Chart(data).mark_rect(color=category(5 - kinds.index(role) % 4), opacity=0.14, aria=False)
        parts.append(band.encode(x="start:Q", x2="stop:Q"))
        parts.append(alt.Chart(data).mark_rule(color=RULE, strokeWidth=0.8, aria=False).encode(x="start:Q"))
        if named:
            text = alt.Chart(data).mark_text(align="left", baseline="bottom", dx=2, dy=-3, color=MUTED, fontSize=10.5)
            parts.append(text.encode(x="start:Q", y=alt.value(0), text="role:N"))
    return parts


def _line(frame: pd.DataFrame, ends: tuple[list[float], list[float]], title: list[str], *, last: bool) -> list[Any]:
    axis = alt.Axis(title="Token position" if last else None, labels=last, ticks=last, grid=False, format="d")
    x = alt.X("position:Q", axis=axis, scale=alt.Scale(domain=ends[0], nice=False, zero=False))
    y_axis = alt.Axis(
        tickCount=3, format=".2~g", titleAngle=0, titleAlign="right", titleBaseline="middle", titlePadding=10
    )
    y = alt.Y("score:Q", title=title, axis=y_axis, scale=alt.Scale(domain=ends[1], nice=False, zero=False))
    # Inline records: a long chat has more tokens than the 5000 rows Altair accepts in a frame.
    records = [
        {"position": int(position), "score": round(float(score), 5)}
        for position, score in zip(frame["position"], frame["score"], strict=True)
    ]
    told = ["position:Q", alt.Tooltip("score:Q", format="+.3f")]
    line = alt.Chart(alt.InlineData(values=records)).mark_line(strokeWidth=1.4, color=category(0))
    return [line.encode(x=x, y=y, tooltip=told)]


def _threshold(value: float | None) -> list[Any]:
    if value is None:
        return []
    data = alt.InlineData(values=[{"score": value, "name": f"threshold {value:.2g}"}])
    rule = alt.Chart(data).mark_rule(color=category(1), strokeDash=[6, 3], strokeWidth=1.3).encode(y="score:Q")
    text = alt.Chart(data).mark_text(align="left", dx=5, color=MUTED, fontSize=10)
    return [rule, text.encode(x=alt.value(_WIDTH), y="score:Q", text="name:N")]


def _alerts(frame: pd.DataFrame, positions: Sequence[int]) -> list[Any]:
    if not positions:
        return []
    rows = frame[frame["position"].isin(list(positions))]
    if len(rows) < len(set(positions)):
        raise UsageError(
            f"timeline: alerts at {sorted(positions)}, but only {len(rows)} of these positions have a score"
        )
    records = [{"position": int(p), "score": float(s)} for p, s in zip(rows["position"], rows["score"], strict=True)]
    marks = alt.Chart(alt.InlineData(values=records)).mark_point(
        shape="triangle-down", filled=True, size=70, color=category(1), opacity=1, yOffset=-8
    )
    return [marks.encode(x="position:Q", y="score:Q")]
