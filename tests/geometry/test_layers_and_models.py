import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import blobs, circumplex, rotation

from thymos import extras
from thymos.errors import MissingExtraError, UsageError
from thymos.geometry import compare_layers, compare_sets, linear_cka, umap_layout

NAMES = [f"word {i}" for i in range(24)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_cka_ignores_rotation_scale_and_common_row_order(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(12, 6)), rng.normal(size=(12, 9))
    value = linear_cka(one, other)
    assert 0.0 <= value <= 1.0
    order = rng.permutation(12)
    assert linear_cka(scale * one[order] @ rotation(6, seed) + 2.0, other[order]) == pytest.approx(value)
    assert linear_cka(one, one @ rotation(6, seed)) == pytest.approx(1.0)
    assert linear_cka(other, one) == pytest.approx(value)


def test_layers_that_share_a_geometry_are_similar() -> None:
    rows = blobs()
    noise = np.random.default_rng(9).normal(size=(24, 20))
    got = compare_layers({2: rows, 5: 4 * rows @ rotation(20, 3), 9: noise})
    assert got.layers == (2, 5, 9)
    for matrix in (got.pearson, got.cosine, got.cka):
        np.testing.assert_allclose(np.diag(matrix), 1.0)
        np.testing.assert_allclose(matrix, matrix.T)
        assert matrix[0, 1] == pytest.approx(1.0) and matrix[0, 2] < 0.7
    assert abs(got.pearson[0, 2]) < 0.2
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    other = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    assert got.cka[0, 2] == pytest.approx(linear_cka(unit, other))


def test_two_models_over_shared_concepts() -> None:
    rows = blobs()
    order = np.random.default_rng(0).permutation(24)
    other = np.hstack([rows[order] @ rotation(20, 2), np.zeros((24, 7))])
    names = [NAMES[i] for i in order][:-2] + ["only here", "and here"]
    got = compare_sets((rows, NAMES), (other, names), permutations=99, resamples=100)
    assert len(got.concepts) == 22 and set(got.concepts) == set(names[:-2])
    assert got.pearson.estimate == pytest.approx(1.0) and got.pearson.n == 22
    assert got.cka == pytest.approx(1.0) and got.cosine == pytest.approx(1.0)
    assert got.p == got.p_cka == pytest.approx(0.01)


def test_unrelated_models_are_at_chance() -> None:
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one, other = rng.normal(size=(10, 8)), rng.normal(size=(10, 6))
        got = compare_sets((one, NAMES[:10]), (other, NAMES[:10]), permutations=39, resamples=20, seed=seed)
        p.append([got.p, got.p_cka])
    assert np.all(np.mean(np.array(p) <= 0.1, axis=0) <= 0.25)
    assert np.all(np.abs(np.mean(p, axis=0) - 0.5) < 0.15)


def test_similarity_errors() -> None:
    rows = blobs()
    with pytest.raises(UsageError, match=r"share 0 concepts \(none\); a comparison needs at least 4"):
        compare_sets((rows, NAMES), (rows, [name + "x" for name in NAMES]))
    with pytest.raises(UsageError, match="24 vectors with 2 names"):
        compare_sets((rows, NAMES), (rows, ["a", "b"]))
    with pytest.raises(UsageError, match="no layers"):
        compare_layers({})
    with pytest.raises(UsageError, match="different numbers of vectors"):
        compare_layers({1: rows, 2: rows[:5]})
    with pytest.raises(UsageError, match="24 rows against 5"):
        linear_cka(rows, rows[:5])
    with pytest.raises(UsageError, match="the second matrix has rows that are all equal"):
        linear_cka(rows, np.ones((24, 3)))
    with pytest.raises(UsageError, match="the first matrix has 2 rows"):
        linear_cka(rows[:2], rows[:2])


def test_umap_checks_its_arguments() -> None:
    with pytest.raises(UsageError, match="neighbours is 24; valid values are 2 to 23"):
        umap_layout(blobs(), neighbours=24)


def test_umap_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"a UMAP layout needs .* pip install 'thymos\[umap\]'"):
        umap_layout(circumplex()[0])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ImportWarning")
def test_umap_keeps_groups_together() -> None:
    layout = umap_layout(blobs(), neighbours=5)
    assert layout.shape == (24, 2)
    groups = layout.reshape(4, 6, 2)
    within = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2).mean()
    assert within < 0.5 * np.linalg.norm(layout - layout.mean(axis=0), axis=1).mean()
    np.testing.assert_array_equal(umap_layout(blobs(), neighbours=5), layout)
