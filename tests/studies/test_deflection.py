from pathlib import Path

import numpy as np
from place_records import directions, orthogonal, places

from thymos.organism import open_world
from thymos.organism.sets.deflection import make, make_prompts
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.deflection import Deflection, DeflectionSettings

SMALL = DeflectionSettings(dialogues=60, permutations=60, controls=20, questions=4, randoms=20)


def test_a_random_model_runs_through_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "deflection.jsonl"
    result = run_study(Deflection(), Bench(tiny, vectors), SMALL, log=log)
    assert "norm of deflection vectors outside the story vectors' space" in {one.name for one in result.estimates}
    assert len(result.findings.tables["story space"]) == 6
    assert analyse_log(log, {"deflection": Deflection()}).to_dict() == result.to_dict()


def test_a_felt_emotion_with_a_direction_of_its_own_is_found(tiny, vectors):
    rng = np.random.default_rng(0)
    names, axes = ("angry", "happy", "sad"), orthogonal(6, 20)
    pairs = [(felt, shown) for felt in range(3) for shown in range(3) if felt != shown]
    rows = []
    for number in range(90):
        felt, shown = pairs[number % 6]
        meta = {
            "target": names[felt], "displayed": names[shown], "topic": f"t{number // 9}", "own": f"line {number}",
            "name": "Mara",
        }  # fmt: skip
        own = axes[3 + felt] + axes[shown] + rng.normal(size=20) * 0.1
        rows.append(places(str(number), {"own": own, "partner": own}, meta, "text"))
    space = [
        {"components": 3, "random": [0.9, 0.95], "shuffled": [0.9, 0.95], "lens": None, "lens_p": None,
         "lens_chance": None},
        *({"concept": name, "retained": 0.9, "own": None, "tokens": ""} for name in names),
    ]  # fmt: skip
    records = Records({"vectors": directions(names, axes[:3]), "dialogues": rows, "space": space})
    found = Deflection().analyse(records, Bench(tiny, vectors).context, SMALL)
    by_name = {one.name: one for one in found.estimates}
    felt = by_name["felt emotion on the bearer's lines, accuracy"]
    assert felt.value > 0.95 and felt.p < 0.05
    assert by_name["vectors by displayed emotion and story vectors, cosine"].value > 0.5
    assert by_name["story vectors on the bearer's lines: displayed above felt"].value > 0.95


def test_the_planted_sets_have_the_layout_of_the_english_ones():
    world = open_world()
    told, english = make(world), load_stimuli("deflection")
    assert set(english[0]) <= set(told[0])
    assert len({(one["target"], one["displayed"]) for one in told[:30]}) == 30
    assert all(one["target"] not in one["preamble"].split() for one in told)
    prompts, plain = make_prompts(world), load_stimuli("deflection_prompts")
    assert {one["group"] for one in prompts["prompts"]} == {one["group"] for one in plain["prompts"]}
