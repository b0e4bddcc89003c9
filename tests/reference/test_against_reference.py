"""What thymos extracts is what the paper says: against a literal transcription, in every batching."""

from collections.abc import Sequence

import numpy as np
import pytest

from reference import emotion_vectors
from thymos.concepts import EMOTIONS
from thymos.models import Model
from thymos.texts import Corpus, battery_texts, neutral_dialogues, open_corpus
from thymos.vectors import EmotionVectors, ExtractionSettings, build_vectors, collect, merge

DECODERS = {"llama": "model.layers", "gpt2": "transformer.h", "gemma2": "model.layers"}
BATCHINGS = [("right", 1), ("right", 300), ("right", 4096), ("left", 1), ("left", 300), ("left", 4096)]


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def extracted(model: Model, stories: Corpus, neutral: Corpus, **settings: object) -> EmotionVectors:
    how = ExtractionSettings(tuple(range(model.n_layers)), **settings)  # type: ignore[arg-type]
    return build_vectors(model, collect(model, stories, neutral, EMOTIONS, how), (stories, neutral), how)


def assert_equal(found: EmotionVectors, expected: Sequence[dict[str, object]], order: list[str]) -> None:
    rows = [order.index(concept) for concept in found.concepts]
    assert len(expected) == len(found.layers)
    for layer, truth in enumerate(expected):
        mine = found.at(layer)
        assert mine.neutral.shape[0] == truth["k"], f"layer {layer}"
        assert cosines(mine.vectors, truth["vectors"][rows]).min() >= 0.9999, f"layer {layer}"
        assert cosines(mine.raw, truth["raw"][rows]).min() >= 0.9999, f"layer {layer}"
        np.testing.assert_allclose(mine.raw, truth["raw"][rows], atol=1e-3 * np.abs(truth["raw"]).max())
        np.testing.assert_allclose(mine.mean, truth["mean"], atol=1e-4 * np.abs(truth["mean"]).max())
        assert mine.norm == pytest.approx(truth["norm"], rel=1e-5)
        np.testing.assert_allclose(np.linalg.norm(mine.vectors, axis=1), 1.0, atol=1e-6)


def reference_of(model: Model, path: str, stories: Corpus, neutral: Corpus, first_token: int) -> tuple[list, list[str]]:
    pairs = [(text.text, text.emotion) for text in stories]
    plain = [text.text for text in neutral]
    order = list(dict.fromkeys(concept for _, concept in pairs))
    return emotion_vectors(model.network, path, model.tokenizer, pairs, plain, first_token), order


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request, model_of, stories, neutral):
    model = model_of(request.param)
    return model, *reference_of(model, DECODERS[request.param], stories, neutral, 30)


@pytest.mark.parametrize(("side", "batch_tokens"), BATCHINGS)
def test_tiny_decoders_equal_the_reference(decoder, stories, neutral, side: str, batch_tokens: int) -> None:
    model, truth, order = decoder
    found = extracted(model, stories, neutral, first_token=30, batch_tokens=batch_tokens, padding_side=side)
    assert_equal(found, truth, order)


@pytest.fixture(scope="module")
def some_of_the_battery() -> tuple[Corpus, Corpus]:
    texts = battery_texts()
    concepts = list(dict.fromkeys(text.emotion for text in texts))[::6]
    topics = list(dict.fromkeys(text.topic for text in texts))[:4]
    chosen = [text for text in texts if text.emotion in concepts and text.topic in topics]
    return open_corpus(chosen), open_corpus(neutral_dialogues()[:16])


@pytest.fixture(scope="module")
def minilm_truth(minilm, some_of_the_battery):
    return reference_of(minilm, "encoder.layer", *some_of_the_battery, 20)


@pytest.mark.parametrize(("side", "batch_tokens"), [("right", 1), ("right", 1000), ("left", 1000)])
def test_minilm_equals_the_reference(minilm, minilm_truth, some_of_the_battery, side: str, batch_tokens: int) -> None:
    found = extracted(minilm, *some_of_the_battery, first_token=20, batch_tokens=batch_tokens, padding_side=side)
    assert_equal(found, *minilm_truth)


@pytest.mark.parametrize("shards", [1, 2, 5])
@pytest.mark.parametrize("cut", ["shard", "slice"])
def test_merged_shards_equal_one_run(model_of, stories, neutral, shards: int, cut: str) -> None:
    model = model_of("llama")
    layers = tuple(range(model.n_layers))
    how = ExtractionSettings(layers, first_token=20)
    whole = build_vectors(model, collect(model, stories, neutral, EMOTIONS, how), (stories, neutral), how)

    def part(corpus: Corpus, index: int) -> Corpus:
        if cut == "shard":
            return corpus.shard(index, shards)
        edges = np.linspace(0, corpus.count, shards + 1).round().astype(int)
        return corpus.slice(int(edges[index]), int(edges[index + 1]))

    # Every second text is of two concepts alone, so that parts lack concepts.
    some, partly = EMOTIONS.subset(whole.concepts), ExtractionSettings(layers, first_token=20, part=True)
    parts = [collect(model, part(stories, i), part(neutral, i), some, partly) for i in range(shards)]
    merged = merge(parts)
    found = build_vectors(model, merged, (stories, neutral), how)
    assert found.card.counts == whole.card.counts
    assert found.card.stories == whole.card.stories
    assert found.card.neutral == whole.card.neutral
    for layer in whole.layers:
        assert cosines(found.directions(layer), whole.directions(layer)).min() >= 0.999999
        assert found.at(layer).neutral.shape == whole.at(layer).neutral.shape
        assert found.at(layer).norm == pytest.approx(whole.at(layer).norm, rel=1e-6)


def test_dialogue_means_are_the_other_unit(model_of, stories, neutral) -> None:
    """K of the unit that was not used is reported, and using it gives that K."""
    model = model_of("llama")
    how = ExtractionSettings(tuple(range(model.n_layers)), first_token=20)
    collected = collect(model, stories, neutral, EMOTIONS, how)
    by_tokens = build_vectors(model, collected, (stories, neutral), how).card.denoise
    means = collected.dialogues
    assert means.count == neutral.count
    for layer in range(model.n_layers):
        values = np.linalg.eigvalsh(means.scatters[layer].matrix().numpy())[::-1]
        share = values.cumsum() / values.sum()
        assert by_tokens.alternative[layer] == int((share < 0.5).sum()) + 1
        assert 0 < by_tokens.agreement[layer] <= 1
