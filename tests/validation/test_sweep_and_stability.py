import json

import numpy as np
import pytest
from planted import planted, rotation

from thymos.errors import CorpusError, LayerError, UsageError
from thymos.validation import (
    Items,
    RecallSettings,
    StabilitySettings,
    SweepSettings,
    better_of,
    held_out_recall,
    layer_sweep,
    length_baseline,
    logistic_probe,
    mean_difference,
    quality_of,
    stability,
)

QUICK = SweepSettings(resamples=100)


def layers_of(signals: list[float], **kinds) -> tuple[dict[int, np.ndarray], Items]:
    made = [planted(signal=signal, seed=7 + place, **kinds) for place, signal in enumerate(signals)]
    return {layer: rows for layer, (rows, _) in enumerate(made)}, made[0][1]


def test_the_planted_layer_is_chosen_and_scored_honestly() -> None:
    rows, items = layers_of([0.0, 1.5, 5.0, 1.0])
    got = layer_sweep(rows.__getitem__, [0, 1, 2, 3], items, settings=QUICK)
    assert got.layer == 2 and set(got.chosen) == {2} and got.chance == pytest.approx(1 / 6)
    direct = held_out_recall(rows[2], items, settings=RecallSettings(resamples=50, permutations=0))
    assert got.nested.estimate == pytest.approx(direct.top1.estimate)
    np.testing.assert_array_equal(got.hits[2], direct.hits(1))
    assert got.curve[2].estimate == pytest.approx(direct.top1.estimate)
    assert got.test.shape == got.development.shape == (5, 4)
    assert len(got.records(8)) == 8 and got.records(8)[0]["depth"] == 0.125
    assert "layer 2" in str(got)


def test_nested_recall_of_chance_data_is_not_inflated_by_the_search() -> None:
    nested, naive = [], []
    for seed in range(8):
        _, items = planted(topics=6, hidden=8)
        rng = np.random.default_rng(seed)
        rows = {layer: rng.normal(size=(len(items), 8)) for layer in range(25)}
        got = layer_sweep(rows.__getitem__, list(rows), items, settings=QUICK)
        nested.append(got.nested.estimate)
        naive.append(max(interval.estimate for interval in got.curve))
    assert abs(np.mean(nested) - 1 / 6) < 0.05 < np.mean(naive) - 1 / 6


def test_inner_hits_never_use_the_outer_topics() -> None:
    rows, items = layers_of([2.0], topics=5)
    got = layer_sweep(rows.__getitem__, [0], items, settings=QUICK)
    spoiled = rows[0].copy()
    outer = got.fold == 1
    spoiled[outer] = 100.0 * np.random.default_rng(0).normal(size=spoiled[outer].shape)
    again = layer_sweep({0: spoiled}.__getitem__, [0], items, settings=QUICK)
    assert again.development[1] == pytest.approx(got.development[1])
    assert again.test[1] == pytest.approx(again.hits[0, outer].mean())


def test_a_sweep_takes_other_estimators_and_neutral_components() -> None:
    rows, items = layers_of([0.5, 4.0], topics=6)
    plain = layer_sweep(rows.__getitem__, [0, 1], items, settings=QUICK)
    slow = layer_sweep(rows.__getitem__, [0, 1], items, estimator=lambda x, y: mean_difference(x, y), settings=QUICK)
    np.testing.assert_array_equal(slow.hits, plain.hits)
    axes = np.eye(24)[:2]
    cut = layer_sweep(rows.__getitem__, [0, 1], items, neutral=lambda layer: axes, settings=QUICK)
    direct = held_out_recall(rows[1], items, neutral=axes, settings=RecallSettings(resamples=50, permutations=0))
    np.testing.assert_array_equal(cut.hits[1], direct.hits(1))
    probes = layer_sweep(
        rows.__getitem__, [1], items, estimator=logistic_probe(0.1), settings=SweepSettings(k=3, folds=3, resamples=50)
    )
    assert probes.k == 3 and probes.chance == 0.5 and probes.nested.estimate > 0.9


def test_sweep_errors() -> None:
    rows, items = layers_of([1.0], topics=2)
    with pytest.raises(CorpusError, match="at least 3 topic folds"):
        layer_sweep(rows.__getitem__, [0], items)
    with pytest.raises(LayerError, match="no layers"):
        layer_sweep(rows.__getitem__, [], items)
    confined = Items(np.array([0, 1, 0, 1, 0, 0]), np.array([0, 0, 1, 1, 2, 2]), ("calm", "angry"))
    with pytest.raises(CorpusError, match="'angry' is missing from what is left without folds"):
        layer_sweep(lambda layer: np.ones((6, 3)), [0], confined)


def test_stability_grows_with_texts_and_matches_theory() -> None:
    few, items_few = planted(per=1, topics=6)
    many, items_many = planted(per=8, topics=20)
    settings = StabilitySettings(resamples=60, halves=20)
    low, high = stability(few, items_few, settings=settings), stability(many, items_many, settings=settings)
    assert low.bootstrap.mean() < high.bootstrap.mean() and low.split_half.mean() < high.split_half.mean()
    assert high.bootstrap.min() > 0.97 and np.all(high.split_half < high.bootstrap)
    assert np.all(high.low <= high.bootstrap) and np.all(high.bootstrap <= high.high)
    assert high.texts.tolist() == [160] * 6 and len(high.worst(2)) == 2 and "split-half" in str(high)
    noise = np.random.default_rng(0).normal(size=many.shape)
    assert abs(stability(noise, items_many, settings=settings).split_half.mean()) < 0.2


def test_stability_ignores_rotation_and_is_reproducible() -> None:
    rows, items = planted()
    how = StabilitySettings(resamples=20, halves=5)
    neutral = np.eye(24)[:3]
    turn = rotation(24, 1)
    one = stability(rows, items, neutral=neutral, settings=how)
    other = stability(rows.astype(np.float64) @ turn, items, neutral=neutral @ turn, settings=how)
    np.testing.assert_allclose(other.bootstrap, one.bootstrap, atol=1e-5)
    np.testing.assert_allclose(other.split_half, one.split_half, atol=1e-5)


def test_stability_needs_two_texts_of_each() -> None:
    items = Items(np.array([0, 0, 1]), np.array([0, 1, 0]), ("calm", "angry"))
    with pytest.raises(CorpusError, match="'angry' has 1 text"):
        stability(np.ones((3, 2)), items)


def test_quality_is_plain_and_complete() -> None:
    rows, items = planted(signal=4.0)
    how = RecallSettings(resamples=100, permutations=99)
    recall = held_out_recall(rows, items, settings=how)
    length = length_baseline(np.arange(1, len(items) + 1), items, settings=how)
    quality = quality_of(
        recall,
        3,
        baseline=better_of(length),
        length=length,
        stability=stability(rows, items, settings=StabilitySettings(resamples=10, halves=4)),
        sweep=layer_sweep(lambda layer: rows, [3], items, settings=QUICK),
    )
    plain = json.loads(json.dumps(quality.to_dict()))
    assert plain["layer"] == 3 and plain["concepts"] == 6 and plain["baseline"] == "length"
    assert plain["figures"]["recall_top1"]["p"] == recall.p and plain["figures"]["recall_top1"]["chance"] == 1 / 6
    assert "p" not in plain["figures"]["recall_top3"] and "chance" not in plain["figures"]["stability_bootstrap"]
    assert set(plain["figures"]) >= {"auroc", "recall_top1_nested", "top1_minus_lexical", "top1_minus_length"}
    assert "quality at layer 3" in str(quality)
    bare = quality_of(held_out_recall(rows, items, settings=RecallSettings(resamples=50, permutations=0)), 1)
    assert "baseline" not in bare.to_dict() and "p" not in bare.to_dict()["figures"]["auroc"]
    with pytest.raises(UsageError, match="same items and folds"):
        quality_of(recall, 3, length=length_baseline(np.ones(len(items)), items, settings=RecallSettings(seed=4)))
