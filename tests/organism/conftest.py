"""The world, documents of it, and one tiny training that most tests share."""

import json
import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from typer.testing import CliRunner

from thymos.cli.app import app
from thymos.models import Model, load
from thymos.organism import KINDS, MIXTURES, Document, World, documents, open_world
from thymos.organism.assistant import Scene

Make = Callable[..., list[Document]]


@pytest.fixture(scope="session")
def world() -> World:
    """The world that ships."""
    return open_world()


@pytest.fixture(scope="session")
def corpus() -> list[Document]:
    """The first 450 documents of each mixture."""
    return [document for mixture in MIXTURES.values() for document in islice(documents(mixture, 11), 450)]


@pytest.fixture(scope="session")
def make(world: World) -> Make:
    """Documents of one kind under given circumstances."""

    def made(kind: str, count: int = 20, seed: int = 0, **circumstances: Any) -> list[Document]:
        rng = random.Random(f"{kind} {seed}")
        return [KINDS[kind](world, rng, Scene(**circumstances)) for _ in range(count)]

    return made


@pytest.fixture(scope="session")
def tokenizer(trained: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of the trial training."""
    return AutoTokenizer.from_pretrained(trained / "bundled")


@pytest.fixture(scope="session")
def thymos() -> Callable[..., Any]:
    """Runs a command in this process."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory, thymos: Callable[..., Any]) -> tuple[Path, dict[str, Any]]:
    """A trial training by the command, and the JSON that it printed."""
    folder = tmp_path_factory.mktemp("organism") / "trained"
    ran = thymos("organism", "train", "--preset", "tiny", "--out", folder, "--device", "cpu", "--quiet", "--json")
    assert ran.exit_code == 0, ran.output
    return folder, json.loads(ran.stdout)


@pytest.fixture(scope="session")
def trained(training: tuple[Path, dict[str, Any]]) -> Path:
    """The folder of both checkpoints."""
    return training[0]


@pytest.fixture(scope="session")
def model(trained: Path) -> Model:
    """The checkpoint after post-training. Tests must leave it as it was."""
    return load(trained / "bundled", device="cpu")
