"""`extract`: from a model to a vector set."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from thymos.concepts import Vocabulary, resolve
from thymos.errors import CorpusError, UsageError
from thymos.models import Host
from thymos.texts import Corpus, named_if_shipped, neutral_for, open_corpus, topics_for, write_stories
from thymos.validation import ValidationSettings, validate_vectors
from thymos.vectors import (
    BuildSettings,
    Collected,
    DifferenceOfMeans,
    EmotionVectors,
    ExtractionSettings,
    LogisticProbes,
    TextMeans,
    Watch,
    WritingJob,
    build_vectors,
    collect,
    collect_while_generating,
    with_agreement,
)
from thymos.workflows.options import (
    ExtractOptions,
    OnProgress,
    TextSource,
    run_folder,
    settings_of,
    story_plan,
)

__all__ = ["extract"]

_ESTIMATORS = {"means": DifferenceOfMeans, "probes": LogisticProbes}


def extract(
    host: Host,
    stories: TextSource | None = None,
    neutral: TextSource | None = None,
    options: ExtractOptions | None = None,
    *,
    progress: OnProgress | None = None,
) -> EmotionVectors:
    """Emotion vectors of a model: read (or first write) stories, capture, centre, denoise, validate, save.

    Args:
        host: The model.
        stories: Texts with `emotion` and `topic`; None lets the model write its own, in its own wording where it brings
            any (`thymos.texts.own_wording`).
        neutral: Neutral texts; None takes those the model brings, or the shipped dialogues.
        options: See `ExtractOptions`.
        progress: Called after every batch.

    Returns:
        The vector set; its card holds the quality figures.

    Raises:
        ThymosError: One of the errors of `thymos.errors`, each with what to do about it.
    """
    how = (options or ExtractOptions()).for_model(host)
    if how.estimator not in _ESTIMATORS:
        raise UsageError(f"unknown estimator {how.estimator!r}; valid: {', '.join(_ESTIMATORS)}")
    vocabulary = resolve(how.concepts)
    with _Workspace(how.folder) as workspace:
        calm = named_if_shipped(open_corpus(neutral) if neutral is not None else neutral_for(host))
        settings = settings_of(host, how)
        watch = Watch(workspace.run, how.resume, progress)
        if how.while_generating:
            job = _writing_job(host, stories, how, progress)
            collected, corpus = collect_while_generating(host, job, calm, vocabulary, settings, watch)
        else:
            corpus = (
                named_if_shipped(open_corpus(stories))
                if stories is not None
                else _own_stories(host, vocabulary, how, workspace, progress)
            )
            collected = collect(host, corpus, calm, vocabulary, settings, watch)
        means = _kept(workspace.run, settings, collected, host)
        build = BuildSettings(_ESTIMATORS[how.estimator](), how.neutral_unit, how.neutral_share, how.layer)
        vectors = build_vectors(
            host, collected, (corpus, calm), settings, build, means.rows_at if means is not None else None
        )
        if how.while_generating:
            vectors = with_agreement(host, vectors, means, settings)
        if how.validate and means is not None:
            vectors = _with_quality(host, vectors, means, vocabulary, how)
        if how.out is not None:
            vectors.save(how.out)
    return vectors


class _Workspace:
    """The run folder: beside the output, or a temporary one that goes away."""

    def __init__(self, out: Path | None) -> None:
        self.kept = out is not None
        self.run = run_folder(out) if out is not None else Path(_temporary())

    def __enter__(self) -> "_Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            shutil.rmtree(self.run, ignore_errors=True)


def _temporary() -> str:
    return tempfile.mkdtemp(prefix="thymos-")


def _kept(run: Path, settings: ExtractionSettings, collected: Collected, host: Host) -> TextMeans | None:
    if settings.keep_texts == 0:
        return None
    return TextMeans(run, settings.layers, collected.concepts, host.hidden_size)


def _with_quality(
    host: Host, vectors: EmotionVectors, means: TextMeans, vocabulary: Vocabulary, how: ExtractOptions
) -> EmotionVectors:
    """Quality figures, and the layer the sweep chose unless one was given; a note where they cannot be had."""
    try:
        found = validate_vectors(
            means, vectors, host=host, vocabulary=vocabulary, settings=ValidationSettings(seed=how.seed)
        )
    except CorpusError as err:
        return vectors.with_card(notes=(*vectors.card.notes, f"not validated: {err}"))
    changes: dict[str, Any] = {"quality": {**vectors.card.quality, **found.to_dict()}}
    if how.layer is None:
        changes |= {"layer": found.layer, "layer_choice": "best held-out recall on development topics"}
    return vectors.with_card(**changes)


def _own_stories(
    host: Host, vocabulary: Vocabulary, how: ExtractOptions, workspace: _Workspace, progress: OnProgress | None
) -> Corpus:
    if host.kind == "encoder":
        raise UsageError(
            f"{host.name!r} is an encoder and cannot write stories; give some with --stories; "
            "the shipped ones are battery (in Python thymos.texts.battery_texts())"
        )
    path = workspace.run / "stories.jsonl"
    write_stories(host, vocabulary, topics_for(host, how.topics), story_plan(host, how), path, progress)
    return open_corpus(path)


def _writing_job(
    host: Host, stories: TextSource | None, how: ExtractOptions, progress: OnProgress | None
) -> WritingJob:
    """What is written and read in one pass: bare stories, one per request."""
    if stories is not None or how.format != "raw":
        raise UsageError(
            "--while-generating reads the stories that the model writes, as it writes them: it takes no --stories and "
            f"no --format (got {how.format!r}); leave it out to read stories that are already there"
        )
    plan = story_plan(host, how)
    longest = min(how.story_tokens, how.max_tokens or how.story_tokens)
    plan = replace(plan, per_request=1, bare=True, sampling=replace(plan.sampling, max_new_tokens=longest))
    return WritingJob(topics_for(host, how.topics), plan, progress)
