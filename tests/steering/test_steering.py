"""Steering in residual-norm units: what is added, where, and what it costs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from thymos.errors import CorpusError, FingerprintMismatchError, LayerError, UnknownConceptError, UsageError
from thymos.models import Model, Sampling, Select, capture, generate, intervene, tiny_model
from thymos.steering import (
    Dose,
    DosePlan,
    DosePoint,
    ablation,
    capping,
    ceiling,
    dose_of,
    interventions,
    perplexity,
    plan_dose,
    repetition,
    steer,
)
from thymos.vectors import EmotionVectors

TEXT = "The gate stood open, and nobody came."
ARCHITECTURES = ("llama", "gpt2", "gemma2")
EVERY = Select(special=True)


def logits(model: Model) -> torch.Tensor:
    with torch.inference_mode():
        return model.network(torch.from_numpy(model.tokens(TEXT).ids.astype(np.int64))[None]).logits


def residual(model: Model) -> dict[int, np.ndarray]:
    with capture(model, "all") as got, torch.inference_mode():
        model.network(torch.from_numpy(model.tokens(TEXT).ids.astype(np.int64))[None])
    return {layer: rows[0].numpy() for layer, rows in got.items()}


@pytest.fixture(params=ARCHITECTURES)
def pair(request, model_of: Callable[[str], Model], vectors_of) -> tuple[Model, EmotionVectors]:
    model = model_of(request.param)
    return model, vectors_of(model)


def test_nothing_is_the_baseline_to_the_last_bit(pair) -> None:
    """0 x vector and v - v go through the same hook and change no bit; the model is as before afterwards."""
    model, vectors = pair
    calm, baseline = vectors["calm"], logits(model)
    for nothing, strength in (
        (0 * calm, 1.0),
        (calm - calm, 1.0),
        (calm - calm, 1000.0),
        (calm, 0.0),
        (-0.0 * calm, 1),
    ):
        with steer(model, nothing, strength=strength):
            assert model.hooks.active
            assert torch.equal(logits(model), baseline)
        assert torch.equal(logits(model), baseline)
    with steer(model):
        assert torch.equal(logits(model), baseline)
    with steer(model, calm * 0.5):
        assert not torch.equal(logits(model), baseline)
    assert not model.hooks.active


@pytest.mark.parametrize("factor", [20, 0.05, -3.7, 1 / 3])
def test_a_factor_and_a_strength_are_the_same(pair, factor: float) -> None:
    """20 * v is (v, strength=20) exactly."""
    model, vectors = pair
    mixed = vectors["calm"] - 0.3 * vectors["sad"]
    found = []
    for vector, strength in ((mixed * factor, 1.0), (mixed, factor)):
        with steer(model, vector, strength=strength):
            found.append(logits(model))
    assert torch.equal(*found)
    left, right = interventions(mixed * factor)[0], interventions(mixed, strength=factor)[0]
    for layer in left.layers:
        np.testing.assert_array_equal(left.directions[layer], right.directions[layer])


def test_what_is_added(pair) -> None:
    """strength x mean residual norm x unit direction, at the chosen layer alone, at every position."""
    model, vectors = pair
    before = residual(model)
    with steer(model, vectors["calm"] * 0.25):
        after = residual(model)
    layer = vectors.layer
    for below in range(layer):
        np.testing.assert_array_equal(before[below], after[below])
    row = vectors.directions(layer)[vectors.index("calm")]
    expected = 0.25 * vectors.at(layer).norm * row
    added = after[layer] - before[layer]
    scale = np.abs(before[layer]).max()
    np.testing.assert_allclose(added, np.broadcast_to(expected, added.shape), atol=2e-6 * scale)


def test_several_vectors_and_layers(tiny: Model, vectors: EmotionVectors) -> None:
    calm, sad = vectors["calm"], vectors["sad"]
    with steer(tiny, calm * 0.2, sad * 0.1):
        apart = logits(tiny)
    with steer(tiny, calm * 0.2 + sad * 0.1):
        together = logits(tiny)
    torch.testing.assert_close(apart, together, atol=1e-4, rtol=1e-4)
    with steer(tiny, calm.at(1, 3), strength=0.1):
        by_name = logits(tiny)
    with steer(tiny, calm * 0.1, layers=(1, 3)):
        by_layer = logits(tiny)
    assert torch.equal(by_name, by_layer)
    with steer(tiny, calm * 0.1):
        assert not torch.equal(logits(tiny), by_layer)


def test_positions(tiny: Model, vectors: EmotionVectors) -> None:
    """Earlier positions of a causal model keep their logits."""
    baseline = logits(tiny)
    with steer(tiny, vectors["calm"], select=Select(positions=(10,), special=True)):
        found = logits(tiny)
    torch.testing.assert_close(found[:, :10], baseline[:, :10], atol=1e-5, rtol=0)
    assert (found[:, 10] - baseline[:, 10]).abs().max() > 1e-2


def test_generation_under_steering(tiny: Model, vectors: EmotionVectors) -> None:
    plain = generate(tiny, ["The gate"], Sampling(max_new_tokens=8))[0].new_ids
    with steer(tiny, vectors["calm"] * 3):
        steered = generate(tiny, ["The gate"], Sampling(max_new_tokens=8))[0].new_ids
    edits = interventions(vectors["calm"] * 3)
    assert generate(tiny, ["The gate"], Sampling(max_new_tokens=8), interventions=edits)[0].new_ids == steered
    assert steered != plain
    assert generate(tiny, ["The gate"], Sampling(max_new_tokens=8))[0].new_ids == plain


def test_the_model_is_restored_after_an_error(tiny: Model, vectors: EmotionVectors) -> None:
    baseline = logits(tiny)
    with pytest.raises(ZeroDivisionError), steer(tiny, vectors["calm"]):
        raise ZeroDivisionError
    assert torch.equal(logits(tiny), baseline)


def test_doses(vectors: EmotionVectors) -> None:
    """Per layer and in total, as fractions of the residual norm."""
    calm = vectors["calm"]
    assert dose_of(calm * 0.05).per_layer == {vectors.layer: pytest.approx(0.05)}
    assert dose_of(calm, strength=-0.05).total == pytest.approx(0.05)
    many = dose_of(calm * 0.05, layers=(0, 1, 3))
    assert many.per_layer == {layer: pytest.approx(0.05) for layer in (0, 1, 3)}
    assert many.total == pytest.approx(0.15)
    assert dose_of(calm.at(0, 1) * 0.1).total == pytest.approx(0.2)
    assert dose_of(calm - calm) == Dose({vectors.layer: 0.0})


def test_ablation_leaves_nothing_along_the_directions(pair) -> None:
    """Also along combinations of directions that are far from orthogonal."""
    model, vectors = pair
    before = residual(model)[vectors.layer]
    with intervene(model, ablation(vectors, ["calm", "sad", "angry"])):
        after = residual(model)[vectors.layer]
    rows = [vectors.index(name) for name in ("calm", "sad", "angry")]
    directions = vectors.directions()[rows]
    scale = np.abs(before).max()
    np.testing.assert_allclose(after @ directions.T, 0, atol=1e-4 * scale)
    basis = np.linalg.qr(directions.T)[0]
    expected = before - before @ basis @ basis.T
    np.testing.assert_allclose(after, expected, atol=1e-4 * scale)
    with intervene(model, ablation(vectors, ["calm"], layers=(0, 1))):
        rows_found = residual(model)
    for layer in (0, 1):
        direction = vectors.directions(layer)[vectors.index("calm")]
        np.testing.assert_allclose(rows_found[layer] @ direction, 0, atol=1e-4 * scale)
    with pytest.raises(UsageError, match="at least one concept"):
        ablation(vectors, [])
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        ablation(vectors, ["clam"])
    with pytest.raises(LayerError, match="layer 9"):
        ablation(vectors, ["calm"], layers=(9,))


def test_capping_at_a_percentile(pair) -> None:
    """Projections above the ceiling come down to it, others and everything orthogonal stay."""
    model, vectors = pair
    layer, direction = vectors.layer, vectors.directions()[vectors.index("calm")]
    before = residual(model)[layer]
    limit = ceiling(before, direction, 50)
    projections = before @ direction
    assert limit == pytest.approx(float(np.median(projections)), abs=1e-4 * float(np.abs(before).max()))
    with intervene(model, capping(vectors, "calm", {layer: limit})):
        after = residual(model)[layer]
    scale = np.abs(before).max()
    np.testing.assert_allclose(after @ direction, np.minimum(projections, limit), atol=1e-5 * scale)
    rest = np.eye(len(direction)) - np.outer(direction, direction)
    np.testing.assert_allclose(after @ rest, before @ rest, atol=1e-5 * scale)
    below = projections < limit - 1e-6 * scale
    np.testing.assert_array_equal(after[below], before[below])
    with pytest.raises(UsageError, match="a percentile lies between 0 and 100, got 101"):
        ceiling(before, direction, 101)


def test_what_cannot_be_steered(tiny: Model, vectors: EmotionVectors, minilm: Model, vectors_of) -> None:
    other = tiny_model(seed=1)
    both = f"{tiny.fingerprint}.*{other.fingerprint}.*allow_mismatch"
    with pytest.raises(FingerprintMismatchError, match=both), steer(other, vectors["calm"]):
        pass
    with steer(other, vectors["calm"], allow_mismatch=True):
        pass
    encoder = "'minilm' is an encoder: it is read, not steered"
    with pytest.raises(UsageError, match=encoder), steer(minilm, vectors_of(minilm)["calm"]):
        pass
    for strength in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="strength must be a finite number"):
            interventions(vectors["calm"], strength=strength)
    with pytest.raises(LayerError, match=r"calm is not known at layer\(s\) \[9\]"):
        interventions(vectors["calm"], layers=(9,))
    roles = Select(roles=("assistant",))
    with pytest.raises(UsageError, match="needs the fed prompts"), steer(tiny, vectors["calm"], select=roles):
        pass


def test_perplexity(tiny: Model, minilm: Model) -> None:
    """As computed text by text, whatever the padding."""
    texts = [TEXT, "a", "Somebody carried boxes up from the van to the third floor."]
    total, count = 0.0, 0
    for text in texts:
        ids = torch.from_numpy(tiny.tokens(text).ids.astype(np.int64))[None]
        with torch.inference_mode():
            loss = float(tiny.network(ids, labels=ids).loss)
        total, count = total + loss * (ids.shape[1] - 1), count + ids.shape[1] - 1
    assert perplexity(tiny, texts) == pytest.approx(np.exp(total / count), rel=1e-4)
    assert perplexity(tiny, texts, batch=1) == pytest.approx(perplexity(tiny, texts), rel=1e-4)
    with pytest.raises(UsageError, match="'minilm' is an encoder: it gives no likelihoods"):
        perplexity(minilm, texts)
    with pytest.raises(CorpusError, match="no text has two tokens"):
        perplexity(tiny, [""])


def test_repetition() -> None:
    assert repetition("one two three four five six") == 0
    assert repetition("a b c d a b c d") == pytest.approx(1 - 4 / 5)
    assert repetition("la " * 40) == pytest.approx(1 - 1 / 37)
    assert repetition("too short") == 0


def test_planning_a_dose(tiny: Model, vectors: EmotionVectors) -> None:
    plan = plan_dose(tiny, vectors["calm"] * 7, [TEXT], (-0.5, 0.001, 5.0), prompts=("The gate",))
    assert [point.strength for point in plan.points] == [-0.5, 0.0, 0.001, 5.0]
    by_strength = {point.strength: point for point in plan.points}
    assert by_strength[0.0].cost == 0
    assert by_strength[0.0].perplexity == pytest.approx(perplexity(tiny, [TEXT]))
    # Strengths are fractions of the residual norm whatever the length of the vector given.
    with steer(tiny, vectors["calm"], strength=5.0):
        assert by_strength[5.0].perplexity == pytest.approx(perplexity(tiny, [TEXT]), rel=1e-5)
    assert abs(by_strength[0.001].cost) < 0.05
    for point in plan.points:
        assert 0 <= point.repetition <= 1
        assert point.compression > 0
        assert point.cost == pytest.approx(point.perplexity / by_strength[0.0].perplexity - 1)
    several = plan_dose(tiny, vectors["calm"].at(1, 2), [TEXT], (1.0,), prompts=("The gate",)).points[1]
    with steer(tiny, vectors["calm"], strength=1.0, layers=(1, 2)):
        assert several.perplexity == pytest.approx(perplexity(tiny, [TEXT]), rel=1e-5)
    with pytest.raises(UsageError, match="no direction"):
        plan_dose(tiny, vectors["calm"] * 0, [TEXT])


def test_the_coherent_range() -> None:
    """It ends at the first strength that costs too much on either side, even if a larger one costs less."""

    def plan(costs: dict[float, float]) -> DosePlan:
        return DosePlan(tuple(DosePoint(strength, 1.0, cost, 0.0, 0.5) for strength, cost in costs.items()), 0.15)

    assert plan({-0.2: 0.3, -0.1: 0.1, 0.0: 0.0, 0.05: 0.02, 0.1: 0.2, 0.2: 0.01}).coherent == (-0.1, 0.05)
    assert plan({0.0: 0.0}).coherent == (0.0, 0.0)
    assert plan({0.0: 0.0, 0.1: 0.15, -0.1: 9.0}).coherent == (0.0, 0.1)
