"""The page of the scorecard: every figure with its mark, and a drawing of every table that has a shape."""

import html
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from thymos.figures import Caption, component_against_norm, dose_response, dumbbells, series_lines, to_svg
from thymos.organism.scorecard import Figure
from thymos.organism.scorecard import Section as Scores
from thymos.reports import Mark, Page, Section

__all__ = ["reached", "score_page", "value_of"]

_MOST_ROWS = 200


def value_of(figure: Figure) -> str:
    """The estimate with its interval."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def reached(figure: Figure) -> str:
    """The verdict: reached or missed; nothing where there is no mark."""
    return "" if figure.reached is None else "reached" if figure.reached else "missed"


def score_page(sections: Sequence[Scores], summary: Mapping[str, object], about: str) -> Page:
    """The page: all marks first, then the tables, drawn."""
    return Page(
        title="Scorecard of the bundled model",
        about=about,
        summary=summary,
        marks=tuple(_mark(section, figure) for section in sections for figure in section.figures),
        groups=tuple((s.title.capitalize(), drawn) for s in sections if (drawn := _drawings(s))),
        record=json.dumps([section.to_dict()["figures"] for section in sections], indent=1),
    )


def _mark(section: Scores, figure: Figure) -> Mark:
    return Mark(
        question=f"{section.title}: {figure.name}",
        figure=value_of(figure),
        against=figure.note,
        n="",
        verdict="reported" if figure.reached is None else "met" if figure.reached else "missed",
        passing="" if figure.mark is None else f"{figure.side} {figure.mark:.4g}",
    )


def _drawings(section: Scores) -> tuple[Section, ...]:
    found = []
    for name, rows in section.tables.items():
        frame = pd.DataFrame(rows)
        draw = next((draw for columns, draw in _DRAW if columns <= set(frame.columns)), _as_table)
        if not frame.empty:
            found += draw(name, frame)
    return tuple(found)


def _caption(question: str, mark: str, frame: pd.DataFrame, answer: str = "") -> Caption:
    return Caption(question=question, answer=answer, mark=mark, n=f"{len(frame)} rows")


def _scatter(name: str, frame: pd.DataFrame, columns: tuple[str, str], titles: tuple[str, str]) -> list[Section]:
    """What was found against what was planted, one picture per behaviour."""
    found = []
    first, second = columns
    for part, rows in frame.groupby("behaviour", sort=False) if "behaviour" in frame else [(name, frame)]:
        if min(rows[first].nunique(), rows[second].nunique()) < 2:
            continue
        word = "emotion" if "emotion" in rows else "concept"
        points = rows.rename(columns={word: "concept", first: "norm", second: "component"})
        r = float(np.corrcoef(points["norm"], points["component"])[0, 1])
        caption = _caption(f"{part}: does it follow the plant?", "One point is one emotion", points, f"r = {r:.2f}.")
        chart = component_against_norm(points, caption=caption, component=titles[1], norm=titles[0])
        found.append(Section(str(part), to_svg(chart)))
    return found


def _shift(name: str, frame: pd.DataFrame) -> list[Section]:
    return _scatter(name, frame, ("planted", "shift"), ("planted shift", "shift of the reading"))


def _calibration(name: str, frame: pd.DataFrame) -> list[Section]:
    return _scatter(name, frame, ("planted", "model"), ("planted probability", "probability by the model"))


def _specificity(name: str, frame: pd.DataFrame) -> list[Section]:
    return _scatter(name, frame, ("disposition", "effect"), ("planted disposition", "change of probability"))


def _doses(name: str, frame: pd.DataFrame) -> list[Section]:
    """Mean readings over templates by fifths of the way from the mildest to the gravest number."""
    place = frame.groupby(["template", "control"], sort=False).cumcount()
    last = frame.groupby(["template", "control"], sort=False)["template"].transform("size") - 1
    fifths = (5 * place / last.clip(lower=1)).round() / 5
    rows = []
    for (control, share), part in frame.assign(share=fifths).groupby(["control", "share"]):
        what = "harmless" if control else "danger"
        rows += [{"x": share, "y": float(part[c].mean()), "series": f"{c}, {what}"} for c in ("afraid", "calm")]
    points = pd.DataFrame(rows).sort_values(["series", "x"])
    caption = _caption(
        "Do readings follow a number where it matters, and only there?",
        f"One point is the mean of {frame['template'].nunique()} templates; dashed: the same numbers, harmless",
        frame,
    )
    axes = ("From the mildest to the gravest number", "Reading (cosine)")
    return [Section(name, to_svg(series_lines(points, caption=caption, axes=axes, dashed="harmless")))]


def _rounds(name: str, frame: pd.DataFrame) -> list[Section]:
    points = frame.rename(columns={"round": "x", "reading": "y"})
    points["series"] = points["concept"] + ", " + points["pattern"]
    caption = _caption("Do readings follow test runs?", "One point is a mean over transcripts; dashed: passing", frame)
    axes = ("Test runs so far", "Reading (cosine)")
    return [Section(name, to_svg(series_lines(points, caption=caption, axes=axes, dashed="passing")))]


def _curves(name: str, frame: pd.DataFrame) -> list[Section]:
    parts = frame.groupby("behaviour", sort=False) if "behaviour" in frame else [(name, frame)]
    return [
        Section(str(part), to_svg(dose_response(rows, caption=_caption(f"{part}: dose and response", "", rows))))
        for part, rows in parts
    ]


def _losses(name: str, frame: pd.DataFrame) -> list[Section]:
    points = frame.rename(columns={"kind": "label", "world": "first", "model": "second"})
    caption = _caption(
        "How near does the loss come to the world's own entropy?", "One row is a kind of document", frame
    )
    names = ("world (upper bound)", "model")
    return [Section(name, to_svg(dumbbells(points, caption=caption, names=names, unit="nats a token", order=False)))]


def _as_table(name: str, frame: pd.DataFrame) -> list[Section]:
    head = "".join(f'<th scope="col">{html.escape(str(column))}</th>' for column in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in frame.head(_MOST_ROWS).itertuples(index=False)
    )
    return [Section(name, f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")]


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_DRAW: tuple[tuple[frozenset[str], Callable[[str, pd.DataFrame], list[Section]]], ...] = (
    (frozenset({"strength", "rate"}), _curves),
    (frozenset({"template", "control", "number", "afraid", "calm"}), _doses),
    (frozenset({"pattern", "round", "concept", "reading"}), _rounds),
    (frozenset({"concept", "shift", "planted"}), _shift),
    (frozenset({"emotion", "effect", "disposition"}), _specificity),
    (frozenset({"emotion", "planted", "model"}), _calibration),
    (frozenset({"kind", "model", "world"}), _losses),
)
"""Columns by which a table is known, and how it is drawn; any other is shown as a table."""
