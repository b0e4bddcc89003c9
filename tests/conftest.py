"""Fixtures that several packages share: no network, one thread, tiny models built once."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import signal
import threading
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

from thymos.concepts import EMOTIONS
from thymos.models import Model, load, tiny_model
from thymos.texts import Corpus, Text, open_corpus
from thymos.vectors import EmotionVectors, ExtractionSettings, build_vectors, collect

torch.set_num_threads(1)

# Run in the background of a script, the tests would inherit an ignored Ctrl-C, and so would their subprocesses.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model_of() -> Callable[[str], Model]:
    """The tiny model of an architecture, built once. Tests must leave it as it was."""
    return cache(tiny_model)


@pytest.fixture(scope="session")
def tiny() -> Model:
    """A tiny random Llama. Tests must leave it as it was."""
    return tiny_model()


@pytest.fixture(scope="session")
def minilm() -> Model:
    """all-MiniLM-L6-v2: the one real network that is at hand without a download."""
    return load("minilm")


WORDS = (
    "the gate of a yard stood open while rain went over the roofs and somebody carried boxes up from the van to "
    "the third floor where a kettle sang and the radio named a winner nobody had asked about"
).split()


@pytest.fixture(scope="session")
def stories() -> Corpus:
    """Four concepts x six stories on three topics, 80-160 characters of words in an order of their own."""
    draw = np.random.default_rng(1)
    texts = []
    for number in range(24):
        words = draw.choice(WORDS, size=int(draw.integers(16, 30)))
        concept = ("happy", "sad", "calm", "angry")[number % 4]
        texts.append(Text(f"{words[0].title()} {concept[:2]} {' '.join(words)}.", concept, f"topic {number // 8}"))
    return open_corpus(texts)


@pytest.fixture(scope="session")
def neutral() -> Corpus:
    """Ten plain sentences without a concept."""
    draw = np.random.default_rng(2)
    return open_corpus([Text(" ".join(draw.choice(WORDS, size=int(draw.integers(10, 24))))) for _ in range(10)])


@pytest.fixture(scope="session")
def vectors_of(stories: Corpus, neutral: Corpus) -> Callable[[Model], EmotionVectors]:
    """The vector set of a model, from `stories` and `neutral`, at every layer."""

    @cache
    def make(model: Model) -> EmotionVectors:
        settings = ExtractionSettings(tuple(range(model.n_layers)), first_token=20)
        collected = collect(model, stories, neutral, EMOTIONS, settings)
        return build_vectors(model, collected, (stories, neutral), settings)

    return make


@pytest.fixture(scope="session")
def vectors(tiny: Model, vectors_of: Callable[[Model], EmotionVectors]) -> EmotionVectors:
    """The vector set of the tiny Llama."""
    return vectors_of(tiny)
