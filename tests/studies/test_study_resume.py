import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from thymos.errors import ArtifactError
from thymos.models import Model
from thymos.studies import STUDIES, Bench, run_study
from thymos.vectors import EmotionVectors

SETTINGS = STUDIES["intensity"].settings.quick().changed(paraphrases=1, values=4, permutations=50)


@pytest.fixture(scope="module")
def whole(tiny: Model, vectors: EmotionVectors) -> dict:
    return run_study(STUDIES["intensity"], Bench(tiny, vectors), SETTINGS).to_dict()


@pytest.mark.parametrize("blocks", [1, 3])
def test_kill_9_between_blocks(blocks: int, whole: dict, tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "vectors")
    script = [sys.executable, str(Path(__file__).with_name("killed_study.py")), str(tmp_path), "intensity", str(blocks)]
    killed = subprocess.run(script, capture_output=True, text=True, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    log = tmp_path / "trials.jsonl"
    assert sum('"end"' in line for line in log.read_text().splitlines()) == blocks
    seen: list[str] = []
    again = run_study(
        STUDIES["intensity"], Bench(tiny, vectors), SETTINGS, log=log, on_progress=lambda one: seen.append(one.block)
    )
    assert again.to_dict() == whole and len(seen) > blocks


def test_a_line_cut_off_by_a_kill_is_left_out(
    whole: dict, tiny: Model, vectors: EmotionVectors, tmp_path: Path
) -> None:
    log = tmp_path / "trials.jsonl"
    bench = Bench(tiny, vectors)
    run_study(STUDIES["intensity"], bench, SETTINGS, log=log)
    for share in (0.2, 0.55, 0.9):
        data = log.read_bytes()
        log.write_bytes(data[: int(len(data) * share)])
        assert run_study(STUDIES["intensity"], bench, SETTINGS, log=log).to_dict() == whole
        assert run_study(STUDIES["intensity"], bench, SETTINGS, log=log).to_dict() == whole


def test_a_log_of_another_run_is_refused(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    run_study(STUDIES["intensity"], Bench(tiny, vectors), SETTINGS, log=log)
    with pytest.raises(ArtifactError, match="begun with another context"):
        run_study(STUDIES["intensity"], Bench(tiny, vectors, seed=1), SETTINGS, log=log)
    with pytest.raises(ArtifactError, match="begun with another settings"):
        run_study(STUDIES["intensity"], Bench(tiny, vectors), SETTINGS.changed(values=5), log=log)
