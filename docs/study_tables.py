"""The tables of the page on studies, made from the catalogue: `python docs/study_tables.py`."""

import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from thymos.studies import STUDIES

PAGE = Path(__file__).parent / "studies.md"


def catalogue() -> str:
    """Every study with its question."""
    rows = [f"| `{one.name}` | {one.question} | {', '.join(sorted(one.needs)) or 'any'} |" for one in STUDIES.values()]
    return "\n".join(["| study | question | needs |", "|---|---|---|", *rows])


def settings() -> str:
    """Every setting with its two presets."""
    rows = []
    for one in STUDIES.values():
        quick, full = one.settings.quick(), one.settings.full()
        for field in fields(quick):
            values = [_shown(getattr(preset, field.name)) for preset in (quick, full)]
            rows.append(f"| `{one.name}` | `{field.name}` | {values[0]} | {values[1]} | {field.metadata['help']} |")
    return "\n".join(["| study | setting | quick | full | meaning |", "|---|---|---|---|---|", *rows])


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "none"
    return str(value) if value != "" else "none"


TABLES: Mapping[str, str] = {"catalogue": catalogue(), "settings": settings()}


def block(name: str) -> str:
    """What stands between the marks of a generated block."""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise LookupError(f"{PAGE.name} has no marks for the generated block {name!r}")
    return found[1].strip()


def write() -> list[str]:
    """Write every block anew; returns the names of those that changed."""
    changed = [name for name, made in TABLES.items() if block(name) != made]
    for name in changed:
        marks, made = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", TABLES[name]
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(re.sub(marks, lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text, flags=re.DOTALL), "utf-8")
    return changed


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in write()) or "nothing changed\n")
