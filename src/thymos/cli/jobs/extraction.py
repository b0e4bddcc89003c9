"""Extraction: what it will take, a question, the run, its marks."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from thymos.cli.extraction import Corpora, Method, Run
from thymos.cli.failures import resumable
from thymos.cli.jobs.common import (
    corpus_of,
    host_of,
    is_terminal,
    neutral_of,
    restricted,
    vocabulary_of,
    with_quality,
)
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import bytes_of, console, duration, emit, mark_rows, marks_table, note, pairs
from thymos.cli.options import ModelOptions, Output
from thymos.concepts import Vocabulary
from thymos.errors import CorpusError, UsageError
from thymos.models import DEFAULT_BATCH_TOKENS, Host, Model, Sampling, generate
from thymos.reports import Mark, marks_of
from thymos.texts import Corpus
from thymos.vectors import EmotionVectors
from thymos.workflows import CostEstimate, ExtractOptions, estimate_cost, run_folder, validate
from thymos.workflows import extract as run_extract

__all__ = ["extract"]

_ARTIFACT = ("card.json", "vectors.safetensors")
_RUN_FILES = ("plan.json", "state.safetensors", "means.f32", "texts.jsonl", "stories*.jsonl", "stories*.plan.json")
_BATTERY_START, _PAPER_START = 20, 50


def extract(corpora: Corpora, method: Method, run: Run, options: ModelOptions, output: Output) -> None:
    """Extract a vector set and print its marks."""
    _check_place(run)
    stories, neutral, vocabulary = _texts(corpora)
    if corpora.stories == "battery" and (method.start_token or _PAPER_START) > _BATTERY_START:
        note(output, f"the battery's texts are short; --start-token {_BATTERY_START} uses more of each")
    host = host_of(corpora.model, options, output)
    how = _options(corpora, method, run, vocabulary)
    if stories is None and host.kind == "encoder":
        raise UsageError(
            f"{host.name!r} is an encoder and cannot write stories; give some with --stories FILE, or "
            "take the shipped ones: --stories battery --start-token 20"
        )
    cost = estimate_cost(host, stories, neutral, how)
    writing = _writing_seconds(host, cost.written_tokens)
    estimate: dict[str, Any] = {**cost.to_dict(), "writing_seconds": writing}
    view = _estimate_table(host, cost, writing, run)
    if run.estimate:
        emit(output, {"estimate": estimate}, view)
        return
    _ask(run, output, view)
    if run.overwrite:
        _clear(run_folder(run.out))
    started = time.monotonic()
    with resumable(f"what was done is kept in {run_folder(run.out)}; run the same command with --resume to go on"):
        vectors, marks = _run(host, stories, neutral, how, validating=method.validate, output=output)
    result = {
        "vectors": run.out,
        "run": run_folder(run.out),
        "model": vectors.card.model.id,
        "concepts": vectors.concepts,
        "layers": vectors.layers,
        "layer": vectors.layer,
        "layer_choice": vectors.card.layer_choice,
        "estimate": estimate,
        "seconds": time.monotonic() - started,
        "marks": mark_rows(marks),
        "quality": vectors.card.quality,
        "notes": vectors.card.notes,
    }
    views = [marks_table(marks)] if marks else []
    done = {**vectors.summary(), "vectors": run.out, "took": duration(time.monotonic() - started)}
    notes = {f"note {number}": text for number, text in enumerate(vectors.card.notes, start=1)}
    emit(output, result, *views, pairs("Done", {**done, **notes}))


def _run(
    host: Model,
    stories: Corpus | None,
    neutral: Corpus | None,
    how: ExtractOptions,
    *,
    validating: bool,
    output: Output,
) -> tuple[EmotionVectors, tuple[Mark, ...]]:
    """The extraction, then the validation: apart, because its marks need more than the card holds."""
    out = how.out or Path()
    with Meter(output) as meter:
        vectors = run_extract(host, stories, neutral, how, progress=meter)
        if not validating:
            return vectors, ()
        meter.working("validating")
        try:
            if how.keep_texts == 0:
                raise CorpusError("no per-text means were kept (--keep-texts 0)")
            found = validate(host, vectors, run_folder(out), concepts=how.concepts)
        except CorpusError as err:
            vectors = vectors.with_card(notes=(*vectors.card.notes, f"not validated: {err}"))
            vectors.save(out)
            return vectors, ()
        vectors = with_quality(vectors, found, choose_layer=how.layer is None)
        vectors.save(out)
        return vectors, marks_of(found, None)


def _check_place(run: Run) -> None:
    """Refuse to write over what is there, or to drop a run that can be gone on with."""
    if run.resume and run.overwrite:
        raise UsageError("--resume goes on and --overwrite starts afresh; give one of them")
    if run.out.exists() and not run.out.is_dir():
        raise UsageError(f"--out {run.out} is a file; name a folder")
    if run.resume or run.overwrite or run.estimate:
        return
    finished = all((run.out / name).is_file() for name in _ARTIFACT)
    if finished:
        raise UsageError(f"--out {run.out} holds a vector set; name another folder, or give --overwrite to replace it")
    if run.out.is_dir() and any(run.out.iterdir()):
        raise UsageError(
            f"--out {run.out} is not empty and not a vector set; name another folder, or give --overwrite to write "
            "into it"
        )
    if (run_folder(run.out) / "state.safetensors").exists():
        raise UsageError(
            f"{run_folder(run.out)} holds an interrupted run; go on with --resume and the same settings, or start "
            "afresh with --overwrite"
        )


def _clear(run: Path) -> None:
    for pattern in _RUN_FILES:
        for path in run.glob(pattern):
            path.unlink()


def _texts(corpora: Corpora) -> tuple[Corpus | None, Corpus | None, Vocabulary]:
    """Stories, neutral texts and concepts, before the model is loaded: mistakes in them should cost no minutes.

    None where the model is to say: it writes the stories, and may bring neutral texts.
    """
    vocabulary = vocabulary_of(corpora.concepts)
    stories = corpus_of(corpora.stories) if corpora.stories is not None else None
    # A file says what concepts there are; words say which of them are wanted.
    wanted = corpora.concepts is not None and not any(mark in corpora.concepts for mark in "./\\")
    if stories is not None and wanted:
        stories = restricted(stories, vocabulary.words)
    return stories, neutral_of(corpora.neutral) if corpora.neutral is not None else None, vocabulary


def _options(corpora: Corpora, method: Method, run: Run, vocabulary: Vocabulary) -> ExtractOptions:
    return ExtractOptions(
        out=run.out,
        concepts=vocabulary,
        layers=method.layers,
        layer=method.layer,
        first_token=method.start_token,
        max_tokens=method.max_tokens,
        batch_tokens=method.batch_tokens or DEFAULT_BATCH_TOKENS,
        format=method.format,
        estimator=method.estimator,
        neutral_unit=method.neutral_unit,
        neutral_share=method.neutral_share,
        keep_texts=method.keep_texts,
        memory_budget=int(method.memory_budget * 2**30),
        topics=corpora.topics,
        per_cell=corpora.per_cell,
        while_generating=corpora.while_generating,
        validate=False,
        resume=run.resume,
        seed=method.seed,
    )


def _writing_seconds(host: Host, tokens: int) -> float:
    """Time to write so many tokens, from a short measurement at the batch size of a writing run."""
    if not tokens:
        return 0.0
    prompts, sampling = ["The morning began with"] * 8, Sampling(max_new_tokens=12, temperature=1.0)
    generate(host, prompts, Sampling(max_new_tokens=1))
    started = time.perf_counter()
    made = sum(len(each.new_ids) for each in generate(host, prompts, sampling))
    return tokens * (time.perf_counter() - started) / max(made, 1)


def _estimate_table(host: Host, cost: CostEstimate, writing: float, run: Run) -> Table:
    free = shutil.disk_usage(next(path for path in (run.out.absolute(), *run.out.absolute().parents) if path.exists()))
    exact = bytes_of(cost.scatter_bytes)
    rows = {
        "model": f"{host.name}, {host.n_layers} layers of {host.hidden_size}, {host.device}",
        "texts": f"{cost.texts:,}",
        **(
            {"to be written": f"about {cost.written_tokens:,} tokens, {duration(writing)}"}
            if cost.written_tokens
            else {}
        ),
        "to be read": f"about {cost.tokens:,} tokens, {duration(cost.seconds)}",
        "memory": f"{exact} of neutral statistics" + (", over the budget: sketches instead" if cost.sketched else ""),
        "disk": f"{bytes_of(cost.spool_bytes)} for the run, {bytes_of(free.free)} free",
        "vectors": f"{run.out}" + (" (replaces the vector set there)" if (run.out / _ARTIFACT[0]).exists() else ""),
    }
    return pairs("Estimate", rows)


def _ask(run: Run, output: Output, view: Table) -> None:
    """Show the estimate and get a yes.

    Raises:
        UsageError: Nobody can be asked.
        typer.Exit: The answer was no.
    """
    if not (run.yes and output.quiet):
        console(stderr=True).print(view)
    if run.yes:
        return
    if not is_terminal():
        raise UsageError("this is not a terminal, so nobody can be asked whether to start; give --yes to start")
    # Not Typer's own question: it writes to standard output, which belongs to the result.
    typer.echo("Start? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        typer.echo("nothing was started", err=True)
        raise typer.Exit(1)
