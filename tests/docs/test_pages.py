import re
from pathlib import Path

import doc_tables
import pytest
import yaml
from typer.main import get_command

from thymos import cli, errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


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


def test_the_command_line_page_names_every_command_and_only_options_that_exist() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    table = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(table) == sorted(commands)
    options = {option for command in commands.values() for p in command.params for option in (*p.opts, "--help")}
    options |= {option for command in commands.values() for p in command.params for option in p.secondary_opts}
    options |= {option for p in get_command(cli.app).params for option in p.opts}
    named = {option for page in PAGES for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", strip(page))}
    assert named - options == set(), "the pages name options that no command has"


def strip(page: Path) -> str:
    """A page without what is not a command of ours: other programs' options are marked by their program's name."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"`(?:pip|mkdocs|hf|python|\.?/?llama)[^`]*`|--control-vector-scaled|^.*benchmarks\..*$", "", text, flags=re.M)
