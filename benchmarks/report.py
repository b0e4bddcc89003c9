"""Tables on the terminal and the same numbers as JSON."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.jobs import machine, versions
from benchmarks.timing import Timed, verdict

RESULTS = Path(__file__).resolve().parent / "results"
CONTROL = "A/A control: bare against bare"


@dataclass(frozen=True)
class Sheet:
    """One table: cells are strings, ready to print."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


@dataclass
class Report:
    """Everything one benchmark found."""

    name: str
    arguments: Sequence[str]
    settings: dict[str, Any]
    sheets: list[Sheet] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=lambda: {"thymos": versions()})
    machine: dict[str, Any] = field(default_factory=machine)

    def show(self, console: Console | None = None) -> None:
        screen = console or Console(width=150 if not sys.stdout.isatty() else None)
        for sheet in self.sheets:
            table = Table(
                title=Text(sheet.title), caption=Text(sheet.note), title_justify="left", caption_justify="left"
            )
            for place, column in enumerate(sheet.columns):
                table.add_column(Text(column), justify="left" if place == 0 else "right", overflow="fold")
            for row in sheet.rows:
                table.add_row(*map(Text, row))
            screen.print(table)

    def write(self, path: Path | None = None) -> Path:
        target = path or RESULTS / f"{self.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "benchmark": self.name,
            "command": " ".join(["python", "-m", f"benchmarks.{self.name}", *self.arguments]),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": self.machine,
            "environments": self.environments,
            "settings": self.settings,
            "data": self.data,
            "tables": [
                {"title": sheet.title, "note": sheet.note, "columns": sheet.columns, "rows": sheet.rows}
                for sheet in self.sheets
            ],
        }
        target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return target


RATIO_COLUMNS = (
    *("what", "environment", "wall / bare", "CPU / bare", "bare, ms", "pairs", "largest difference", "mark", "reached"),
)


def ratio_sheet(title: str, rows: Sequence[Timed], missing: Sequence[tuple[str, str]], note: str) -> Sheet:
    """Rows of one setting; `missing` are peers without numbers and why."""
    control = next((row for row in rows if row.name == CONTROL), None)
    cells = [
        (
            row.name,
            row.environment,
            str(row.wall),
            str(row.cpu),
            f"{row.base_seconds * 1e3:.1f}",
            str(row.pairs),
            "" if row.difference is None else f"{row.difference:.1e}",
            str(row.mark) if row.mark else "",
            verdict(row, control) if control else "",
        )
        for row in rows
    ]
    cells += [(name, name, why, "", "", "", "", "", "") for name, why in missing]
    return Sheet(title, RATIO_COLUMNS, cells, note)
