"""The house theme: captions, page colours, fonts and the chart configuration.

Charts are always built in light colours. Dark ones are the same chart with every page colour exchanged for its dark
twin (`PAGE`), which works on the JSON of a chart and on a finished SVG alike.
"""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import altair as alt

from thymos.figures.colours import OKABE_ITO, Scheme

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

PAPER, INK, MUTED, GRID, RULE = "#fcfcfb", "#1b1f24", "#59626c", "#e4e7ea", "#87919b"

PAGE: dict[Scheme, dict[str, str]] = {
    "light": {PAPER: PAPER, INK: INK, MUTED: MUTED, GRID: GRID, RULE: RULE},
    "dark": {PAPER: "#14171a", INK: "#eceef0", MUTED: "#a8b1bb", GRID: "#2b3138", RULE: "#7a848f"},
}
"""Page colours: paper, ink, muted ink, grid and rules, by their light value."""

_TITLE_SIZE, _SUBTITLE_SIZE, _LEAST_TITLE = 14, 11.5, 400.0

Spec: TypeAlias = dict[str, Any]
AnyChart: TypeAlias = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart
"""What a chart function returns."""


@dataclass(frozen=True)
class Caption:
    """The words around a chart: the title holds question and answer, the subtitle what is needed to judge it.

    Attributes:
        question: What the chart was made to find out, e.g. "Do the vectors tell held-out emotions apart?".
        answer: What it shows, e.g. "Yes: 61% at two thirds of the depth, against 14% by chance.".
        mark: What one mark is, e.g. "One point is one layer; the band is a 95% interval over topics".
        n: How much data is behind it, e.g. "n = 1,710 stories".
        chance: What would be seen without any effect, e.g. "chance 1/171", or None if it has no meaning here.
        passing: The pass mark fixed before the run, e.g. "pass mark 0.30", or None.
    """

    question: str
    answer: str
    mark: str
    n: str
    chance: str | None = None
    passing: str | None = None

    def title(self, width: float) -> list[str]:
        """Question and answer, wrapped to `width` pixels."""
        return _wrapped(f"{self.question} {self.answer}", width, 0.54 * _TITLE_SIZE)

    def subtitle(self, width: float) -> list[str]:
        """Mark, n, chance and pass mark, wrapped to `width` pixels."""
        # No line may begin with a dot or with "= 0.81": those spaces do not break.
        text = "\u00a0· ".join(self.notes).replace(" = ", "\u00a0=\u00a0")
        return _wrapped(text, width, 0.51 * _SUBTITLE_SIZE)

    @property
    def notes(self) -> tuple[str, ...]:
        """The parts of the subtitle that are there."""
        return tuple(part for part in (self.mark, self.n, self.chance, self.passing) if part)

    @property
    def alternative(self) -> str:
        """All of it in one line: the text alternative of the picture."""
        return f"{self.question} {self.answer} {'; '.join(self.notes)}."

    def adding(self, note: str) -> "Caption":
        """The same caption with one more thing said about the sample."""
        return replace(self, n=f"{self.n} · {note}" if self.n else note)


def finish(chart: AnyChart, caption: Caption, width: float) -> AnyChart:
    """Give a chart its title, its text alternative and the house configuration; nothing can be concatenated after it.

    Args:
        chart: Any Altair chart without a configuration of its own.
        caption: The words.
        width: Pixels there are for the title's lines, usually the chart's own width.
    """
    room = max(width, _LEAST_TITLE)
    title = alt.Title(text=caption.title(room), subtitle=caption.subtitle(room))
    return chart.properties(title=title, description=caption.alternative).configure(**_configuration())


def recolour(text: str, scheme: Scheme) -> str:
    """Exchange every page colour in the JSON of a chart or in an SVG."""
    for light, other in PAGE[scheme].items():
        text = text.replace(light, other)
    return text


def categories(names: list[str]) -> Mapping[str, Any]:
    """Domain and range of a colour scale over named categories, in order."""
    return {"domain": names, "range": [OKABE_ITO[index % len(OKABE_ITO)] for index in range(len(names))]}


def padded(low: float, high: float, share: float = 0.06) -> list[float]:
    """A scale's domain with a little air at both ends; a single value gets one unit around it."""
    air = (high - low) * share if high > low else max(0.5, abs(low) * share)
    return [low - air, high + air]


def _wrapped(text: str, width: float, per_letter: float) -> list[str]:
    return textwrap.wrap(text, max(24, math.floor(width / per_letter)), break_long_words=False) or [""]


def _configuration() -> Spec:
    axis = {
        "labelColor": MUTED,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11.5,
        "titleFontWeight": 500,
        "titlePadding": 8,
        "domainColor": RULE,
        "tickColor": RULE,
        "gridColor": GRID,
        "labelLimit": 240,
    }
    return {
        "background": PAPER,
        "font": FONT,
        "padding": 14,
        "axis": axis,
        "view": {"stroke": None},
        "legend": {"labelColor": INK, "titleColor": MUTED, "labelFontSize": 11, "titleFontSize": 11, "labelLimit": 260},
        "header": {"labelColor": INK, "titleColor": MUTED, "labelFontSize": 12},
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "color": INK,
            "fontSize": _TITLE_SIZE,
            "fontWeight": 600,
            "lineHeight": 19,
            "subtitleColor": MUTED,
            "subtitleFontSize": _SUBTITLE_SIZE,
            "subtitleLineHeight": 16,
            "subtitlePadding": 5,
            "offset": 14,
        },
        "range": {"category": list(OKABE_ITO)},
        "text": {"color": INK, "fontSize": 11},
        "rule": {"color": RULE},
    }
