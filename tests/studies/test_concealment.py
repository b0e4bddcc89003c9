from pathlib import Path

import numpy as np
import pytest
from place_records import directions, orthogonal, places

from thymos.errors import UsageError
from thymos.organism import open_world
from thymos.organism.sets.concealment import make
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.concealment import Concealment, ConcealmentSettings

SMALL = ConcealmentSettings(scenes=48, controls=30)
NAMES = ("angry", "happy", "sad")


def test_a_random_model_runs_through_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "concealment.jsonl"
    result = run_study(Concealment(), Bench(tiny, vectors), SMALL, log=log)
    claim = next(one for one in result.estimates if one.primary)
    # The replies are the same, so their words cannot tell.
    assert "words of the reply 0.50 [0.50, 0.50]" in claim.control
    assert analyse_log(log, {"concealment": Concealment()}).to_dict() == result.to_dict()
    with pytest.raises(UsageError, match="reader"):
        run_study(Concealment(), Bench(tiny, vectors), SMALL.changed(reader="tea leaves"))


def _records(size: float) -> Records:
    rng = np.random.default_rng(0)
    axes = orthogonal(3, 40)
    inner, alone = [], []
    for number in range(36):
        felt, shown = number % 3, (number + 1 + number // 3 % 2) % 3
        about = {"scene": f"s{number}", "emotion": NAMES[felt], "shown": NAMES[shown], "setting": f"g{number % 4}"}
        for kind, inside, outside in (("hidden", felt, shown), ("sincere", shown, shown), ("open", felt, felt)):
            row = size * axes[inside] + axes[outside] + rng.normal(size=40) * 0.2
            meta = {**about, "kind": kind, "reply": f"reply {number} {'open' if kind == 'open' else ''}"}
            inner.append(places(f"s{number}/{kind}", {"0": row}, meta, f"{kind} context of {number}"))
        for kind, outside in (("hidden", shown), ("open", felt)):
            row = axes[outside] + rng.normal(size=40) * 0.2
            alone.append(places("", {"words": row}, {"scene": f"s{number}", "reply": kind, "turn": 0}))
    return Records({"vectors": directions(NAMES, axes), "inner": inner, "expression": alone})


def test_hidden_states_are_found_where_there_are_some(tiny, vectors):
    context = Bench(tiny, vectors).context
    for size, found in ((1.0, True), (0.0, False)):
        estimates = Concealment().analyse(_records(size), context, SMALL).estimates
        claim = next(one for one in estimates if one.primary)
        assert claim.reached is found


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("concealment")
    assert {"id", "emotion", "shown", "setting", "context", "plain_context"} <= set(told[0]) & set(english[0])
    assert len({(one["emotion"], one["shown"]) for one in told[:56]}) == 56
    for one in told:
        # The swapped twin holds the words of the scene.
        assert sorted(one["context"].split()) == sorted(one["swapped_context"].split())
        assert len(one["turns"]) == len(one["open_turns"])
        assert one["emotion"] not in one["context"].lower().split()
