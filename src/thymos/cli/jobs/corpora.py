"""Writing stories and neutral dialogues, and auditing texts."""

from typing import Any

from thymos.cli.corpora import Audit, Writing
from thymos.cli.failures import resumable
from thymos.cli.jobs.common import host_of, vocabulary_of
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import emit, note, pairs
from thymos.cli.options import ModelOptions, Output
from thymos.errors import UsageError
from thymos.models import Host, Sampling
from thymos.texts import (
    EndpointWriter,
    LeakReport,
    StoryPlan,
    WriteProgress,
    Writer,
    audit,
    open_corpus,
    topics_for,
    write_neutral,
    write_stories,
)

__all__ = ["stories"]

_TOKENS_PER_TEXT = 400
_MOST_OFFENCES = 20


def stories(writing: Writing, check: Audit, options: ModelOptions, output: Output) -> None:
    """Write or audit texts, and print the audit."""
    vocabulary = vocabulary_of(writing.concepts)
    if check.audit is not None:
        if writing.model is not None or writing.out is not None or writing.endpoint is not None:
            raise UsageError("--audit reads a file and writes nothing; leave out MODEL, --out and --endpoint")
        found = audit(open_corpus(check.audit), vocabulary)
        emit(output, {"file": check.audit, "audit": _audit(found)}, found)
        return
    if writing.out is None:
        raise UsageError("where to? give --out FILE.jsonl, or --audit FILE to check texts that are there")
    writer = _writer(writing, options, output)
    plan = StoryPlan(
        per_cell=writing.per_cell,
        per_request=writing.per_request,
        seed=writing.seed,
        sampling=Sampling(max_new_tokens=_longest(writing), temperature=1.0, top_p=0.95),
        min_words=writing.min_words,
    )
    every = topics_for(writer if isinstance(writer, Host) and not writing.neutral else None)
    chosen = every[: writing.topics]
    if writing.topics is not None and writing.topics > len(chosen):
        note(output, f"there are {len(chosen)} topics, so {len(chosen)} are used")
    how = f"what was written is kept in {writing.out}; run the same command again to go on"
    with resumable(how, writing.out), Meter(output) as meter:
        if writing.neutral:
            done = write_neutral(writer, chosen, plan, writing.out, meter)
        else:
            done = write_stories(writer, vocabulary, chosen, plan, writing.out, meter)
    found = audit(open_corpus(writing.out), vocabulary)
    emit(output, {"out": writing.out, **_counts(done), "audit": _audit(found)}, found, pairs("Written", _told(done)))


def _writer(writing: Writing, options: ModelOptions, output: Output) -> Host | Writer:
    if (writing.model is None) == (writing.endpoint is None):
        raise UsageError("who writes? give either MODEL, or --endpoint URL with --endpoint-model NAME")
    if writing.endpoint is None:
        return host_of(str(writing.model), options, output)
    if writing.endpoint_model is None:
        raise UsageError("which model of the endpoint? name it with --endpoint-model")
    return EndpointWriter(writing.endpoint, writing.endpoint_model, max_tokens=_longest(writing))


def _longest(writing: Writing) -> int:
    at_once = min(writing.per_request or writing.per_cell, writing.per_cell)
    return writing.max_new_tokens or _TOKENS_PER_TEXT * at_once


def _counts(done: WriteProgress) -> dict[str, Any]:
    return {
        "cells": done.cells,
        "texts": done.texts,
        "missing": done.missing,
        "rejected": dict(done.rejected),
    }


def _told(done: WriteProgress) -> dict[str, object]:
    rejected = ", ".join(f"{count} {reason}" for reason, count in done.rejected.items())
    return {
        "texts": done.texts,
        "cells": f"{done.done} of {done.cells}",
        "missing": done.missing,
        "rejected": rejected or "none",
    }


def _audit(found: LeakReport) -> dict[str, Any]:
    return {
        "texts": found.texts,
        "labelled": found.labelled,
        "leak_rate": found.leak_rate,
        "leaking": dict(found.leaking),
        "kinds": dict(found.kinds),
        "forms": dict(found.forms.most_common(_MOST_OFFENCES)),
        "repeated_openings": found.repeated_openings,
        "duplicates": found.duplicates,
        "near_duplicates": found.near_duplicates,
        "imbalanced": list(found.imbalanced),
        "length_spread": found.length_spread,
        "offences": [dict(each.__dict__) for each in found.offences[:_MOST_OFFENCES]],
    }
