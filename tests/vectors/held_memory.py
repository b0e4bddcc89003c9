"""Prints what extraction still holds when the last of 100, then of 500, texts has been read; run by a test."""

import gc
import sys
import tracemalloc
from collections.abc import Iterator

from thymos.concepts import EMOTIONS
from thymos.models import Model, tiny_model
from thymos.texts import Text, open_corpus
from thymos.vectors import ExtractionSettings, Progress, Watch, collect

LONG = "the gate of a yard stood open while rain went over the roofs and somebody carried boxes up"


def held_after(model: Model, count: int) -> int:
    """Bytes that Python and NumPy still hold."""

    def texts() -> Iterator[Text]:
        for i in range(count):
            yield Text(f"{i} " + LONG[: 30 + i % 20], ("calm", "happy")[i % 2], f"topic {i % 7}")

    held = []

    def measure(progress: Progress) -> None:
        if progress.stage == "neutral" and progress.done == count:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    settings = ExtractionSettings((0, 1), first_token=5, shard_texts=50, keep_texts=0, batch_tokens=1024)
    tracemalloc.start()
    try:
        collect(model, open_corpus(texts), open_corpus(texts), EMOTIONS, settings, Watch(progress=measure))
    finally:
        tracemalloc.stop()
    return held[-1]


if __name__ == "__main__":
    subject = tiny_model(layers=2, hidden=16)
    held_after(subject, 50)  # caches fill
    sys.stdout.write(f"{held_after(subject, 100)} {held_after(subject, 500)}\n")
