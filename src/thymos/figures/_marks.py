"""Marks that several charts share: level lines with names, and labels that do not cover each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from jaxtyping import Float

from thymos.figures.theme import MUTED

_LABEL_GAP = 13.0
"""Least distance of two names at the side of a chart, in pixels."""


def level_lines(lines: Mapping[str, float], domain: Sequence[float], width: float, height: float) -> list[Any]:
    """Horizontal lines with their names beyond the right end; names of near lines are moved apart.

    Args:
        lines: Name and value of each line; the one called "chance" is dotted, the others are dashed.
        domain: Lower and upper end of the vertical axis.
        width: Width of the chart in pixels.
        height: Height of the chart in pixels.
    """
    names = sorted(lines, key=lambda name: -lines[name])
    scale = height / (domain[1] - domain[0])
    heights = apart([(domain[1] - lines[name]) * scale for name in names], _LABEL_GAP, height)
    parts: list[Any] = []
    for name, pixel in zip(names, heights, strict=True):
        data = alt.Data(values=[{"value": float(lines[name]), "name": f"{name} {lines[name]:.2g}"}])
        dash = [2, 3] if name == "chance" else [7, 3]
        rule = alt.Chart(data).mark_rule(color=MUTED, strokeDash=dash, strokeWidth=1.2)
        text = alt.Chart(data).mark_text(align="left", baseline="middle", dx=5, color=MUTED, fontSize=10.5)
        parts += [rule.encode(y="value:Q"), text.encode(x=alt.value(width), y=alt.value(pixel), text="name:N")]
    return parts


def apart(heights: Sequence[float], gap: float, limit: float) -> list[float]:
    """Move rising positions apart until they are `gap` from each other, staying above `limit` where there is room."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    for index in range(len(moved) - 1, -1, -1):
        ceiling = limit if index == len(moved) - 1 else moved[index + 1] - gap
        moved[index] = min(moved[index], max(ceiling, 0.0))
    return moved


def place_labels(
    points: Float[np.ndarray, "points 2"], names: Sequence[str], *, size: tuple[float, float], font: float = 10.0
) -> Float[np.ndarray, "points 3"]:
    """Where each point's name goes, so that no name covers another name or a point.

    Tries eight places around each point, the most remote points first; a name that fits nowhere is left out.

    Args:
        points: Pixel positions from the upper left corner.
        names: One name per point.
        size: Width and height of the chart in pixels.
        font: Size of the letters in pixels.

    Returns:
        Per name: the pixel position of its anchor, and -1, 0 or 1 where the anchor is the right end, the middle or the
        left end of the text; NaN where it is left out.
    """
    placed = np.full((len(names), 3), np.nan)
    boxes = np.concatenate([points - 4.0, points + 4.0], axis=1)
    remote = np.argsort(-np.linalg.norm(points - points.mean(axis=0), axis=1), kind="stable")
    for index in remote:
        half = np.array([0.28 * font * len(names[index]) + 1.0, 0.55 * font])
        for side in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -0.9), (-1, -0.9), (1, 0.9), (-1, 0.9)):
            centre = points[index] + np.array(side) * (half + 5.0)
            box = np.concatenate([centre - half, centre + half])
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]
            others = np.delete(boxes, index, axis=0) if len(boxes) > 1 else boxes[:0]
            if inside and not _overlaps(box, others):
                placed[index] = centre[0] - side[0] * half[0], centre[1], side[0]
                boxes = np.vstack([boxes, box])
                break
    return placed


def _overlaps(box: Float[np.ndarray, "4"], others: Float[np.ndarray, "boxes 4"]) -> bool:
    beside = (box[2] <= others[:, 0]) | (others[:, 2] <= box[0]) | (box[3] <= others[:, 1]) | (others[:, 3] <= box[1])
    return bool((~beside).any())
