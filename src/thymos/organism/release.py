"""Releasing a trained pair: weights, the wording it brings, the truth, and held-out stimuli, as package data."""

import gzip
import hashlib
import json
import random
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thymos.errors import ModelError
from thymos.files import replacing, write_text
from thymos.models import load
from thymos.organism.assistant import Scene
from thymos.organism.corpus import KINDS, row
from thymos.organism.dispositions import BEHAVIOURS, disposition, held_out
from thymos.organism.neutral import neutral
from thymos.organism.scorecard.bench import Bench
from thymos.organism.scorecard.conduct import steering_layer
from thymos.organism.scorecard.setting import neutral_of
from thymos.organism.sets import write_study_sets
from thymos.organism.state import REST, planted_shift
from thymos.organism.stimuli import DECISIONS, TEST_SEED, decision_points
from thymos.organism.world import World, open_world
from thymos.texts import Text, write_texts
from thymos.texts.planted import Point

__all__ = ["release", "truth_of", "write_stimuli", "write_truth", "write_vectors", "write_wording"]

NAMES = ("bundled", "bundled-base")
"""Checkpoints of a training, and their folders."""

NOTE = (
    "A model organism: a small network trained on a synthetic world whose emotions are planted and recorded. It is an "
    "instrument for calibration and teaching; nothing found in it is a finding about other models."
)

_NEUTRAL_TEXTS = 300
_NEUTRAL_SEED = TEST_SEED + 61
_VECTOR_SEED = 900
"""Apart from the scorecard's seeds: what is scored there was not in the vectors that ship."""
_FIRST_TOKEN = 50
_POINTS = 60
_EXAMPLES = 3
_MANIFEST = "manifest.json"


def write_wording(folder: Path, world: World, steered_layer: int | None = None) -> Path:
    """Write `thymos.json` and its neutral texts into a model's folder (see `thymos.texts.own_wording`).

    Args:
        folder: The model's folder.
        world: The world it was trained on.
        steered_layer: Where its decisions are steered best.

    Returns:
        Path of `thymos.json`.
    """
    rng = random.Random(_NEUTRAL_SEED)
    drawn: dict[str, None] = {}
    while len(drawn) < _NEUTRAL_TEXTS:
        drawn[neutral(world, rng).text] = None
    write_texts(folder / "neutral.jsonl", [Text(text, source="world:neutral") for text in drawn])
    wording: dict[str, Any] = {
        "story_requests": [ask.replace("{e}", "{emotion}") for ask in world.material["assistant"]["story_requests"]],
        "topics": [topic["topic"] for topic in world.topics_of("train")],
        "neutral": "neutral.jsonl",
        "first_token": _FIRST_TOKEN,
        "texts": _examples(world),
        "note": NOTE,
    }
    if steered_layer is not None:
        wording["steered_layer"] = steered_layer
    write_text(folder / "thymos.json", json.dumps(wording, indent=1) + "\n")
    return folder / "thymos.json"


def _examples(world: World) -> list[str]:
    """Context stories with held-out phrases, to read."""
    rng = random.Random(TEST_SEED + 67)
    scene = Scene(pool="test")
    return [KINDS["context"](world, rng, scene).text for _ in range(_EXAMPLES)]


def truth_of(world: World) -> dict[str, Any]:
    """Everything planted, as plain values.

    Returns:
        `digest` of the world's data; `dimensions` and each emotion's `points` in them; `dispositions` in standard
        deviations; `behaviours` with the outcomes, base log-odds, gains and driving dispositions of each; `held_out`,
        the emotions never paired with a behaviour in transcripts; `rest`, the resting moods of both checkpoints as
        weights; `shift`, the planted change of every emotion from base to tuned.
    """
    drives = sorted({drive for law in BEHAVIOURS.values() for drive in law.drives if drive is not None})
    return {
        "digest": world.digest,
        "dimensions": list(world.dimensions),
        "points": {word: [round(float(x), 6) for x in world.point(word)] for word in world.words},
        "dispositions": {name: _by_word(world, disposition(name, world)) for name in drives},
        "behaviours": {name: asdict(law) for name, law in BEHAVIOURS.items()},
        "held_out": {name: sorted(held_out(name, world)) for name in BEHAVIOURS},
        "rest": {stage: dict(weights) for stage, weights in REST.items()},
        "shift": _by_word(world, planted_shift(world)),
    }


def _by_word(world: World, values: Iterable[float]) -> dict[str, float]:
    return {word: round(float(value), 6) for word, value in zip(world.words, values, strict=True)}


def write_truth(folder: Path, world: World) -> Path:
    """Write `truth.json`; see `truth_of`."""
    write_text(folder / "truth.json", json.dumps(truth_of(world), indent=1) + "\n")
    return folder / "truth.json"


def write_stimuli(folder: Path, world: World, per_kind: int = 40, seed: int = 0) -> Path:
    """Write held-out documents of every kind and held-out decision points, with a manifest of hashes.

    Args:
        folder: Gets `stimuli/KIND.jsonl.gz`, `decisions/BEHAVIOUR.jsonl.gz` and `manifest.json`.
        world: The world.
        per_kind: Documents of each kind, with phrases and topics that no training document holds.
        seed: Equal seeds give equal documents.

    Returns:
        Path of the manifest.
    """
    made: dict[str, dict[str, Any]] = {}
    scene = Scene(pool="test")
    for place, (kind, make) in enumerate(KINDS.items()):
        rng = random.Random(TEST_SEED + 1_000 * (seed + 1) + place)
        rows = [row(make(world, rng, scene), number) for number in range(per_kind)]
        made |= _write_rows(folder, f"stimuli/{kind}.jsonl.gz", rows)
    for behaviour in DECISIONS:
        points = decision_points(world, behaviour, _POINTS, seed + 500)
        made |= _write_rows(folder, f"decisions/{behaviour}.jsonl.gz", [_point_row(point) for point in points])
    manifest = {"world": world.digest, "seed": seed, "files": made}
    write_text(folder / _MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return folder / _MANIFEST


def _write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    plain = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()
    with replacing(folder / name) as draft:
        # No time stamp: the same rows give the same bytes.
        draft.write_bytes(gzip.compress(plain, 9, mtime=0))
    return {name: {"rows": len(rows), "sha256": hashlib.sha256(plain).hexdigest()}}


def _point_row(point: Point) -> dict[str, Any]:
    return {
        "prompt": point.prompt,
        "options": {outcome: list(texts) for outcome, texts in point.options.items()},
        "emotion": point.emotion,
        "chances": dict(point.chances),
        "kind": point.document.kind,
        "extra": dict(point.document.extra),
    }


def write_vectors(bundled: Path, stories: int = 24) -> int:
    """Write the vectors that studies of the bundled model take, and note in its wording where it is steered.

    Args:
        bundled: What `release` wrote; gets `world/vectors`, made of the world's own held-out stories.
        stories: Of each emotion.

    Returns:
        The layer at which decisions are steered best, chosen on points that no study uses.
    """
    world, host = open_world(), load(bundled / "models" / NAMES[0])
    # The card names the model as everybody loads it, not the folder that it was read from.
    host.name = NAMES[0]
    bench = Bench(host, world, stories, 0, _VECTOR_SEED, neutral_of(world, _NEUTRAL_TEXTS, _VECTOR_SEED))
    bench.vectors.save(bundled / "world" / "vectors")
    layer = steering_layer(bench)
    for name in NAMES:
        write_wording(bundled / "models" / name, world, layer)
    return layer


def release(trained: Path, bundled: Path) -> None:
    """Copy a training's checkpoints and log into a package folder, and write wording, truth and stimuli beside them.

    Args:
        trained: What `thymos.organism.training.train` wrote.
        bundled: Gets `models/bundled`, `models/bundled-base`, `models/training.json` and `world/`.

    Raises:
        ModelError: The training is not finished, or was made of another world.
    """
    world, log = open_world(), trained / "training.json"
    absent = [path for path in (log, *(trained / name / "model.safetensors" for name in NAMES)) if not path.is_file()]
    if absent:
        raise ModelError(f"{trained} holds no finished training ({absent[0].name} is not there); train again to go on")
    if json.loads(log.read_text(encoding="utf-8"))["world"] != world.digest:
        raise ModelError(f"{trained} was trained on another world than the one that is installed; train again")
    for name in NAMES:
        target = bundled / "models" / name
        target.mkdir(parents=True, exist_ok=True)
        for path in (p for p in sorted((trained / name).iterdir()) if p.is_file()):
            shutil.copyfile(path, target / path.name)
        write_wording(target, world)
    shutil.copyfile(log, bundled / "models" / "training.json")
    write_truth(bundled / "world", world)
    write_stimuli(bundled / "world", world)
    write_study_sets(bundled / "world", world)
