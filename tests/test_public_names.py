import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import thymos

PACKAGES = sorted(
    f"thymos.{found.name}" for found in pkgutil.iter_modules(thymos.__path__) if found.ispkg and found.name != "bundled"
)
MODULES = sorted(found.name for found in pkgutil.walk_packages(thymos.__path__, "thymos."))
HEAVY = ("torch", "transformers", "altair", "vl_convert", "pandas", "scipy", "sklearn", "pyarrow", "typer", "rich")
SECONDS = 0.3


@pytest.mark.parametrize("name", PACKAGES)
def test_all_of_a_package_is_exactly_what_its_init_brings_in(name: str) -> None:
    package = importlib.import_module(name)
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    brought = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("thymos.")
        for alias in node.names
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    public = {n for n in brought | defined if not n.startswith("_") and not isinstance(getattr(package, n), ModuleType)}
    assert sorted(package.__all__) == sorted(public)
    assert package.__doc__, f"{name} says nothing about itself"


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_an_all_exists_and_is_there_once(name: str) -> None:
    module = importlib.import_module(name)
    names = list(getattr(module, "__all__", ()))
    assert len(names) == len(set(names))
    assert [missing for missing in names if not hasattr(module, missing)] == []


def test_the_top_level_names_have_homes_types_and_no_more_than_a_page() -> None:
    tree = ast.parse(Path(str(thymos.__file__)).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(thymos.__all__) == sorted(typed) == sorted(thymos._HOME_OF)
    assert 25 <= len(thymos.__all__) <= 36
    assert sorted(dir(thymos)) == sorted([*thymos.__all__, "__version__"])


@pytest.mark.parametrize("name", thymos.__all__)
def test_top_level_names_are_those_of_their_home(name: str) -> None:
    home = importlib.import_module(thymos._HOME_OF[name])
    assert getattr(thymos, name) is getattr(home, name)
    assert name in getattr(home, "__all__", [name])


def test_an_unknown_name_is_told_with_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'extrakt'; public names: .*extract"):
        thymos.extrakt  # noqa: B018 - the access is the test


def test_importing_thymos_is_fast_and_pulls_in_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import thymos; took = time.perf_counter() - start; "
        f"print(took, *[name for name in {HEAVY} if name in sys.modules])"
    )
    answers = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    assert all(len(answer) == 1 for answer in answers), f"import thymos pulls in {answers[0][1:]}"
    assert min(float(answer[0]) for answer in answers) < SECONDS
