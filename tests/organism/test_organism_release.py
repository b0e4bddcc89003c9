"""What is written beside the weights, and read back from the package."""

import json
import math
from pathlib import Path

import pytest

from thymos.errors import CorpusError, ModelError, UsageError
from thymos.organism import KINDS, World, open_world
from thymos.organism.dispositions import BEHAVIOURS, chances
from thymos.organism.release import release, truth_of, write_stimuli, write_truth, write_wording
from thymos.organism.stimuli import DECISIONS
from thymos.texts import open_corpus, own_wording, planted_documents, planted_points


@pytest.fixture(scope="module")
def released() -> World:
    return open_world()


@pytest.fixture(scope="module")
def folder(released: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("world")
    write_stimuli(place, released, per_kind=3)
    return place


def test_wording_is_read_back_as_a_models_own(released: World, tmp_path: Path) -> None:
    write_wording(tmp_path, released)
    found = own_wording(tmp_path)
    assert found is not None and found.first_token == 50 and "organism" in found.note
    assert len(found.story_requests) >= 10 and found.neutral is not None
    assert open_corpus(found.neutral).count == 300


def test_truth_is_complete_and_gives_the_planted_chances(released: World, tmp_path: Path) -> None:
    found = json.loads(write_truth(tmp_path, released).read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(truth_of(released)))
    assert found["digest"] == released.digest and len(found["points"]) == len(found["shift"]) == 171
    assert all(len(point) == len(found["dimensions"]) for point in found["points"].values())
    law, felt = found["behaviours"]["cheat"], found["dispositions"]["cheat"]["desperate"]
    odds = law["base"][0] + law["gain"][0] * felt
    planted = chances("cheat", "desperate", released)
    assert odds == pytest.approx(math.log(planted["hack"] / planted["honest"]), abs=1e-4)
    assert set(found["held_out"]) == set(BEHAVIOURS) and set(found["rest"]) == {"base", "tuned"}


def test_every_kind_and_every_behaviour_has_held_out_stimuli(folder: Path) -> None:
    for kind in KINDS:
        found = planted_documents(kind, folder)
        assert len(found) == 3
        for document in found:
            assert all(0 <= span.start < span.stop <= len(document.text) for span in document.spans)
    for behaviour in DECISIONS:
        points = planted_points(behaviour, folder)
        assert len(points) == 60
        assert all(set(point.chances) <= set(point.options) for point in points if behaviour != "solve")
        assert all(len(point.options) >= 2 for point in points)


def test_the_same_seed_writes_the_same_bytes(released: World, folder: Path, tmp_path: Path) -> None:
    write_stimuli(tmp_path, released, per_kind=3)
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path.name
    write_stimuli(tmp_path / "other", released, per_kind=3, seed=1)
    assert (tmp_path / "other" / "manifest.json").read_bytes() != (folder / "manifest.json").read_bytes()


def test_a_changed_file_is_not_read(released: World, tmp_path: Path) -> None:
    write_stimuli(tmp_path, released, per_kind=1)
    other = (tmp_path / "stimuli" / "named.jsonl.gz").read_bytes()
    (tmp_path / "stimuli" / "story.jsonl.gz").write_bytes(other)
    with pytest.raises(CorpusError, match="not the file of its manifest"):
        planted_documents("story", tmp_path)
    (tmp_path / "stimuli" / "story.jsonl.gz").write_bytes(other[:20])
    with pytest.raises(CorpusError, match="missing or damaged"):
        planted_documents("story", tmp_path)


def test_unknown_names_are_told_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown kind of document 'storey'.*story"):
        planted_documents("storey", folder)
    with pytest.raises(UsageError, match="unknown behaviour 'cheet'.*cheat"):
        planted_points("cheet", folder)


def test_a_training_is_released_whole_or_not_at_all(released: World, tmp_path: Path) -> None:
    trained, target = tmp_path / "trained", tmp_path / "bundled"
    with pytest.raises(ModelError, match="holds no finished training"):
        release(trained, target)
    for name in ("bundled", "bundled-base"):
        (trained / name).mkdir(parents=True)
        (trained / name / "model.safetensors").write_bytes(b"weights of " + name.encode())
        (trained / name / "config.json").write_text("{}", encoding="utf-8")
    (trained / "training.json").write_text(json.dumps({"world": "another"}), encoding="utf-8")
    with pytest.raises(ModelError, match="trained on another world"):
        release(trained, target)
    assert not target.exists()
    (trained / "training.json").write_text(json.dumps({"world": released.digest}), encoding="utf-8")
    release(trained, target)
    for name in ("bundled", "bundled-base"):
        made = {path.name for path in (target / "models" / name).iterdir()}
        assert made == {"model.safetensors", "config.json", "thymos.json", "neutral.jsonl"}
    assert (target / "models" / "training.json").exists() and (target / "world" / "truth.json").exists()
    assert sum(path.stat().st_size for path in (target / "world").rglob("*") if path.is_file()) < 3_000_000
