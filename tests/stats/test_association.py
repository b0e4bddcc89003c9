import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score

from thymos.errors import UsageError
from thymos.stats import auroc, correlation, macro_auroc, partial_correlation


def pair(n: int = 80, rho: float = 0.6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_correlation_agrees_with_scipy_and_has_a_sane_interval(kind: str) -> None:
    x, y = pair(300)
    got = correlation(x, y, kind=kind, resamples=800)
    known = getattr(scipy_stats, f"{kind}r")(x, y)
    assert got.r == pytest.approx(known.statistic) and got.p == pytest.approx(known.pvalue)
    assert got.n == 300 and got.kind == kind
    if kind == "pearson":
        fisher = known.confidence_interval()
        assert (got.interval.low, got.interval.high) == pytest.approx((fisher.low, fisher.high), abs=0.05)
    assert str(got).startswith(f"{got.interval} (n=300, p=")


def test_correlation_covers_the_truth() -> None:
    hits = sum(0.6 in correlation(*pair(60, seed=trial), resamples=150).interval for trial in range(100))
    assert 86 <= hits <= 100


def test_correlation_of_few_items_with_ties_has_an_interval() -> None:
    got = correlation(np.array([0.0, 0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0, 2.0]))
    assert -1 <= got.interval.low < got.r < got.interval.high <= 1


def test_correlation_names_bad_input() -> None:
    good = np.array([1.0, 2.0, 4.0])
    with pytest.raises(UsageError, match="x has 2 rows .* at least 3"):
        correlation(good[:2], good[:2])
    with pytest.raises(UsageError, match=r"y has 1 values that are NaN or infinite, the first at \[2\]"):
        correlation(good, np.array([1.0, 2.0, np.nan]))
    with pytest.raises(UsageError, match="all 3 values of y are 2.0"):
        correlation(good, np.full(3, 2.0))


def test_partial_correlation_matches_the_recursion_formula() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=200)
    x, y = z + rng.normal(size=200), z + rng.normal(size=200)
    r = np.corrcoef([x, y, z])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    got = partial_correlation(x, y, z[:, None], resamples=300)
    assert got.r == pytest.approx(expected)
    t = expected * np.sqrt(197 / (1 - expected**2))
    assert got.p == pytest.approx(2 * scipy_stats.t.sf(abs(t), 197))
    assert got.r in got.interval and correlation(x, y, resamples=50).r > 0.35 > abs(got.r)


def test_partial_correlation_within_categories() -> None:
    rng = np.random.default_rng(2)
    category = np.repeat(np.arange(4), 15)
    x, y = category + rng.normal(size=60), category + rng.normal(size=60)
    dummies = np.eye(4)[category]
    got = partial_correlation(x, y, dummies, resamples=200)
    within_x = x - np.array([x[category == c].mean() for c in category])
    within_y = y - np.array([y[category == c].mean() for c in category])
    assert got.r == pytest.approx(np.corrcoef(within_x, within_y)[0, 1])
    assert np.isfinite(partial_correlation(x, y, dummies, kind="spearman", resamples=50).r)


def test_partial_correlation_names_bad_input() -> None:
    x, y = pair(6)
    with pytest.raises(UsageError, match="controls explain x or y completely"):
        partial_correlation(x, y, x[:, None])
    with pytest.raises(UsageError, match="6 items are too few for 5 independent controls; at least 8"):
        partial_correlation(x, y, np.random.default_rng(0).normal(size=(6, 5)))


def test_auroc_agrees_with_sklearn_also_with_ties() -> None:
    rng = np.random.default_rng(3)
    labels = rng.uniform(size=200) < 0.3
    scores = np.round(rng.normal(size=200) + labels, 1)
    got = auroc(scores, labels, resamples=300)
    assert got.estimate == pytest.approx(roc_auc_score(labels, scores))
    # Hanley & McNeil's standard error, doi 10.1148/radiology.143.1.7063747
    a, p, n = got.estimate, labels.sum(), (~labels).sum()
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (p - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (p * n))
    assert (got.low, got.high) == pytest.approx((a - 1.96 * error, a + 1.96 * error), abs=0.03)


def test_auroc_at_the_ends() -> None:
    scores, labels = np.arange(10.0), np.arange(10) >= 5
    assert auroc(scores, labels).estimate == 1.0
    assert auroc(-scores, labels).estimate == 0.0
    assert auroc(np.zeros(10), labels).estimate == 0.5


def test_auroc_names_bad_input() -> None:
    scores = np.arange(4.0)
    with pytest.raises(UsageError, match="all 4 labels are True"):
        auroc(scores, np.ones(4, dtype=bool))
    with pytest.raises(UsageError, match="scores has 1 values that are NaN"):
        auroc(np.array([1.0, np.nan]), np.array([True, False]))
    with pytest.raises(UsageError, match=r"undefined on \d+ of 2000 resamples; give more items"):
        auroc(np.arange(50.0), np.arange(50) == 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.booleans())
def test_macro_auroc_is_sklearns_mean_over_classes(seed: int, classes: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 40)])
    scores = rng.normal(size=(len(labels), classes)) + np.eye(classes)[labels]
    scores = np.round(scores) if ties else scores
    got = macro_auroc(scores, labels, resamples=10)
    assert got.estimate == pytest.approx(np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(classes)]))


def test_macro_auroc_of_two_opposite_columns_is_the_plain_auroc() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    score = rng.normal(size=120) + labels
    macro = macro_auroc(np.column_stack([-score, score]), labels, resamples=400, seed=6)
    plain = auroc(score, labels == 1, resamples=400, seed=6)
    assert (macro.estimate, macro.low, macro.high) == pytest.approx((plain.estimate, plain.low, plain.high))


def test_macro_auroc_names_bad_input() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(UsageError, match="class 2 of 3 has no items"):
        macro_auroc(scores, np.array([0, 1, 0, 1, 0, 1]))
    with pytest.raises(UsageError, match="labels run from 0 to 3; valid values are 0 to 2"):
        macro_auroc(scores, np.array([0, 1, 2, 3, 0, 1]))
    with pytest.raises(UsageError, match="at least 2 classes"):
        macro_auroc(scores[:, :1], np.zeros(6, dtype=np.int64))
