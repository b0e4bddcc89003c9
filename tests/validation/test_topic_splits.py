import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted

from thymos.errors import CorpusError, UnknownConceptError, UsageError
from thymos.validation import Items, development_split, fold_numbers, topic_folds


def test_every_item_is_tested_once_and_topics_never_cross() -> None:
    _, items = planted()
    folds = topic_folds(items, folds=4, seed=3)
    assert len(folds) == 4
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(items)))
    for fold in folds:
        assert not set(items.topics[fold.train]) & set(items.topics[fold.test])
        assert len(fold.train) + len(fold.test) == len(items)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_folds_depend_on_seed_and_topics_not_on_item_order(seed: int, count: int) -> None:
    _, items = planted(topics=9, per=1)
    order = np.random.default_rng(seed).permutation(len(items))
    shuffled = Items(items.labels[order], items.topics[order], items.concepts)
    numbers = fold_numbers(items, folds=count, seed=seed)
    np.testing.assert_array_equal(fold_numbers(shuffled, folds=count, seed=seed), numbers[order])
    sizes = np.bincount(numbers)
    assert len(sizes) == count and np.ptp(sizes) <= len(items) / 9


def test_unequal_topics_are_balanced() -> None:
    topics = np.repeat(["a", "b", "c", "d"], [40, 20, 20, 40])
    items = Items(np.arange(120) % 2, topics, ("x", "y"))
    assert np.bincount(fold_numbers(items, folds=2)).tolist() == [60, 60]
    assert len(topic_folds(items, folds=10)) == 4


def test_development_split_is_by_topic() -> None:
    _, items = planted(topics=10)
    split = development_split(items, share=0.3, seed=1)
    assert len(set(items.topics[split.train])) == 3 and len(set(items.topics[split.test])) == 7
    assert not set(items.topics[split.train]) & set(items.topics[split.test])
    assert len(set(items.topics[development_split(items, share=0.999).test])) == 1


def test_split_errors_say_what_to_do() -> None:
    one = Items(np.array([0, 1]), np.array(["t", "t"]), ("calm", "angry"))
    with pytest.raises(CorpusError, match=r"1 topic\(s\); held-out figures need at least 2"):
        topic_folds(one)
    confined = Items(np.array([0, 1, 0, 0]), np.array([0, 0, 1, 2]), ("calm", "angry"))
    with pytest.raises(CorpusError, match="concept 'angry' is missing from the training part of fold"):
        topic_folds(confined, folds=3)
    with pytest.raises(CorpusError, match="'angry' is missing from the development topics"):
        for seed in range(20):
            development_split(confined, share=0.4, seed=seed)
    with pytest.raises(UsageError, match="folds is 1"):
        topic_folds(confined, folds=1)
    with pytest.raises(UsageError, match=r"share is 1\.0"):
        development_split(confined, share=1.0)


def test_items_by_name() -> None:
    items = Items.of(["calm", "angry", "calm"], ["a", "a", "b"])
    assert items.concepts == ("angry", "calm") and items.labels.tolist() == [1, 0, 1]
    assert items.counts.tolist() == [1, 2] and items.topic_codes.tolist() == [0, 0, 1] and len(items) == 3
    with pytest.raises(UnknownConceptError, match="'clam' in the concepts given; did you mean 'calm'"):
        Items.of(["clam"], ["a"], ["calm", "angry"])
    with pytest.raises(UsageError, match="2 emotions and 1 topics"):
        Items.of(["calm", "angry"], ["a"])


def test_bad_items_are_named() -> None:
    labels = np.array([0, 1])
    with pytest.raises(CorpusError, match="give at least 2"):
        Items(np.array([0]), np.array([0]), ("calm",))
    with pytest.raises(CorpusError, match="no texts to validate"):
        Items(np.array([], dtype=np.int64), np.array([]), ("calm", "angry"))
    with pytest.raises(UsageError, match="labels run from 0 to 1; valid values are 0 to 1|0 to 2"):
        Items(np.array([0, 2]), labels, ("calm", "angry"))
    with pytest.raises(CorpusError, match="the first is 'sad'"):
        Items(labels, labels, ("calm", "angry", "sad"))
    with pytest.raises(UsageError, match="no topic"):
        Items(labels, np.array(["a", None], dtype=object), ("calm", "angry"))
