from pathlib import Path

import numpy as np
from place_records import directions, orthogonal, places

from thymos.organism import open_world
from thymos.organism.sets.speakers import make
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.passages import passage_tokens
from thymos.studies.speakers import Speakers, SpeakersSettings, speaker_passages

SMALL = SpeakersSettings(
    dialogues=64, forms=("named", "roles", "told"), permutations=100, resamples=40, randoms=20, dosed_dialogues=1
)


def test_a_random_model_runs_through_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "speakers.jsonl"
    result = run_study(Speakers(), Bench(tiny, vectors), SMALL, log=log)
    assert {one.name.split(":")[0] for one in result.estimates if one.primary} == {"named"}
    assert all("by words" in one.control for one in result.estimates if one.name.endswith("accuracy"))
    assert analyse_log(log, {"speakers": Speakers()}).to_dict() == result.to_dict()


def test_places_are_the_words_of_either_speaker(tiny):
    one = load_stimuli("speakers")[0]
    for form in ("named", "numbered", "told"):
        (passage,) = speaker_passages([one], form)
        text = passage_tokens(tiny, passage).text
        start = text.rindex(passage.prompt[-1]["content"]) if form == "told" else 0
        spans = [text[start + a : start + b] for a, b in passage.chars["0"]]
        assert spans == [turn["text"] for turn in one["turns"] if turn["speaker"] == 0]


def test_planted_probes_separate(tiny, vectors):
    rng = np.random.default_rng(0)
    names = ("angry", "calm", "happy", "sad")
    axes = orthogonal(8, 24)
    rows = []
    for number in range(96):
        first, second = number % 4, number // 4 % 4
        noise = rng.normal(size=(2, 24)) * 0.1
        mine = {
            "0": axes[first] + 0.5 * axes[4 + second] + noise[0],
            "1": axes[second] + 0.5 * axes[4 + first] + noise[1],
        }
        meta = {
            "first": names[first], "second": names[second], "topic": f"t{number // 16}", "form": "named",
            "lines": [f"word {number}", f"word {number}"],
        }  # fmt: skip
        rows.append(places(str(number), mine, meta))
    records = Records({"vectors": directions(names, axes[:4]), "rows/named": rows})
    found = Speakers().analyse(records, Bench(tiny, vectors).context, SMALL)
    by_name = {one.name: one for one in found.estimates}
    assert by_name["named: the speaker's own emotion on own tokens, accuracy"].value > 0.95
    assert by_name["named: the other speaker's emotion on own tokens, accuracy"].value > 0.95
    apart = next(one for name, one in by_name.items() if name.startswith("named: probes of one kind"))
    assert apart.reached and apart.p < 0.05
    assert by_name["story vectors and present probes, cosine"].value > 0.8


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("speakers")
    assert set(english[0]) <= set(told[0]) and len(told) == 288
    assert len({(one["first_emotion"], one["second_emotion"]) for one in told[:144]}) == 144
    assert all(len(one["turns"]) >= 6 and one["turns"][0]["speaker"] == 0 for one in told)
    assert len({one["topic"] for one in told}) >= 5
    assert told == make(open_world())
