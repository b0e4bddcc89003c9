"""The page of one or several studies: the paper's number, ours, the control and the planted truth side by side."""

import html
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from thymos.figures import Caption, TokenNotes, dose_response, series_lines, to_svg, token_heatmap_html
from thymos.reports.marks import Mark, Verdict
from thymos.reports.page import Page
from thymos.reports.sections import Section
from thymos.studies import Estimate, StudyResult

__all__ = ["study_page"]

_COLUMNS = ("estimate", "value [95% interval]", "n", "control", "chance", "p", "planted", "paper", "mark", "note")
_MOST_ROWS = 200
_ABOUT_PLANTED = (
    "The model is thymos' own: a small network trained on a synthetic world whose emotions are planted and recorded. "
    "These figures judge the instrument; they are no findings about other models."
)


def study_page(results: Sequence[StudyResult], failures: Mapping[str, str] | None = None) -> Page:
    """The page: all marks first, then every study with its figures, its tables drawn, and what was refused.

    Args:
        results: The studies, corrected over all of them where there are several.
        failures: Studies that were not run, with the reason.
    """
    first = results[0].about["context"]
    judged = [one.reached for result in results for one in result.estimates if one.reached is not None]
    summary: dict[str, object] = {
        "model": first["model"],
        "stimuli": first["world"],
        "seed": first["seed"],
        "studies": ", ".join(result.study for result in results),
        "marks": f"{sum(judged)} of {len(judged)} reached",
    }
    if failures:
        summary["not run"] = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    return Page(
        title="Studies" if len(results) > 1 else f"Study: {results[0].study}",
        about=_ABOUT_PLANTED if first["truth"] else "",
        summary=summary,
        marks=tuple(_mark(result, one) for result in results for one in result.estimates if one.mark is not None),
        groups=tuple((result.study, _sections(result)) for result in results),
        record=json.dumps([{**result.to_dict(), "tables": {}} for result in results], indent=1),
    )


def _figure(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:.3g}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _passing(one: Estimate) -> str:
    if one.mark is None:
        return ""
    return f"{one.side} {one.mark:g}" + ("" if one.clear is None else ", clear of all controls")


def _mark(result: StudyResult, one: Estimate) -> Mark:
    against = "; ".join(part for part in (one.control, f"planted: {one.truth}" if one.truth else "") if part)
    verdict: Verdict = "met" if one.reached else "missed"
    return Mark(f"{result.study}: {one.name}", _figure(one), against, str(one.n or ""), verdict, _passing(one))


def _sections(result: StudyResult) -> tuple[Section, ...]:
    told = [f"<p>{html.escape(result.question)} <span class='muted'>{html.escape(result.source)}</span></p>"]
    told += [f"<p class='muted'>Refused: {html.escape(one)}</p>" for one in result.findings.refusals]
    told += [f"<p class='muted'>{html.escape(one)}</p>" for one in result.findings.remarks]
    rows = [
        (
            one.name, _figure(one), str(one.n or ""), one.control, "" if one.chance is None else f"{one.chance:.3g}",
            "" if one.p is None else f"{one.p:.2g}", one.truth, one.paper,
            "" if one.reached is None else f"{_passing(one)}: {'met' if one.reached else 'missed'}", one.note,
        )
        for one in result.estimates
    ]  # fmt: skip
    found = [Section("Figures", "".join(told) + _table(_COLUMNS, rows))]
    for name, values in result.findings.tables.items():
        frame = pd.DataFrame(values)
        draw = next((draw for columns, draw in _DRAW if columns <= set(frame.columns)), _as_table)
        if not frame.empty:
            found += draw(name, frame)
    return tuple(found)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(str(column))}</th>' for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _as_table(name: str, frame: pd.DataFrame) -> list[Section]:
    rows = list(frame.head(_MOST_ROWS).itertuples(index=False))
    return [Section(name, _table([str(column) for column in frame.columns], rows))]


def _doses(name: str, frame: pd.DataFrame) -> list[Section]:
    caption = Caption(
        question="How does the rate change with the dose?",
        answer="",
        mark="One line is one vector; grey: random directions of equal norm, their central 95%",
        n=f"{len(frame)} rows",
    )
    return [Section(name, to_svg(dose_response(frame, caption=caption)))]


def _rounds(name: str, frame: pd.DataFrame) -> list[Section]:
    points = frame.rename(columns={"round": "x", "reading": "y"})
    points["series"] = points["concept"] + ", " + points["pattern"]
    caption = Caption(
        question="Do readings follow test runs?",
        answer="",
        mark="One point is a mean over transcripts; dashed: passing",
        n=f"{len(frame)} rows",
    )
    axes = ("Test runs so far", "Reading (cosine)")
    return [Section(name, to_svg(series_lines(points, caption=caption, axes=axes, dashed="passing")))]


def _viewer(name: str, frame: pd.DataFrame) -> list[Section]:
    """The highest transcripts of each concept, folded; each opens to its tokens coloured by their reading."""
    parts = []
    for concept, rows in frame.groupby("concept", sort=False):
        parts.append(f"<h4>{html.escape(str(concept))}</h4>")
        for row in rows.to_dict("records"):
            scores = np.asarray(row["scores"], np.float64)
            notes = TokenNotes(special=np.asarray(row["special"], bool), roles=row["roles"], limit=row["limit"])
            shown = token_heatmap_html(
                row["tokens"], scores, title=str(row["transcript"]), concept=str(concept), notes=notes
            )
            mean = float(scores[~np.asarray(row["special"], bool)].mean()) if not all(row["special"]) else 0.0
            summary = f"{html.escape(str(row['transcript']))}, mean {mean:+.3f}"
            parts.append(f"<details><summary>{summary}</summary>{shown}</details>")
    told = "<p class='muted'>Centred readings, highest transcripts first; open one to see its tokens.</p>"
    return [Section(name, told + "".join(parts))]


_DRAW: tuple[tuple[frozenset[str], Callable[[str, pd.DataFrame], list[Section]]], ...] = (
    (frozenset({"arm", "strength", "rate"}), _doses),
    (frozenset({"pattern", "round", "concept", "reading"}), _rounds),
    (frozenset({"concept", "transcript", "tokens", "scores", "special", "roles", "limit"}), _viewer),
)
"""Columns by which a table is known, and how it is drawn; any other is shown as a table."""
