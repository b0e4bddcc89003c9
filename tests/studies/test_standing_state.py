from collections import Counter
from pathlib import Path

import numpy as np
from place_records import orthogonal, places

from thymos.organism import open_world
from thymos.organism.sets.standing_state import make
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.standing_state import StandingState, StandingStateSettings

SMALL = StandingStateSettings(dialogues=150, transfer=20, permutations=60)
CONDITIONS = ("expressed", "hidden", "unexpressed_neutral", "unexpressed_story", "unexpressed_other")


def test_a_random_model_runs_through_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "standing.jsonl"
    result = run_study(StandingState(), Bench(tiny, vectors), SMALL, log=log)
    assert len(result.findings.tables["conditions"]) == 5
    assert sum(one.primary for one in result.estimates) == 2
    assert analyse_log(log, {"standing-state": StandingState()}).to_dict() == result.to_dict()


def test_a_state_that_is_held_in_every_condition_transfers(tiny, vectors):
    rng = np.random.default_rng(0)
    names, axes = ("angry", "calm", "happy", "sad"), orthogonal(4, 16)
    stated, bare = [], []
    for number in range(120):
        emotion, condition = number % 4, CONDITIONS[number // 4 % 5]
        meta = {
            "emotion": names[emotion], "condition": condition, "other": None, "topic": f"t{number // 20}",
            "own": f"line {number}",
        }  # fmt: skip
        noise = rng.normal(size=(3, 16)) * 0.2
        stated.append(places(str(number), {"own": axes[emotion] + noise[0], "partner": noise[1]}, meta, "text"))
        bare.append(places(str(number), {"own": noise[2], "partner": noise[1]}, meta, "text"))
    others = [
        places(
            str(number), {"0": axes[number % 4], "1": axes[number % 3]},
            {"first": names[number % 4], "second": names[number % 3], "lines": ["one", "two"]},
        )
        for number in range(24)
    ]  # fmt: skip
    records = Records({"stated": stated, "bare": bare, "others": others})
    found = StandingState().analyse(records, Bench(tiny, vectors).context, SMALL)
    by_name = {one.name: one for one in found.estimates}
    left_out = by_name["tested condition left out of training: accuracy where nothing shows the emotion"]
    assert left_out.value > 0.9 and left_out.p < 0.05
    assert by_name["transfer to dialogues without a preamble: accuracy"].value > 0.9
    assert all(row["without preamble"] < 0.6 for row in found.tables["conditions"])


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("standing_state")
    assert set(english[0]) <= set(told[0])
    assert set(Counter((one["emotion"], one["condition"]) for one in told[:150]).values()) == {2}
    assert all("{N}" in one["preamble"] and one["emotion"] in one["preamble"] for one in told)
    assert all({turn["speaker"] for turn in one["turns"]} == {"N", "M"} for one in [*told, *english])
