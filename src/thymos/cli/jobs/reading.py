"""Reading text, chats and files, and making reference sets."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from thymos.cli.jobs.common import host_of, layers_of, read_json, reference_of, vectors_of
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import emit, note, pairs, safe, table
from thymos.cli.options import ModelOptions, Output
from thymos.cli.reading import Calibration, Source, View
from thymos.errors import CorpusError, UsageError
from thymos.models import Host, Message
from thymos.readings import Reading, ReadSettings, Reference, calibrate, held_out_words, read_corpus
from thymos.readings import read as read_text
from thymos.texts import Corpus, open_corpus
from thymos.vectors import EmotionVectors

__all__ = ["read"]

_SHOWN, _TOP = 50, 5
_RAW = "raw cosines of different concepts do not compare; add --calibrate-on neutral (or twins, or a file)"


def read(source: Source, view: View, calibration: Calibration, options: ModelOptions, output: Output) -> None:
    """Read what was given and print it; or make a reference set."""
    _check(source, view, calibration)
    vectors = vectors_of(source.vectors, source.model)
    what = _what(source)
    reference = Reference.load(calibration.reference) if calibration.reference is not None else None
    corpus = reference_of(calibration.calibrate_on) if calibration.calibrate_on is not None else None
    for concept in view.concept or ():
        vectors.index(concept)
    host = host_of(source.model, options, output)
    vectors.check_model(host, allow_mismatch=view.allow_mismatch)
    how = _settings(host, vectors, view, reference)
    if corpus is not None:
        corpus = reference_of(str(calibration.calibrate_on), host)
        with Meter(output) as meter:
            meter.working("making the reference set")
            reference = calibrate(host, vectors, corpus, _name(calibration), settings=how)
        if calibration.save_reference is not None:
            reference.save(calibration.save_reference)
            note(output, f"reference set: {calibration.save_reference}")
    common: dict[str, Any] = {"settings": how, "reference": reference, "allow_mismatch": view.allow_mismatch}
    if what is None and reference is not None:
        about: dict[str, Any] = {"reference": calibration.save_reference, "name": reference.name}
        about |= {"tokens": reference.tokens, "texts": reference.texts}
        emit(output, about, pairs("Reference set", about))
    elif isinstance(what, Corpus):
        _emit_corpus(host, vectors, what, common, output)
    elif what is not None:
        _emit_one(read_text(host, vectors, what, **common), view, output)


def _check(source: Source, view: View, calibration: Calibration) -> None:
    given = [name for name in ("text", "file", "chat") if getattr(source, name) is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} were given; give one thing to read")
    if not given and (calibration.calibrate_on is None or calibration.save_reference is None):
        raise UsageError("what is to be read? give TEXT, - for standard input, --file or --chat")
    if calibration.reference is not None and calibration.calibrate_on is not None:
        raise UsageError("--reference takes a reference set that is there and --calibrate-on makes one; give one")
    if calibration.save_reference is not None and calibration.calibrate_on is None:
        raise UsageError("--save-reference keeps what --calibrate-on makes; give both")
    if view.html is not None and (not given or (source.file is not None and source.file.suffix.lower() != ".txt")):
        raise UsageError("--html shows one text; give TEXT, --chat or a .txt file")


def _what(source: Source) -> str | list[Message] | Corpus | None:
    if source.file is not None:
        return _corpus_of(source.file) if source.file.suffix.lower() != ".txt" else _text_of(source.file)
    if source.chat is not None:
        return _messages(source.chat)
    return _filled(sys.stdin.read(), "standard input") if source.text == "-" else source.text


def _corpus_of(path: Path) -> Corpus:
    if path.suffix.lower() not in (".jsonl", ".parquet"):
        raise UsageError(
            f"{path} ends in {path.suffix!r}; valid endings are .txt (one text), .jsonl and .parquet (a text a row)"
        )
    if not path.exists():
        raise UsageError(f"{path} cannot be read: there is no such file; check the path")
    return open_corpus(path)


def _text_of(path: Path) -> str:
    try:
        return _filled(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror}; check the path") from None
    except UnicodeDecodeError as err:
        raise CorpusError(f"{path} is not UTF-8 (byte {err.start}); save it as UTF-8") from None


def _filled(text: str, name: str) -> str:
    if not text.strip():
        raise CorpusError(f"{name} is empty; there is nothing to read")
    return text


def _messages(path: Path) -> list[Message]:
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("messages")
    good = isinstance(content, list) and all(
        isinstance(each, dict) and all(isinstance(value, str) for value in each.values()) for each in content
    )
    if not good or not content:
        raise CorpusError(f'{path} holds no list of messages; write [{{"role": "user", "content": "..."}}, ...]')
    return list(content)


def _settings(host: Host, vectors: EmotionVectors, view: View, reference: Reference | None) -> ReadSettings:
    """What is read; where nothing is said, what the reference set was made with."""
    layers, concepts = layers_of(host, vectors, view.layers), tuple(view.concept) if view.concept else None
    if reference is None:
        return ReadSettings(layers, view.centred, not view.raw, concepts)
    return ReadSettings(
        layers or reference.layers,
        view.centred or reference.centred,
        not view.raw and reference.denoised,
        concepts or reference.concepts,
    )


def _name(calibration: Calibration) -> str:
    """A name for the reference set that can be shown and stored."""
    source = str(calibration.calibrate_on)
    name = {"neutral": "neutral dialogues", "twins": "neutral twins"}.get(source) or Path(source).stem
    return re.sub(r"[^\w .-]", "-", name)[:60] or "reference"


def _emit_one(reading: Reading, view: View, output: Output) -> None:
    if view.html is not None:
        reading.to_html(view.html)
        note(output, f"heat map: {view.html}")
    result = json.loads(reading.to_json())
    turns = reading.by_turn() if reading.tokens.roles else None
    result["by_turn"] = turns.to_dict(orient="records") if turns is not None else []
    views: list[RenderableType] = [reading]
    if turns is not None:
        rows = [(row["turn"], row["role"], _highest(row, reading.concepts)) for row in result["by_turn"]]
        views.append(table("Turns", ("turn", "role", f"highest mean {reading.unit}"), rows))
    views += _raw(reading.unit, len(reading.concepts))
    emit(output, result, *views)


def _raw(unit: str, concepts: int) -> list[Text]:
    """What keeps a ranking of raw cosines from being believed."""
    return [safe(_RAW)] if unit == "cosine" and concepts > 1 else []


def _highest(row: dict[str, Any], concepts: Sequence[str]) -> str:
    ordered = sorted(concepts, key=lambda concept: -row[concept])
    return ", ".join(f"{concept} {row[concept]:+.3f}" for concept in ordered[:3])


def _emit_corpus(host: Host, vectors: EmotionVectors, corpus: Corpus, common: dict[str, Any], output: Output) -> None:
    rows: list[dict[str, Any]] = []
    unit, layer, known = "cosine", vectors.layer, held_out_words(vectors)
    with Meter(output) as meter:
        meter.working(f"reading {corpus.name}")
        for text, reading in read_corpus(host, vectors, corpus, **common):
            unit, layer = reading.unit, reading.layer
            mean = dict(zip(reading.concepts, reading.mean().tolist(), strict=True))
            top = [{"concept": name, "score": score} for name, score in reading.top(_TOP)]
            about = {"index": len(rows), "text": text.text, "emotion": text.emotion, "topic": text.topic}
            rows.append({**about, "tokens": len(reading), "top": top, "mean": mean})
    result = {"model": host.name, "file": corpus.name, "unit": unit, "layer": layer, "known": known, "texts": rows}
    shown = [
        (
            row["index"],
            safe(" ".join(row["text"].split())[:60]),
            row["emotion"],
            ", ".join(f"{each['concept']} {each['score']:+.3f}" for each in row["top"][:3]),
        )
        for row in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN and not output.as_json:
        note(output, f"the first {_SHOWN} of {len(rows)} texts are shown; --json gives all")
    under = [*([safe(known)] if known else []), *_raw(unit, len(rows[0]["mean"]) if rows else 0)]
    title = f"Highest mean {unit}, layer {layer}"
    emit(output, result, table(title, ("row", "text", "label", "concepts"), shown), *under)
