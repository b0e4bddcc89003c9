"""The two demos: the main line on the bundled model, and readings of a small real encoder."""

import shlex
from typing import Any

from rich.panel import Panel

from thymos.cli.extraction import Demo
from thymos.cli.failures import resumable
from thymos.cli.jobs.common import hush, set_threads
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import console, duration, emit, mark_rows, marks_table, note, pairs, safe, table
from thymos.cli.options import Output
from thymos.errors import UsageError
from thymos.models import PACKAGED
from thymos.reports import marks_of
from thymos.texts import Text, WriteProgress
from thymos.vectors import Progress
from thymos.workflows import DEMO_NOTE, READER_NOTE, DemoResult, DemoWatch, PlantedDemo
from thymos.workflows import demo as run_demo
from thymos.workflows import reader_demo as run_reader

__all__ = ["demo"]

_MODEL, _READER = "bundled", "minilm"


def demo(demo: Demo, output: Output) -> None:
    """Run a demo and print what it found."""
    if demo.reader and demo.model == _MODEL:
        raise UsageError("--reader reads with an encoder, and 'bundled' is a causal model; leave one of them out")
    set_threads(demo.threads)
    hush(output)
    reader = demo.reader or demo.model in PACKAGED
    if reader:
        _reader(demo, output)
    else:
        _main_line(demo, output)
    # A command that works as it stands, with what the demo has made.
    model = demo.model or (_READER if reader else _MODEL)
    words = ["thymos", "read", model, str(demo.out / "vectors"), "I have one hour left and every test still fails."]
    note(output, f"read a text of your own: {shlex.join(words)}")


def _reader(demo: Demo, output: Output) -> None:
    name = demo.model or _READER
    with resumable("run the same command again"), Meter(output) as meter:

        def follow(seen: Progress | WriteProgress) -> None:
            meter(seen)
            if isinstance(seen, Progress) and seen.stage == "neutral" and seen.done >= seen.total:
                meter.working("validating, mapping, reading")

        meter.working(f"loading {name}")
        found = run_reader(demo.out, name, seed=demo.seed, progress=follow)
    result, done = _common(demo, found)
    result["note"] = READER_NOTE
    emit(
        output,
        result,
        marks_table(marks_of(found.validation, found.geometry)),
        _texts(found),
        safe(found.readings[0].known),
        pairs("Done", {**done, "note": READER_NOTE}),
    )


def _main_line(demo: Demo, output: Output) -> None:
    how = f"what was written is kept in {demo.out}; run the same command again to go on"
    with resumable(how), Meter(output) as meter:

        def show(story: Text) -> None:
            if not output.quiet:
                title = f"a story it wrote: {story.topic}, {story.emotion}"
                to = meter.bars.console if meter.bars is not None else console(stderr=True)
                to.print(Panel(safe(story.text), title=safe(title), title_align="left", width=100))

        watch = DemoWatch(progress=meter, stage=meter.working, story=show)
        found = run_demo(demo.out, demo.model or _MODEL, seed=demo.seed, watch=watch)
    result, done = _common(demo, found)
    result |= {
        "note": DEMO_NOTE,
        "beside": [dict(one.__dict__) for one in found.beside],
        "story": {"emotion": found.story.emotion, "topic": found.story.topic, "text": found.story.text},
    }
    heads = ("question", "seen [95%]", "planted", "chance", "n")
    emit(
        output,
        result,
        table("Beside the planted truth", heads, [one.row() for one in found.beside]),
        marks_table(marks_of(found.validation, found.geometry)),
        _planted_texts(found),
        safe(found.readings[0].known),
        pairs("Done", {**done, "note": DEMO_NOTE}),
    )


def _common(demo: Demo, found: DemoResult) -> tuple[dict[str, Any], dict[str, object]]:
    """What both demos give: the result, and the last table."""
    result = {
        "report": found.report,
        "vectors": demo.out / "vectors",
        "model": found.vectors.card.model.id,
        "concepts": found.vectors.concepts,
        "layer": found.vectors.layer,
        "seconds": found.seconds,
        "marks": mark_rows(marks_of(found.validation, found.geometry)),
        "readings": [
            {"text": reading.tokens.text, "top": [{"concept": c, "score": s} for c, s in reading.top(5)]}
            for reading in found.readings
        ],
    }
    return result, {**found.vectors.summary(), "report": found.report, "took": duration(found.seconds)}


def _texts(found: DemoResult) -> Any:
    rows = [(f"{reading.tokens.text[:60]} ...", _top(reading.top(3))) for reading in found.readings]
    return table(f"New texts, z against {found.reference.name}", ("text", "highest concepts"), rows)


def _planted_texts(found: PlantedDemo) -> Any:
    rows = [
        (exhibit.title, exhibit.planted, _top(reading.top(3)))
        for exhibit, reading in zip(found.exhibits, found.readings, strict=True)
    ]
    return table(f"Held-out texts, z against {found.reference.name}", ("text", "planted", "highest concepts"), rows)


def _top(concepts: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {score:+.2f}" for name, score in concepts)
