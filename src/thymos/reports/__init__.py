"""The HTML report and the marks it judges by."""

from thymos.reports.marks import Mark, marks_of
from thymos.reports.report import Report, render_report, write_report

__all__ = ["Mark", "Report", "marks_of", "render_report", "write_report"]
