"""The generated tables of the documentation; run as a script it writes them anew (`make tables`)."""

import re
from pathlib import Path

from thymos.models import LAYOUTS, TINY_ARCHITECTURES

DOCS = Path(__file__).parents[2] / "docs"


def architectures() -> str:
    """One row per architecture of the layout table."""
    rows = [
        "| architecture (`config.model_type`) | kind | blocks | final norm | tested as a tiny random model |",
        "|---|---|---|---|---|",
    ]
    for name, layout in sorted(LAYOUTS.items()):
        norm = f"`{layout.final_norm}`" if layout.final_norm is not None else "none"
        tested = "yes" if name in TINY_ARCHITECTURES else "no"
        rows.append(f"| `{name}` | {layout.kind} | `{layout.blocks}` | {norm} | {tested} |")
    return "\n".join(rows)


TABLES = {("models.md", "architectures"): architectures}


def block(page: str, name: str) -> str:
    """What stands between the marks of a generated table."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert found is not None, f"docs/{page} has no marks for the generated table {name!r}"
    return found[1].strip()


def write() -> None:
    """Write every generated table anew."""
    for (page, name), make in TABLES.items():
        path = DOCS / page
        old = block(page, name)
        path.write_text(path.read_text(encoding="utf-8").replace(old, make()), encoding="utf-8")


if __name__ == "__main__":
    write()
