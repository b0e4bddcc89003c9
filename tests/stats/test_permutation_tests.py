import numpy as np
import pytest
from scipy import stats as scipy_stats

from thymos.errors import UsageError
from thymos.stats import max_statistic_permutation, permutation_test


def gap(values: np.ndarray):
    return lambda labels: float(values[labels == 1].mean() - values[labels == 0].mean())


def test_p_is_one_plus_count_over_one_plus_n() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=30), np.repeat([0, 1], 15)
    got = permutation_test(gap(values), labels, permutations=300, seed=1)
    assert got.permutations == 300 == len(got.null)
    assert got.statistic == pytest.approx(gap(values)(labels))
    assert got.p == pytest.approx((1 + np.sum(got.null >= got.statistic)) / 301)
    assert got.smallest_p == pytest.approx(1 / 301)


def test_a_strong_effect_reaches_the_smallest_p_and_never_zero() -> None:
    labels = np.repeat([0, 1], 15)
    got = permutation_test(gap(labels * 10.0), labels, permutations=200)
    assert got.p == got.smallest_p > 0


def test_few_items_are_enumerated_exactly() -> None:
    values, labels = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 2, 3])
    got = permutation_test(lambda drawn: float(np.corrcoef(values, drawn)[0, 1]), labels)
    # Of the 24 orders only the one that was observed correlates perfectly.
    assert got.p == pytest.approx(1 / 24)
    assert got.permutations == 23 == len(got.null)
    assert got.p == pytest.approx((1 + np.sum(got.null >= got.statistic - 1e-12)) / 24)


def test_null_p_values_are_uniform() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 10)
    p = [
        permutation_test(gap(rng.normal(size=20)), labels, permutations=99, seed=trial).p + rng.uniform(-0.01, 0)
        for trial in range(150)
    ]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_alternatives_and_seeds() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 20)
    low = gap(rng.normal(size=40) - labels)
    less = permutation_test(low, labels, permutations=400, alternative="less")
    assert less.p < 0.05 < permutation_test(low, labels, permutations=400).p
    both = permutation_test(low, labels, permutations=400, alternative="two-sided")
    assert both.p == pytest.approx(2 * less.p)
    assert both.p == permutation_test(low, labels, permutations=400, alternative="two-sided").p


def test_labels_may_be_strings() -> None:
    labels = np.array(["calm"] * 10 + ["angry"] * 10)
    values = np.arange(20.0)
    got = permutation_test(lambda drawn: float(values[drawn == "angry"].mean()), labels, permutations=200)
    assert got.p < 0.02


def test_bad_input_is_named() -> None:
    def constant(labels: np.ndarray) -> float:
        return 0.0

    for test in (permutation_test, max_statistic_permutation):
        with pytest.raises(UsageError, match="1 labels cannot be permuted"):
            test(constant, np.array([1]))
        with pytest.raises(UsageError, match="all 3 labels are"):
            test(constant, np.array([1, 1, 1]))
        with pytest.raises(UsageError, match="labels contain NaN"):
            test(constant, np.array([1.0, np.nan]))
        with pytest.raises(UsageError, match="permutations is 0"):
            test(constant, np.array([1, 2]), permutations=0)
    with pytest.raises(UsageError, match="statistic is nan"):
        permutation_test(lambda labels: float("nan"), np.array([0, 1, 0]))
    with pytest.raises(UsageError, match="statistic is nan"):
        max_statistic_permutation(lambda labels: np.array([1.0, np.nan]), np.array([0, 1, 0]), permutations=5)


def columns_r(data: np.ndarray):
    centred = (data - data.mean(0)) / data.std(0)
    return lambda labels: (labels - labels.mean()) / labels.std() @ centred / len(data)


def test_max_statistic_finds_the_planted_column_and_only_that() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=60)
    data = rng.normal(size=(60, 50))
    data[:, 7] += 2 * target
    got = max_statistic_permutation(columns_r(data), target, permutations=300, seed=3)
    assert got.best == 7 and got.p[7] == pytest.approx(1 / 301)
    assert np.sum(got.p < 0.05) == 1
    assert got.statistics.shape == got.p.shape == (50,)
    assert got.permutations == len(got.null) == 300


def test_max_statistic_with_one_column_is_the_plain_test() -> None:
    rng = np.random.default_rng(1)
    data, target = rng.normal(size=(25, 1)), rng.normal(size=25)
    got = max_statistic_permutation(columns_r(data), target, permutations=200)
    assert got.p[0] == pytest.approx((1 + np.sum(got.null >= got.statistics[0])) / 201)
    single = permutation_test(lambda labels: float(columns_r(data)(labels)[0]), target, permutations=2000)
    assert got.p[0] == pytest.approx(single.p, abs=0.12)


def test_max_statistic_controls_false_findings() -> None:
    rng = np.random.default_rng(9)
    found = sum(
        bool(
            (
                max_statistic_permutation(
                    columns_r(rng.normal(size=(20, 15))), rng.normal(size=20), permutations=59, seed=trial
                ).p
                <= 0.1
            ).any()
        )
        for trial in range(120)
    )
    # 10% nominal: 12 expected of 120, standard deviation 3.3.
    assert 2 <= found <= 22


def test_max_statistic_alternatives_mirror_each_other() -> None:
    rng = np.random.default_rng(4)
    data, target = rng.normal(size=(30, 6)), rng.normal(size=30)
    up = max_statistic_permutation(columns_r(data), target, permutations=100, seed=2)
    down = max_statistic_permutation(columns_r(-data), target, permutations=100, seed=2, alternative="less")
    both = max_statistic_permutation(columns_r(data), target, permutations=100, seed=2, alternative="two-sided")
    np.testing.assert_allclose(up.p, down.p)
    np.testing.assert_allclose(both.statistics, up.statistics)
    assert both.null.min() >= up.null.min()
    assert np.all(both.null >= up.null - 1e-12)
