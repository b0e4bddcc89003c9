from collections.abc import Callable

import numpy as np
import pytest
from behaviour_cases import OPTIONS, unit_rows
from scipy import stats as reference

from thymos.behaviour import (
    DecisionPoint,
    DoseCurve,
    decision_point,
    dose_curve,
    effects,
    scan_directions,
    score_decisions,
)
from thymos.behaviour import scan as scan_module
from thymos.behaviour.curve import mean_intervals
from thymos.errors import ActivationError, FingerprintMismatchError, LayerError, ModelError, UsageError
from thymos.models import TINY_ARCHITECTURES, Add, Model, Select, tiny_model
from thymos.stats import bootstrap, directions_in_span, random_directions
from thymos.vectors import ConceptVector

LAYER, NORM = 1, 8.0
DECODERS = [name for name in TINY_ARCHITECTURES if name not in ("bert", "roberta", "modernbert")]
EVERY = Select(special=True)


def vector(model: Model, row: np.ndarray, name: str, *, layers: tuple[int, ...] = (LAYER,)) -> ConceptVector:
    at = {layer: row * np.float32(0.7) for layer in layers}
    return ConceptVector(at, dict.fromkeys(layers, NORM), layers[0], name, model.fingerprint, layers)


@pytest.fixture(scope="module")
def curve(tiny: Model, points: list[DecisionPoint], directions: np.ndarray) -> DoseCurve:
    vectors = {name: vector(tiny, directions[i], name) for i, name in enumerate(("calm", "afraid"))}
    return dose_curve(tiny, points, vectors, (-0.5, 0.5, 0.2), "help", randoms=19, in_span=6, seed=3)


@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize("select", [EVERY, Select(where="reply", special=True)], ids=["all", "reply"])
def test_a_scan_is_one_direction_at_a_time(
    architecture: str,
    select: Select,
    model_of: Callable[[str], Model],
    points_of: Callable[[Model], list[DecisionPoint]],
    directions: np.ndarray,
) -> None:
    model = model_of(architecture)
    points = points_of(model)
    found = scan_directions(model, points, {LAYER: 0.3 * NORM * directions}, select=select)
    assert found.probabilities.shape == (len(directions), len(points), 3)
    for row, direction in enumerate(directions):
        alone = score_decisions(model, points, [Add({LAYER: direction}, 0.3, {LAYER: NORM}, select)])
        np.testing.assert_allclose(found.probabilities[row], alone.probabilities, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(found.mass[row], alone.mass, rtol=2e-3)
    assert not model.hooks.active


def test_most_architectures_fan_out_and_the_others_get_copies(
    model_of: Callable[[str], Model], points_of: Callable[[Model], list[DecisionPoint]], directions: np.ndarray
) -> None:
    def fans(name: str) -> bool:
        model = model_of(name)
        row = scan_module.jobs_of(model, points_of(model))[1][0].rows[0]
        return scan_module._fans_out(model, row, scan_module._tensors(model, {LAYER: directions}), EVERY)

    assert [name for name in DECODERS if not fans(name)] == ["bloom"]


def test_shifts_at_several_layers_and_any_batch_size(
    tiny: Model, points: list[DecisionPoint], directions: np.ndarray
) -> None:
    shifts = {layer: directions * np.float32(2) for layer in (0, 2)}
    seen: list[tuple[int, int]] = []
    found = scan_directions(tiny, points, shifts, on_progress=lambda *at: seen.append(at))
    assert seen == [(i, seen[-1][1]) for i in range(1, seen[-1][1] + 1)]
    small = scan_directions(tiny, points, shifts, batch_tokens=1)
    np.testing.assert_allclose(found.probabilities, small.probabilities, rtol=1e-3, atol=1e-6)
    both = Add({0: directions[1], 2: directions[1]}, 1.0, {0: 2.0, 2: 2.0})
    np.testing.assert_allclose(found.probabilities[1], score_decisions(tiny, points, [both]).probabilities, rtol=1e-3)


def test_effects_are_mean_changes(tiny: Model, points: list[DecisionPoint], directions: np.ndarray) -> None:
    plain = score_decisions(tiny, points)
    change = effects(tiny, points, directions, NORM, LAYER, 0.3, "help")
    odds = effects(tiny, points, directions, NORM, LAYER, 0.3, "help", log_odds=True)
    for row, direction in enumerate(directions):
        steered = score_decisions(tiny, points, [Add({LAYER: direction}, 0.3, {LAYER: NORM})])
        assert change[row] == pytest.approx(float((steered.of("help") - plain.of("help")).mean()), abs=1e-5)
        assert odds[row] == pytest.approx(float((steered.log_odds("help") - plain.log_odds("help")).mean()), abs=1e-3)
    np.testing.assert_array_equal(effects(tiny, points, directions, NORM, LAYER, 0.0, "help"), 0)


def test_a_curve_holds_vectors_and_controls_of_their_length(
    tiny: Model, points: list[DecisionPoint], directions: np.ndarray, curve: DoseCurve
) -> None:
    """Whatever the vectors' own length, a strength is a fraction of the norm."""
    assert curve.names[:3] == ("calm", "afraid", "random 0") and curve.names[-1] == "in span 5"
    assert [curve.arms.count(arm) for arm in ("vector", "random", "span")] == [2, 19, 6]
    assert curve.strengths.tolist() == [-0.5, 0.0, 0.2, 0.5]
    assert curve.zero_gap < 1e-6
    np.testing.assert_allclose(curve.baseline, score_decisions(tiny, points).of("help"))
    drawn = random_directions(19, 32, 3)[4]
    spanned = directions_in_span(directions[:2], 6, 3)[1]
    for name, row in (("afraid", directions[1]), ("random 4", drawn), ("in span 1", spanned)):
        steered = score_decisions(tiny, points, [Add({LAYER: row}, -0.5, {LAYER: NORM})]).of("help")
        np.testing.assert_allclose(curve.probabilities[curve.names.index(name), 0], steered, rtol=1e-3)
    for place in range(len(curve.names)):
        np.testing.assert_array_equal(curve.probabilities[place, 1], curve.zero)


def test_effects_and_intervals_of_a_curve(curve: DoseCurve) -> None:
    frame = curve.frame()
    assert len(frame) == 27 * 4 and not frame.isna().any().any()
    row = frame[(frame["name"] == "calm") & (frame["strength"] == 0.5)].iloc[0]
    effect = curve.effect("calm", 0.5)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx(
        (effect.estimate, effect.low, effect.high)
    )
    assert effect.n == 4 and effect.low <= effect.estimate <= effect.high
    zero = frame[frame["strength"] == 0]
    assert (zero["difference_high"] == 0).all() and zero["rate"].nunique() == 1
    assert curve.effect("calm", 0).high == 0


def test_intervals_are_those_of_the_bootstrap() -> None:
    values = np.random.default_rng(0).random((3, 17))
    low, high = mean_intervals(values, seed=5)
    for row, one in enumerate(values):
        expected = bootstrap(one, seed=5)
        assert (low[row], high[row]) == pytest.approx((expected.low, expected.high), rel=1e-9)


def planted(effect: float, controls: list[float]) -> DoseCurve:
    moved = np.asarray([effect, *controls])
    values = 0.5 + np.stack([0 * moved, moved], axis=1)[:, :, None] + np.zeros((1, 1, 4))
    names = ("calm", *(f"random {i}" for i in range(len(controls))))
    arms = ("vector", *["random"] * len(controls))
    return DoseCurve("help", (1,), names, arms, np.asarray([0.0, 0.1]), values, np.full(4, 0.5))


def test_beyond_random_counts_controls_that_move_as_far_either_way() -> None:
    controls = np.linspace(-0.1, 0.08, 19).tolist()
    far = planted(0.3, controls).beyond_random("calm", 0.1)
    assert (far.rank, far.p, far.outside, far.n) == (1, pytest.approx(1 / 20), True, 19)
    assert far.z == pytest.approx((0.3 - np.mean(controls)) / np.std(controls, ddof=1))
    # Beyond the highest control, but a control moves farther down: outside the range, not first in rank.
    near = planted(0.09, controls).beyond_random("calm", 0.1)
    assert near.outside and near.rank == 1 + sum(abs(c) >= 0.09 for c in controls)
    assert near.p == pytest.approx(near.rank / 20)
    nothing = planted(0.0, controls).beyond_random("calm", 0.0)
    assert (nothing.p, nothing.outside, nothing.z) == (1.0, False, 0.0)
    with pytest.raises(UsageError, match="no 'span' controls; it has random, vector; ask for some with in_span="):
        planted(0.3, controls).beyond_random("calm", 0.1, "span")


def test_p_values_of_random_directions_are_uniform() -> None:
    """A direction that is one of the controls' kind is beyond 95% of them in 5% of all cases."""
    draw = np.random.default_rng(0)
    found = [planted(*(lambda d: (d[0], d[1:].tolist()))(draw.normal(0, 0.05, 20))) for _ in range(400)]
    p = [curve.beyond_random("calm", 0.1).p for curve in found]
    assert reference.binomtest(sum(value <= 0.05 for value in p), 400, 0.05).pvalue > 0.01


def test_a_curve_draws_itself(curve: DoseCurve) -> None:
    spec = curve.chart().to_dict()
    assert "random directions in the span" in str(spec["datasets"])
    frame = curve.chart_frame("calm")
    assert list(dict.fromkeys(frame["arm"])) == ["calm", "random directions", "random directions in the span"]
    assert ((frame["low"] <= frame["rate"] + 1e-12) & (frame["rate"] <= frame["high"] + 1e-12)).all()


def test_a_line_of_vectors_has_no_span_to_draw_from(tiny: Model, points: list[DecisionPoint]) -> None:
    row = unit_rows(1)[0]
    found = dose_curve(tiny, points, [vector(tiny, row, "calm")], [0.2], "help", randoms=2)
    assert found.arms == ("vector", "random", "random")
    with pytest.raises(UsageError, match="each with a name of its own"):
        dose_curve(tiny, points, [vector(tiny, row, "calm")] * 2, [0.2], "help")


def test_layers_of_the_vectors_or_one_named(tiny: Model, points: list[DecisionPoint]) -> None:
    row = unit_rows(1)[0]
    wide = vector(tiny, row, "calm", layers=(0, 2))
    found = dose_curve(tiny, points, [wide], [0.2], "help", randoms=1)
    assert found.layers == (0, 2)
    edit = Add({0: row, 2: row}, 0.2, {0: NORM, 2: NORM})
    np.testing.assert_allclose(found.probabilities[0, 1], score_decisions(tiny, points, [edit]).of("help"), rtol=1e-3)
    assert dose_curve(tiny, points, [wide], [0.2], "help", randoms=1, layer=2).layers == (2,)
    with pytest.raises(UsageError, match="steered at different layers"):
        dose_curve(tiny, points, [wide, vector(tiny, row, "low")], [0.2], "help")
    with pytest.raises(LayerError, match="calm is not known at layer"):
        dose_curve(tiny, points, [wide], [0.2], "help", layer=3)


def test_what_makes_no_curve(
    tiny: Model, points: list[DecisionPoint], directions: np.ndarray, curve: DoseCurve
) -> None:
    calm = vector(tiny, directions[0], "calm")
    for strengths in ([], [0.0], [float("nan")]):
        with pytest.raises(UsageError, match="strengths must be finite and at least one not zero"):
            dose_curve(tiny, points, [calm], strengths, "help")
    with pytest.raises(UsageError, match="over 1 decision points has no intervals"):
        dose_curve(tiny, points[:1], [calm], [0.1], "help")
    with pytest.raises(UsageError, match="no outcome 'halp'; did you mean 'help'"):
        dose_curve(tiny, points, [calm], [0.1], "halp")
    other = tiny_model(seed=1)
    with pytest.raises(FingerprintMismatchError, match="allow_mismatch"):
        dose_curve(other, points, [calm], [0.1], "help")
    assert dose_curve(other, points, [calm], [0.1], "help", randoms=1, allow_mismatch=True).names[0] == "calm"
    with pytest.raises(UsageError, match="no vector 'clam'; did you mean 'calm'"):
        curve.effect("clam", 0.5)
    with pytest.raises(UsageError, match="no strength 0.4; the curve has -0.5, 0, 0.2, 0.5"):
        curve.effect("calm", 0.4)
    with pytest.raises(UsageError, match="same number of shifts"):
        scan_directions(tiny, points, {0: directions, 1: directions[:2]})
    with pytest.raises(UsageError, match="have 16 components"):
        scan_directions(tiny, points, {0: directions[:, :16]})
    with pytest.raises(ActivationError, match="shifts for layer 0 hold NaN"):
        scan_directions(tiny, points, {0: directions * np.float32(np.nan)})
    with pytest.raises(LayerError, match="layer 7"):
        scan_directions(tiny, points, {7: directions})


def test_a_zero_dose_that_moves_a_decision_is_an_error(
    tiny: Model, points: list[DecisionPoint], directions: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = scan_module._feed

    def leaky(*args, **options):
        return feed(*args, **options) * 1.5

    monkeypatch.setattr(scan_module, "_feed", leaky)
    with pytest.raises(ModelError, match="a zero dose changes a decision"):
        dose_curve(tiny, points, [vector(tiny, directions[0], "calm")], [0.1], "help", randoms=1)


def test_one_point_has_an_outcome_of_its_own(tiny: Model, directions: np.ndarray) -> None:
    point = decision_point(tiny, "Well?", OPTIONS)
    assert effects(tiny, [point], directions, NORM, LAYER, 0.2, "ask").shape == (5,)
