from pathlib import Path

import numpy as np

from thymos.models import Model, tiny_model
from thymos.organism.release import truth_of
from thymos.organism.sets.post_training import make
from thymos.organism.world import open_world
from thymos.studies import Bench, Context, analyse_log, load_stimuli, run_study
from thymos.studies.post_training import PostTraining, PostTrainingSettings
from thymos.studies.shift_findings import Profiles, planted_estimates, reliability_estimates
from thymos.vectors import EmotionVectors

SMALL = PostTrainingSettings(
    challenging=13, neutral=8, layers=2, splits=10, permutations=50, randoms=5, stories=2, calm=6, own=True
)


def _context() -> Context:
    truth = truth_of(open_world())
    return Context("m", "planted", 0, tuple(truth["points"]), 0, 0, 1, truth)


def _profiles(signal: float, seed: int = 0) -> Profiles:
    rng = np.random.default_rng(seed)
    planted = np.asarray(list(_context().truth["shift"].values()))
    before = rng.standard_normal((40, len(planted)))
    after = before + signal * planted + 0.003 * rng.standard_normal(before.shape)
    return Profiles("", after, before, ["challenging", "neutral"] * 20, ("vector",) * len(planted))


def test_a_planted_shift_is_found_and_noise_is_not() -> None:
    words = _context().concepts
    found = planted_estimates(_profiles(1.0), words, _context(), SMALL)[0]
    assert found.reached
    noise = planted_estimates(_profiles(0.0), words, _context(), SMALL)[0]
    assert not noise.reached


def test_reliability_is_high_with_a_shift_and_low_with_noise() -> None:
    assert reliability_estimates(_profiles(1.0), _context(), SMALL)[1]
    assert not reliability_estimates(_profiles(0.0), _context(), SMALL)[1]


def test_two_copies_of_a_checkpoint_show_nothing(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = run_study(PostTraining(), Bench(tiny, vectors, others=(tiny,)), SMALL, log=log)
    assert result["split-half reliability of the shift over concepts"].reached is False
    assert not any(one.reached for one in result.estimates if one.primary)
    assert any("not reliable" in remark for remark in result.findings.remarks)
    assert analyse_log(log, {"post-training": PostTraining()}).to_dict() == result.to_dict()


def test_several_checkpoints_are_told_apart(tiny: Model, vectors: EmotionVectors) -> None:
    bench = Bench(tiny, vectors, others=(tiny, tiny_model(seed=3)))
    result = run_study(PostTraining(), bench, SMALL.changed(own=False))
    assert {row["against"] for row in result.findings.tables["shift"]} == {"checkpoint 1", "checkpoint 2"}


def test_the_planted_set_has_the_layout_of_the_english_one() -> None:
    planted, english = make(open_world()), load_stimuli("post_training")
    for rows in (planted, english):
        kinds = [row["kind"] for row in rows]
        assert kinds.count("challenging") >= 100
        assert kinds.count("neutral") >= 50
    assert set(planted[0]) == set(english[0])
    assert len({row["text"] for row in planted}) == len(planted)
