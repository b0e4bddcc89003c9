from pathlib import Path

import pytest
from planted_sets import install

from thymos.studies import PLANTED, Bench, analyse_log, run_study
from thymos.studies.sycophancy import Sycophancy, SycophancySettings

SMALL = SycophancySettings(
    items=4, replies=1, max_new_tokens=8, strengths=(0.2,), concepts=("happy", "calm"), randoms=4, spanned=2,
    sampled_randoms=2, permutations=50, panel=2,
)  # fmt: skip


@pytest.mark.parametrize("world", ["english", PLANTED])
def test_the_path_runs_in_both_worlds(world: str, tiny, vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if world == PLANTED:
        install(tmp_path, monkeypatch)
    log = tmp_path / "sycophancy.jsonl"
    result = run_study(Sycophancy(), Bench(tiny, vectors, world), SMALL, log=log)
    assert {"agreement with wrong claims without a dose", "harsh comments without a dose"} <= {
        one.name for one in result.estimates
    }
    dosed = any(one.name.startswith("agreement with wrong claims under") for one in result.estimates)
    assert dosed != any(told.startswith("agreement with wrong claims") for told in result.findings.refusals)
    assert analyse_log(log, {"sycophancy": Sycophancy()}).to_dict() == result.to_dict()
