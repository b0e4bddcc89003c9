from pathlib import Path

import numpy as np
import pytest
from planted_sets import install

from thymos.studies import PLANTED, Bench, analyse_log, load_stimuli, run_study
from thymos.studies.blackmail import Blackmail, BlackmailSettings
from thymos.studies.blackmail_readings import linked

SMALL = BlackmailSettings(
    points=12, replies=2, max_new_tokens=12, strengths=(0.2,), concepts=("calm", "angry"), randoms=4, spanned=2,
    sampled_randoms=2, permutations=50, panel=2,
)  # fmt: skip


def _short(name: str, world: str):
    told = load_stimuli(name, world)
    if name != "blackmail":
        return told
    told["system"] = "{goal} {now}"
    for variant in told["variants"]:
        for mails in (variant["mails"], variant["control"]["mails"]):
            mails[:] = [{**mail, "body": mail["body"][:20]} for mail in mails]
    return told


def test_prompts_that_do_not_fit_are_refused_with_the_way_out(tiny, vectors):
    result = run_study(Blackmail(), Bench(tiny, vectors), SMALL)
    assert not result.estimates and "longer context" in result.findings.refusals[0]


def test_a_random_model_is_refused_at_the_floor_and_the_log_says_the_same(
    tiny, vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("thymos.studies.blackmail.load_stimuli", _short)
    log = tmp_path / "blackmail.jsonl"
    result = run_study(Blackmail(), Bench(tiny, vectors), SMALL, log=log)
    assert result["blackmail without a dose"].value == 0
    assert len(result.findings.refusals) == 6 and "at the floor" in result.findings.refusals[0]
    assert not any("under calm" in one.name for one in result.estimates)
    assert analyse_log(log, {"blackmail": Blackmail()}).to_dict() == result.to_dict()


def test_the_planted_set_runs_exactly(tiny, vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install(tmp_path, monkeypatch)
    told = load_stimuli("blackmail", PLANTED)
    assert [one["variant"] for one in told["points"]] == [one["variant"] for one in told["harmless"]]
    assert all(a["executive"] == b["executive"] for a, b in zip(told["points"], told["harmless"], strict=True))
    for one in told["points"]:
        assert "Mail one:" in one["prompt"][slice(*one["user"])] and one["prompt"][: one["slot"]].endswith(
            "assistant|>"
        )
    log = tmp_path / "blackmail.jsonl"
    result = run_study(Blackmail(), Bench(tiny, vectors, PLANTED), SMALL, log=log)
    assert result["blackmail without a dose"].truth
    assert analyse_log(log, {"blackmail": Blackmail()}).to_dict() == result.to_dict()


def test_a_linked_reading_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    outcome, columns = rng.random(60), rng.normal(size=(60, 8))
    columns[:, 3] += 3 * outcome
    r, p = linked(columns, outcome, 500, 0)
    assert np.argmax(np.abs(r)) == 3 and p[3] < 0.01 and (np.delete(p, 3) > 0.05).all()
