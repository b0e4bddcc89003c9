"""The HTML report and the marks it judges by."""

from thymos.reports.marks import Mark, marks_of
from thymos.reports.page import Page, render_page, write_page
from thymos.reports.report import Report, render_report, write_report
from thymos.reports.sections import Section
from thymos.reports.studies import study_page

__all__ = [
    "Mark",
    "Page",
    "Report",
    "Section",
    "marks_of",
    "render_page",
    "render_report",
    "study_page",
    "write_page",
    "write_report",
]
