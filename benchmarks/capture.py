"""Cost of capture and of generation, as ratios to the bare network: `python -m benchmarks.capture`.

Every ratio comes from interleaved pairs in one process. Peers whose requirements exclude those of thymos run in their
own environment, against the bare network of that environment.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.adapters import adapter
from benchmarks.jobs import capture_job, generation_job
from benchmarks.peers import PEERS, run_in
from benchmarks.report import Report, ratio_sheet
from benchmarks.timing import Timed, timed_from

OWN = "thymos"
_MODULES = ("transformers_plain", "thymos_own")
_NOTE = (
    "Median of per-pair ratios [smallest-largest pair]; A, B, A, B in one process. Ratios of other environments are "
    "against the bare network of that environment, in that environment's process. 'within A/A': the 95% interval of "
    "the median does not lie above the control's; 'yes (CPU)': CPU time reaches the mark, wall time is too noisy."
)


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    tiny = given.tiny
    return {
        "tiny": tiny,
        "pairs": given.pairs,
        "threads": given.threads,
        "batches": [[2, 16], [1, 8]] if tiny else [[8, 256], [1, 16]],
        "prompt_tokens": 8 if tiny else 32,
        "new_tokens": 4 if tiny else 64,
        "generation_batches": [1, 2] if tiny else [1, 8],
    }


def measure(job: str, settings: dict[str, Any], peers: Sequence[str], report: Report) -> None:
    """Time one job everywhere and add its tables to the report."""
    run = {"capture": capture_job, "generation": generation_job}[job]
    rows: list[Timed] = run([adapter(name) for name in _MODULES], OWN, settings)
    missing: list[tuple[str, str]] = []
    for peer in PEERS:
        if job == "capture" and peer.name == "repeng":
            continue  # it has no capture
        if peer.name not in peers or not peer.installed:
            missing.append((peer.name, "not run" if peer.installed else "not installed"))
            continue
        answer = run_in(peer, job, settings | {"environment": peer.name})
        if "failed" in answer:
            missing.append((peer.name, f"failed: {answer['failed']}"))
            continue
        rows += [timed_from(row) for row in answer["rows"]]
        report.environments[peer.name] = answer["versions"]
    report.data[job] = [row.as_row() for row in rows]
    for setting in dict.fromkeys(row.setting for row in rows):
        for threads in settings["threads"]:
            here = [row for row in rows if (row.setting, row.threads) == (setting, threads)]
            title = f"{job}, {setting} tokens, {threads} thread{'s' * (threads > 1)}"
            report.sheets.append(ratio_sheet(title, here, missing, _NOTE))


def main(arguments: Sequence[str] | None = None) -> Report:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="interleaved pairs a row (3x as many for short passes)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--jobs", nargs="+", choices=("capture", "generation"), default=["capture", "generation"])
    parser.add_argument("--peers", nargs="*", default=[peer.name for peer in PEERS])
    parser.add_argument("--tiny", action="store_true", help="a toy network: tests the benchmark, measures nothing")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    settings = settings_of(given)
    report = Report("capture", sys.argv[1:] if arguments is None else arguments, settings)
    for job in given.jobs:
        measure(job, settings, given.peers, report)
    report.show()
    report.write(given.out)
    return report


if __name__ == "__main__":
    main()
