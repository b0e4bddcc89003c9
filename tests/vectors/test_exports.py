"""Vector sets for other tools, and on the hub."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import huggingface_hub
import numpy as np
import pytest
import torch

from thymos.errors import (
    ArtifactError,
    FingerprintMismatchError,
    LayerError,
    MissingExtraError,
    StorageError,
    UnknownConceptError,
    UsageError,
)
from thymos.models import tiny_model
from thymos.vectors import EmotionVectors, export, hub

KINDS = [("npz", None), ("pt", None), ("gguf", "calm")]


def test_gguf_control_vector(vectors: EmotionVectors, tmp_path: Path) -> None:
    """Tensor names, values in absolute units, block 0 left out (llama.cpp cannot address it)."""
    path = export.export(vectors, tmp_path / "calm.gguf", "gguf", "calm")
    reader = gguf.GGUFReader(path)
    assert [tensor.name for tensor in reader.tensors] == ["direction.1", "direction.2", "direction.3"]
    row = vectors.index("calm")
    for tensor in reader.tensors:
        layer = int(tensor.name.split(".")[1])
        assert tensor.data.dtype == np.float32
        assert tensor.shape.tolist() == [vectors.card.model.hidden_size]
        expected = vectors.directions(layer)[row] * np.float32(vectors.at(layer).norm)
        np.testing.assert_array_equal(tensor.data, expected)
        assert np.linalg.norm(tensor.data) == pytest.approx(vectors.at(layer).norm, rel=1e-5)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "llama"
    assert fields["controlvector.layer_count"] == 3
    assert fields["general.name"] == "calm"


def test_gguf_of_a_combination(vectors: EmotionVectors, tmp_path: Path) -> None:
    mixed = (vectors["calm"] - 0.5 * vectors["angry"]).at(0, 2)
    reader = gguf.GGUFReader(export.to_gguf(mixed, "llama", tmp_path / "mixed.gguf"))
    assert [tensor.name for tensor in reader.tensors] == ["direction.2"]
    np.testing.assert_array_equal(reader.tensors[0].data, mixed.values[2] * np.float32(mixed.norms[2]))
    assert reader.fields["general.name"].contents() == "calm - 0.5*angry"
    with pytest.raises(LayerError, match="cannot add a control vector to block 0"):
        export.to_gguf(vectors["calm"].at(0), "llama", tmp_path / "none.gguf")
    assert not (tmp_path / "none.gguf").exists()


@pytest.mark.parametrize("concept", [None, "sad"])
def test_npz_and_pt(vectors: EmotionVectors, tmp_path: Path, concept: str | None) -> None:
    names = list(vectors.concepts) if concept is None else [concept]
    rows = [vectors.index(name) for name in names]
    truth = np.stack([vectors.directions(layer)[rows] for layer in vectors.layers])
    norms = np.asarray([vectors.at(layer).norm for layer in vectors.layers], np.float32)
    with np.load(export.export(vectors, tmp_path / "set.npz", "npz", concept), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["directions"], truth)
        np.testing.assert_array_equal(arrays["norms"], norms)
        assert arrays["layers"].tolist() == list(vectors.layers)
        assert arrays["concepts"].tolist() == names
    content = torch.load(export.export(vectors, tmp_path / "set.pt", "pt", concept), weights_only=True)
    np.testing.assert_array_equal(content["directions"].numpy(), truth)
    np.testing.assert_array_equal(content["norms"].numpy(), norms)
    assert content["layers"] == list(vectors.layers)
    assert content["concepts"] == names
    assert "output of block l" in content["convention"]


def test_what_export_refuses(vectors: EmotionVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown export format 'onnx'; valid: gguf, npz, pt"):
        export.export(vectors, tmp_path / "x", "onnx")
    with pytest.raises(UsageError, match="one direction per layer; name it with --concept"):
        export.export(vectors, tmp_path / "x", "gguf")
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        export.export(vectors, tmp_path / "x", "npz", "clam")
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r"'gguf', which is not installed; run: pip install 'thymos\[gguf\]'"):
        export.export(vectors, tmp_path / "x", "gguf", "calm")
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("kind", "concept"), KINDS)
def test_exports_on_a_full_disk(
    vectors: EmotionVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, concept: str | None
) -> None:
    path = tmp_path / f"set.{kind}"
    path.write_text("the old one")

    def mkstemp(dir: Path, prefix: str) -> tuple[int, str]:
        name = dir / (prefix + "full")
        name.symlink_to("/dev/full")
        return os.open(name, os.O_WRONLY), str(name)

    monkeypatch.setattr("tempfile.mkstemp", mkstemp)
    with pytest.raises(StorageError, match="no space left while writing"):
        export.export(vectors, path, kind, concept)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "the old one"


class FakeHub:
    """What the client of the hub would keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append((repo_id, options))

    def upload_folder(self, *, repo_id: str, folder_path: str, **options: Any) -> SimpleNamespace:
        self.calls.append((repo_id, options))
        for path in Path(folder_path).iterdir():
            (self.folder / path.name).write_bytes(path.read_bytes())
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")

    def snapshot_download(self, repo_id: str, **options: Any) -> str:
        self.calls.append((repo_id, options))
        return str(self.folder)


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path)
    for name in ("create_repo", "upload_folder", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, getattr(fake, name))
    return fake


def test_push_and_pull(vectors: EmotionVectors, tiny, fake_hub: FakeHub) -> None:
    assert hub.push(vectors, "someone/calm", private=False, message="first") == "https://hub/someone/calm/commit/1"
    assert {path.name for path in fake_hub.folder.iterdir()} == {"vectors.safetensors", "card.json", "README.md"}
    assert fake_hub.calls[0] == ("someone/calm", {"private": False, "exist_ok": True})
    assert fake_hub.calls[1][1]["commit_message"] == "first"
    found = hub.pull("someone/calm", tiny, revision="main")
    assert fake_hub.calls[2][1] == {
        "revision": "main",
        "allow_patterns": ["vectors.safetensors", "card.json", "README.md"],
    }
    assert found.card == vectors.card
    for key, value in vectors.tensors().items():
        np.testing.assert_array_equal(found.tensors()[key], value)


def test_a_pulled_set_is_checked(vectors: EmotionVectors, fake_hub: FakeHub) -> None:
    hub.push(vectors, "someone/calm")
    with pytest.raises(FingerprintMismatchError, match="allow_mismatch=True"):
        hub.pull("someone/calm", tiny_model(seed=1))
    (fake_hub.folder / "card.json").unlink()
    with pytest.raises(ArtifactError, match="has no card.json, so it is not a vector set"):
        hub.pull("someone/calm")


class TransportError(Exception):
    """As the client's network library raises: no OSError."""


@pytest.mark.parametrize("error", [TransportError("[Errno -2] Name or service not known"), OSError("no token"), None])
def test_a_hub_that_cannot_be_reached(
    vectors: EmotionVectors, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """Without a stand-in (None), the client itself is offline: HF_HUB_OFFLINE is set for all tests."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error  # type: ignore[misc]

    if error is not None:
        monkeypatch.setattr(huggingface_hub, "create_repo", fail)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ArtifactError, match=r"cannot push to 'someone/calm': .*; check the name and `hf auth login`"):
        hub.push(vectors, "someone/calm")
    with pytest.raises(ArtifactError, match=r"cannot pull 'someone/calm': .*; check the name, the network and access"):
        hub.pull("someone/calm")


def test_names_the_hub_would_not_take(vectors: EmotionVectors) -> None:
    with pytest.raises(ArtifactError, match=r"cannot pull 'not a/name/at all'"):
        hub.pull("not a/name/at all")


def test_full_disks_keep_their_own_error(vectors: EmotionVectors, fake_hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(self: EmotionVectors, folder: str | Path) -> Path:
        raise StorageError("no space left")

    monkeypatch.setattr(EmotionVectors, "save", save)
    with pytest.raises(StorageError, match="no space left"):
        hub.push(replace(vectors), "someone/calm")
