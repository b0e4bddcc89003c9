import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thymos.errors import UsageError
from thymos.stats import benjamini_hochberg, directions_in_span, holm, random_directions

p_arrays = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


def test_random_directions_are_unit_float32_rows_and_seeded() -> None:
    got = random_directions(25, 64, seed=3)
    assert got.shape == (25, 64) and got.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(got, random_directions(25, 64, seed=3))
    assert not np.array_equal(got, random_directions(25, 64, seed=4))


def test_random_directions_are_uniform_on_the_sphere() -> None:
    got = random_directions(4000, 10, seed=0).astype(np.float64)
    np.testing.assert_allclose(got.mean(0), 0, atol=0.025)
    np.testing.assert_allclose(got.T @ got / 4000, np.eye(10) / 10, atol=0.012)


def test_directions_in_span_lie_in_the_span_whatever_the_lengths() -> None:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(3, 40))
    vectors = (rng.normal(size=(8, 3)) @ basis * np.logspace(-6, 3, 8)[:, None]).astype(np.float32)
    got = directions_in_span(vectors, 500, seed=1).astype(np.float64)
    assert got.shape == (500, 40)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    inside = np.linalg.qr(basis.T)[0]
    np.testing.assert_allclose(got @ inside @ inside.T, got, atol=1e-5)
    spread = np.linalg.eigvalsh((got @ inside).T @ (got @ inside) / 500)
    np.testing.assert_allclose(spread, 1 / 3, atol=0.06)


def test_zero_rows_do_not_matter_and_only_zero_rows_fail() -> None:
    vectors = np.zeros((3, 5))
    with pytest.raises(UsageError, match="all 3 vectors are zero"):
        directions_in_span(vectors, 2)
    vectors[1, 2] = 4.0
    np.testing.assert_allclose(np.abs(directions_in_span(vectors, 2)), [[0, 0, 1, 0, 0]] * 2, atol=1e-7)


def test_bad_directions_are_named() -> None:
    with pytest.raises(UsageError, match="n is 0"):
        random_directions(0, 5)
    with pytest.raises(UsageError, match="hidden is 0"):
        random_directions(5, 0)
    with pytest.raises(UsageError, match="vectors has 0 rows"):
        directions_in_span(np.zeros((0, 5)), 2)
    with pytest.raises(UsageError, match=r"NaN or infinite, the first at \[0, 1\]"):
        directions_in_span(np.array([[1.0, np.nan]]), 2)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_by_hand() -> None:
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.005])), [0.02, 0.04, 0.04, 0.02])


@settings(deadline=None)
@given(p_arrays)
def test_corrections_only_raise_and_keep_the_order(p: np.ndarray) -> None:
    strict, loose = holm(p), benjamini_hochberg(p)
    tiny = 1e-12
    assert np.all(p <= loose + tiny) and np.all(loose <= strict + tiny) and np.all(strict <= 1.0)
    assert np.all(strict <= np.minimum(1.0, p * len(p)) + tiny)
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(strict[order]) >= -tiny) and np.all(np.diff(loose[order]) >= -tiny)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_bad_p_values_are_named(correct) -> None:
    with pytest.raises(UsageError, match="p_values has 0 rows"):
        correct(np.array([]))
    with pytest.raises(UsageError, match="NaN or infinite"):
        correct(np.array([0.1, np.nan]))
    with pytest.raises(UsageError, match="from 0.1 to 1.2; valid values are from 0 to 1"):
        correct(np.array([0.1, 1.2]))


def test_holm_controls_false_findings_under_the_null() -> None:
    drawn = np.random.default_rng(0).uniform(size=(1000, 20))
    rate = np.mean([(holm(row) < 0.05).any() for row in drawn])
    assert rate == pytest.approx(0.05, abs=0.02)
