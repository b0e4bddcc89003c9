from pathlib import Path

import numpy as np

from thymos.organism import open_world
from thymos.organism.sets.validation import make
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.steering_validation import SteeringValidation, SteeringValidationSettings

QUICK = SteeringValidationSettings(
    prompts=2, others=(-0.5,), randoms=12, spanned=6, permutations=100, completions=1, told_tokens=4, told_randoms=2
)


def test_a_random_model_runs_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "validation.jsonl"
    result = run_study(SteeringValidation(), Bench(tiny, vectors), QUICK, log=log)
    zero = [one for one in result.estimates if "zero dose" in one.name]
    assert len(zero) == 3 and all(one.value < 1e-3 for one in zero)
    assert [one.primary for one in result.estimates[:3]] == [True, True, False]
    assert len(result.findings.tables["matrix"]) == 3 * 16
    assert analyse_log(log, {"steering-validation": SteeringValidation()}).to_dict() == result.to_dict()


def test_words_that_nobody_would_say_are_refused(tiny, vectors):
    settings = SteeringValidationSettings(**{**QUICK.__dict__, "least_mass": 0.5})
    result = run_study(SteeringValidation(), Bench(tiny, vectors), settings)
    assert not any(one.primary for one in result.estimates)
    assert len(result.findings.refusals) == 2 and "no_story" not in " ".join(result.findings.refusals)


def test_a_planted_diagonal_is_found(tiny, vectors):
    words = ["happy", "sad", "calm", "angry", "proud", "loving"]
    rng = np.random.default_rng(0)
    arms = ["zero"] + ["vector"] * 6 + ["random"] * 30 + ["span"] * 10
    names = ["zero", *words, *(f"random {n}" for n in range(30)), *(f"span {n}" for n in range(10))]
    head = {"names": names, "arms": arms, "strengths": [0.0] + [0.5] * 46, "words": words, "layer": 2, "norm": 1.0}
    rows = []
    for number in range(6):
        logs = rng.normal(-6, 0.1, (47, 6))
        logs[1:7] += 2.0 * np.eye(6)
        rows.append({"id": str(number), "logp": logs.tolist()})
    base = [{"id": str(n), "mass": 0.2, "logp": rows[n]["logp"][0], "words": words} for n in range(6)]
    told = [{"id": "0", "name": "zero", "arm": "zero", "reply": "", "story": 0.0}]
    records = Records(
        {"base/third_person": base, "matrix/third_person": [head, *rows], "base/first_person": base}
        | {"base/no_story": base, "matrix/first_person": [head, *rows], "completions": told}
    )
    settings = SteeringValidationSettings(others=(), randoms=30, spanned=10, permutations=300)
    found = SteeringValidation().analyse(records, Bench(tiny, vectors).context, settings)
    claim = next(one for one in found.estimates if one.primary)
    assert claim.value > 1.8 and claim.reached and claim.clear and claim.p < 0.01


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("validation")
    assert set(told) == set(english)
    assert set(told["third_person"][0]) == set(english["third_person"][0])
    assert all(
        one["prefix"] and "{" not in one["user"] for frame in ("third_person", "no_story") for one in told[frame]
    )
