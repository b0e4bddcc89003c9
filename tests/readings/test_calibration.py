"""Reference sets: z-scores and p-values against NumPy, and what they may be compared with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thymos.errors import ArtifactError, CorpusError, FingerprintMismatchError, StorageError, UsageError
from thymos.models import Model, Select
from thymos.readings import Reading, ReadSettings, Reference, calibrate, read, read_corpus
from thymos.texts import Corpus, Text, open_corpus
from thymos.vectors import EmotionVectors

TEXT = "The gate stood open, and nobody came."
SETTINGS = ReadSettings(layers=(1, 2))


@pytest.fixture(scope="module")
def reference(tiny: Model, vectors: EmotionVectors, neutral: Corpus) -> Reference:
    return calibrate(tiny, vectors, neutral, "plain sentences", settings=SETTINGS)


@pytest.fixture(scope="module")
def reading(tiny: Model, vectors: EmotionVectors) -> Reading:
    return read(tiny, vectors, TEXT, settings=SETTINGS)


@pytest.fixture(scope="module")
def everything(tiny: Model, vectors: EmotionVectors, neutral: Corpus) -> np.ndarray:
    """Scores of every content token of the reference corpus."""
    found = [reading for _, reading in read_corpus(tiny, vectors, neutral, settings=SETTINGS)]
    return np.concatenate([reading.scores[~reading.tokens.special] for reading in found]).astype(np.float64)


def test_figures_of_a_reference(reference: Reference, everything: np.ndarray, neutral: Corpus, tiny: Model) -> None:
    assert (reference.tokens, reference.texts) == (len(everything), neutral.count)
    assert reference.fingerprint == tiny.fingerprint
    assert reference.corpus_sha256 == neutral.sha256
    np.testing.assert_allclose(reference.mean, everything.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(reference.spread, everything.std(axis=0), rtol=1e-4)
    grid = Reference.grid()
    assert (np.diff(grid) > 0).all()
    truth = np.moveaxis(np.quantile(everything, grid, axis=0), 0, -1)
    np.testing.assert_allclose(reference.quantiles, truth, atol=1e-5)


def test_z_scores(reading: Reading, reference: Reference, everything: np.ndarray) -> None:
    found = reading.calibrated(reference)
    z = (reading.scores - everything.mean(axis=0)) / everything.std(axis=0)
    np.testing.assert_allclose(found.scores, z, atol=2e-3, rtol=1e-3)
    assert (found.unit, found.reference) == ("z", "plain sentences")
    assert (reading.unit, reading.reference) == ("cosine", None)
    assert found.scores.dtype == np.float32
    assert "z" in repr(found.to_frame().columns.tolist()) or found.to_json().count('"unit": "z"') == 1


def test_p_values(reading: Reading, reference: Reference, everything: np.ndarray) -> None:
    """The share of reference tokens at least as high; it never says less than 1 / (n + 1)."""
    found = reading.p_values(reference)
    share = (everything[None] >= reading.scores[:, None]).mean(axis=1)
    # Between quantiles it is interpolated: a grid of 1% and ties of n tokens bound what that can miss.
    np.testing.assert_allclose(found, np.maximum(share, 1 / (len(everything) + 1)), atol=0.02)
    top = replace(reading, scores=np.full_like(reading.scores, 1.0))
    np.testing.assert_allclose(top.p_values(reference), 1 / (reference.tokens + 1), rtol=1e-5)
    low = replace(reading, scores=np.full_like(reading.scores, -1.0))
    np.testing.assert_allclose(low.p_values(reference), 1.0)


def test_reading_with_a_reference(tiny: Model, vectors: EmotionVectors, reading: Reading, reference: Reference) -> None:
    found = read(tiny, vectors, TEXT, settings=SETTINGS, reference=reference)
    np.testing.assert_array_equal(found.scores, reading.calibrated(reference).scores)
    (_, streamed), *_ = read_corpus(tiny, vectors, open_corpus([TEXT]), settings=SETTINGS, reference=reference)
    np.testing.assert_array_equal(streamed.scores, found.scores)
    assert "plain sentences" in found._repr_html_()


def test_round_trip(reference: Reference, reading: Reading, tmp_path: Path) -> None:
    again = Reference.load(reference.save(tmp_path / "plain.safetensors"))
    for name in ("mean", "spread", "quantiles"):
        np.testing.assert_array_equal(getattr(again, name), getattr(reference, name))
    arrays = {"mean": None, "spread": None, "quantiles": None}
    assert {**again.__dict__, **arrays} == {**reference.__dict__, **arrays}
    np.testing.assert_array_equal(reading.calibrated(again).scores, reading.calibrated(reference).scores)


def test_files_that_are_no_reference(reference: Reference, vectors: EmotionVectors, tmp_path: Path) -> None:
    path = reference.save(tmp_path / "plain.safetensors")
    with pytest.raises(ArtifactError, match="no reference set at .*thymos.calibrate"):
        Reference.load(tmp_path / "nothing")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="is not a reference set, or is damaged"):
        Reference.load(path)
    vectors.save(tmp_path)
    with pytest.raises(ArtifactError, match="is not a reference set"):
        Reference.load(tmp_path / "vectors.safetensors")
    wrong = replace(reference, concepts=reference.concepts[:2]).save(path)
    with pytest.raises(ArtifactError, match="is not a reference set, or is damaged .*mean is float32"):
        Reference.load(wrong)
    with pytest.raises(StorageError, match="cannot write"):
        reference.save(path / "below")


def test_mismatches_are_refused(
    tiny: Model, vectors: EmotionVectors, model_of, vectors_of, neutral: Corpus, reading: Reading, reference: Reference
) -> None:
    for settings, message in [
        (ReadSettings(layers=(2,)), r"has layers \(1, 2\)"),
        (ReadSettings(layers=(1, 2), centred=True), "centred=False"),
        (ReadSettings(layers=(1, 2), concepts=("calm",)), "4 concepts"),
        (ReadSettings(layers=(1, 2), denoised=False), "made with denoised=True, this reading with denoised=False"),
    ]:
        with pytest.raises(UsageError, match=message):
            read(tiny, vectors, TEXT, settings=settings, reference=reference)
    with pytest.raises(UsageError, match="this reading is in z against 'plain sentences'; calibrate the original"):
        reading.calibrated(reference).calibrated(reference)
    with pytest.raises(UsageError, match="calibrate the original"):
        reading.calibrated(reference).p_values(reference)
    gpt2 = model_of("gpt2")
    foreign = calibrate(gpt2, vectors_of(gpt2), neutral, "another model", settings=SETTINGS)
    with pytest.raises(FingerprintMismatchError, match=f"{gpt2.fingerprint}.*{tiny.fingerprint}"):
        reading.calibrated(foreign)


def test_names_and_sizes(tiny: Model, vectors: EmotionVectors, neutral: Corpus) -> None:
    for name in ("", "../x", "a\nb", "<b>", "x" * 61):
        with pytest.raises(UsageError, match="reference name"):
            calibrate(tiny, vectors, neutral, name)
    with pytest.raises(CorpusError, match="has 9 usable tokens; at least 20 are needed"):
        calibrate(tiny, vectors, open_corpus(["abc", "defghi"]), "short")


def test_a_selection_of_tokens(tiny: Model, vectors: EmotionVectors, neutral: Corpus) -> None:
    found = calibrate(tiny, vectors, neutral, "late tokens", select=Select(start_token=40))
    scores = [reading.at()[40:] for _, reading in read_corpus(tiny, vectors, neutral)]
    assert found.tokens == sum(map(len, scores))
    np.testing.assert_allclose(found.mean[0], np.concatenate(scores).mean(axis=0), atol=1e-5)


def test_large_corpora_are_thinned_evenly(tiny: Model, vectors: EmotionVectors) -> None:
    """What is kept is bounded, comes from all of the corpus, and is what p-values may claim."""
    draw = np.random.default_rng(0)
    corpus = open_corpus([Text("".join(draw.choice(list("abcxyz "), 20 + i % 23)).strip() + ".") for i in range(600)])
    found = calibrate(tiny, vectors, corpus, "many", longest=500)
    whole = calibrate(tiny, vectors, corpus, "all", longest=10**6)
    assert whole.tokens > 600 * 20
    assert 250 <= found.tokens <= 500 + 30
    assert found.texts == 600
    np.testing.assert_allclose(found.mean, whole.mean, atol=0.3 * float(whole.spread.max()))
    np.testing.assert_allclose(found.spread, whole.spread, rtol=0.3)
