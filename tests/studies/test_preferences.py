from pathlib import Path

import numpy as np
import pytest

from thymos.errors import CorpusError
from thymos.models import Model
from thymos.organism.sets.preferences import make
from thymos.organism.world import open_world
from thymos.studies import Bench, StudyResult, analyse_log, load_stimuli, run_study
from thymos.studies.preference_effects import Choices, effect_of, matched_p
from thymos.studies.preference_pairs import (
    Pair,
    Pushed,
    case_of,
    halves,
    mixed,
    ordered_pairs,
    rating_changes,
    ratings,
)
from thymos.studies.preferences import Preferences, PreferencesSettings
from thymos.vectors import EmotionVectors

SMALL = PreferencesSettings(
    per_category=1, wordings=2, feelings=1, vectors=4, splits=3, randoms=6, spanned=3, permutations=50,
    doses=(0.1, 0.3), describe=2, layers=2,
)  # fmt: skip
ROWS = [{"id": f"a{n}", "text": text} for n, text in enumerate(("washing cups", "flying kites", "taking notes"))]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("preferences") / "log.jsonl"


@pytest.fixture(scope="module")
def result(tiny: Model, vectors: EmotionVectors, log: Path) -> StudyResult:
    return run_study(Preferences(), Bench(tiny, vectors, others=(tiny,)), SMALL, log=log)


def test_both_orders_share_a_wording_and_know_where_the_activities_stand() -> None:
    pairs = ordered_pairs(ROWS, ["Rather (A) {a} or (B) {b}?", "(A) {a}, (B) {b}: which?"])
    assert len(pairs) == 6
    wordings = [pair.text.startswith("Rather") for pair in pairs]
    assert wordings == [True, True, False, False, True, True]
    for pair in pairs:
        shown = [pair.text[low:high] for low, high in pair.chars]
        assert shown == [ROWS[pair.first]["text"], ROWS[pair.second]["text"]]
    assert dict(case_of(pairs[0], "(").options) == {"A": ("(A)",), "B": ("(B)",)}


def test_a_wording_without_places_is_refused() -> None:
    with pytest.raises(CorpusError, match="must hold"):
        ordered_pairs(ROWS, ["Which of {b} and {a}"])


def _raised(n: int, gain: float) -> tuple[np.ndarray, Pushed]:
    """Choices at a half; steering raises the steered activity's chance by `gain`."""
    base = np.full((n, n), 0.5)
    first, second = np.full((1, 1, n, n), 0.5 + gain), np.full((1, 1, n, n), 0.5 - gain)
    return base, Pushed(("v",), ("vector",), (0.1,), 0, first, second, np.stack([base, base]), np.ones((1, 1)))


@pytest.mark.parametrize("gain", [-0.2, 0.0, 0.3])
def test_steering_that_helps_raises_ratings_and_nothing_leaves_them(gain: float) -> None:
    base, pushed = _raised(6, gain)
    choices = Choices(base, ratings(base), halves(6, 4, 0))
    effect = effect_of(choices, pushed, 0, 0, 0)
    assert np.sign(round(effect.change.estimate, 6)) == np.sign(gain)
    assert effect.by_split.shape == (4,)


def test_ratings_are_zero_sum() -> None:
    base, pushed = _raised(6, 0.2)
    half = halves(6, 1, 1)[0]
    changed = rating_changes(base, ratings(base), (pushed.first[0, 0], pushed.second[0, 0]), half)
    other = rating_changes(base, ratings(base), (pushed.second[0, 0], pushed.first[0, 0]), half)
    assert changed.mean() == pytest.approx(-other.mean(), abs=1e-3)


def test_halves_hold_half_and_mixed_pairs_name_the_steered_side() -> None:
    half = halves(5, 3, 7)
    assert half.sum(axis=1).tolist() == [2, 2, 2]
    assert np.array_equal(half[0], halves(5, 1, 7)[0])
    pairs = [Pair("x", 0, 1, "", ((0, 0), (0, 0))), Pair("y", 1, 0, "", ((0, 0), (0, 0)))]
    sides = [side for _, side in mixed(pairs, np.array([True, False]))]
    assert sides == ["first", "second"]


def test_a_shared_axis_alone_is_not_taken_for_a_finding() -> None:
    rng = np.random.default_rng(0)
    axis = rng.standard_normal(12)
    readings = np.outer(axis, rng.standard_normal(8)) + 0.01 * rng.standard_normal((12, 8))
    changes = readings.mean(axis=0)
    ps = [matched_p(readings, rng.standard_normal(12), changes, 200, seed)[1] for seed in range(20)]
    assert min(ps) < 1.0
    assert np.mean(np.asarray(ps) < 0.05) < 0.5


def test_the_whole_path_runs_and_claims_nothing_on_a_random_model(result: StudyResult) -> None:
    names = [one.name for one in result.estimates]
    assert any("r(reading of happy, rating) over activities" in name for name in names)
    assert result["r(rating, rating in checkpoint 0)"].value == pytest.approx(1.0)
    if not result.findings.refusals:
        claims = [one for one in result.estimates if one.primary]
        assert len(claims) == 3
        assert result["largest change of a choice by a zero dose"].value < 1e-3
        assert {"doses", "layers", "steering"} <= set(result.findings.tables)


def test_a_log_alone_gives_the_same_result(result: StudyResult, log: Path) -> None:
    assert analyse_log(log, {"preferences": Preferences()}).to_dict() == result.to_dict()


def test_the_planted_set_has_the_layout_of_the_english_one() -> None:
    planted, english = make(open_world()), load_stimuli("preferences")
    assert len(planted["activities"]) == len(english["activities"]) == 64
    assert {one["category"] for one in planted["activities"]} == {one["category"] for one in english["activities"]}
    assert set(english) <= set(planted)
    assert all("{a}" in one and "{b}" in one for one in planted["pair_prompts"])
    assert all("{activity}" in one for one in planted["feeling_prompts"])
