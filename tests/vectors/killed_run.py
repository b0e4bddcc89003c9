"""A run that kills itself with SIGKILL after some batches; started by test_resuming.py in a process of its own."""

import os
import signal
import sys
from pathlib import Path

import torch

from thymos.concepts import EMOTIONS
from thymos.models import tiny_model
from thymos.texts import open_corpus
from thymos.vectors import ExtractionSettings, Progress, Watch, collect


def main(folder: Path, stage: str, batches: int) -> None:
    torch.set_num_threads(1)
    seen = []

    def count(progress: Progress) -> None:
        seen.append(progress.stage)
        if seen.count(stage) == batches:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = ExtractionSettings((0, 1, 2, 3), first_token=20, batch_tokens=400, shard_texts=10)
    stories, neutral = open_corpus(folder / "stories.jsonl"), open_corpus(folder / "neutral.jsonl")
    watch = Watch(folder / "run", progress=count, checkpoint_seconds=0.0)
    collect(tiny_model(), stories, neutral, EMOTIONS, settings, watch)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
