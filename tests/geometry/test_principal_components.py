import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from shapes import circumplex, rotation

from thymos.errors import LayerError, UsageError
from thymos.geometry import norm_correlations, pca, random_explained


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_pca_ignores_rotation_length_and_row_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, _ = circumplex(words=15, seed=seed % 11)
    before = pca(rows, 3)
    turned = pca((rows * rng.uniform(0.1, 10, size=(15, 1))) @ rotation(30, seed), 3)
    np.testing.assert_allclose(turned.explained, before.explained, atol=1e-10)
    np.testing.assert_allclose(turned.scores, before.scores, atol=1e-6)
    order = rng.permutation(15)
    np.testing.assert_allclose(pca(rows[order], 3).scores, before.scores[order], atol=1e-6)


def test_pca_is_of_centred_unit_vectors_with_a_fixed_sign() -> None:
    rows, _ = circumplex()
    got = pca(rows.astype(np.float32), 50)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(got.scores, (unit - got.mean) @ got.components.T, atol=1e-5)
    np.testing.assert_allclose(got.components @ got.components.T, np.eye(30), atol=1e-10)
    assert got.explained.sum() == pytest.approx(1.0) and np.all(np.diff(got.explained) <= 0)
    assert np.all(got.scores.max(axis=0) >= -got.scores.min(axis=0))
    np.testing.assert_allclose(pca(-rows, 3).explained, got.explained[:3], atol=1e-5)
    assert pca(rows[:4], 10).scores.shape == (4, 3)


def test_lengths_do_not_make_the_first_component() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 20)) + 3.0
    rows *= np.exp(rng.normal(size=(40, 1)))
    lengths = np.linalg.norm(rows, axis=1)
    assert abs(np.corrcoef(pca(rows, 1).scores[:, 0], lengths)[0, 1]) < 0.5


def test_few_random_directions_explain_a_lot_by_construction() -> None:
    few, many = random_explained(9, 100, draws=5), random_explained(171, 100, draws=5)
    assert few.shape == (5, 3) and few[:, 0].min() > 0.14 and many[:, 0].max() < 0.05


def test_planted_norms_are_found_on_their_components() -> None:
    rows, norms = circumplex()
    rows_by_layer = {3: np.random.default_rng(5).normal(size=rows.shape), 7: rows}
    with_gaps = norms.copy()
    with_gaps[::4] = np.nan
    got = norm_correlations(rows_by_layer, with_gaps, permutations=499)
    assert got.n == 30 and got.r.shape == got.p.shape == (2, 3, 3) and got.layers == (3, 7)
    pleasure, arousal, dominance = (got.best(norm) for norm in ("pleasure", "arousal", "dominance"))
    assert pleasure.layer == 7 and pleasure.component == 1 and abs(pleasure.r) > 0.8 and pleasure.p == 1 / 500
    assert arousal.layer == 7 and arousal.component == 2 and abs(arousal.r) > 0.8 and arousal.p == 1 / 500
    assert dominance.p > 0.05
    one = got.at(7, 1, "pleasure")
    assert one.r == pytest.approx(pleasure.r) and one.n == 30 and one.interval.low <= one.r <= one.interval.high


def test_the_null_includes_the_search() -> None:
    searched, naive = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        layers = {layer: rng.normal(size=(20, 12)) for layer in range(6)}
        got = norm_correlations(layers, rng.uniform(-1, 1, size=(20, 3)), permutations=99, seed=seed)
        best = got.best("arousal")
        searched.append(best.p + rng.uniform(-0.01, 0))
        naive.append(got.at(best.layer, best.component, "arousal").p)
    assert scipy_stats.kstest(searched, "uniform").pvalue > 0.01
    assert np.mean(np.array(naive) < 0.05) > 0.3


def test_norm_errors() -> None:
    rows, norms = circumplex(words=8)
    with pytest.raises(UsageError, match="no layers"):
        norm_correlations({}, norms)
    with pytest.raises(UsageError, match="layer 2 has 7 vectors for 8 rows of norms"):
        norm_correlations({1: rows, 2: rows[:7]}, norms)
    gaps = norms.copy()
    gaps[3:, 1] = np.nan
    with pytest.raises(UsageError, match="3 of 8 concepts have norms"):
        norm_correlations({1: rows}, gaps)
    flat = norms.copy()
    flat[:, 1] = 0.5
    with pytest.raises(UsageError, match="all 8 values of arousal are equal"):
        norm_correlations({1: rows}, flat)
    got = norm_correlations({1: rows}, norms, permutations=9)
    with pytest.raises(UsageError, match="unknown norm 'valence'; valid names are pleasure, arousal, dominance"):
        got.best("valence")
    with pytest.raises(LayerError, match="layer 4 was not searched; valid: 1"):
        got.at(4, 1, "arousal")
    with pytest.raises(UsageError, match="component is 0; valid values are 1 to 3"):
        got.at(1, 0, "arousal")
    with pytest.raises(UsageError, match="permutations is 0"):
        norm_correlations({1: rows}, norms, permutations=0)
    with pytest.raises(UsageError, match="all 5 vectors point the same way"):
        pca(np.ones((5, 3)))
    with pytest.raises(UsageError, match="components is 0"):
        pca(rows, 0)


def test_more_components_than_there_are_stay_empty() -> None:
    rows, norms = circumplex(words=4, hidden=2 + 28)
    got = norm_correlations({0: rows[:, :]}, norms, components=6, permutations=9)
    assert got.r.shape == (1, 6, 3) and np.all(got.r[:, 3:] == 0)
