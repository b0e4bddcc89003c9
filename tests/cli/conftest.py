"""A tiny model in a folder, texts in files, and one extraction that most tests share."""

from pathlib import Path

import numpy as np
import pytest
from cli_runner import CONCEPTS, Ran, Run, run_command

from thymos.models import tiny_model
from thymos.texts import Corpus, Text, write_texts

WORDS = "the gate of a yard stood open while rain went over the roofs and somebody carried boxes up from a van".split()


@pytest.fixture(scope="session")
def thymos() -> Run:
    """Runs a command in this process."""
    return run_command


def saved(folder: Path, architecture: str, seed: int) -> Path:
    model = tiny_model(architecture, layers=3, seed=seed)
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything that is made once."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def model(place: Path) -> Path:
    """A tiny random Llama, saved as any checkpoint is."""
    return saved(place / "model", "llama", 0)


@pytest.fixture(scope="session")
def other(place: Path) -> Path:
    """The same architecture with other weights."""
    return saved(place / "other", "llama", 1)


@pytest.fixture(scope="session")
def encoder(place: Path) -> Path:
    """A tiny BERT."""
    return saved(place / "encoder", "bert", 0)


@pytest.fixture(scope="session")
def stories_file(place: Path) -> Path:
    """Ten concepts x four stories on four topics; nine of the words have human norms."""
    draw = np.random.default_rng(3)
    texts = []
    for number in range(40):
        words, concept = draw.choice(WORDS, size=int(draw.integers(16, 30))), CONCEPTS[number % 10]
        texts.append(Text(f"{words[0].title()} {concept[:2]} {' '.join(words)}.", concept, f"topic {number // 10}"))
    write_texts(place / "stories.jsonl", texts)
    return place / "stories.jsonl"


@pytest.fixture(scope="session")
def neutral_file(place: Path, neutral: Corpus) -> Path:
    """Ten plain sentences."""
    write_texts(place / "neutral.jsonl", neutral)
    return place / "neutral.jsonl"


@pytest.fixture(scope="session")
def texts(stories_file: Path, neutral_file: Path) -> list[object]:
    """The options that name the texts and where in them to start."""
    return ["--stories", stories_file, "--neutral", neutral_file, "--start-token", 20]


@pytest.fixture(scope="session")
def extracted(place: Path, model: Path, texts: list[object]) -> Ran:
    """An extraction with --json, into `vectors`."""
    return run_command("extract", model, *texts, "--out", place / "vectors", "--yes", "--json")


@pytest.fixture(scope="session")
def vectors(place: Path, extracted: Ran) -> Path:
    """The vector set it made."""
    assert extracted.code == 0, extracted.err
    return place / "vectors"


@pytest.fixture(scope="session")
def others(place: Path, other: Path, texts: list[object]) -> Path:
    """A vector set of the other weights, not validated."""
    ran = run_command("extract", other, *texts, "--out", place / "others", "--yes", "--no-validate", "--quiet")
    assert ran.code == 0 and not ran.err, ran.err
    return place / "others"
