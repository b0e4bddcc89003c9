import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import doc_tables
import pytest
import typer
import yaml
from typer.main import get_command

from thymos import cli, errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize(("page", "name"), doc_tables.TABLES)
def test_generated_tables_are_up_to_date(page: str, name: str) -> None:
    assert doc_tables.block(page, name) == doc_tables.TABLES[page, name](), "run `make tables`"


def test_the_error_catalogue_has_cause_and_fix_for_every_exception() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert set(entries) == raised
    for name, entry in entries.items():
        assert "**Cause.**" in entry and "**Fix.**" in entry, f"{name} lacks its cause or its fix"
        kind = getattr(errors, name)
        assert f"Exit code {kind.exit_code}" in entry, f"{name} leaves with exit code {kind.exit_code}"


def test_every_page_is_in_the_navigation_and_has_one_title() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed: list[str] = []

    def walk(entry: object) -> None:
        if isinstance(entry, str):
            listed.append(entry)
        elif isinstance(entry, list | dict):
            for value in entry.values() if isinstance(entry, dict) else entry:
                walk(value)

    walk(settings["nav"])
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        included = re.findall(r'^--8<-- "(\w+\.md)"$', text, re.MULTILINE)
        text += "".join((ROOT / name).read_text(encoding="utf-8") for name in included)
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, page.name


def commands() -> dict[str, set[str]]:
    """Every command of `thymos` with its options."""
    modules = [cli, *(importlib.import_module(f"thymos.cli.{m.name}") for m in pkgutil.iter_modules(cli.__path__))]
    apps = [value for module in modules for value in vars(module).values() if isinstance(value, typer.Typer)]
    found = max((get_command(app) for app in apps), key=lambda group: len(getattr(group, "commands", ())))
    every = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    single: dict[str, Any] = {}
    for name, command in found.commands.items():  # type: ignore[attr-defined]
        single |= {f"{name} {sub}".strip(): each for sub, each in getattr(command, "commands", {"": command}).items()}
    return {
        name: every | {"--help"} | {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        for name, command in single.items()
    }


def test_the_command_line_page_names_every_command() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([\w ]+)` \|", text, re.MULTILINE)) == sorted(commands())


def test_the_pages_give_commands_only_options_they_have() -> None:
    known = commands()
    pages = [*PAGES, ROOT / "README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)).replace("`", "\n")
        for line in re.findall(r"^thymos [a-z]+ [^\n]*", code, re.MULTILINE):
            words = line.split()
            name = " ".join(words[1:3]) if " ".join(words[1:3]) in known else words[1]
            assert name in known, f"{page.name}: {line}"
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) <= known[name], f"{page.name}: {line}"
        alone = set(re.findall(r"\(`(--[a-z][a-z-]*)`\)|`(--[a-z][a-z-]*)`", text))
        assert {a or b for a, b in alone} <= set[str]().union(*known.values()), page.name
