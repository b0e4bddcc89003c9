"""A study that kills itself with SIGKILL before its n-th block; started by test_study_resume.py in its own process."""

import os
import signal
import sys
from pathlib import Path

import torch

from thymos.models import tiny_model
from thymos.studies import STUDIES, Bench, StudyProgress, run_study
from thymos.vectors import EmotionVectors

torch.set_num_threads(1)
folder, name, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
SETTINGS = {"intensity": {"paraphrases": 1, "values": 4, "permutations": 50}, "implicit": {"per_concept": 2}}


def follow(seen: StudyProgress) -> None:
    if seen.blocks == last:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    bench = Bench(tiny_model(), EmotionVectors.load(folder / "vectors"))
    settings = STUDIES[name].settings.quick().changed(**SETTINGS[name])
    run_study(STUDIES[name], bench, settings, log=folder / "trials.jsonl", on_progress=follow)
