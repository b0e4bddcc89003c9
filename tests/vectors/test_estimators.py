"""Estimators behind one protocol: both find what was planted."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from thymos.concepts import EMOTIONS
from thymos.errors import CorpusError
from thymos.vectors import (
    BuildSettings,
    DifferenceOfMeans,
    Estimator,
    ExtractionSettings,
    LayerData,
    LogisticProbes,
    TextMeans,
    TextRows,
    Watch,
    build_vectors,
    collect,
)


def planted(texts: int, hidden: int, concepts: int, topics: int = 6, seed: int = 0) -> tuple[LayerData, np.ndarray]:
    """Concepts along orthogonal directions, topics along others that are stronger, and noise."""
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.normal(size=(hidden, concepts + topics)))[0].T
    labels = np.arange(texts) % concepts
    places = (np.arange(texts) // concepts) % topics
    means = 5 + 3 * basis[labels] + 6 * basis[concepts + places] + 0.1 * draw.normal(size=(texts, hidden))
    means = means.astype(np.float32)
    concept_means = np.stack([means[labels == c].mean(axis=0, dtype=np.float64) for c in range(concepts)])
    rows = TextRows(means, labels.astype(np.int64), places.astype(np.int64))
    return LayerData(concept_means, lambda: rows), basis[:concepts] - basis[:concepts].mean(axis=0)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("estimator", [DifferenceOfMeans(), LogisticProbes()])
@pytest.mark.parametrize(("texts", "hidden", "concepts"), [(96, 24, 4), (48, 200, 4), (60, 30, 2)])
def test_planted_directions_are_found(estimator: Estimator, texts: int, hidden: int, concepts: int) -> None:
    """More texts than dimensions, fewer, and two concepts alone."""
    assert isinstance(estimator, Estimator)
    data, truth = planted(texts, hidden, concepts)
    found = estimator.fit(data)
    assert found.shape == truth.shape
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-6)
    assert cosines(found, truth).min() > 0.95


def test_the_row_space_is_enough() -> None:
    """With fewer texts than dimensions the fit runs in the span of the texts, and gives what the full fit gives."""
    data, _ = planted(40, 120, 4)
    rows = data.rows()
    found = LogisticProbes(strengths=(0.01,)).fit(data)
    centred = rows.means.astype(np.float64) - rows.means.mean(axis=0, dtype=np.float64)
    scale = np.sqrt((centred**2).mean())
    full = LogisticRegression(C=0.01, max_iter=2000, tol=1e-8).fit(centred / scale, rows.labels).coef_ / scale
    full -= full.mean(axis=0)
    assert cosines(found, full).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(found), np.linalg.norm(full), rtol=1e-2)


def test_probes_of_a_battery_are_quick() -> None:
    """288 texts x 384 dimensions x 24 concepts took half a minute a layer when threads fought for the cores."""
    data, truth = planted(288, 384, 24, topics=12)
    started = time.process_time()
    found = LogisticProbes().fit(data)
    assert time.process_time() - started < 10
    assert cosines(found, truth).min() > 0.9


def test_probes_need_topics() -> None:
    data, _ = planted(48, 24, 4, topics=1)
    with pytest.raises(CorpusError, match=r"the texts have 1 topic\(s\); give texts with a `topic` column"):
        LogisticProbes().fit(data)


def test_concepts_that_are_missing_from_a_fold_or_from_the_sample() -> None:
    """A bounded sample may hold no text of a rare concept: its row is that of no evidence, not another's."""
    data, truth = planted(96, 24, 4)
    rows = data.rows()
    keep = rows.labels != 2
    fewer = TextRows(rows.means[keep], rows.labels[keep], rows.topics[keep])
    found = LogisticProbes().fit(LayerData(data.concept_means, lambda: fewer))
    assert found.shape == (4, 24)
    assert cosines(found, truth)[[0, 1, 3]].min() > 0.8
    once = rows.labels[:40].copy()
    once[7] = 3
    lonely = TextRows(rows.means[:40], np.where((once == 3) & (np.arange(40) != 7), 0, once), rows.topics[:40])
    assert np.isfinite(LogisticProbes().fit(LayerData(data.concept_means, lambda: lonely))).all()


def test_both_estimators_through_a_build(tiny, stories, neutral, tmp_path) -> None:
    settings = ExtractionSettings((1, 2), first_token=20)
    collected = collect(tiny, stories, neutral, EMOTIONS, settings, Watch(tmp_path))
    kept = TextMeans(tmp_path, settings.layers, collected.concepts, tiny.hidden_size)
    build = BuildSettings(estimator=LogisticProbes(folds=3))
    found = build_vectors(tiny, collected, (stories, neutral), settings, build, kept.rows_at)
    assert found.card.estimator == "logistic_probes"
    assert found.card.estimator_settings == {"folds": 3, "strengths": [0.001, 0.01, 0.1]}
    np.testing.assert_allclose(np.linalg.norm(found.directions(1), axis=1), 1, atol=1e-6)
    means = build_vectors(tiny, collected, (stories, neutral), settings)
    assert cosines(found.directions(2), means.directions(2)).min() > 0
    with pytest.raises(CorpusError, match="looks at single texts, but none were kept; raise --keep-texts"):
        build_vectors(tiny, collected, (stories, neutral), settings, build)
