import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from thymos.errors import UsageError
from thymos.stats import dose_response

DOSES = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])


def test_two_doses_have_firths_closed_form() -> None:
    # With one parameter per cell the penalty is exactly half a success and half a failure more in each dose.
    got = dose_response(np.array([0.0, 1.0]), np.array([3, 8]), np.array([10, 10]))
    low, high = math.log(3.5 / 7.5), math.log(8.5 / 2.5)
    assert got.intercept == pytest.approx(low, abs=1e-5)
    assert got.slope.estimate == pytest.approx(high - low, abs=1e-5)
    np.testing.assert_allclose(got.rate(np.array([0.0, 1.0])), [3.5 / 11, 8.5 / 11], atol=1e-5)
    assert got.half_dose == pytest.approx(-low / (high - low), abs=1e-5)
    assert got.trials == got.slope.n == 20


def test_plain_data_agree_with_an_ordinary_logistic_fit() -> None:
    n = np.full(5, 2000)
    successes = np.random.default_rng(0).binomial(n, expit(-0.5 + 12 * DOSES))
    got = dose_response(DOSES, successes, n)
    x = np.repeat(DOSES, n)[:, None]
    y = np.concatenate([np.r_[np.ones(k), np.zeros(m - k)] for k, m in zip(successes, n, strict=True)])
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    assert got.slope.estimate == pytest.approx(fit.coef_[0, 0], rel=0.01)
    assert got.intercept == pytest.approx(fit.intercept_[0], rel=0.01)
    rate = fit.predict_proba(DOSES[:, None])[:, 1]
    weight = n * rate * (1 - rate)
    centred = DOSES - np.average(DOSES, weights=weight)
    error = 1 / np.sqrt((weight * centred**2).sum())
    assert got.slope.low == pytest.approx(fit.coef_[0, 0] - 1.96 * error, rel=0.02)
    assert got.slope.high == pytest.approx(fit.coef_[0, 0] + 1.96 * error, rel=0.02)


def test_complete_separation_stays_finite_and_significant() -> None:
    got = dose_response(DOSES, np.array([0, 0, 0, 20, 20]), np.full(5, 20))
    assert math.isfinite(got.slope.estimate) and got.slope.low > 0
    assert got.p < 1e-6
    assert 0 < got.half_dose < 0.05


def test_no_effect_and_no_successes_are_not_significant() -> None:
    flat = dose_response(DOSES, np.full(5, 10), np.full(5, 20))
    assert flat.p == pytest.approx(1, abs=1e-4) and flat.slope.estimate == pytest.approx(0, abs=1e-4)
    assert 0.0 in flat.slope
    floor = dose_response(DOSES, np.zeros(5, dtype=np.int64), np.full(5, 20))
    assert floor.p > 0.5 and 0.0 in floor.slope


def test_p_and_interval_agree_about_zero() -> None:
    rng = np.random.default_rng(4)
    n = np.full(5, 25)
    for _ in range(15):
        got = dose_response(DOSES, rng.binomial(n, expit(8 * DOSES)), n)
        assert (0.0 in got.slope) == (got.p >= 0.05)


def test_null_p_values_are_uniform_enough() -> None:
    rng = np.random.default_rng(6)
    n = np.full(5, 40)
    p = [dose_response(DOSES, rng.binomial(n, 0.4), n).p for _ in range(60)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=5, max_size=5), st.sampled_from([0.1, 1.0, 250.0]))
def test_sign_and_unit_of_strength_only_rescale_the_slope(successes: list[int], unit: float) -> None:
    k, n = np.array(successes), np.full(5, 12)
    plain, turned = dose_response(DOSES, k, n), dose_response(-DOSES * unit, k, n)
    assert turned.slope.estimate * unit == pytest.approx(-plain.slope.estimate, rel=1e-3, abs=1e-3)
    assert turned.slope.low * unit == pytest.approx(-plain.slope.high, rel=1e-3, abs=1e-2)
    assert turned.p == pytest.approx(plain.p, rel=1e-3, abs=1e-6)


def test_bad_input_is_named() -> None:
    three = np.array([0.0, 0.1, 0.2])
    n = np.array([5, 5, 5])
    k = np.array([1, 2, 3])
    with pytest.raises(UsageError, match="all 3 doses have strength 0"):
        dose_response(np.zeros(3), k, n)
    with pytest.raises(UsageError, match="dose 1 has 6 successes in 5 trials"):
        dose_response(three, np.array([1, 6, 3]), n)
    with pytest.raises(UsageError, match="dose 2 has 0 trials"):
        dose_response(three, k, np.array([5, 5, 0]))
    with pytest.raises(UsageError, match="strength has 1 rows"):
        dose_response(three[:1], k[:1], n[:1])
    with pytest.raises(UsageError, match="strength has 1 values that are NaN"):
        dose_response(np.array([0.0, np.nan, 1.0]), k, n)
    with pytest.raises(UsageError, match="level is 95"):
        dose_response(three, k, n, level=95.0)
