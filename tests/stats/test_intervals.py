import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats

from thymos.errors import UsageError
from thymos.stats import Interval, bootstrap, bootstrap_items, paired_bootstrap, wilson
from thymos.stats._checks import check_same_length

finite = st.floats(-1e3, 1e3)


def test_interval_prints_itself() -> None:
    interval = Interval(0.412, 0.349, 0.471, n=20)
    assert str(interval) == "0.41 [0.35, 0.47]"
    assert f"{interval:.3f}" == "0.412 [0.349, 0.471]"
    assert interval.level == 0.95
    assert 0.4 in interval and 0.5 not in interval


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    got = bootstrap(values, resamples=4000, seed=2)
    half = 1.96 * values.std() / np.sqrt(400)
    assert got.estimate == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - half, abs=0.02)
    assert got.high == pytest.approx(values.mean() + half, abs=0.02)
    assert got.n == 400


def test_seeds_decide_everything() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap(values, seed=4) == bootstrap(values, seed=4)
    assert bootstrap(values, seed=4) != bootstrap(values, seed=5)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_coverage_is_near_the_level(method: str) -> None:
    rng = np.random.default_rng(7)
    hits = sum(
        1.0 in bootstrap(rng.normal(1.0, 1.0, 40), resamples=200, seed=trial, level=0.9, method=method)
        for trial in range(150)
    )
    # 90% nominal; the binomial 99.9% range around 0.88 with 150 trials.
    assert 0.78 <= hits / 150 <= 0.96


def test_level_widens_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)
    narrow, wide = bootstrap(values, level=0.8), bootstrap(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_median_and_equal_values_work() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    assert bootstrap(values, statistic=np.median).estimate == 3.0
    for method in ("percentile", "bca"):
        same = bootstrap(np.full(5, 2.5), method=method)
        assert (same.estimate, same.low, same.high) == (2.5, 2.5, 2.5)


def test_pairing_removes_what_items_share() -> None:
    rng = np.random.default_rng(3)
    item = rng.normal(0, 10, 60)
    a, b = item + 1 + rng.normal(0, 0.1, 60), item + rng.normal(0, 0.1, 60)
    got = paired_bootstrap(a, b)
    assert got.estimate == pytest.approx((a - b).mean())
    assert 0.9 < got.low < got.high < 1.1


def test_undefined_resamples_are_left_out_but_not_many() -> None:
    got = bootstrap_items(lambda items: float("nan") if len(set(items)) == 1 else float(items.mean()), 5, resamples=500)
    assert got.low < 2.0 < got.high
    with pytest.raises(UsageError, match=r"undefined on \d+ of 100 resamples"):
        bootstrap_items(lambda items: 1.0 if 0 in items else float("nan"), 5, resamples=100)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([]), r"values has 0 rows"),
        (np.array([1.0]), "at least 2 are needed"),
        (np.array([1.0, np.nan, np.inf]), r"2 values that are NaN or infinite, the first at \[1\]"),
    ],
)
def test_bad_values_are_named(values: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bootstrap(values)


def test_bad_arguments_are_named() -> None:
    values = np.array([1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match=r"level is 95.*e\.g\. 0\.95"):
        bootstrap(values, level=95.0)
    with pytest.raises(UsageError, match="resamples is 0"):
        bootstrap(values, resamples=0)
    # Under jaxtyping a wrong length stops earlier, so what users see is tested where it is made.
    with pytest.raises(UsageError, match="a has 3 rows and b has 2; both must describe the same items"):
        check_same_length(("a", "b"), values, values[:2])
    with pytest.raises(UsageError, match="statistic is nan on the 3 items"):
        bootstrap(values, statistic=lambda drawn: float("nan"))
    with pytest.raises(UsageError, match="interval over 1 items"):
        bootstrap_items(lambda items: 1.0, 1)


def test_bca_says_so_where_it_is_undefined() -> None:
    with pytest.raises(UsageError, match="use method='percentile'"):
        bootstrap(np.array([1.0, 9.0, 9.0]), statistic=np.max, method="bca", seed=1)


def test_wilson_matches_the_closed_form() -> None:
    k, n, z = 7, 20, scipy_stats.norm.ppf(0.975)
    p = k / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    got = wilson(k, n)
    assert (got.estimate, got.low, got.high) == pytest.approx((p, middle - half, middle + half))


def test_wilson_at_the_ends_has_a_width() -> None:
    assert wilson(0, 10).low == 0.0 and wilson(0, 10).high > 0.2
    assert wilson(10, 10).high == 1.0 and wilson(10, 10).low < 0.8


@pytest.mark.parametrize(("k", "n", "message"), [(1, 0, "0 trials"), (5, 4, "5 successes in 4"), (-1, 4, "0 to 4")])
def test_wilson_refuses_impossible_counts(k: int, n: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wilson(k, n)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_estimate(pair: tuple[int, int]) -> None:
    got = wilson(*pair)
    assert 0.0 <= got.low <= got.estimate + 1e-12 and got.estimate - 1e-12 <= got.high <= 1.0


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, st.integers(2, 12), elements=finite))
def test_a_bootstrap_mean_stays_inside_the_data(values: np.ndarray) -> None:
    got = bootstrap(values, resamples=50)
    slack = 1e-9 * (1 + np.abs(values).max())
    assert values.min() - slack <= got.low <= got.high <= values.max() + slack
