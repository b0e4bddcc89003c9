import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"site", "demo", "demo-reader", "dist", "build", "__pycache__"}
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cff", ".jinja", ".json", ".jsonl", ""}
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
SKIPS = {"skip", "skipif", "xfail", "importorskip"}
# Distribution names that differ from what is imported.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python", "huggingface_hub": "huggingface-hub"}
# Brought by a named dependency that cannot work without them.
CARRIED = {"tokenizers": "transformers", "threadpoolctl": "scikit-learn", "click": "typer", "markupsafe": "jinja2"}


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every text file that belongs to the project."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in (".ci", ".pre-commit-config.yaml")
        if hidden or path.name in LEFT_OUT or path.name.endswith((".run", ".egg-info")):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in TEXT:
            yield path


FILES = tuple(files())
PYTHON = tuple(path for path in FILES if path.suffix == ".py")
OURS = tuple(path for path in PYTHON if path.relative_to(ROOT).parts[0] in ("src", "benchmarks", "docs"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def found(pattern: str, paths: tuple[Path, ...] = FILES, flags: int = 0) -> list[str]:
    """`file:line: match` of every match."""
    hits = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            hits += [f"{name_of(path)}:{number}: {match[0]}" for match in re.finditer(pattern, line, flags)]
    return hits


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = "|".join("home root Users tmp opt mnt srv work workspace scratch private".split())
    assert found(rf"(?<![\w.<>/])/(?:{places})/[\w.]") == []
    assert found(r"(?<!\w)[A-Z]:\\\\?(?:Users|Windows)") == []


def test_no_file_holds_an_address_of_a_person_or_of_a_hosting_platform() -> None:
    # Addresses under .example belong to nobody (RFC 2606): the mail agent's stories need some.
    assert found(r"[\w.+-]+@[\w.-]+\.(?!example\b)(?:[a-z]{2,})\b", flags=re.IGNORECASE) == []
    hosts = "|".join("git" + name for name in ("hub", "lab", "ee", "ea")) + "|bit" + "bucket|code" + "berg|sourceforge"
    assert found(rf"https?://[\w.-]*(?:{hosts}|readthedocs)\.\w+") == []


def test_authors_are_the_contributors() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": "the thymos contributors"}]
    assert "urls" not in project
    assert "name: the thymos contributors" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f'__version__ = "{version}"' in (ROOT / "src/thymos/__init__.py").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_modules_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    if path not in OURS:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_annotations_are_not_postponed() -> None:
    assert found("from __future__ import " + "annotations", PYTHON) == []


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    assert found(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b", (*PYTHON, *(p for p in FILES if p.suffix == ".md"))) == []


def skips_in(path: Path) -> set[str]:
    """`file::test` of everything in a file that may not run."""
    names: set[str] = set()

    def visit(node: ast.AST, owner: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            owner = f"{owner}::{node.name}"
        if isinstance(node, ast.Attribute) and node.attr in SKIPS and ast.unparse(node).startswith("pytest."):
            names.add(owner)
        for child in ast.iter_child_nodes(node):
            visit(child, owner)

    visit(ast.parse(path.read_text(encoding="utf-8")), name_of(path))
    return names


def test_every_skip_is_written_down_and_every_row_is_a_skip() -> None:
    skipped = set[str]().union(*(skips_in(p) for p in PYTHON if name_of(p).startswith("tests/")))
    table = (ROOT / "tests/QUARANTINE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(tests/[^`]+)` \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    assert {row[0] for row in rows} == skipped
    assert all(why.strip() and until.strip() for _, why, until in rows)


def test_commands_that_the_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = [path for path in FILES if path.suffix == ".md"] + [ROOT / ".ci/run"]
    named = {m for page in pages for m in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)}
    assert {"demo", "test", "bench", "lint"} <= named <= targets
    opening = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    assert [line.split("#")[0].strip() for line in opening.splitlines()[1:]] == ["make demo", "make test"]


def test_ci_runs_the_tests_and_then_the_slow_ones() -> None:
    commands = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert commands[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in commands
    assert commands[-2:] == ["make test", "make test-slow"]
    assert re.search(r"^test-slow:.*\blint\b", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_package_that_is_imported_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=!~ ]", entry)[0].lower() for entry in project["dependencies"]}
    imported: set[str] = set()
    for path in PYTHON:
        # Loaded by Inspect alone, and tested apart.
        if name_of(path).startswith("src/") and not name_of(path).startswith("src/thymos/inspect/"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module is not None:
                    imported.add(node.module.split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"thymos"}
    wanted = {CARRIED.get(name, DISTRIBUTIONS.get(name, name)) for name in third_party}
    assert wanted <= declared, f"not declared: {sorted(wanted - declared)}"


def test_the_inspect_package_imports_no_optional_package_but_inspect() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [re.split(r"[<>=]", one)[0] for one in project["optional-dependencies"]["inspect"]] == ["inspect-ai"]
    assert project["entry-points"]["inspect_ai"] == {"thymos": "thymos.inspect"}
    texts = [path.read_text(encoding="utf-8") for path in PYTHON if name_of(path).startswith("src/thymos/inspect/")]
    imported = {m for text in texts for m in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)}
    # Inspect is built on anyio.
    assert imported - set(sys.stdlib_module_names) <= {"thymos", "inspect_ai", "anyio", "numpy"}
