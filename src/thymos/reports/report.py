"""One self-contained HTML file: opens from disk, loads nothing, light and dark."""

import json
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from thymos.files import write_text
from thymos.geometry import GeometryMap
from thymos.readings import Reading, Reference
from thymos.reports.marks import marks_of
from thymos.reports.sections import Section, geometry_sections, reading_sections, validation_sections
from thymos.validation import Validation
from thymos.vectors import EmotionVectors

__all__ = ["Report", "render_report", "write_report"]


@dataclass(frozen=True, eq=False)
class Report:
    """What a report can show; parts that were not computed are left out."""

    vectors: EmotionVectors
    validation: Validation | None = None
    geometry: GeometryMap | None = None
    readings: tuple[Reading, ...] = ()
    reference: Reference | None = None
    title: str | None = None
    """Default: whose vectors these are."""
    about: str = ""
    """What a reader must know first; stands at the top."""
    groups: tuple[tuple[str, tuple[Section, ...]], ...] = ()
    """Sections of the caller's own, by heading; they come before the others."""


def render_report(report: Report) -> str:
    """The page as a string."""
    environment = Environment(
        loader=PackageLoader("thymos.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    card = report.vectors.card
    groups = [
        *((name, list(sections)) for name, sections in report.groups),
        (
            "Validation",
            validation_sections(report.validation, report.vectors) if report.validation is not None else [],
        ),
        ("Geometry", geometry_sections(report.geometry) if report.geometry is not None else []),
        ("Readings of new text", reading_sections(report.readings)),
    ]
    return environment.get_template("report.html.jinja").render(
        title=report.title or f"Emotion vectors of {card.model.id}",
        about=report.about,
        summary=report.vectors.summary(),
        marks=marks_of(report.validation, report.geometry),
        groups=[group for group in groups if group[1]],
        reference=report.reference,
        notes=card.notes,
        card=json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False),
    )


def write_report(path: Path, report: Report) -> Path:
    """Write the page.

    Raises:
        StorageError: The place is not writable.
    """
    write_text(path, render_report(report))
    return path
