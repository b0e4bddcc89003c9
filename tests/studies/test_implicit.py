from pathlib import Path

import numpy as np

from thymos.organism import open_world
from thymos.organism.sets.implicit import make
from thymos.studies import Bench, Records, analyse_log, run_study
from thymos.studies.implicit import Implicit, ImplicitSettings

QUICK = ImplicitSettings(per_concept=6, randoms=20, spanned=5, draws=50, permutations=200)


def test_a_random_model_reads_nothing_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "implicit.jsonl"
    result = run_study(Implicit(), Bench(tiny, vectors), QUICK, log=log)
    claim = next(one for one in result.estimates if one.primary)
    assert claim.chance == 0.25 and claim.low is not None and claim.p is not None
    assert len(result.findings.tables["readings"]) == 16
    assert len(result.findings.tables["layers"]) == tiny.n_layers
    assert analyse_log(log, {"implicit": Implicit()}).to_dict() == result.to_dict()


def test_readings_that_follow_the_feeling_are_found(tiny, vectors):
    bench = Bench(tiny, vectors)
    study = Implicit()
    rng = np.random.default_rng(0)
    concepts = ("happy", "sad", "calm", "angry")
    rows, controls = [], []
    for number in range(40):
        own = number % 4
        raw = rng.normal(0, 0.01, 4) + 0.05 * np.eye(4)[own] + np.array([0.5, 0, 0, 0])
        meta = {"emotion": concepts[own], "topic": f"t{number // 4}", "message": f"words {number}"}
        place = {"raw": [raw.tolist()], "centred": [raw.tolist()]}
        rows.append({"id": str(number), "meta": meta, "layers": [bench.vectors.layer], "concepts": concepts})
        rows[-1]["reply"] = place
        controls.append({"id": str(number), "randoms": 20, "values": rng.normal(0, 0.1, 24).tolist()})
    found = study.analyse(Records({"messages": rows, "controls": controls}), bench.context, QUICK)
    by_name = {one.name: one for one in found.estimates}
    claim = by_name["top-1, probe means removed"]
    assert claim.value > 0.9 and claim.reached and claim.clear and claim.p < 0.01
    # "happy" is raised everywhere: without centring it hides the others.
    assert by_name["top-1, raw"].value < 0.5


def test_the_planted_set_has_the_layout_of_the_english_one():
    told = make(open_world())
    assert {"text", "emotion", "topic", "source", "truth"} == set(told[0])
    assert all(one["truth"]["user"] == one["emotion"] for one in told)
    assert all(one["emotion"] not in one["text"].lower().split() for one in told)
    assert told == make(open_world())
