"""A page of figures that belongs to no vector set, such as a scorecard or a training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from thymos.files import write_text
from thymos.reports.marks import Mark
from thymos.reports.sections import Section

__all__ = ["Page", "render_page", "write_page"]


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: Its heading.
        about: What a reader must know first; stands at the top.
        summary: Names and values.
        marks: Questions with their pass marks and outcomes.
        groups: Sections by heading.
        record: The record behind the page, as text, or nothing.
    """

    title: str
    about: str
    summary: Mapping[str, object] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    groups: tuple[tuple[str, tuple[Section, ...]], ...] = ()
    record: str = ""


def render_page(page: Page) -> str:
    """The page as a string: one self-contained file, which loads nothing."""
    environment = Environment(
        loader=PackageLoader("thymos.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(page=page)


def write_page(path: Path, page: Page) -> Path:
    """Write the page.

    Raises:
        StorageError: The place is not writable.
    """
    write_text(path, render_page(page))
    return path
