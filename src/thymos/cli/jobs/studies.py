"""Running studies from the command line: what they take, what they print, and the page they write."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from rich.table import Table
from rich.text import Text

from thymos.bundled import MODELS, world_path
from thymos.cli.jobs.common import host_of, vectors_of
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import emit, note, pairs, safe, table
from thymos.cli.options import ModelOptions, Output
from thymos.cli.studies import Studying
from thymos.errors import ThymosError, UsageError, did_you_mean
from thymos.files import storage_errors, write_text
from thymos.reports import study_page, write_page
from thymos.studies import (
    ENGLISH,
    PLANTED,
    STUDIES,
    Bench,
    Estimate,
    Settings,
    Study,
    StudyProgress,
    StudyResult,
    corrected,
    run_study,
    study_named,
)
from thymos.texts import own_wording, planted_truth
from thymos.vectors import EmotionVectors

__all__ = ["study"]

_STYLES = {"reached": "green", "missed": "red", "": ""}
_LIST = "list"
_ALL = "all"


def study(studying: Studying, options: ModelOptions, output: Output) -> None:
    """List, or run one or all; every study has a log of its own, and a failing one does not stop the others."""
    if studying.name == _LIST:
        emit(output, {"studies": [_about(one) for one in STUDIES.values()]}, _listing())
        return
    chosen = list(STUDIES.values()) if studying.name == _ALL else [study_named(studying.name)]
    settings = [_settings(one, studying) for one in chosen]
    with storage_errors(studying.out):
        studying.out.mkdir(parents=True, exist_ok=True)
    bench = _bench(studying, options, output)
    results, failures = _run(chosen, settings, bench, studying, output)
    if not results:
        raise failures[0][1]
    final = corrected(results)
    record = {
        "studies": [one.to_dict() for one in final],
        "failed": {name: str(error) for name, error in failures},
    }
    json_path, page = studying.out / "results.json", studying.out / "report.html"
    write_text(json_path, json.dumps(record, indent=1))
    write_page(page, study_page(final, failures={name: str(error) for name, error in failures}))
    done = pairs("Done", {"model": bench.host.name, **_tally(final), "results": json_path, "report": page})
    emit(output, {**record, "results": json_path, "report": page}, *(_view(one) for one in final), done)
    for name, error in failures:
        note(output, f"{name} was not run: {error}")


def _run(
    chosen: Sequence[Study], settings: Sequence[Settings], bench: Bench, studying: Studying, output: Output
) -> tuple[list[StudyResult], list[tuple[str, ThymosError]]]:
    results: list[StudyResult] = []
    failures: list[tuple[str, ThymosError]] = []
    with Meter(output) as meter:

        def follow(seen: StudyProgress) -> None:
            meter.working(f"{seen.study}: {seen.block} ({seen.blocks} blocks, {seen.trials} trials so far)")

        for one, how in zip(chosen, settings, strict=True):
            log = studying.out / f"{one.name}.jsonl"
            try:
                results.append(run_study(one, bench, how, log=log, overwrite=studying.overwrite, on_progress=follow))
            except ThymosError as error:
                failures.append((one.name, error))
    return results, failures


def _bench(studying: Studying, options: ModelOptions, output: Output) -> Bench:
    planted = studying.model in MODELS
    vectors = _vectors(studying)
    host = host_of(studying.model, options, output)
    own = own_wording(host)
    others = tuple(host_of(name, options, output) for name in studying.base or ())
    return Bench(
        host,
        vectors,
        world=PLANTED if planted else ENGLISH,
        seed=studying.seed,
        others=others,
        truth=planted_truth() if planted else {},
        layer=own.steered_layer if studying.layer is None and own is not None else studying.layer,
        corpus=studying.corpus,
    )


def _vectors(studying: Studying) -> EmotionVectors:
    """Those that are named; else, for the bundled model, those that ship with it."""
    shipped = world_path() / "vectors"
    if studying.vectors is not None:
        return vectors_of(studying.vectors, studying.model)
    if studying.model == MODELS[0] and shipped.is_dir():
        return EmotionVectors.load(shipped)
    raise UsageError(f"name the vectors of {studying.model!r} with --vectors; `thymos extract` makes them")


def _settings(one: Study, studying: Studying) -> Settings:
    preset = one.settings.quick() if studying.preset == "quick" else one.settings.full()
    kinds = {field.name: type(getattr(preset, field.name)) for field in fields(preset)}
    changes: dict[str, Any] = {}
    for given in studying.set_ or ():
        name, found, value = given.partition("=")
        if not found:
            raise UsageError(f"--set {given!r} is not NAME=VALUE")
        if name not in kinds:
            if studying.name == _ALL:
                continue
            raise UsageError(
                f"unknown setting {name!r} of {one.name}{did_you_mean(name, kinds)}; settings: {', '.join(kinds)}"
            )
        changes[name] = _value(name, value, kinds[name], getattr(preset, name))
    return replace(preset, **changes)


def _value(name: str, given: str, kind: type, before: Any) -> Any:
    try:
        if kind is tuple:
            inner = type(before[0]) if before else str
            return tuple(inner(part.strip()) for part in given.split(","))
        if kind is bool:
            return {"true": True, "false": False}[given.lower()]
        return kind(given)
    except (ValueError, KeyError):
        raise UsageError(f"--set {name}={given}: {kind.__name__} expected, for example {name}={before}") from None


def _about(one: Study) -> dict[str, Any]:
    settings = {field.name: field.metadata.get("help", "") for field in one.settings.options()}
    return {"name": one.name, "question": one.question, "source": one.source, "settings": settings}


def _listing() -> Table:
    rows = [
        (one.name, one.question, ", ".join(field.name for field in one.settings.options())) for one in STUDIES.values()
    ]
    return table("Studies", ("name", "question", "settings"), rows)


def _verdict(one: Estimate) -> str:
    return "" if one.reached is None else "reached" if one.reached else "missed"


def _figure(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:.3g}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _view(result: StudyResult) -> Table:
    rows = [
        (
            one.name, _figure(one), one.control, one.truth, one.paper,
            Text(_verdict(one), style=_STYLES[_verdict(one)]), safe(one.note),
        )
        for one in result.estimates
    ]  # fmt: skip
    shown = table(
        f"{result.study}: {result.question}",
        ("estimate", "value [95% interval]", "control", "planted", "paper", "mark", "note"),
        rows,
    )
    for refused in result.findings.refusals:
        shown.add_row("refused", "", "", "", "", "", safe(refused))
    return shown


def _tally(results: Sequence[StudyResult]) -> dict[str, str]:
    judged = [one.reached for result in results for one in result.estimates if one.reached is not None]
    refused = sum(len(result.findings.refusals) for result in results)
    return {"marks": f"{sum(judged)} of {len(judged)} reached", "refused cells": str(refused)}
