"""`demo`: the paper's main line on the bundled model, from stories of its own to a steering curve."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from thymos.concepts import EMOTIONS
from thymos.errors import UsageError
from thymos.figures import AnyChart
from thymos.files import write_text
from thymos.geometry import map_geometry
from thymos.models import Host, load
from thymos.organism.world import World, open_world
from thymos.readings import calibrate, read
from thymos.reports import Report, write_report
from thymos.texts import Text, WriteProgress, neutral_for, open_corpus, own_wording
from thymos.validation import Validation, ValidationSettings
from thymos.vectors import EmotionVectors, Progress
from thymos.workflows.demo_sections import concept_map, demo_groups, steering_chart
from thymos.workflows.demo_texts import Exhibit, exhibits, tokens_of
from thymos.workflows.extraction import extract
from thymos.workflows.options import ExtractOptions, run_folder
from thymos.workflows.planted import (
    Beside,
    Conduct,
    axes_beside,
    conduct_of,
    held_of,
    reading_beside,
    steering_beside,
)
from thymos.workflows.reader_demo import DemoResult
from thymos.workflows.validating import validate

__all__ = ["DEMO_NOTE", "DemoSize", "DemoWatch", "PlantedDemo", "demo"]

DEMO_NOTE = (
    "This model is a model organism: a small network trained on a synthetic world whose emotions are planted, made for "
    "calibration and teaching. The figures say how well the method recovers what was planted; nothing here is a "
    "finding about other models."
)
_STORY_TOKENS = 220
_RUN_FILES = ("plan.json", "state.safetensors", "means.f32", "texts.jsonl", "stories*")


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does; the defaults take about three minutes on two idle cores."""

    topics: int = 5
    """Stories of each concept, one a topic."""
    held_out: int = 3
    """Stories of the world that each concept is tested on."""
    points: int = 40
    """Decision points of the steering curve."""
    randoms: int = 20
    """Random directions beside the two vectors."""


@dataclass(frozen=True)
class DemoWatch:
    """Who is told while the demo runs."""

    progress: Callable[[Progress | WriteProgress], None] | None = None
    """After every batch of stories."""
    stage: Callable[[str], None] | None = None
    """What is being done now."""
    story: Callable[[Text], None] | None = None
    """The first story, as soon as it is written."""

    def say(self, what: str) -> None:
        """Tell the stage."""
        if self.stage is not None:
            self.stage(what)


@dataclass(frozen=True, eq=False)
class PlantedDemo(DemoResult):
    """What the demo on the bundled model made."""

    beside: tuple[Beside, ...]
    """Every figure beside what was planted."""
    conduct: Conduct
    exhibits: tuple[Exhibit, ...]
    """What `readings` are of."""
    story: Text
    """The first story that the model wrote."""
    pictures: tuple[AnyChart, AnyChart]
    """The concept map and the steering curve."""


def demo(
    out: Path,
    model: str | Path | Host = "bundled",
    *,
    seed: int = 0,
    size: DemoSize | None = None,
    watch: DemoWatch | None = None,
) -> PlantedDemo:
    """The paper's main line on the model organism (Sofroniew et al. 2026), scored against what was planted.

    The model writes stories for every concept, is read while it reads them again, and gives vectors; these are
    validated on unseen topics and on held-out stories of the world, mapped, used to read three texts, and added to the
    residual stream at decision points. Run again after an interruption, it goes on with the stories it has.

    Args:
        out: Folder for the vector set and `report.html`.
        model: The bundled model, another training of it, or one that is loaded.
        seed: Seed of everything random.
        size: How much is done.
        watch: Who is told.

    Raises:
        UsageError: The model is not one of this world.
    """
    started = time.monotonic()
    how, told = size or DemoSize(), watch or DemoWatch()
    told.say("loading model and world")
    host, world = model if isinstance(model, Host) else load(model), open_world()
    _check_organism(host, world)
    _same_run(out, host, seed, how)
    vectors, story = _vectors(host, out / "vectors", seed, how, told)
    told.say("validating on unseen topics")
    vectors, validation = _validated(host, vectors, out / "vectors", seed)
    told.say("reading held-out stories of the world")
    held = held_of(host, vectors, world, how.held_out, seed)
    told.say("mapping")
    geometry = map_geometry(vectors, EMOTIONS, seed=seed)
    told.say("reading three texts")
    reference = calibrate(host, vectors, neutral_for(host), "neutral texts of its world")
    shown = exhibits(world, seed)
    readings = tuple(read(host, vectors, tokens_of(host, one), reference=reference) for one in shown)
    told.say("steering")
    conduct = conduct_of(host, vectors, world, (how.points, how.randoms), seed)
    beside = (*reading_beside(held, vectors.concepts), *axes_beside(geometry, world), *steering_beside(conduct))
    pictures = (concept_map(geometry, world), steering_chart(conduct))
    told.say("writing the report")
    place = out / "report.html"
    made = PlantedDemo(
        vectors, validation, geometry, readings, reference, place, 0.0, beside, conduct, shown, story, pictures
    )
    write_report(place, _report(made))
    return replace(made, seconds=time.monotonic() - started)


def _report(made: PlantedDemo) -> Report:
    read_of = tuple(zip(made.exhibits, made.readings, strict=True))
    return Report(
        vectors=made.vectors,
        validation=made.validation,
        geometry=made.geometry,
        reference=made.reference,
        title="The main line on a model organism",
        about=DEMO_NOTE,
        groups=demo_groups(made.beside, made.story, made.pictures, read_of),
    )


def _check_organism(host: Host, world: World) -> None:
    own = own_wording(host)
    known = {str(topic["topic"]) for topic in world.topics}
    if own is None or not own.topics or not set(own.topics) <= known:
        raise UsageError(
            f"{host.name!r} is not a model of this world, so there is no planted truth to hold it against; use "
            "'bundled', a folder that `thymos organism train` and its release made, or for any other model `thymos "
            "extract`; the demo on a real network is `thymos demo --reader`"
        )


def _same_run(out: Path, host: Host, seed: int, size: DemoSize) -> None:
    """Keep what an interrupted demo has written, unless it was another one."""
    record = {"model": host.fingerprint, "seed": seed, **asdict(size)}
    path, run = out / "demo.json", run_folder(out / "vectors")
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == record
    except (OSError, ValueError):
        same = False
    if not same:
        for pattern in _RUN_FILES:
            for old in run.glob(pattern):
                old.unlink()
        write_text(path, json.dumps(record))


def _vectors(host: Host, place: Path, seed: int, size: DemoSize, watch: DemoWatch) -> tuple[EmotionVectors, Text]:
    """Stories and vectors; the first story is shown as soon as it is there."""
    file = run_folder(place) / "stories.jsonl"
    waiting = True

    def follow(seen: Progress | WriteProgress) -> None:
        nonlocal waiting
        if waiting and watch.story is not None and file.exists():
            watch.story(next(iter(open_corpus(file))))
            waiting = False
        if watch.progress is not None:
            watch.progress(seen)

    options = ExtractOptions(
        out=place, topics=size.topics, story_tokens=_STORY_TOKENS, validate=False, seed=seed, resume=False
    )
    watch.say("writing stories")
    vectors = extract(host, options=options, progress=follow)
    return vectors, next(iter(open_corpus(file)))


def _validated(host: Host, vectors: EmotionVectors, place: Path, seed: int) -> tuple[EmotionVectors, Validation]:
    """The set as it is saved, with its figures and the layer they chose."""
    settings = ValidationSettings(seed=seed, resamples=1000, permutations=200, stability_resamples=40)
    found = validate(host, vectors, run_folder(place), settings=settings)
    chosen = vectors.with_card(
        layer=found.layer,
        layer_choice="best held-out recall on development topics",
        quality=found.to_dict(),
        notes=(*vectors.card.notes, DEMO_NOTE.rstrip(".")),
    )
    chosen.save(place)
    return chosen, found
