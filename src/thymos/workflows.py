"""What a user asks for in one call: extract, validate, demo."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from thymos.concepts import EMOTIONS, Vocabulary, resolve
from thymos.errors import CorpusError, UsageError
from thymos.geometry import GeometryMap, map_geometry
from thymos.models import Host, Model, Sampling, forward, load, pad
from thymos.readings import Reading, Reference, calibrate, read
from thymos.reports import Report, write_report
from thymos.texts import (
    Corpus,
    StoryPlan,
    Text,
    WriteProgress,
    battery_texts,
    neutral_dialogues,
    open_corpus,
    topics,
    twins,
    write_stories,
)
from thymos.validation import Validation, ValidationSettings, validate_vectors
from thymos.vectors import (
    BuildSettings,
    Collected,
    DifferenceOfMeans,
    EmotionVectors,
    ExtractionSettings,
    LogisticProbes,
    Progress,
    TextMeans,
    Watch,
    WritingJob,
    build_vectors,
    collect,
    collect_while_generating,
    scatter_bytes,
    with_agreement,
)
from thymos.vectors.while_generating import REREAD_STORIES

__all__ = ["CostEstimate", "DemoResult", "ExtractOptions", "demo", "estimate_cost", "extract", "run_folder", "validate"]

TextSource = str | Path | Corpus | Iterable[Text]
OnProgress = Callable[[Progress | WriteProgress], None]
_STORY_TOKENS = 400
"""Longest story the model is given room for, in tokens; about twice what is asked for."""
_ESTIMATORS = {"means": DifferenceOfMeans, "probes": LogisticProbes}

DEMO_TEXTS = (
    "I have one hour left, the build is red, and the only person who understands this code left the company in May. "
    "Every fix breaks two other tests.",
    "The nurse wheeled the empty cot back in and said we could all go home, the three of us. My wife has not stopped "
    "humming since.",
    "He says the audit is routine. Then why did he come twice this week, and why was the cabinet unlocked each time?",
)
"""What the demo reads: written for it, not in the battery."""


@dataclass(frozen=True)
class ExtractOptions:
    """Everything `extract` can be told."""

    out: str | Path | None = None
    """Folder of the vector set; None saves nothing."""
    concepts: str | Path | Sequence[str] | Vocabulary | None = None
    """A concept file, words, or a vocabulary; None: the 171."""
    layers: str | int | float | Sequence[int] = "all"
    layer: int | None = None
    """The chosen layer; None: the sweep's choice when validated, else two thirds of the depth."""
    first_token: int = 50
    max_tokens: int | None = None
    batch_tokens: int | None = None
    """Positions fed at once; None: what suits the device."""
    format: Literal["raw", "chat"] = "raw"
    estimator: str = "means"
    """"means" or "probes"."""
    neutral_unit: Literal["tokens", "dialogues"] = "tokens"
    neutral_share: float = 0.5
    keep_texts: int = 4096
    memory_budget: int = 4 * 2**30
    topics: int = 100
    """Topics used when the model writes its own stories."""
    per_cell: int = 1
    """Stories per concept and topic when the model writes its own."""
    while_generating: bool = False
    """Take the moments in the pass that writes the stories, and report how far reading them again agrees."""
    validate: bool = True
    resume: bool = False
    seed: int = 0

    @property
    def folder(self) -> Path | None:
        """`out` as a path."""
        return None if self.out is None else Path(self.out)


@dataclass(frozen=True)
class CostEstimate:
    """What an extraction will take, measured on a few texts of the corpus."""

    texts: int
    tokens: int
    """Tokens to be fed."""
    seconds: float
    """Reading time on this machine, from a short measurement."""
    scatter_bytes: int
    """Exact neutral matrices."""
    sketched: bool
    """Whether they exceed the budget and become sketches."""
    spool_bytes: int
    """Per-text means on disk."""
    written_tokens: int = 0
    """Tokens to be generated when the model writes its own stories."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return dict(self.__dict__)


def run_folder(out: str | Path) -> Path:
    """Where a run keeps its state: beside the vector set, which stays exactly the artifact."""
    return Path(out).with_name(Path(out).name + ".run")


def settings_of(host: Host, options: ExtractOptions) -> ExtractionSettings:
    """Extraction settings for a model."""
    return ExtractionSettings(
        layers=host.resolve_layers(options.layers),
        first_token=options.first_token,
        max_tokens=options.max_tokens,
        batch_tokens=options.batch_tokens or host.batch_tokens,
        keep_texts=options.keep_texts,
        memory_budget=options.memory_budget,
        format="while_generating" if options.while_generating else options.format,
        seed=options.seed,
    )


def estimate_cost(
    host: Host, stories: TextSource | None, neutral: TextSource | None, options: ExtractOptions
) -> CostEstimate:
    """Estimate tokens, time and memory before anything long is started.

    Args:
        host: The model.
        stories: The corpus, or None when the model will write it.
        neutral: Neutral texts, or None for the shipped dialogues.
        options: As for `extract`.
    """
    settings = settings_of(host, options)
    calm = open_corpus(neutral if neutral is not None else neutral_dialogues())
    if stories is None:
        sample, count = [t.text for t in battery_texts()[:32]], len(resolve(options.concepts)) * options.topics
        count *= options.per_cell
    else:
        corpus = open_corpus(stories)
        sample, count = [text.text for text, _ in zip(corpus, range(32), strict=False)], corpus.count
    tokens = host.tokens_of(sample, longest=settings.max_tokens)
    mean = sum(map(len, tokens)) / max(len(tokens), 1)
    read = min(count, REREAD_STORIES) if options.while_generating else count
    fed = int(mean * (read + calm.count))
    exact = scatter_bytes(len(settings.layers), host.hidden_size)
    return CostEstimate(
        texts=count + calm.count,
        tokens=fed,
        seconds=fed / _tokens_per_second(host, tokens[:8], settings.layers),
        scatter_bytes=exact,
        sketched=exact > settings.memory_budget,
        spool_bytes=min(count, settings.keep_texts) * len(settings.layers) * host.hidden_size * 4,
        written_tokens=int(mean * count) if stories is None else 0,
    )


def _tokens_per_second(host: Host, tokens: Sequence[Any], layers: Sequence[int]) -> float:
    if not tokens:
        raise CorpusError("the corpus is empty, so nothing can be estimated")
    padded = pad(host, tokens)
    forward(host, padded, layers, lambda _, hidden: None)  # noqa: ARG005 - warm-up
    started = time.perf_counter()
    forward(host, padded, layers, lambda _, hidden: None)  # noqa: ARG005 - timing the pass alone
    if host.device.type == "cuda":
        torch.cuda.synchronize()
    return sum(map(len, tokens)) / max(time.perf_counter() - started, 1e-9)


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
        stories: Texts with `emotion` and `topic`; None lets the model write its own.
        neutral: Neutral texts; None takes the shipped dialogues.
        options: See `ExtractOptions`.
        progress: Called after every batch.

    Returns:
        The vector set; its card holds the quality figures.

    Raises:
        ThymosError: One of the errors of `thymos.errors`, each with what to do about it.
    """
    how = options or ExtractOptions()
    if how.estimator not in _ESTIMATORS:
        raise UsageError(f"unknown estimator {how.estimator!r}; valid: {', '.join(_ESTIMATORS)}")
    vocabulary = resolve(how.concepts)
    with _Workspace(how.folder) as workspace:
        calm = open_corpus(neutral if neutral is not None else neutral_dialogues())
        settings = settings_of(host, how)
        watch = Watch(workspace.run, how.resume, progress)
        if how.while_generating:
            job = _writing_job(stories, how, progress)
            collected, corpus = collect_while_generating(host, job, calm, vocabulary, settings, watch)
        else:
            corpus = (
                open_corpus(stories)
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
        raise UsageError(f"{host.name!r} is an encoder and cannot write stories; give some with --stories")
    path = workspace.run / "stories.jsonl"
    write_stories(host, vocabulary, _chosen_topics(how), _story_plan(how), path, progress)
    return open_corpus(path)


def _chosen_topics(how: ExtractOptions) -> tuple[str, ...]:
    shipped = topics()
    if not 1 <= how.topics <= len(shipped):
        raise UsageError(f"topics={how.topics}; valid: 1 to {len(shipped)}")
    return tuple(shipped[: how.topics])


def _story_plan(how: ExtractOptions) -> StoryPlan:
    return StoryPlan(
        per_cell=how.per_cell,
        seed=how.seed,
        sampling=Sampling(max_new_tokens=_STORY_TOKENS * how.per_cell, temperature=1.0, top_p=0.95),
        min_words=how.first_token,
    )


def _writing_job(stories: TextSource | None, how: ExtractOptions, progress: OnProgress | None) -> WritingJob:
    """What is written and read in one pass: bare stories, one per request."""
    if stories is not None or how.format != "raw":
        raise UsageError(
            "--while-generating reads the stories that the model writes, as it writes them: it takes no --stories and "
            f"no --format (got {how.format!r}); leave it out to read stories that are already there"
        )
    plan = _story_plan(how)
    longest = min(_STORY_TOKENS, how.max_tokens or _STORY_TOKENS)
    plan = replace(plan, per_request=1, bare=True, sampling=replace(plan.sampling, max_new_tokens=longest))
    return WritingJob(_chosen_topics(how), plan, progress)


def validate(
    host: Host,
    vectors: EmotionVectors,
    run: Path,
    *,
    concepts: str | Path | Sequence[str] | Vocabulary | None = None,
    settings: ValidationSettings | None = None,
) -> Validation:
    """Validate a vector set on the per-text means its extraction kept.

    Args:
        host: The model, for the logit lens.
        vectors: The set.
        run: The run folder of its extraction.
        concepts: Word forms for the logit lens.
        settings: Folds, seeds, resamples.

    Raises:
        ArtifactError: The run folder holds no means, or those of other layers.
    """
    vectors.check_model(host)
    means = TextMeans(run, vectors.layers, vectors.concepts, vectors.card.model.hidden_size)
    return validate_vectors(means, vectors, host=host, vocabulary=resolve(concepts), settings=settings)


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


def demo(out: Path, model: str = "minilm", *, seed: int = 0, progress: OnProgress | None = None) -> DemoResult:
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
        Report(vectors=vectors, validation=validation, geometry=geometry, readings=readings, reference=reference),
    )
    return DemoResult(vectors, validation, geometry, readings, reference, report, time.monotonic() - started)
