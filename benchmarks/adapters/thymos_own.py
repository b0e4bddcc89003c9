"""thymos itself, with the marks it has to reach."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.adapters import Loaded
from benchmarks.subject import FIRST_TOKEN, Shape, directions
from benchmarks.timing import Mark, Variant
from thymos.concepts import EMOTIONS
from thymos.models import (
    DEFAULT_BATCH_TOKENS,
    Add,
    Model,
    Probe,
    Sampling,
    Span,
    Tokens,
    forward,
    generate,
    pad,
    plan_batches,
    text_means,
)
from thymos.models import capture as capturing
from thymos.texts import Text, open_corpus
from thymos.vectors import BuildSettings, Collected, ExtractionSettings, Progress, Watch, build_vectors, collect
from thymos.vectors.checkpoint import Keeper

# The step that extraction itself takes for every batch of stories, timed alone, on a batch of exactly 8 x 256.
from thymos.vectors.extraction import Runner, nothing_yet
from thymos.vectors.plan import Batch, Tally

STRENGTH = 0.05


def wrap(loaded: Loaded) -> Model:
    return Model.wrap(loaded.network, loaded.tokenizer, name="random llama")


def tokens_of(ids: Tensor) -> list[Tokens]:
    rows = ids.numpy().astype(np.int32)
    return [Tokens(ids=row, special=np.zeros(row.shape[0], bool)) for row in rows]


def capture(loaded: Loaded, ids: Tensor) -> list[Variant]:
    host = wrap(loaded)
    layer = host.layer_at(2 / 3)
    batch = pad(host, tokens_of(ids))
    kept: dict[int, Tensor] = {}

    def one_layer() -> object:
        forward(host, batch, [layer], kept.__setitem__)
        return kept[layer]

    def in_a_context() -> object:
        with torch.inference_mode(), capturing(host, layer, stop=True) as got:
            host.network(ids)
        return got[layer]

    return [
        Variant("thymos capture, one layer at 2/3, early exit", one_layer, Mark(0.62)),
        Variant("thymos `with capture(..., stop=True)`", in_a_context, Mark(0.62)),
        Variant("thymos, all layers into story moments", _story_moments(host, tokens_of(ids)), Mark(1.05)),
    ]


def _story_moments(host: Model, tokens: Sequence[Tokens]) -> Callable[[], object]:
    settings = ExtractionSettings(layers=host.resolve_layers("all"), first_token=5)
    found: Collected = nothing_yet(host, EMOTIONS.words, settings)
    runner = Runner(host, settings, found, Keeper(None, found), None)
    texts = tuple(Text("", emotion=EMOTIONS.words[number % len(EMOTIONS)]) for number in range(len(tokens)))
    batch = Batch(texts, tuple(range(len(tokens))), tuple(tokens), (0, 1))
    labels = np.asarray([EMOTIONS.index(str(text.emotion)) for text in texts], np.int64)

    def run() -> None:
        means, _ = runner._means(batch, Tally())
        found.stories.add(means, labels)

    return run


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    host = wrap(loaded)
    layer = host.layer_at(2 / 3)
    prompts, how = tokens_of(ids), Sampling(max_new_tokens=new_tokens)
    vector, probes = directions(loaded.shape, 1)[0], directions(loaded.shape, len(EMOTIONS), seed=1)
    steering = Add({layer: vector}, STRENGTH, {layer: 10.0})
    probe = Probe({layer: probes}, {layer: np.zeros(loaded.shape.hidden, np.float32)})
    return [
        Variant("thymos generate", lambda: generate(host, prompts, how), Mark()),
        Variant("thymos, one vector added", lambda: generate(host, prompts, how, interventions=[steering]), Mark()),
        Variant("thymos, 171 readings per token", lambda: generate(host, prompts, how, probe=probe), Mark(1.02)),
        Variant(
            "thymos, vector and readings",
            lambda: generate(host, prompts, how, interventions=[steering], probe=probe),
        ),
    ]


@dataclass
class CorpusRun:
    """One run of thymos over a corpus."""

    stories: tuple[float, float]
    """Wall and CPU seconds from texts to concept directions, without the neutral pass and without denoising."""
    neutral: float
    """Wall seconds of the neutral pass."""
    denoise: float
    """Wall seconds of finding and removing neutral components at all layers, and of the card."""
    tokens: int
    neutral_tokens: int
    flops: float
    """Operations of the network for the stories, padding not counted."""


def labelled(texts: Sequence[str]) -> list[Text]:
    """Concepts in turn; never so many that a concept has fewer than two texts."""
    names = EMOTIONS.words[: max(2, min(len(EMOTIONS), len(texts) // 4))]
    return [Text(text, emotion=names[number % len(names)]) for number, text in enumerate(texts)]


def corpus_run(host: Model, texts: Sequence[str], neutral: Sequence[str], batch_tokens: int) -> CorpusRun:
    stories, calm = open_corpus(labelled(texts)), open_corpus([Text(text) for text in neutral])
    settings = _settings(host, batch_tokens)
    ends: dict[str, tuple[float, float]] = {}

    def watch(progress: Progress) -> None:
        ends[progress.stage] = (time.perf_counter(), time.process_time())

    begun = (time.perf_counter(), time.process_time())
    found = collect(host, stories, calm, EMOTIONS, settings, Watch(progress=watch))
    collected = (time.perf_counter(), time.process_time())
    build_vectors(host, found, (stories, calm), settings, BuildSettings(neutral_share=0.0))
    centred = (time.perf_counter(), time.process_time())
    build_vectors(host, found, (stories, calm), settings)
    denoised = time.perf_counter()
    wall, cpu = (ends["stories"][i] - begun[i] + centred[i] - collected[i] for i in (0, 1))
    return CorpusRun(
        stories=(wall, cpu),
        neutral=collected[0] - ends["stories"][0],
        denoise=denoised - centred[0],
        tokens=found.tallies["stories"].fed,
        neutral_tokens=found.tallies["neutral"].fed,
        flops=Shape.like(host.network.config).flops([len(text.split()) + 1 for text in texts]),
    )


def _settings(host: Model, batch_tokens: int) -> ExtractionSettings:
    return ExtractionSettings(
        layers=host.resolve_layers("all"), first_token=FIRST_TOKEN, batch_tokens=batch_tokens or DEFAULT_BATCH_TOKENS
    )


def means(host: Model, texts: Sequence[str]) -> np.ndarray:
    """[texts, layers, hidden] text means, as extraction takes them."""
    settings = _settings(host, 0)
    return text_means(host, host.tokens_of(list(texts)), settings.layers, Span(settings.story_select))


def plan(texts: Sequence[str], batch_tokens: int) -> list[list[int]]:
    """Batches that extraction makes of these texts, as indices."""
    shard, found = ExtractionSettings(layers=(0,)).shard_texts, list[list[int]]()
    for start in range(0, len(texts), shard):
        lengths = [len(text.split()) + 1 for text in texts[start : start + shard]]
        batches = plan_batches(lengths, batch_tokens or DEFAULT_BATCH_TOKENS)
        found += [[start + index for index in batch] for batch in batches]
    return found


def packed_bare(host: Model, texts: Sequence[str], batch_tokens: int) -> Callable[[], object]:
    """A headless forward over the very batches that extraction makes of these texts, already padded."""
    tokens = host.tokens_of(list(texts))
    batches = [pad(host, [tokens[index] for index in batch]).ids for batch in plan(texts, batch_tokens)]

    def run() -> None:
        with torch.inference_mode():
            for ids in batches:
                host.backbone(input_ids=ids, use_cache=False)

    return run
