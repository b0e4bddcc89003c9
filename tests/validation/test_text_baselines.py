import numpy as np
import pytest
from planted import planted
from scipy import stats

from thymos.errors import CorpusError, UsageError
from thymos.validation import (
    Items,
    LexicalSettings,
    RecallSettings,
    baselines,
    better_of,
    held_out_recall,
    length_baseline,
    lexical_centroid,
    lexical_logistic,
    paired_difference,
)

FAST = RecallSettings(folds=3, resamples=100, permutations=99)


def stories(items: Items, share: float, seed: int = 0) -> list[str]:
    """Common words, words of the topic, and a share of words that only one concept uses."""
    rng = np.random.default_rng(seed)
    found = []
    for label, topic in zip(items.labels, items.topics, strict=True):
        words = [f"common{rng.integers(40)}" for _ in range(20)] + [f"topic{topic}word{rng.integers(5)}"] * 3
        words += [f"clue{label}form{rng.integers(4)}" for _ in range(6) if rng.random() < share]
        found.append(" ".join(rng.permutation(words)))
    return found


@pytest.mark.parametrize("baseline", [lexical_logistic, lexical_centroid])
def test_lexical_baselines_find_words_and_nothing_without_them(baseline) -> None:
    _, items = planted(concepts=8, topics=9, per=2)
    assert baseline(stories(items, 0.6), items, settings=FAST).top1.estimate > 0.9
    nothing = baseline(stories(items, 0.0), items, settings=FAST)
    assert nothing.top1.estimate < 0.25 and nothing.p > 0.05


def test_the_centroid_fitted_to_many_label_sets_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, items = planted(concepts=5, topics=9, per=2)
    texts = stories(items, 0.2)
    fast = lexical_centroid(texts, items, settings=FAST)
    monkeypatch.setattr(baselines, "MOST_REFITTED", 0)
    slow = lexical_centroid(texts, items, settings=FAST)
    np.testing.assert_array_equal(fast.ranks, slow.ranks)
    assert (fast.p_by, slow.p_by) == ("refitted", "not refitted") and fast.auroc == slow.auroc


def test_p_of_the_baselines_is_uniform_without_clues() -> None:
    p = []
    for seed in range(60):
        _, items = planted(concepts=4, topics=6, per=3, seed=seed)
        rng = np.random.default_rng(seed)
        how = RecallSettings(folds=6, resamples=10, permutations=99, seed=seed)
        lengths = rng.integers(90, 170, size=len(items))
        found = (
            lexical_centroid(stories(items, 0.0, seed), items, settings=how),
            length_baseline(lengths, items, settings=how),
        )
        assert {each.p_by for each in found} == {"refitted"}
        p.append([each.p_auroc - rng.uniform(0, 0.01) for each in found])
    for column in np.transpose(p):
        assert stats.kstest(column, "uniform").pvalue > 0.01


def test_logistic_regression_also_learns_with_many_concepts() -> None:
    # A loose tolerance stops at the start here, because gradients shrink with the number of classes.
    _, items = planted(concepts=60, topics=6, per=1)
    got = lexical_logistic(stories(items, 0.6), items, settings=FAST)
    assert got.top1.estimate > 0.7


def test_topic_words_do_not_leak() -> None:
    topics = np.repeat(np.arange(12), 6)
    items = Items(topics % 3, topics, ("a", "b", "c"))
    got = lexical_logistic(stories(items, 0.0), items, settings=FAST)
    assert got.top1.estimate < 0.5 and got.p > 0.1


def test_two_concepts_and_one_inner_topic_work() -> None:
    _, items = planted(concepts=2, topics=2, per=5)
    how = RecallSettings(folds=2, resamples=50, permutations=9)
    assert lexical_logistic(stories(items, 0.9), items, settings=how).top1.estimate > 0.9
    single = LexicalSettings(strengths=(10.0,), ngrams=(1, 1))
    assert lexical_logistic(stories(items, 0.9), items, lexical=single, settings=how).n == 20


def test_length_baseline_sees_length_only() -> None:
    rows, items = planted(concepts=4, topics=9)
    rng = np.random.default_rng(0)
    telling = np.exp(4 + items.labels + 0.1 * rng.normal(size=len(items))).astype(np.int64)
    assert length_baseline(telling, items, settings=FAST).top1.estimate > 0.95
    blind = length_baseline(rng.integers(90, 170, size=len(items)), items, settings=FAST)
    assert blind.p > 0.05 and blind.top1.estimate < 0.45
    same = length_baseline(np.full(len(items), 100), items, settings=FAST)
    assert same.top1.estimate == pytest.approx(0.25)
    with pytest.raises(UsageError, match="smallest length is 0"):
        length_baseline(np.zeros(len(items)), items)
    with pytest.raises(UsageError, match="2 lengths for 72 items"):
        length_baseline(np.ones(2), items)


def test_vectors_are_compared_with_the_better_baseline_on_the_same_items() -> None:
    rows, items = planted(concepts=6, topics=9, signal=6.0)
    texts = stories(items, 0.2)
    vectors = held_out_recall(rows, items, settings=FAST)
    best = better_of(
        lexical_centroid(texts, items, settings=FAST),
        lexical_logistic(texts, items, settings=FAST),
        length_baseline(np.ones(len(items)), items, settings=FAST),
    )
    assert best.name.startswith("tf-idf")
    gap = paired_difference(vectors, best, k=1)
    assert gap.low > 0 and gap.estimate == pytest.approx(vectors.top1.estimate - best.top1.estimate)


def test_lexical_errors() -> None:
    _, items = planted(topics=4)
    with pytest.raises(UsageError, match="1 texts for 48 items"):
        lexical_logistic(["one"], items)
    with pytest.raises(CorpusError, match="hold no words"):
        lexical_centroid(["!"] * len(items), items)
