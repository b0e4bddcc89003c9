"""The bundled model: texts of its world, its training, its scorecard, and its release."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from rich.table import Table
from rich.text import Text

from thymos.cli.failures import resumable
from thymos.cli.jobs.common import host_of, hush, set_threads
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.scorecard import reached, score_page, value_of
from thymos.cli.jobs.show import duration, emit, pairs, safe, table
from thymos.cli.options import ModelOptions, Output
from thymos.cli.organism import Releasing, Scoring, Training, WorldTexts
from thymos.errors import UsageError
from thymos.figures import Caption, to_svg, training_curve
from thymos.files import storage_errors, write_text
from thymos.organism import PRESETS, TrainingStep, open_world, write_world
from thymos.organism import train as run_training
from thymos.organism.release import release as run_release
from thymos.organism.release import write_vectors
from thymos.organism.scorecard import Section as Scores
from thymos.organism.scorecard import score as run_score
from thymos.organism.tokenizer import words_of
from thymos.reports import Page, Section, write_page

__all__ = ["release", "score", "train", "world"]

ABOUT = (
    "The bundled model is a model organism: a small network whose texts come from a synthetic world with planted "
    "emotions, made for calibration and teaching. Nothing here is a finding about any other model, or a claim about "
    "experience."
)
_LONGEST_SAMPLE = 1_200
_STYLES = {"reached": "green", "missed": "red", "": "dim"}


def release(releasing: Releasing, output: Output) -> None:
    """Release a training, then make its vectors; the second part reads stories and takes a minute or two."""
    target = releasing.out or Path(str(files("thymos.bundled")))
    with Meter(output) as meter, storage_errors(target):
        meter.working("copying checkpoints, writing truth and held-out stimuli")
        run_release(releasing.trained, target)
        meter.working("reading held-out stories for the vectors")
        layer = write_vectors(target, releasing.stories)
    size = sum(path.stat().st_size for path in (target / "models").rglob("*") if path.is_file())
    result = {"out": target, "bytes": size, "steered_layer": layer}
    emit(
        output, result, pairs("Released", {"folder": target, "models": f"{size / 1e6:.1f} MB", "steered layer": layer})
    )


def world(texts: WorldTexts, output: Output) -> None:
    """Write texts and their truth, and say what is in them."""
    if texts.out.suffix != ".parquet":
        raise UsageError(
            f"--out {texts.out} does not end in .parquet; that is the only format with the truth beside it"
        )
    with Meter(output) as meter:
        meter.working(f"writing {texts.n:,} documents")
        write_world(texts.out, texts.n, texts.seed, stage=texts.stage, kind=texts.kind, test=texts.test)
        frame = pq.read_table(texts.out).to_pandas()
    kinds = frame["kind"].value_counts()
    words = Counter(word.lower() for word in words_of(frame["text"]))
    decided = _decisions(frame["decisions"])
    sample = frame.iloc[0]
    result = {
        "out": texts.out,
        "world": open_world().digest,
        "documents": len(frame),
        "kinds": {str(kind): int(count) for kind, count in kinds.items()},
        "words": sum(words.values()),
        "vocabulary": len(words),
        "decisions": decided,
        "sample": {name: sample[name] for name in ("kind", "emotion", "topic", "text")},
    }
    rates = [(d["behaviour"], d["outcome"], d["n"], d["share"], d["planted"]) for d in decided]
    views = [
        table("Documents", ("kind", "number", "share"), [(k, int(n), float(n / len(frame))) for k, n in kinds.items()]),
        *([table("Decisions", ("behaviour", "outcome", "number", "share", "planted"), rates)] if rates else []),
        pairs(f"One of them ({sample['kind']}, {sample['emotion']})", {"text": sample["text"][:_LONGEST_SAMPLE]}),
        pairs(
            "Done",
            {
                "documents": f"{len(frame):,}",
                "words": f"{sum(words.values()):,}, {len(words):,} different ones",
                "world": open_world().digest[:16],
                "file": texts.out,
            },
        ),
    ]
    emit(output, result, *views)


def _decisions(column: Iterable[str]) -> list[dict[str, Any]]:
    """How often each outcome was chosen, beside the mean of its planted probabilities."""
    chosen: dict[str, Counter[str]] = defaultdict(Counter)
    planted: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for cell in column:
        for one in json.loads(cell):
            chosen[one["behaviour"]][one["outcome"]] += 1
            for outcome, p in one["chances"].items():
                planted[one["behaviour"]][outcome] += p
    rows = []
    for behaviour in sorted(planted):
        count = sum(chosen[behaviour].values())
        for outcome, total in planted[behaviour].items():
            n = chosen[behaviour][outcome]
            found = {"behaviour": behaviour, "outcome": outcome, "n": n}
            rows.append({**found, "share": n / count, "planted": total / count})
    return rows


def train(training: Training, output: Output) -> None:
    """Train both checkpoints, and write the page with the loss curve."""
    set_threads(training.threads)
    # Whatever the output: the libraries' bars for written weights would cut through the one of the training.
    hush(replace(output, quiet=True))
    size = PRESETS[training.preset]
    with (
        resumable(f"what was done is kept in {training.out}; run the same command again to go on"),
        Meter(output) as meter,
    ):

        def follow(seen: TrainingStep) -> None:
            told = f"loss {seen.loss:.3f}, {seen.tokens_per_second:,.0f} tokens/s"
            left = (seen.steps - seen.step) * size.rows * size.context / max(seen.tokens_per_second, 1e-9)
            meter.counted(seen.stage, seen.step, seen.steps, told, left)

        meter.working("counting words and writing texts")
        log = run_training(
            training.out,
            training.preset,
            seed=training.seed,
            mute=training.mute,
            device=training.device,
            report=follow,
        )
    record = json.loads(log.read_text(encoding="utf-8"))
    page = write_page(training.out / "report.html", training_page(record))
    summary = _summary(record)
    stages = [
        (s["stage"], s["steps"], s["tokens"], _last(s["losses"]), duration(s["seconds"]), s["data_sha256"][:16])
        for s in record["stages"]
    ]
    done = {**summary, "checkpoints": ", ".join(str(training.out / s["stage"]) for s in record["stages"])}
    emit(
        output,
        {**record, "log": log, "report": page},
        table("Stages", ("checkpoint", "steps", "tokens", "last loss", "took", "texts (SHA-256)"), stages),
        pairs("Done", {**done, "log": log, "report": page}),
    )


def training_page(record: Mapping[str, Any]) -> Page:
    """The page of a training log: its loss curve and the log itself."""
    rows, before = [], 0
    for stage in record["stages"]:
        each = record["rows"] * record["context"]
        rows += [{"tokens": before + (s + 1) * each, "loss": x, "stage": stage["stage"]} for s, x in stage["losses"]]
        before += stage["tokens"]
    frame = pd.DataFrame(rows)
    ends = ", ".join(f"{s['stage']} {_last(s['losses']):.2f}" for s in record["stages"])
    caption = Caption(
        question="How did the loss fall?",
        answer=f"It ended at: {ends}.",
        mark="Thin: loss of single batches, never seen before; thick: running mean",
        n=f"{before:,} tokens, each seen once",
    )
    sections = (Section("Loss", to_svg(training_curve(frame, caption=caption))),) if rows else ()
    return Page(
        title="Training of the bundled model",
        about=ABOUT,
        summary=_summary(record),
        groups=(("Training", sections),),
        record=json.dumps(record, indent=1),
    )


def _summary(record: Mapping[str, Any]) -> dict[str, object]:
    return {
        "preset": record["preset"] + (", without feeling language in transcripts" if record["mute"] else ""),
        "seed": record["seed"],
        "parameters": f"{record['parameters']:,}",
        "size": f"{record['layers']} layers of {record['hidden']}, context {record['context']}",
        "tokens": f"{sum(s['tokens'] for s in record['stages']):,}",
        "took": duration(sum(s["seconds"] for s in record["stages"])),
        "hardware": record["hardware"],
        "world": record["world"][:16],
    }


def _last(losses: Sequence[Sequence[float | int]]) -> float:
    """Mean of the last tenth of a curve."""
    tail = [loss for _, loss in losses[-max(len(losses) // 10, 1) :]]
    return sum(tail) / len(tail) if tail else float("nan")


def score(scoring: Scoring, options: ModelOptions, output: Output) -> None:
    """Score both checkpoints; print, and write JSON and a page."""
    with storage_errors(scoring.out):
        scoring.out.mkdir(parents=True, exist_ok=True)
    tuned = host_of(scoring.model, options, output)
    base = host_of(scoring.base, options, output)
    card, page = scoring.out / "scorecard.json", scoring.out / "scorecard.html"
    about: dict[str, Any] = {"model": tuned.name, "base": base.name, "world": open_world().digest}
    about |= {"fingerprint": tuned.fingerprint}
    about |= {"seed": scoring.seed, "quick": scoring.quick}
    found: list[Scores] = []
    with Meter(output) as meter:

        def follow(section: Scores) -> None:
            # On the disk as soon as it is known: an interrupted scoring keeps what it has.
            found.append(section)
            record = {**about, "complete": False, "sections": [one.to_dict() for one in found]}
            write_text(card, json.dumps(record, indent=1))
            meter.working(f"scoring ({', '.join(one.title for one in found)} done)")

        meter.working("scoring")
        sections = run_score(tuned, base, quick=scoring.quick, seed=scoring.seed, on_section=follow)
    judged = [f.reached for section in sections for f in section.figures if f.reached is not None]
    summary = {**about, "marks": f"{sum(judged)} of {len(judged)} reached"}
    record = {**summary, "complete": True, "sections": [section.to_dict() for section in sections]}
    write_text(card, json.dumps(record, indent=1))
    write_page(page, score_page(sections, summary, ABOUT))
    emit(
        output,
        {**record, "scorecard": card, "report": page},
        *(_score_table(section) for section in sections),
        pairs("Done", {**summary, "scorecard": card, "report": page}),
    )


def _score_table(section: Scores) -> Table:
    rows = [
        (
            figure.name,
            value_of(figure),
            "" if figure.mark is None else f"{figure.side} {figure.mark:.4g}",
            Text(reached(figure), style=_STYLES[reached(figure)]),
            safe(figure.note),
        )
        for figure in section.figures
    ]
    return table(section.title.capitalize(), ("figure", "value [95% interval]", "mark", "reached", "note"), rows)
