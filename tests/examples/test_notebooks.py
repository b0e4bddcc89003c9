"""The notebooks of `examples/`, run as they stand but smaller, each in a process and a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = ("first_steps", "your_own_model")
# In a process of its own: what the kernel's libraries warn of is not about thymos.
EXECUTE = (
    "import sys, nbformat; from nbclient import NotebookClient; "
    "book = nbformat.read(sys.argv[1], 4); "
    "NotebookClient(book, timeout=1800, kernel_name='python3').execute(); "
    "nbformat.write(book, sys.argv[2])"
)


def book_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def with_parameters(name: str, **values: object) -> dict[str, Any]:
    """The notebook with some of its parameters changed; each must be one of them."""
    book = book_of(name)
    (cell,) = (cell for cell in book["cells"] if "parameters" in cell["metadata"].get("tags", ()))
    known = {line.split(" = ")[0] for line in cell["source"] if " = " in line}
    assert set(values) <= known, f"{name} has the parameters {sorted(known)}"
    cell["source"] += ["\n", *(f"{key} = {value!r}\n" for key, value in values.items())]
    return book


def run(book: dict[str, Any], folder: Path) -> dict[str, Any]:
    before, after = folder / "before.ipynb", folder / "after.ipynb"
    before.write_text(json.dumps(book), encoding="utf-8")
    setting = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src"), "IPYTHONDIR": str(folder)}
    command = [sys.executable, "-c", EXECUTE, str(before), str(after)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=setting)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(after.read_text(encoding="utf-8"))
    return found


def printed(book: dict[str, Any]) -> str:
    """Everything that was printed or shown as text."""
    shown = []
    for cell in book["cells"]:
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain") or ""
            shown.append(text if isinstance(text, str) else "".join(text))
    return "\n".join(shown)


def test_the_notebooks_are_those_that_are_tested_and_hold_no_outputs() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == sorted(NAMES)
    for name in NAMES:
        book = book_of(name)
        assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None
                compile("".join(cell["source"]), f"{name}.ipynb", "exec")
        about = "".join(book["cells"][0]["source"])
        assert "instrument" in about or "model organism" in about


@pytest.mark.slow
def test_first_steps_on_the_bundled_model(tmp_path: Path) -> None:
    done = run(with_parameters("first_steps", TOPICS=4, POINTS=6), tmp_path)
    said = printed(done)
    assert "recall_top1_nested" in said and "BeyondRandom" in said and "model organism" in said
    pictures = [o for cell in done["cells"] for o in cell.get("outputs", ()) if "text/html" in o.get("data", {})]
    assert len(pictures) == 3


@pytest.mark.slow
def test_your_own_model_with_the_bundled_one_in_its_place(tmp_path: Path) -> None:
    done = run(with_parameters("your_own_model", MODEL="bundled", TOPICS=4), tmp_path)
    assert "calm 0.05:" in printed(done)
    assert (tmp_path / "vectors" / "mine" / "card.json").is_file()


@pytest.mark.slow
def test_your_own_model_with_a_tiny_one_in_its_place(tmp_path: Path) -> None:
    done = run(with_parameters("your_own_model", MODEL="tiny", TOPICS=4), tmp_path)
    assert "calm 0.05:" in printed(done)
    assert (tmp_path / "vectors" / "mine" / "card.json").is_file()
