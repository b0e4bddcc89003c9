from pathlib import Path

import pytest
from planted_sets import install

from thymos.studies import PLANTED, Bench, analyse_log, run_study
from thymos.studies.decisions import Case
from thymos.studies.effort import Effort, EffortSettings, _planted_grader

SMALL = EffortSettings(
    tasks=3, replies=1, max_new_tokens=8, strengths=(0.2,), concepts=("happy", "calm"), sampled_randoms=2, randoms=4,
    spanned=1, tones=3, panel=2,
)  # fmt: skip


@pytest.mark.parametrize("world", ["english", PLANTED])
def test_the_path_runs_in_both_worlds(world: str, tiny, vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if world == PLANTED:
        install(tmp_path, monkeypatch)
    log = tmp_path / "effort.jsonl"
    result = run_study(Effort(), Bench(tiny, vectors, world), SMALL, log=log)
    assert {row["measure"] for row in result.findings.tables["measures"]} >= {"quality", "words", "length"}
    assert result["length in tokens without a dose"].value <= 8
    assert {row["arm"] for row in result.findings.tables["costs"]} == {"zero", "vector", "random"}
    assert bool(result.findings.tables["tone"]) == (world == PLANTED)
    assert analyse_log(log, {"effort": Effort()}).to_dict() == result.to_dict()


def test_steps_are_counted_in_the_reply_and_not_in_its_reasoning():
    task = {"id": "a", "steps": ["Cut it.", "Sew it."], "extra": []}
    other = {"id": "b", "steps": ["Boil it."], "extra": []}
    grade = _planted_grader([task, other])
    found = grade(Case("a", ""), "<think>Cut it.</think>Sew it. Boil it.")
    assert found["quality"] == 0.5 and found["foreign"] == 1 and found["sentences"] == 2
