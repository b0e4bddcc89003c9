"""Peak memory of an extraction does not grow with its corpus: `python -m benchmarks.memory`.

Each size runs in a fresh process: a small network, a JSONL file on disk, `collect` with its run folder (checkpoints and
kept per-text means) and `build_vectors`. The peak is `getrusage(RUSAGE_SELF).ru_maxrss` of that process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.adapters import Loaded
from benchmarks.peers import ROOT
from benchmarks.report import Report, Sheet
from benchmarks.subject import FIRST_TOKEN, Shape, random_texts
from thymos.concepts import EMOTIONS
from thymos.models import Model
from thymos.texts import Text, open_corpus, write_texts
from thymos.vectors import ExtractionSettings, TextMeans, Watch, build_vectors, collect

GROWTH = 0.05
SHAPE = Shape(layers=2, hidden=64, heads=4, kv_heads=2, ffn=128, vocab=8000)
_NEUTRAL = 64


def write_corpora(folder: Path, sizes: Sequence[int]) -> None:
    """The first n texts of one corpus, per size: concepts in turn, on a handful of topics."""
    texts = random_texts(SHAPE, max(sizes))
    words = EMOTIONS.words[: max(2, min(len(EMOTIONS), min(sizes) // 2))]
    for size in sizes:
        rows = (
            Text(text, emotion=words[n % len(words)], topic=f"topic {n % 10}") for n, text in enumerate(texts[:size])
        )
        write_texts(folder / f"{size}.jsonl", rows)
    write_texts(folder / "neutral.jsonl", (Text(text) for text in random_texts(SHAPE, _NEUTRAL, seed=1)))


def worker(folder: Path, size: int) -> None:
    """Extract from one corpus and print the peak in MiB."""
    torch.set_num_threads(1)
    loaded = Loaded.of(SHAPE)
    host = Model.wrap(loaded.network, loaded.tokenizer, name="small random llama")
    stories, neutral = open_corpus(folder / f"{size}.jsonl"), open_corpus(folder / "neutral.jsonl")
    settings = ExtractionSettings(layers=host.resolve_layers("all"), first_token=FIRST_TOKEN)
    start = _peak()
    with tempfile.TemporaryDirectory(dir=folder) as run:
        found = collect(host, stories, neutral, EMOTIONS, settings, Watch(run=Path(run)))
        means = TextMeans(Path(run), settings.layers, found.concepts, host.hidden_size)
        build_vectors(host, found, (stories, neutral), settings, rows=means.rows_at)
        print(json.dumps({"peak": _peak(), "start": start, "used": found.tallies["stories"].used, "kept": len(means)}))


def _peak() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / (2**20 if sys.platform == "darwin" else 2**10)


def measure(folder: Path, size: int) -> dict[str, float]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "benchmarks.memory", "--worker", str(size), "--folder", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> Report | None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=[500, 20000], metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per size; the median counts")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker is not None:
        worker(given.folder, given.worker)
        return None
    found: dict[int, list[dict[str, float]]] = {size: [] for size in given.sizes}
    with tempfile.TemporaryDirectory() as folder:
        write_corpora(Path(folder), given.sizes)
        for _ in range(given.repeats):
            for size in given.sizes:
                found[size].append(measure(Path(folder), size))
    settings = {"sizes": given.sizes, "repeats": given.repeats, "threads": 1}
    report = Report("memory", sys.argv[1:] if arguments is None else arguments, settings)
    report.data["memory"] = found
    report.sheets.append(_sheet(found, given.sizes))
    report.show()
    report.write(given.out)
    return report


def _sheet(found: dict[int, list[dict[str, float]]], sizes: Sequence[int]) -> Sheet:
    peaks = {size: float(np.median([run["peak"] for run in found[size]])) for size in sizes}
    growth = peaks[sizes[1]] / peaks[sizes[0]] - 1
    cells = [
        (
            f"{size:,} texts",
            f"{peaks[size]:.1f} [{min(r['peak'] for r in runs):.1f}-{max(r['peak'] for r in runs):.1f}]",
            f"{np.median([run['start'] for run in runs]):.1f}",
            str(len(runs)),
            "",
            "",
        )
        for size, runs in found.items()
    ]
    reached = "yes" if growth < GROWTH else "NO"
    cells.append((f"growth, {sizes[0]:,} to {sizes[1]:,}", f"{growth:+.2%}", "", "", f"< {GROWTH:.0%}", reached))
    columns = ("corpus", "peak RSS, MiB", "before reading it", "processes", "mark", "reached")
    return Sheet("memory: peak of an extraction", columns, cells, "2-layer network; a fresh process each.")


if __name__ == "__main__":
    main()
