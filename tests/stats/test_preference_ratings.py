import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from thymos.errors import UsageError
from thymos.stats import average_orders, bradley_terry, position_bias
from thymos.stats.preference import _off_diagonal


def probabilities(strengths: np.ndarray, bias: float = 0.0) -> np.ndarray:
    return expit(strengths[:, None] - strengths[None, :] + bias)


def test_two_items_have_a_closed_form() -> None:
    got = bradley_terry(np.array([[0.0, 30.0], [10.0, 0.0]]), ridge=1e-9)
    assert got.strengths[0] - got.strengths[1] == pytest.approx(math.log(3), abs=1e-6)
    assert got.elo[0] - got.elo[1] == pytest.approx(400 * math.log10(3), abs=1e-3)
    assert got.comparisons == 40


def test_exact_probabilities_give_the_strengths_back() -> None:
    truth = np.random.default_rng(0).normal(size=64)
    truth -= truth.mean()
    got = bradley_terry(probabilities(truth), ridge=1e-9)
    np.testing.assert_allclose(got.strengths, truth, atol=1e-5)
    assert got.elo.mean() == pytest.approx(1500)
    np.testing.assert_allclose(got.elo, 1500 + 400 / math.log(10) * truth, atol=1e-2)


def test_both_orders_cancel_a_position_bias() -> None:
    truth = np.array([1.0, 0.2, -1.2])
    offered = probabilities(truth, bias=0.8)
    averaged = average_orders(offered)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose((averaged + averaged.T)[off], 1.0)
    assert position_bias(offered) > 0.1 > abs(position_bias(averaged))
    got = bradley_terry(averaged).strengths
    assert list(np.argsort(-got)) == [0, 1, 2]


def test_sampled_choices_recover_the_ratings() -> None:
    rng = np.random.default_rng(1)
    truth = np.linspace(-1, 1, 10)
    wins = np.triu(rng.binomial(100, probabilities(truth)), 1)
    wins = wins + np.tril(100 - wins.T, -1)
    assert np.corrcoef(bradley_terry(wins.astype(np.float64)).elo, truth)[0, 1] > 0.98


def test_an_item_that_won_everything_stays_finite() -> None:
    wins = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    got = bradley_terry(wins)
    assert np.all(np.isfinite(got.elo)) and got.elo[0] > got.elo[1] > got.elo[2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_swapping_every_result_mirrors_the_ratings(seed: int, n: int) -> None:
    wins = np.random.default_rng(seed).uniform(0.05, 1.0, size=(n, n))
    np.testing.assert_allclose(bradley_terry(wins).strengths, -bradley_terry(wins.T.copy()).strengths, atol=1e-5)


def test_the_input_is_not_changed() -> None:
    wins = np.ones((3, 3))
    bradley_terry(wins)
    np.testing.assert_array_equal(wins, np.ones((3, 3)))


def test_bad_input_is_named() -> None:
    with pytest.raises(UsageError, match="fall into 2 groups"):
        wins = np.zeros((4, 4))
        wins[0, 1] = wins[2, 3] = 1.0
        bradley_terry(wins)
    with pytest.raises(UsageError, match="wins has 1 items"):
        bradley_terry(np.zeros((1, 1)))
    with pytest.raises(UsageError, match=r"NaN or infinite, the first at \[0, 1\]"):
        bradley_terry(np.array([[0.0, np.nan], [1.0, 0.0]]))
    with pytest.raises(UsageError, match="negative value"):
        bradley_terry(np.array([[0.0, -1.0], [1.0, 0.0]]))
    with pytest.raises(UsageError, match="ridge is 0"):
        bradley_terry(np.ones((2, 2)), ridge=0.0)
    with pytest.raises(UsageError, match="first_chosen has values from 0 to 3"):
        average_orders(np.array([[0.0, 3.0], [0.0, 0.0]]))
    with pytest.raises(UsageError, match=r"wins has shape \(2, 3\); it must be square"):
        _off_diagonal("wins", np.ones((2, 3)))
