"""The job users run: a corpus into vectors of all layers: `python -m benchmarks.corpus`.

3,000 texts of random tokens (lengths log-normal, 40-400, fixed seed) through `collect` and `build_vectors`, against
loops over transformers, nnsight and TransformerLens at batch 8, 16 and 32, unsorted and sorted by length. nnsight and
TransformerLens share their process with thymos, so every ratio is of neighbours in one process.

`--quick` (the default) reads every n-th batch of each library's own plan of the whole corpus, another part for every
pair, and compares seconds per token; `--full` reads the whole corpus each time.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.adapters import adapter
from benchmarks.jobs import CorpusRow, corpus_job
from benchmarks.peers import PEERS, run_in
from benchmarks.report import Report, Sheet
from benchmarks.timing import Ratio

OVER_UNSORTED, OVER_SORTED, OF_BARE = 1.5, 1.0, 0.9
_PEERS = tuple(peer for peer in PEERS if peer.holds_thymos)
Answer = dict[str, Any]


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "tiny": given.tiny,
        "texts": given.texts,
        "full": given.full,
        "subset": given.subset,
        "pairs": given.pairs or (1 if given.full else 3),
        "threads": given.threads,
        "batch_sizes": [4, 8] if given.tiny else [8, 16, 32],
        "neutral": 16 if given.tiny else 200,
        "matmul": 128 if given.tiny else 2048,
        "bare": True,
        "batch_tokens": given.batch_tokens,
    }


def what_was_read(settings: dict[str, Any]) -> str:
    pairs, threads = settings["pairs"], settings["threads"]
    if settings["full"]:
        return f"All {settings['texts']} texts, {pairs} pair(s), {threads} thread(s)."
    return (
        f"Quick: every n-th batch of each plan of {settings['texts']} texts (about {settings['subset']} texts), "
        f"another part for each of {pairs} pairs, seconds per token; {threads} thread(s)."
    )


def loops_sheet(answers: Sequence[Answer], missing: Sequence[tuple[str, str]], settings: dict[str, Any]) -> Sheet:
    """Every loop: how many times as long as thymos it takes."""
    cells = [
        (
            row.name,
            row.order,
            str(row.batch),
            answer["environment"],
            f"{row.waste:.1%}",
            f"{sum(row.tokens) / sum(row.wall):.0f}",
            str(row.ratio()),
            str(row.ratio("cpu")),
            str(len(row.wall)),
            f"{row.difference:.1e}",
        )
        for answer in answers
        for row in map(_row, answer["rows"])
    ]
    cells += [(name, why, "", name, *[""] * 6) for name, why in missing]
    columns = (
        *("loop", "order", "batch", "process", "padding", "tokens/s", "wall / thymos", "CPU / thymos", "pairs"),
        "largest difference",
    )
    note = (
        f"{what_was_read(settings)} From texts to directions, tokenizing included; neutral pass and denoising apart. "
        "Last column: relative difference of text means from those of thymos."
    )
    return Sheet("corpus: times as long as thymos", columns, cells, note)


def _row(fields: dict[str, Any]) -> CorpusRow:
    return CorpusRow(**fields)


def marks_sheet(answers: Sequence[Answer], settings: dict[str, Any]) -> Sheet:
    """The best loop of each order against its mark, and the token rate against a bare headless forward."""
    rows = [row for answer in answers for row in map(_row, answer["rows"])]
    cells = []
    for order, mark in (("unsorted", OVER_UNSORTED), ("length-sorted", OVER_SORTED)):
        best = min((row for row in rows if row.order == order), key=lambda row: row.ratio().median)
        ratio, cpu = best.ratio(), best.ratio("cpu")
        cells.append(_mark(f"best {order} loop / thymos ({best.name}, batch {best.batch})", ratio, cpu, mark))
    own = answers[0]
    wall, cpu_seconds = ([run["stories"][i] for run in own["runs"]] for i in (0, 1))
    bare, bare_cpu = ([seconds[i] for seconds in own["bare"]] for i in (0, 1))
    cells.append(
        _mark("token rate of thymos / bare headless forward, same batches", Ratio.of(wall, bare),
              Ratio.of(cpu_seconds, bare_cpu), OF_BARE)
    )  # fmt: skip
    columns = ("mark", "wall [smallest-largest pair]", "CPU", "at least", "reached")
    return Sheet("corpus: marks", columns, cells, what_was_read(settings))


def _mark(name: str, wall: Ratio, cpu: Ratio, mark: float) -> tuple[str, ...]:
    reached = "yes" if wall.median >= mark else "yes (CPU)" if cpu.median >= mark else "NO"
    return name, str(wall), str(cpu), f"{mark:.2f}", reached


def account_sheet(own: Answer) -> Sheet:
    """Where thymos' time goes, and how much of the machine it uses."""
    runs = own["runs"]

    def middle(values: Sequence[float]) -> float:
        return float(np.median(values))

    rate = [run["flops"] / run["stories"][0] / 1e9 for run in runs]
    share = [used / peak for used, peak in zip(rate, own["matmul_gflops"], strict=True)]
    cells = [
        ("stories: texts to directions, all layers, s", f"{middle([run['stories'][0] for run in runs]):.2f}"),
        ("stories: tokens per second", f"{middle([run['tokens'] / run['stories'][0] for run in runs]):.0f}"),
        ("bare headless forward, same batches, s", f"{middle([seconds[0] for seconds in own['bare']]):.2f}"),
        ("neutral pass (every token's scatter, all layers), s", f"{middle([run['neutral'] for run in runs]):.2f}"),
        ("neutral: tokens per second", f"{middle([run['neutral_tokens'] / run['neutral'] for run in runs]):.0f}"),
        ("denoising and card, all layers, s", f"{middle([run['denoise'] for run in runs]):.2f}"),
        ("padding: share of positions fed, whole corpus", f"{own['waste']:.1%}"),
        ("useful model GFLOP/s (padding not counted)", f"{middle(rate):.1f}"),
        ("float32 matrix product of this machine, GFLOP/s", f"{middle(own['matmul_gflops']):.1f}"),
        ("share of the machine's matrix-multiply rate", f"{middle(share):.2f}"),
    ]
    note = "Model operations: 2 x block weights x tokens, plus causal attention. Medians over pairs."
    return Sheet("corpus: account of thymos", ("what", "value"), cells, note)


def main(arguments: Sequence[str] | None = None) -> Report:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--full", action="store_true", help="the whole corpus for every loop (hours)")
    parser.add_argument("--quick", dest="full", action="store_false", help="random subsets (the default)")
    parser.add_argument("--subset", type=int, default=200, help="texts per pair when quick, about")
    parser.add_argument("--pairs", type=int, help="default 3; with --full 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-tokens", type=int, default=0, help="of thymos; 0 is its default")
    parser.add_argument("--peers", nargs="*", default=[peer.name for peer in _PEERS])
    parser.add_argument("--tiny", action="store_true", help="a toy network: tests the benchmark, measures nothing")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    settings = settings_of(given)
    report = Report("corpus", sys.argv[1:] if arguments is None else arguments, settings)
    answers, missing = [corpus_job([adapter("transformers_plain")], "thymos", settings)], list[tuple[str, str]]()
    for peer in _PEERS:
        if peer.name not in given.peers or not peer.installed:
            missing.append((peer.name, "not run" if peer.installed else "not installed"))
            continue
        answer = run_in(peer, "corpus", settings | {"environment": peer.name, "bare": False})
        if "failed" in answer:
            missing.append((peer.name, f"failed: {answer['failed']}"))
            continue
        report.environments[peer.name] = answer.pop("versions")
        answers.append(answer)
    report.data["corpus"] = answers
    report.sheets += [
        loops_sheet(answers, missing, settings),
        marks_sheet(answers, settings),
        account_sheet(answers[0]),
    ]
    report.show()
    report.write(given.out)
    return report


if __name__ == "__main__":
    main()
