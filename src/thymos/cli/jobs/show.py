"""Results on standard output: one JSON object, or tables for people; notes on standard error."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from thymos.cli.failures import one_line, tell
from thymos.cli.options import Output
from thymos.reports import Mark

__all__ = ["bytes_of", "console", "duration", "emit", "mark_rows", "marks_table", "note", "pairs", "safe", "table"]

_WIDE = 120
_VERDICTS = {"met": "green", "missed": "red", "reported": "dim"}


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error; wide where nobody can say how wide it is."""
    stream = sys.stderr if stderr else sys.stdout
    seen = Console(file=stream, markup=False, highlight=False, emoji=False)
    if not seen.is_terminal:
        seen.width = max(seen.width, _WIDE)
    return seen


def emit(output: Output, result: Mapping[str, Any], *views: RenderableType) -> None:
    """Print a result.

    Args:
        output: Whether JSON is wanted.
        result: The whole result; NaN and infinity become null.
        *views: The same for people.
    """
    if not output.as_json:
        printer = console()
        for view in views:
            printer.print(view)
        return
    text = json.dumps(_plain(result), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=2) + "\n"
    sys.stdout.write(text)


def note(output: Output, text: str) -> None:
    """One line on standard error, unless --quiet."""
    if not output.quiet:
        tell(f"note: {text}")


def safe(text: str) -> Text:
    """Text of a model or a stranger's file, without control characters that a terminal would obey."""
    return Text("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of plain cells; numbers are right-aligned by their columns' first row."""
    cells = [list(row) for row in rows]
    made = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        numeric = bool(cells) and isinstance(cells[0][number], int | float)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        made.add_row(*(cell if isinstance(cell, Text) else safe(_cell(cell)) for cell in row))
    return made


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """A table of names and values."""
    made = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(name, safe(one_line(_cell(value))))
    return made


def marks_table(marks: Sequence[Mark]) -> Table:
    """The marks of a vector set, with what was seen and against what."""
    rows = [
        (mark.question, mark.figure, mark.against, mark.n, Text(mark.verdict, style=_VERDICTS[mark.verdict]))
        for mark in marks
    ]
    return table("Marks", ("question", "seen", "against", "n", "mark"), rows)


def mark_rows(marks: Sequence[Mark]) -> list[dict[str, str]]:
    """The marks for JSON."""
    return [dict(mark.__dict__) for mark in marks]


def duration(seconds: float | int) -> str:
    """For example "40 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def bytes_of(count: float | int) -> str:
    """For example "1.2 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
