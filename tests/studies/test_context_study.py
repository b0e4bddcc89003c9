from pathlib import Path

import numpy as np
import pytest

from thymos.errors import UsageError
from thymos.organism import open_world
from thymos.organism.sets.context import make
from thymos.studies import Bench, analyse_log, load_stimuli, run_study
from thymos.studies.context import ContextSettings, ContextStudy
from thymos.studies.context_differences import Nulls, Reading, binding_differences, centred, pair_differences
from thymos.studies.context_places import EXPERIMENTS, concepts_of, sides_of

QUICK = ContextSettings(items=3, examples=1, randoms=12, spanned=4, permutations=100)
NULLS = Nulls("reply", 0, 8, 100, 0)


def test_a_random_model_runs_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "context.jsonl"
    result = run_study(ContextStudy(), Bench(tiny, vectors), QUICK, log=log)
    assert sum(one.primary for one in result.estimates) == 4
    # A causal network cannot know a number before it comes.
    assert result["dosage: before the number, largest difference"].value < 1e-5
    assert {row["experiment"] for row in result.findings.tables["map"]} == set(EXPERIMENTS)
    assert analyse_log(log, {"context": ContextStudy()}).to_dict() == result.to_dict()


def test_unknown_experiments_are_named(tiny, vectors):
    with pytest.raises(UsageError, match="prefix"):
        run_study(ContextStudy(), Bench(tiny, vectors), ContextSettings(experiments=("prefixes",)))


@pytest.mark.parametrize("told", [load_stimuli("context"), make(open_world())], ids=["english", "planted"])
def test_places_are_where_they_should_be(told):
    for experiment in EXPERIMENTS:
        sides = sides_of(told, experiment, concepts_of(told, experiment), 99)
        assert len({side.id for side in sides}) == len(sides)
        for side in sides:
            assert "{" not in side.text and all(high <= len(side.text) for r in side.places.values() for _, high in r)
            if experiment == "negation":
                (low, high), *_ = side.places["emotion word"]
                assert side.text[low:high].lower() == side.concept
            if experiment == "binding":
                (low, high), *_ = side.places["A emotion word"]
                assert side.text[low:high].lower() == side.concept
                assert {"A name again", "B name again"} <= set(side.places)


def _reading(pair: str, arm: str, concept: int, values: np.ndarray) -> Reading:
    return Reading(pair, pair, arm, concept, {"reply": values[None]}, {"reply": np.zeros(8)}, {"template": 0})


def test_differences_are_read_along_the_pairs_own_concept():
    rng = np.random.default_rng(0)
    readings = []
    for number in range(12):
        base = rng.normal(0, 0.1, 3)
        readings += [
            _reading(str(number), "a", number % 3, base + np.eye(3)[number % 3]),
            _reading(str(number), "b", number % 3, base),
        ]
    found = pair_differences(readings, NULLS)
    assert found is not None
    assert np.allclose(found.at("reply", 0), 1.0)
    assert found.shuffled is not None and found.shuffled < 0.05


def test_centring_leaves_what_is_special_about_a_text():
    some = [_reading(str(n), "a", n, np.full(3, 5.0) + np.eye(3)[n]) for n in range(3)]
    found = centred(some, lambda one: one.arm)
    assert np.allclose([one.places["reply"][0, one.concept] for one in found], 1.0)


@pytest.mark.parametrize("bound", [1.0, 0.0])
def test_binding_is_whose_feeling_it_is_not_what_was_said_last(bound: float):
    rng = np.random.default_rng(1)
    readings, others = [], []
    for number in range(10):
        for first, second in ((0, 1), (1, 0)):
            again = {w: rng.normal(0, 0.01, 2) + np.array([2.0, 0.0]) for w in "AB"}
            again["A"] = again["A"] + bound * np.eye(2)[first]
            again["B"] = again["B"] + bound * np.eye(2)[second]
            places = {f"{who} name again": values[None] for who, values in again.items()}
            controls = {f"{who} name again": rng.normal(0, 0.1, 8) for who in "AB"}
            readings.append(Reading(f"{number}/{first}", str(number), "a", first, places, controls, {}))
            others.append(second)
    found = binding_differences(readings, others, Nulls("name again", 0, 8, 100, 0))
    assert found is not None
    assert found.at("name again", 0).mean() == pytest.approx(bound, abs=0.02)
