import os
import re
import runpy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import thymos
from thymos.models import Model
from thymos.texts import battery_texts, neutral_dialogues

ROOT = Path(__file__).parents[2]
SNIPPETS = ROOT / "docs" / "snippets"
# These two make what the others read: quickstart the vector set, first_cell needs stand-ins for a large model.
APART = {"quickstart", "first_cell"}
NAMES = sorted(path.stem for path in SNIPPETS.glob("*.py") if path.stem not in APART)
Run = Callable[[Path, str], dict[str, Any]]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(folder: Path, name: str) -> dict[str, Any]:
    with inside(folder):
        return runpy.run_path(str(SNIPPETS / f"{name}.py"), run_name="__main__")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quickstart has run, so that vectors/minilm is there."""
    folder = tmp_path_factory.mktemp("quickstart")
    run(folder, "quickstart")
    return folder


def test_the_quickstart_saves_a_set_with_figures_and_writes_a_page(started: Path) -> None:
    vectors = thymos.EmotionVectors.load(started / "vectors" / "minilm")
    assert vectors.card.first_token == 20
    assert vectors.card.quality["figures"]["recall_top1"]["value"] > 1 / 6
    assert "receipt" in (started / "reading.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_snippets_run_as_they_stand(name: str, started: Path, tmp_path: Path) -> None:
    shutil.copytree(started / "vectors", tmp_path / "vectors")
    run(tmp_path, name)


def test_the_first_cell_runs_with_a_tiny_model_and_shipped_stories(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = [text for text in battery_texts() if text.emotion in ("calm", "angry", "proud")][:18]
    options = thymos.ExtractOptions(first_token=20, max_tokens=120, validate=False)
    vectors = thymos.extract(tiny, stories, neutral_dialogues()[:8], options)
    monkeypatch.setattr(thymos, "load", lambda name: tiny)
    monkeypatch.setattr(thymos, "extract", lambda model: vectors)
    run(tmp_path, "first_cell")
    assert thymos.EmotionVectors.load(tmp_path / "vectors" / "qwen3-8b", tiny).concepts == ("angry", "calm", "proud")


def test_the_readme_shows_the_quickstart_and_the_first_cell_as_they_are_tested() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = [(SNIPPETS / f"{name}.py").read_text(encoding="utf-8") for name in ("quickstart", "first_cell")]
    assert blocks == [re.sub(r"# --8<--.*\n", "", text) for text in shown]


def test_every_python_block_of_the_site_is_a_snippet_and_every_snippet_is_shown() -> None:
    shown: set[str] = set()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for language, body in re.findall(r"```(\w*)[^\n]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            included = re.findall(r'^--8<-- "([\w.]+?)(?::(\w+))?"$', body, re.MULTILINE)
            if language == "python":
                assert included, f"{page.name} has Python that no test runs:\n{body}"
            for file, section in included:
                source = (SNIPPETS / file).read_text(encoding="utf-8")
                assert not section or f"[start:{section}]" in source, f"{page.name} shows {file}:{section}"
                shown.add(Path(file).stem)
    assert shown == {path.stem for path in SNIPPETS.glob("*.py")}
