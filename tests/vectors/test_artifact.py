"""The artifact: exactly what the design says, whole or not at all, and never trusted blindly."""

import errno
import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from thymos.concepts import EMOTIONS
from thymos.errors import (
    ArtifactError,
    FingerprintMismatchError,
    LayerError,
    SchemaError,
    StorageError,
    UnknownConceptError,
)
from thymos.models import tiny_model
from thymos.vectors import BuildSettings, EmotionVectors, ExtractionSettings, build_vectors, collect

TENSORS, CARD = "vectors.safetensors", "card.json"


@pytest.fixture
def saved(vectors: EmotionVectors, tmp_path: Path) -> Path:
    return vectors.save(tmp_path / "set")


def edit_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def edit_tensors(folder: Path, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(folder / TENSORS)
    edit(tensors)
    save_file(tensors, folder / TENSORS)


def test_names_shapes_and_types(vectors: EmotionVectors, saved: Path) -> None:
    concepts, hidden = len(vectors), vectors.card.model.hidden_size
    with safe_open(saved / TENSORS, framework="np") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    expected: dict[str, tuple[int, ...]] = {}
    for layer in vectors.layers:
        expected |= {
            f"vectors.{layer}": (concepts, hidden),
            f"raw.{layer}": (concepts, hidden),
            f"mean.{layer}": (hidden,),
            f"neutral.{layer}": (vectors.card.denoise.components[layer], hidden),
            f"norm.{layer}": (),
        }
    assert {key: value.shape for key, value in found.items()} == expected
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    assert {path.name for path in saved.iterdir()} == {TENSORS, CARD, "README.md"}


def test_what_the_tensors_mean(vectors: EmotionVectors) -> None:
    for layer in vectors.layers:
        found = vectors.at(layer)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found.raw.sum(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(found.neutral @ found.neutral.T, np.eye(len(found.neutral)), atol=1e-5)
        np.testing.assert_allclose(found.vectors @ found.neutral.T, 0, atol=1e-5)
        clean = found.raw - found.raw @ found.neutral.T @ found.neutral
        np.testing.assert_allclose(found.vectors, clean / np.linalg.norm(clean, axis=1, keepdims=True), atol=1e-5)


def test_round_trip(vectors: EmotionVectors, saved: Path, tiny) -> None:
    again = EmotionVectors.load(saved, tiny)
    assert again.card == vectors.card
    assert again.tensors().keys() == vectors.tensors().keys()
    for key, value in vectors.tensors().items():
        np.testing.assert_array_equal(again.tensors()[key], value)
    twice = again.save(saved.with_name("twice"))
    for name in (TENSORS, CARD, "README.md"):
        assert (twice / name).read_bytes() == (saved / name).read_bytes()


def test_card_and_readme(vectors: EmotionVectors, saved: Path, tiny, stories, neutral) -> None:
    card = json.loads((saved / CARD).read_text())
    assert card["schema_version"] == 1
    assert card["model"]["fingerprint"] == tiny.fingerprint
    assert card["hook_site"] == "block_output"
    assert card["estimator"] == "difference_of_means"
    assert card["first_token"] == 20
    assert card["counts"] == dict.fromkeys(vectors.concepts, 6)
    assert card["stories"]["sha256"] == stories.sha256
    assert card["neutral"]["sha256"] == neutral.sha256
    assert card["stories"]["used"] == card["stories"]["texts"] == 24
    assert card["layer"] == tiny.layer_at(2 / 3)
    assert set(card["versions"]) >= {"thymos", "torch", "transformers", "numpy"}
    page = (saved / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: thymos\n")
    assert "# Emotion vectors of tiny-llama" in page
    assert all(concept in page for concept in vectors.concepts)
    assert "from token 20" in page
    assert "quality" not in page.lower()
    rated = vectors.with_card(quality={"recall": {"top1": 0.4123456, "n": 288}}, notes=("a note",))
    page = (rated.save(saved) / "README.md").read_text()
    assert "- recall.top1: 0.4123" in page
    assert "- a note" in page
    figures = {
        "recall_top1": {"value": 0.35, "low": 0.3, "high": 0.4, "n": 288, "level": 0.95, "chance": 1 / 6, "p": 0.001},
        "odd | name": {"value": "much", "level": 0.9, "low": 0.1, "high": 0.2},
    }
    kept = rated.with_card(quality={"layer": 2, "figures": figures}).save(saved.parent / "two")
    shown = (kept / "README.md").read_text()
    assert "| figure | value | interval | chance | p | n |" in shown
    assert "| recall_top1 | 0.350 | [0.300, 0.400] | 0.167 | 0.001 | 288 |" in shown
    assert "| odd \\| name | much | [0.100, 0.200] (90%) |  |  |  |" in shown and "- layer: 2" in shown
    assert EmotionVectors.load(saved).card.quality == {"recall": {"top1": 0.4123456, "n": 288}}


def test_how_it_shows_itself(vectors: EmotionVectors) -> None:
    assert repr(vectors) == (
        "<EmotionVectors of 'tiny-llama': 4 concepts, layers 0-3, chosen layer 2, difference_of_means>"
    )
    assert "happy, sad" in vectors._repr_html_() or "angry" in vectors._repr_html_()
    model = vectors.card.model.model_copy(update={"id": "<script>alert(1)</script>"})
    assert "<script>" not in vectors.with_card(model=model.model_dump())._repr_html_()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"schema_version": 2}, "schema 2, newer than 1.*upgrade thymos"),
        ({"schema_version": 2, "a_new_key": 1}, "schema 2, newer than 1.*upgrade thymos"),
        ({"layer": 7}, "the chosen layer 7 is not among the layers"),
        ({"layers": [3, 2, 1, 0]}, "not sorted layers"),
        ({"layers": [0, 1, 2, 3, 99]}, "not sorted layers of a model with 4"),
        ({"layers": []}, "at least one"),
        ({"first_token": 0}, "first_token"),
        ({"hook_site": "mlp_output"}, "hook_site"),
        ({"estimator": None}, "estimator"),
        ({"concepts": ["calm", "calm", "sad", "angry"]}, "concept names repeat"),
        *(
            ({"concepts": [name, "calm", "sad", "angry"]}, "is not a plain word or phrase")
            for name in ("../evil", "a/b", "a\\b", ".hidden", "", " ", "nul\0", "x" * 101)
        ),
    ],
)
def test_cards_that_are_refused(saved: Path, changes: dict[str, Any], message: str) -> None:
    edit_card(saved, **changes)
    with pytest.raises(SchemaError, match=message):
        EmotionVectors.load(saved)


@pytest.mark.parametrize("key", ["concepts", "layers", "model", "estimator", "first_token", "stories", "denoise"])
def test_missing_card_keys(saved: Path, key: str) -> None:
    card = json.loads((saved / CARD).read_text())
    del card[key]
    (saved / CARD).write_text(json.dumps(card))
    with pytest.raises(SchemaError, match=f"not a valid card: {key}: Field required"):
        EmotionVectors.load(saved)


@pytest.mark.parametrize("text", ["", "not json", "[1, 2]", "{" * 5000, '"\ud800"', '{"schema_version": "new"}'])
def test_cards_that_are_not_json(saved: Path, text: str) -> None:
    (saved / CARD).write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(SchemaError, match="card.json is not a valid card"):
        EmotionVectors.load(saved)


def test_another_model(saved: Path, tiny) -> None:
    other = tiny_model(seed=1)
    with pytest.raises(FingerprintMismatchError) as raised:
        EmotionVectors.load(saved, other)
    assert tiny.fingerprint in str(raised.value)
    assert other.fingerprint in str(raised.value)
    assert "allow_mismatch=True" in str(raised.value)
    assert len(EmotionVectors.load(saved, other, allow_mismatch=True)) == 4


def test_a_model_of_another_width(saved: Path, minilm) -> None:
    with pytest.raises(FingerprintMismatchError, match=r"hidden size 32, 4 layers\); 'minilm' has hidden size 384"):
        EmotionVectors.load(saved, minilm, allow_mismatch=True)


def test_truncated_tensors(saved: Path) -> None:
    whole = (saved / TENSORS).read_bytes()
    for length in (0, 5, 8, 60, len(whole) // 2, len(whole) - 1):
        (saved / TENSORS).write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="truncated|damaged|not a safetensors file"):
            EmotionVectors.load(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<Q", 2**63) + b"{}", r"claims a header of 9223372036854775808 bytes in a file of 10.*hostile"),
        (struct.pack("<Q", 100) + b"{}", "claims a header of 100 bytes"),
        (struct.pack("<Q", 17 * 2**20) + b" " * (17 * 2**20), "claims a header of 17825792 bytes"),
        (struct.pack("<Q", 40000) + b"[" * 40000, "unreadable header"),
        (struct.pack("<Q", 6000) + b'{"a": ' + b"9" * 5993 + b"}", "unreadable header"),
        (struct.pack("<Q", 4) + b"\xff\xfe\x00\x00", "unreadable header"),
        (struct.pack("<Q", 2) + b"{}", "does not fit its card: missing"),
        (struct.pack("<Q", 0), "not a safetensors file"),
    ],
    ids=["huge", "beyond the end", "larger than allowed", "deep", "long number", "not text", "empty", "no header"],
)
def test_hostile_headers(saved: Path, content: bytes, message: str) -> None:
    (saved / TENSORS).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        EmotionVectors.load(saved)


def test_offsets_beyond_the_file(saved: Path) -> None:
    header = json.dumps({"vectors.0": {"dtype": "F32", "shape": [4, 32], "data_offsets": [0, 512]}}).encode()
    (saved / TENSORS).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(ArtifactError, match="cannot be read .*damaged"):
        EmotionVectors.load(saved)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32])
@pytest.mark.parametrize("name", ["vectors.1", "norm.2", "neutral.0"])
def test_wrong_types(saved: Path, kind: type, name: str) -> None:
    edit_tensors(saved, lambda tensors: tensors.update({name: tensors[name].astype(kind)}))
    with pytest.raises(ArtifactError, match=rf"{name} is {np.dtype(kind)} .*; expected float32"):
        EmotionVectors.load(saved)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("vectors.1", (3, 32)), ("raw.0", (4, 31)), ("mean.3", (32, 1)), ("norm.0", (1,)), ("neutral.2", (32,))],
)
def test_wrong_shapes(saved: Path, name: str, shape: tuple[int, ...]) -> None:
    edit_tensors(saved, lambda tensors: tensors.update({name: np.ones(shape, np.float32)}))
    with pytest.raises(ArtifactError, match=f"{name} is float32 .*; expected float32"):
        EmotionVectors.load(saved)


def test_extra_and_missing_tensors(saved: Path) -> None:
    edit_tensors(saved, lambda tensors: tensors.update({"vectors.4": tensors["vectors.3"]}))
    with pytest.raises(SchemaError, match=r"does not fit its card: missing \[\], unknown \['vectors.4'\]"):
        EmotionVectors.load(saved)
    edit_tensors(saved, lambda tensors: (tensors.pop("vectors.4"), tensors.pop("mean.0")))
    with pytest.raises(SchemaError, match=r"missing \['mean.0'\], unknown \[\]"):
        EmotionVectors.load(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["vectors.1", "raw.0", "norm.2"])
def test_values_that_are_not_finite(saved: Path, name: str, value: float) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[name] = tensors[name].copy()
        tensors[name][(0,) * tensors[name].ndim] = value

    edit_tensors(saved, spoil)
    with pytest.raises(ArtifactError, match=f"{name} holds NaN or infinity"):
        EmotionVectors.load(saved)


def test_pickle_is_never_read(vectors: EmotionVectors, saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "vectors.pt"
    file.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ArtifactError, match=r"no vector set at .*vectors.pt: .*pickle is never read"):
        EmotionVectors.load(file)
    (saved / TENSORS).unlink()
    (saved / "vectors.pt").write_bytes(file.read_bytes())
    with pytest.raises(ArtifactError, match=r"no vectors.safetensors.*; vectors.pt is pickle, .*never read"):
        EmotionVectors.load(saved)
    with pytest.raises(ArtifactError, match=r"no vector set at .*nowhere: expected a folder"):
        EmotionVectors.load(tmp_path / "nowhere")


def no_space_for(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the number-th temporary file on, writing fails as on a full disk: they are links to /dev/full."""
    plain, made = tempfile.mkstemp, []

    def mkstemp(*args: Any, **kwargs: Any) -> tuple[int, str]:
        handle, name = plain(*args, **kwargs)
        made.append(name)
        if len(made) >= number:
            os.close(handle)
            Path(name).unlink()
            Path(name).symlink_to("/dev/full")
            handle = os.open(name, os.O_WRONLY)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_leaves_the_old_set(
    vectors: EmotionVectors, saved: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with monkeypatch.context() as patch:
        no_space_for(number, patch)
        with pytest.raises(StorageError, match=r"no space left while writing .*; free some"):
            vectors.with_card(notes=("another",)).save(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert EmotionVectors.load(saved).card == vectors.card


def test_a_disk_that_fills_up_late(vectors: EmotionVectors, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems say so only when asked to put the data down."""

    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match="no space left"):
        vectors.with_card(notes=("another",)).save(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_places_that_cannot_be_written(vectors: EmotionVectors, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=r"cannot write .*; choose another place with --out"):
            vectors.save(place)
    assert (tmp_path / "file").read_text() == "here first"


def test_changing_the_card(vectors: EmotionVectors) -> None:
    changed = vectors.with_card(layer=1, layer_choice="by hand")
    assert changed.layer == 1
    assert vectors.layer == 2
    with pytest.raises(SchemaError, match="the chosen layer 99 is not among"):
        vectors.with_card(layer=99)
    with pytest.raises(SchemaError, match="qualty"):
        vectors.with_card(qualty={})


def test_building_with_a_layer_that_was_not_read(tiny, stories, neutral) -> None:
    settings = ExtractionSettings((1, 2), first_token=20)
    collected = collect(tiny, stories, neutral, EMOTIONS, settings)
    with pytest.raises(LayerError, match=r"the chosen layer 3 is not among the extracted layers \[1, 2\]"):
        build_vectors(tiny, collected, (stories, neutral), settings, BuildSettings(layer=3))
    found = build_vectors(tiny, collected, (stories, neutral), settings, BuildSettings(layer=1, neutral_share=0.0))
    assert (found.layer, found.card.layer_choice) == (1, "given by hand")
    assert found.at(1).neutral.shape == (0, 32)
    assert found.card.denoise.components == {1: 0, 2: 0}


def test_unknown_concepts(vectors: EmotionVectors) -> None:
    with pytest.raises(UnknownConceptError, match="did you mean 'angry'"):
        vectors.index("angri")
