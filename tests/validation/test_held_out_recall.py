import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, rotation
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score

from thymos.errors import ActivationError, CorpusError, UsageError
from thymos.validation import (
    Items,
    RecallSettings,
    fold_numbers,
    held_out_recall,
    held_out_scores,
    logistic_probe,
    mean_difference,
    paired_difference,
    recall_of_scores,
    refit_permutation,
)
from thymos.validation._permuting import fixed_null, refit_means

FAST = RecallSettings(resamples=200, permutations=200)


def test_planted_directions_are_recalled() -> None:
    rows, items = planted(signal=6.0)
    got = held_out_recall(rows, items, settings=FAST)
    assert got.top1.estimate > 0.95 and got.top3.estimate == 1.0 and got.auroc.estimate > 0.98
    assert got.p == got.p_auroc == pytest.approx(1 / 201) and got.p_by == "refitted"
    assert got.chance == {1: pytest.approx(1 / 6), 3: 0.5, 5: pytest.approx(5 / 6)}
    assert got.n == len(items) == got.confusion.sum() and got.folds == 5
    np.testing.assert_array_equal(got.confusion.sum(axis=1), items.counts)
    assert got.hits(1).mean() == got.top1.estimate == pytest.approx(np.trace(got.confusion) / got.n)
    assert got.by_concept.min() > 0.8 and "top-1" in str(got)
    np.testing.assert_array_equal(got.hits(3), got.ranks <= 3)


def test_chance_data_gives_chance() -> None:
    inside, low_p = 0, 0
    for seed in range(30):
        rows, items = planted(signal=0.0, topics=8, seed=seed)
        got = held_out_recall(rows, items, settings=RecallSettings(resamples=200, permutations=99, seed=seed))
        inside += got.chance[1] in got.top1
        low_p += got.p <= 0.1
        assert 0.3 < got.auroc.estimate < 0.7
    assert inside >= 24
    # Three are expected.
    assert low_p <= 8


@pytest.mark.parametrize("folds", [2, 6])
def test_p_is_uniform_on_chance_data(folds: int) -> None:
    found = []
    for seed in range(150):
        rows, items = planted(signal=0.0, concepts=4, topics=6, hidden=6, seed=100 + seed)
        how = RecallSettings(folds=folds, permutations=99, resamples=10, seed=seed)
        got = held_out_recall(rows, items, settings=how)
        # A discrete p is uniform once it is spread over its step; equal hit counts are one step.
        null = refit_permutation(rows, items, settings=how)
        assert null.p == got.p
        step = (1 + np.sum(np.isclose(null.null, null.statistic))) / 100
        jitter = np.random.default_rng(seed).uniform(size=2)
        found.append((got.p - jitter[0] * step, got.p_auroc - jitter[1] / 100))
    for p in np.transpose(found):
        assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_an_interval_far_above_chance_has_a_small_p_whatever_the_number_of_folds() -> None:
    rows, items = planted(signal=4.5, concepts=6, topics=12, per=1, hidden=64)
    p = []
    for folds in (3, 6, 12):
        got = held_out_recall(rows, items, settings=RecallSettings(folds=folds, resamples=200, permutations=999))
        assert got.top1.low > 0.3 > 1.5 * got.chance[1]
        p.append(got.p)
    assert max(p) < 0.005


def test_the_number_of_folds_does_not_change_a_middling_p() -> None:
    rows, items = planted(signal=1.2, concepts=6, topics=12, per=2, hidden=24, seed=3)
    p = [
        held_out_recall(rows, items, settings=RecallSettings(folds=folds, resamples=10, permutations=999)).p
        for folds in (4, 6, 12)
    ]
    assert max(p) < 0.1


def test_permutations_score_as_the_slow_way_does() -> None:
    for hidden in (24, 200):
        rows, items = planted(signal=1.0, hidden=hidden)
        axes = np.linalg.qr(np.random.default_rng(0).normal(size=(hidden, 2)))[0].T
        refit = refit_means(rows, items, fold_numbers(items), axes)
        rng = np.random.default_rng(1)
        drawn = np.stack([_shuffled(items, rng) for _ in range(3)])
        for place, labels in enumerate(drawn):
            slow = held_out_scores(rows, Items(labels, items.topics, items.concepts), neutral=axes)
            for test, scores in refit.scores(drawn):
                np.testing.assert_allclose(scores[place], slow[test], atol=1e-8)


def _shuffled(items: Items, rng: np.random.Generator) -> np.ndarray:
    labels = items.labels.copy()
    for topic in np.unique(items.topics):
        labels[items.topics == topic] = rng.permutation(labels[items.topics == topic])
    return labels


def test_other_estimators_are_refitted_on_request() -> None:
    rows, items = planted(signal=4.0)
    how = RecallSettings(permutations=29, resamples=50)
    slow = refit_permutation(rows, items, estimator=lambda x, y: mean_difference(x, y), settings=how)
    fast = refit_permutation(rows, items, settings=how)
    assert slow.statistic == pytest.approx(fast.statistic) and slow.p == slow.smallest_p == fast.p
    assert fast.statistic > 0.8 > fast.null.max()
    probe = held_out_recall(rows, items, estimator=lambda x, y: mean_difference(x, y), settings=how)
    assert probe.p_by == "not refitted" and probe.p == slow.p


def test_p_of_scores_that_no_label_made_is_uniform() -> None:
    rng = np.random.default_rng(0)
    _, items = planted(concepts=5, topics=6, per=3)
    p = [
        fixed_null(rng.normal(size=(len(items), 5)), items, fold_numbers(items), 49, rng).auroc.p
        + rng.uniform(-0.02, 0)
        for _ in range(100)
    ]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_topics_that_give_the_concept_away_do_not_help() -> None:
    # Every topic has one concept, and rows show nothing but the topic: on topics already seen recall would be perfect.
    rng = np.random.default_rng(0)
    topics = np.repeat(np.arange(60), 4)
    items = Items(topics % 6, topics, tuple("abcdef"))
    rows = rng.normal(size=(60, 40))[topics] * 5 + rng.normal(size=(240, 40)) * 0.1
    got = held_out_recall(rows, items, settings=FAST)
    assert got.top1.estimate < 0.32
    assert got.p == 1.0
    leaky = Items(items.labels, np.arange(240) % 40, items.concepts)
    assert held_out_recall(rows, leaky, settings=FAST).top1.estimate > 0.6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100.0))
def test_rotating_scaling_and_shifting_the_features_changes_nothing(seed: int, scale: float) -> None:
    rows, items = planted(signal=2.0, topics=6, seed=seed % 7)
    wide = rows.astype(np.float64)
    neutral = np.linalg.qr(np.random.default_rng(seed).normal(size=(24, 2)))[0].T
    turn = rotation(24, seed)
    before = held_out_scores(wide, items, neutral=neutral)
    after = held_out_scores(scale * (wide + 5.0) @ turn, items, neutral=neutral @ turn)
    np.testing.assert_allclose(after, before, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_item_order_and_concept_order_change_nothing(seed: int) -> None:
    rows, items = planted(signal=1.5, topics=6)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(items)), rng.permutation(6)
    moved = Items(np.argsort(names)[items.labels[order]], items.topics[order], tuple(items.concepts[n] for n in names))
    before, after = held_out_scores(rows, items), held_out_scores(rows[order], moved)
    np.testing.assert_allclose(after, before[order][:, names], atol=1e-9)
    one, other = (recall_of_scores(s, i, settings=FAST) for s, i in ((before, items), (after, moved)))
    np.testing.assert_array_equal(other.ranks, one.ranks[order])
    assert other.auroc.estimate == pytest.approx(one.auroc.estimate)


def test_scores_are_centred_cosines_of_the_other_folds() -> None:
    rows, items = planted(topics=5)
    scores = held_out_scores(rows, items)
    numbers = fold_numbers(items)
    wide, test = rows.astype(np.float64), numbers == 2
    means = np.stack([wide[~test & (items.labels == c)].mean(axis=0) for c in range(6)])
    directions = means - means.mean(axis=0)
    row = wide[test] - means.mean(axis=0)
    expected = row @ directions.T / np.linalg.norm(row, axis=1)[:, None] / np.linalg.norm(directions, axis=1)
    np.testing.assert_allclose(scores[test], expected, atol=1e-9)


def test_the_fast_path_is_the_estimator() -> None:
    rows, items = planted()
    np.testing.assert_allclose(
        held_out_scores(rows, items, estimator=lambda x, y: mean_difference(x, y)), held_out_scores(rows, items)
    )


def test_auroc_is_the_usual_one_within_a_fold_and_its_interval_is_honest() -> None:
    rng = np.random.default_rng(3)
    _, items = planted(concepts=3, topics=4, per=10)
    scores = rng.normal(size=(len(items), 3)).round(1)
    scores[np.arange(len(items)), items.labels] += 1.0
    got = recall_of_scores(scores, items, settings=RecallSettings(folds=2, resamples=2000, permutations=0))
    expected = np.zeros(3)
    for concept in range(3):
        areas = [
            roc_auc_score(items.labels[got.fold == f] == concept, scores[got.fold == f, concept]) for f in range(2)
        ]
        expected[concept] = np.mean(areas)
    np.testing.assert_allclose(got.auroc_by_concept, expected)
    assert got.auroc.estimate == pytest.approx(expected.mean())
    assert np.isnan(got.p) and np.isnan(got.p_auroc)
    # The same bootstrap, by brute force.
    drawn = []
    for _ in range(300):
        chosen = np.concatenate([rng.choice(np.flatnonzero(got.fold == f), 60) for f in range(2)])
        areas = [
            np.mean(
                [
                    roc_auc_score(items.labels[p] == c, scores[p, c])
                    for p in (chosen[got.fold[chosen] == f] for f in range(2))
                ]
            )
            for c in range(3)
        ]
        drawn.append(np.mean(areas))
    assert got.auroc.high - got.auroc.low == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.2)


def test_ties_are_broken_at_random_in_expectation() -> None:
    _, items = planted(concepts=5, topics=4)
    got = recall_of_scores(np.zeros((len(items), 5)), items, settings=FAST)
    assert got.top1.estimate == pytest.approx(0.2) and got.top3.estimate == pytest.approx(0.6)
    assert got.auroc.estimate == pytest.approx(0.5) and got.p == 1.0
    assert set(got.ranks) == {1} and set(got.ties) == {4}


def test_neutral_components_are_projected_out() -> None:
    rows, items = planted(signal=5.0)
    means = np.stack([rows[items.labels == c].mean(axis=0) for c in range(6)]).astype(np.float64)
    span = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2][:4]
    assert held_out_recall(rows, items, neutral=span, settings=FAST).top1.estimate < 0.75
    assert held_out_recall(rows, items, neutral=span[:0], settings=FAST).top1.estimate > 0.9
    with pytest.raises(UsageError, match="not orthonormal"):
        held_out_recall(rows, items, neutral=2 * span)


@pytest.mark.parametrize("concepts", [2, 5])
def test_logistic_probes_are_another_estimator(concepts: int) -> None:
    rows, items = planted(concepts=concepts, signal=5.0)
    probe = held_out_recall(rows, items, estimator=logistic_probe(0.1), settings=FAST, name="logistic probes")
    means = held_out_recall(rows, items, settings=FAST)
    assert probe.top1.estimate > 0.85 and probe.name == "logistic probes"
    gap = paired_difference(means, probe)
    assert gap.estimate == pytest.approx(means.top1.estimate - probe.top1.estimate) and gap.n == len(items)


def test_recall_errors() -> None:
    rows, items = planted(topics=4)
    with pytest.raises(UsageError, match=r"3 rows for 48 items"):
        held_out_recall(rows[:3], items)
    broken = rows.copy()
    broken[5, 0] = np.nan
    with pytest.raises(ActivationError, match="the first is row 5"):
        held_out_recall(broken, items)
    with pytest.raises(UsageError, match="returned 3 directions for 6 concepts"):
        held_out_recall(rows, items, estimator=lambda x, y: np.ones((3, 24)))
    with pytest.raises(CorpusError, match="direction of 'concept 0' is zero"):
        held_out_recall(rows, items, estimator=lambda x, y: np.zeros((6, 24)))
    with pytest.raises(UsageError, match=r"scores have shape \(3, 6\)"):
        recall_of_scores(np.zeros((3, 6)), items)
    with pytest.raises(UsageError, match="1 scores are NaN"):
        recall_of_scores(np.where(np.arange(288).reshape(48, 6) == 4, np.nan, 0.0), items)
    other = held_out_recall(rows, items, settings=RecallSettings(seed=9, resamples=50, permutations=9))
    with pytest.raises(UsageError, match="not measured on the same items and folds"):
        paired_difference(held_out_recall(rows, items, settings=FAST), other)
