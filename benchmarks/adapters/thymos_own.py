"""thymos itself, with the marks it has to reach."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.adapters import Loaded
from benchmarks.subject import FIRST_TOKEN, directions
from benchmarks.timing import Mark, Variant
from thymos.concepts import EMOTIONS
from thymos.models import Add, Model, Probe, Sampling, Tokens, forward, generate, pad, plan_batches
from thymos.models import capture as capturing
from thymos.texts import Text, open_corpus
from thymos.vectors import BuildSettings, Collected, ExtractionSettings, Progress, Watch, build_vectors, collect
from thymos.vectors.checkpoint import Keeper

# The step that extraction itself takes for every batch of stories; timed alone here, so that a batch is exactly 8 x 256.
from thymos.vectors.extraction import _nothing_yet, _Runner
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

    def in_a_context() -> object:
        with torch.inference_mode(), capturing(host, layer, stop=True) as got:
            host.network(ids)
        return got[layer]

    return [
        Variant(
            "thymos capture, one layer at 2/3, early exit",
            lambda: forward(host, batch, [layer], kept.__setitem__),
            Mark(0.62),
        ),
        Variant("thymos `with capture(..., stop=True)`", in_a_context, Mark(0.62)),
        Variant("thymos, all layers into story moments", _story_moments(host, tokens_of(ids)), Mark(1.05)),
    ]


def _story_moments(host: Model, tokens: Sequence[Tokens]) -> Any:
    settings = ExtractionSettings(layers=host.resolve_layers("all"), first_token=5)
    found: Collected = _nothing_yet(host, EMOTIONS.words, settings)
    runner = _Runner(host, settings, found, Keeper(None, found), None)
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
    waste: float
    """Share of fed positions that are padding."""
    raw: np.ndarray = field(repr=False)
    """[layers, concepts, hidden] directions before denoising."""


def labelled(texts: Sequence[str]) -> list[Text]:
    """Concepts in turn; never so many that a concept has fewer than two texts."""
    names = EMOTIONS.words[: max(2, min(len(EMOTIONS), len(texts) // 4))]
    return [Text(text, emotion=names[number % len(names)]) for number, text in enumerate(texts)]


def corpus_run(host: Model, texts: Sequence[str], neutral: Sequence[str]) -> CorpusRun:
    stories, calm = open_corpus(labelled(texts)), open_corpus([Text(text) for text in neutral])
    settings = ExtractionSettings(layers=host.resolve_layers("all"), first_token=FIRST_TOKEN)
    ends: dict[str, tuple[float, float]] = {}

    def watch(progress: Progress) -> None:
        ends[progress.stage] = (time.perf_counter(), time.process_time())

    begun = (time.perf_counter(), time.process_time())
    found = collect(host, stories, calm, EMOTIONS, settings, Watch(progress=watch))
    collected = (time.perf_counter(), time.process_time())
    plain = build_vectors(host, found, (stories, calm), settings, BuildSettings(neutral_share=0.0))
    centred = (time.perf_counter(), time.process_time())
    build_vectors(host, found, (stories, calm), settings)
    denoised = time.perf_counter()
    wall, cpu = (ends["stories"][i] - begun[i] + centred[i] - collected[i] for i in (0, 1))
    tally = found.tallies["stories"]
    return CorpusRun(
        stories=(wall, cpu),
        neutral=collected[0] - ends["stories"][0],
        denoise=denoised - centred[0],
        tokens=tally.fed,
        neutral_tokens=found.tallies["neutral"].fed,
        waste=1 - tally.fed / tally.padded,
        raw=np.stack([plain.raw(layer) for layer in settings.layers]),
    )


def packed_bare(host: Model, texts: Sequence[str]) -> Any:
    """A headless forward over the very batches that extraction makes of these texts, already padded."""
    tokens = host.tokens_of(list(texts))
    shard, size = ExtractionSettings(layers=(0,)).shard_texts, ExtractionSettings(layers=(0,)).batch_tokens
    batches = []
    for start in range(0, len(tokens), shard):
        part = tokens[start : start + shard]
        batches += [
            pad(host, [part[row] for row in plan]).ids for plan in plan_batches([len(t) for t in part], size)
        ]

    def run() -> None:
        with torch.inference_mode():
            for ids in batches:
                host.backbone(input_ids=ids, use_cache=False)

    return run
