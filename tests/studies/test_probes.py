import numpy as np
import pytest
from sklearn.linear_model import Ridge

from thymos.errors import UsageError
from thymos.studies.probes import (
    Shuffles,
    accuracy,
    accuracy_test,
    group_splits,
    lexical_scores,
    mantel,
    mean_differences,
    ridge_smoother,
)


def test_groups_are_never_split_and_folds_are_even():
    groups = [f"g{n % 7}" for n in range(70)]
    splits = group_splits(groups, 5, 0)
    assert sorted(n for _, test in splits for n in test.tolist()) == list(range(70))
    for train, test in splits:
        assert not {groups[n] for n in train} & {groups[n] for n in test}
    with pytest.raises(UsageError, match="at least two"):
        group_splits(["a", "a"], 5, 0)


def test_the_smoother_is_ridge_regression_without_the_frequency_of_labels():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(30, 8)), np.arange(30) % 3
    split = (np.arange(20), np.arange(20, 30))
    found = (ridge_smoother(rows, [split]) @ np.eye(3)[labels])[20:]
    train = rows[:20]
    scaled = (rows - train.mean(axis=0)) / train.std(axis=0)
    penalty = float((scaled[:20] ** 2).sum() / 20)
    codes = np.eye(3)[labels[:20]]
    model = Ridge(alpha=penalty, fit_intercept=False).fit(scaled[:20], codes - codes.mean(axis=0))
    assert np.allclose(found, model.predict(scaled[20:]), atol=1e-6)


def test_structure_is_found_and_noise_is_not():
    rng = np.random.default_rng(1)
    labels = np.arange(80) % 4
    splits = group_splits([str(n // 8) for n in range(80)], 5, 0)
    clear = ridge_smoother(np.eye(4)[labels] * 3 + rng.normal(size=(80, 4)) * 0.3, splits)
    noise = ridge_smoother(rng.normal(size=(80, 12)), splits)
    assert accuracy(clear, labels, 4).mean() > 0.95
    assert accuracy_test([clear], [labels], 4, Shuffles(200, 0)).p < 0.01
    assert accuracy_test([noise], [labels], 4, Shuffles(200, 0)).p > 0.02


def test_shuffles_inside_groups_keep_the_groups():
    # The label is the group: a shuffle inside groups changes nothing, so nothing is found.
    labels = np.repeat(np.arange(4), 10)
    rows = np.eye(4)[labels] + np.random.default_rng(2).normal(size=(40, 4)) * 0.01
    smoother = ridge_smoother(rows, group_splits([str(n % 5) for n in range(40)], 5, 0))
    assert accuracy_test([smoother], [labels], 4, Shuffles(100, 0, within=labels)).p == 1.0
    assert accuracy_test([smoother], [labels], 4, Shuffles(100, 0)).p < 0.02


def test_word_baseline_reads_words_and_needs_some():
    labels = np.arange(20) % 2
    texts = [f"{'sun' if label == 0 else 'rain'} over the town {n}" for n, label in enumerate(labels)]
    splits = group_splits([str(n // 4) for n in range(20)], 5, 0)
    assert (lexical_scores(texts, labels, 2, splits).argmax(axis=1) == labels).all()
    with pytest.raises(UsageError, match="no words"):
        lexical_scores(["1"] * 20, labels, 2, splits)


def test_mean_differences_and_shared_geometry():
    rows = np.asarray([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    assert np.allclose(mean_differences(rows, np.asarray([0, 0, 1, 1]), 2), [[1.0, -1.5], [-1.0, 1.5]])
    with pytest.raises(UsageError, match="no items"):
        mean_differences(rows, np.asarray([0, 0, 1, 1]), 3)
    likeness = np.corrcoef(np.random.default_rng(3).normal(size=(8, 5)))
    assert mantel(likeness, likeness, 200, 0).statistic == pytest.approx(1.0)
