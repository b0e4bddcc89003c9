"""`reader_demo`: the main job on a small real network that can be read and not steered."""

import time
from dataclasses import dataclass
from pathlib import Path

from thymos.concepts import EMOTIONS
from thymos.geometry import GeometryMap, map_geometry
from thymos.models import Model, load
from thymos.readings import Reading, Reference, calibrate, read
from thymos.reports import Report, write_report
from thymos.texts import battery_texts, neutral_dialogues, open_corpus, twins
from thymos.validation import Validation, ValidationSettings
from thymos.vectors import EmotionVectors
from thymos.workflows.extraction import extract
from thymos.workflows.options import ExtractOptions, OnProgress, run_folder
from thymos.workflows.validating import validate

__all__ = ["DEMO_TEXTS", "READER_NOTE", "DemoResult", "reader_demo"]

READER_NOTE = (
    "The network is a small sentence encoder, and often wrong. Explicit sentences in the first person, "
    "unlike the vignettes that the vectors are made from, are read wrongly: 'I am so proud of my daughter' reads "
    "grateful, loving and guilty before proud, and 'I feel calm and peaceful today' reads nervous."
)

DEMO_TEXTS = (
    "I have one hour left, the build is red, and the only person who understands this code left the company in May. "
    "Every fix breaks two other tests.",
    "The nurse wheeled the empty cot back in and said we could all go home, the three of us. My wife has not stopped "
    "humming since.",
    "He says the audit is routine. Then why did he come twice this week, and why was the cabinet unlocked each time?",
)
"""What the demo reads: written for it, not in the battery."""


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo made."""

    vectors: EmotionVectors
    validation: Validation
    geometry: GeometryMap
    readings: tuple[Reading, ...]
    reference: Reference
    report: Path
    seconds: float


def reader_demo(out: Path, model: str = "minilm", *, seed: int = 0, progress: OnProgress | None = None) -> DemoResult:
    """The main job on a small model: extract the battery's concepts, validate, map, read new texts, write a report.

    Args:
        out: Folder for the vector set and `report.html`.
        model: What to run on.
        seed: Seed of everything random.
        progress: Called after every batch.
    """
    started = time.monotonic()
    host: Model = load(model)
    stories, neutral = open_corpus(battery_texts()), open_corpus(neutral_dialogues())
    place = out / "vectors"
    options = ExtractOptions(out=place, first_token=20, seed=seed, validate=False)
    vectors = extract(host, stories, neutral, options, progress=progress)
    validation = validate(host, vectors, run_folder(place), settings=ValidationSettings(seed=seed))
    vectors = vectors.with_card(
        layer=validation.layer,
        layer_choice="best held-out recall on development topics",
        quality=validation.to_dict(),
    )
    vectors.save(place)
    geometry = map_geometry(vectors, EMOTIONS, seed=seed)
    # The twins tell of the same people and places without the affect: what is left of a z-score is not style.
    reference = calibrate(host, vectors, open_corpus(twins()), "neutral twins")
    readings = tuple(read(host, vectors, text, reference=reference) for text in DEMO_TEXTS)
    report = write_report(
        out / "report.html",
        Report(vectors, validation, geometry, readings, reference, about=READER_NOTE),
    )
    return DemoResult(vectors, validation, geometry, readings, reference, report, time.monotonic() - started)
