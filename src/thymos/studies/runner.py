"""Running studies: logs that resume, progress, the order of blocks, and Holm's correction across studies."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from thymos.errors import UsageError
from thymos.stats import holm
from thymos.studies.bench import Bench, Context
from thymos.studies.protocol import Estimate, Findings, Settings, Study, StudyResult
from thymos.studies.trials import Records, TrialLog, open_log, read_log
from thymos.vectors import versions

__all__ = ["StudyProgress", "analyse_log", "corrected", "run_study"]


@dataclass(frozen=True)
class StudyProgress:
    """What a progress display is told.

    Attributes:
        study: Name of the study.
        block: Name of the block that is being computed.
        blocks: Blocks done so far.
        trials: Trials done so far.
        seconds: Since the study began in this run.
    """

    study: str
    block: str
    blocks: int
    trials: int
    seconds: float


def run_study(
    study: Study,
    bench: Bench,
    settings: Settings | None = None,
    *,
    log: Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[StudyProgress], None] = lambda _: None,
) -> StudyResult:
    """Run a study, or go on with one that was interrupted.

    Args:
        study: The study.
        bench: Models, vectors, stimuli and seed.
        settings: Default: the study's quick preset.
        log: Where trials are written, JSON lines; None keeps them in memory.
        overwrite: Begin anew where the log is of another run.
        on_progress: Called before each block.

    Raises:
        UsageError: The model is not what the study needs, or settings of another study.
        ArtifactError: The log belongs to another run.
    """
    chosen = settings or study.settings.quick()
    if not isinstance(chosen, study.settings):
        raise UsageError(f"{study.name} takes {study.settings.__name__}, got {type(chosen).__name__}")
    check_needs(study, bench)
    if overwrite and log is not None:
        log.unlink(missing_ok=True)
    written = open_log(log, header(study, bench, chosen))
    _fill(study, bench, chosen, written, on_progress)
    return _result(study, chosen, written.header, written.records, bench.context)


def _fill(
    study: Study, bench: Bench, settings: Settings, log: TrialLog, on_progress: Callable[[StudyProgress], None]
) -> None:
    began, trials, number = time.monotonic(), 0, 0
    blocks = study.blocks(bench, settings)
    try:
        block = next(blocks)
        while True:
            on_progress(StudyProgress(study.name, block.name, number, trials, time.monotonic() - began))
            records = log.add(block)
            trials, number = trials + len(records), number + 1
            block = blocks.send(records)
    except StopIteration:
        return


def check_needs(study: Study, bench: Bench) -> None:
    """Say what a model lacks for a study before anything is computed.

    Raises:
        UsageError: It lacks something.
    """
    host = bench.host
    if host.kind != "decoder" and "decoder" in study.needs:
        raise UsageError(
            f"{study.name} needs a causal language model, and {host.name!r} is an {host.kind}; studies that only read: "
            "geometry, implicit, intensity, context"
        )
    if "chat" in study.needs and bench.world == "english" and not getattr(host.tokenizer, "chat_template", None):
        raise UsageError(
            f"{study.name} needs a model with a chat template, and {host.name!r} has none; take its instruction-tuned "
            "version, or set tokenizer.chat_template"
        )
    if "pair" in study.needs and not bench.others:
        raise UsageError(f"{study.name} compares models; name the other ones with --base")
    if "corpus" in study.needs and bench.corpus is None and bench.world == "english":
        raise UsageError(f"{study.name} reads a corpus of yours; name it with --corpus")


def header(study: Study, bench: Bench, settings: Settings) -> dict[str, Any]:
    """What the records of a run follow from."""
    context = asdict(bench.context)
    return {
        "study": study.name,
        "settings": asdict(settings),
        "fingerprint": bench.host.fingerprint,
        "others": [host.fingerprint for host in bench.others],
        "vectors": bench.vectors.digest(),
        "corpus": bench.corpus,
        "context": context,
        "versions": versions(),
    }


def analyse_log(path: Path, studies: Mapping[str, Study]) -> StudyResult:
    """The result of a log, without any model.

    Raises:
        ArtifactError: Not a trial log, or of a study that is not known.
    """
    head, records = read_log(path)
    if head["study"] not in studies:
        raise UsageError(f"{path} is of the study {head['study']!r}; known: {', '.join(studies)}")
    study = studies[head["study"]]
    settings = study.settings(**_tuples(head["settings"]))
    return _result(study, settings, head, records, Context(**_tuples(head["context"])))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples; settings and contexts have no lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _result(
    study: Study, settings: Settings, about: Mapping[str, Any], records: Records, context: Context
) -> StudyResult:
    findings = study.analyse(records, context, settings)
    return StudyResult(study.name, study.question, study.source, about, findings)


def corrected(results: Sequence[StudyResult]) -> tuple[StudyResult, ...]:
    """The same results with the p-values of primary estimates corrected over all of them by Holm."""
    places = [
        (at, k)
        for at, result in enumerate(results)
        for k, one in enumerate(result.estimates)
        if one.primary and one.p is not None
    ]
    if not places:
        return tuple(results)
    adjusted = holm(np.asarray([results[at].estimates[k].p for at, k in places], np.float64))
    made: list[list[Estimate]] = [list(result.estimates) for result in results]
    for (at, k), p in zip(places, adjusted, strict=True):
        before = made[at][k]
        made[at][k] = replace(before, p=float(p), note=f"{before.note}; p before Holm {before.p:.2g}".lstrip("; "))
    return tuple(
        replace(result, findings=_with(result.findings, estimates))
        for result, estimates in zip(results, made, strict=True)
    )


def _with(findings: Findings, estimates: Sequence[Estimate]) -> Findings:
    return replace(findings, estimates=tuple(estimates))
