"""Corpora, labels and activations that cannot become vectors, and what the user is told."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from thymos.concepts import EMOTIONS
from thymos.errors import ActivationError, ArtifactError, CorpusError, UnknownConceptError, UsageError
from thymos.models import Model, tiny_model
from thymos.texts import Corpus, Text, open_corpus
from thymos.vectors import (
    Collected,
    ExtractionSettings,
    build_vectors,
    collect,
    concepts_in,
    extraction,
    merge,
)

LONG = "this text goes on for long enough to be used, whatever the number"
LABELLED = [Text(f"{LONG} {i}", ("calm", "happy")[i % 2]) for i in range(6)]
PLAIN = [Text(f"{LONG} {i} and plain") for i in range(4)]


def run(model: Model, stories: list[Text], neutral: list[Text] = PLAIN, **settings: object) -> Collected:
    how = ExtractionSettings(**{"layers": (0, 3), "first_token": 20, **settings})  # type: ignore[arg-type]
    return collect(model, open_corpus(stories), open_corpus(neutral), EMOTIONS, how)


def test_an_empty_corpus(tiny: Model) -> None:
    with pytest.raises(CorpusError, match="texts in memory holds no texts; give at least one"):
        run(tiny, [])
    with pytest.raises(CorpusError, match="texts in memory holds no texts"):
        run(tiny, LABELLED, [])


def test_no_labels_at_all(tiny: Model) -> None:
    with pytest.raises(CorpusError, match="no text in texts in memory has an `emotion`"):
        run(tiny, PLAIN)


def test_an_unknown_concept(tiny: Model) -> None:
    with pytest.raises(
        UnknownConceptError, match="unknown concept 'hapy' .*did you mean 'happy'.*concept file, given with --concepts"
    ):
        run(tiny, [*LABELLED, Text(LONG, "hapy"), Text(LONG, "hapy")])


def test_a_concept_with_one_story(tiny: Model) -> None:
    with pytest.raises(
        CorpusError, match=r"1 concept\(s\) in texts in memory have fewer than 2 stories: 'sad' \(1\); add stories"
    ):
        run(tiny, [*LABELLED, Text(LONG, "sad")])
    with pytest.raises(CorpusError, match="fewer than 4 stories"):
        run(tiny, LABELLED, min_stories=4)


def test_every_text_shorter_than_the_first_token(tiny: Model) -> None:
    with pytest.raises(CorpusError, match=r"none of the 6 texts in .* reaches token 500; lower --start-token"):
        run(tiny, LABELLED, first_token=500)
    with pytest.raises(UsageError, match="start_token counts from 1, got 0"):
        run(tiny, LABELLED, first_token=0)


def test_one_concept_shorter_than_the_first_token(tiny: Model) -> None:
    short = [Text("short", "sad"), Text("brief", "sad")]
    with pytest.raises(CorpusError, match="no story of sad reaches token 20; lower --start-token or give longer"):
        run(tiny, [*LABELLED, *short])


@pytest.mark.parametrize(("count", "seen"), [(1, 1), (3, 0)])
def test_too_few_neutral_texts(tiny: Model, count: int, seen: int) -> None:
    neutral = PLAIN[:1] if count == 1 else [Text("abc")] * 3  # three tokens: neutral texts are used from the fifth
    with pytest.raises(CorpusError, match=rf"has {seen} usable neutral text\(s\); at least 2 are needed"):
        run(tiny, LABELLED, neutral)


def test_a_single_concept_has_no_direction(tiny: Model) -> None:
    collected = run(tiny, [text for text in LABELLED if text.emotion == "calm"])
    settings, corpora = ExtractionSettings((0, 3)), (open_corpus(LABELLED), open_corpus(PLAIN))
    with pytest.raises(CorpusError, match="the direction of 'calm' is zero"):
        build_vectors(tiny, collected, corpora, settings)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite(value: float) -> None:
    """The message names the first bad layer; layers below it can still be used."""
    model = tiny_model()
    with torch.no_grad():
        model.network.model.layers[2].mlp.down_proj.weight[0, 0] = value
    with pytest.raises(
        ActivationError, match=r"stream of 'tiny-llama' holds NaN or infinity at layer 2 .*dtype=float32.*leave that"
    ):
        run(model, LABELLED, layers=(0, 1, 2, 3))
    assert run(model, LABELLED, layers=(0, 1)).tallies["stories"].used == 6


def test_neutral_activations_that_are_not_finite(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = extraction.masked_means, []

    def masked_means(hidden: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return plain(hidden, weights) * (float("nan") if len(calls) == 4 else 1.0)

    monkeypatch.setattr(extraction, "masked_means", masked_means)
    with pytest.raises(ActivationError, match="holds NaN or infinity at layer 3 "):
        run(tiny, LABELLED)


def test_unlabelled_and_short_texts_are_counted_and_noted(tiny: Model) -> None:
    stories = [*LABELLED, Text("tiny", "calm"), *PLAIN]
    collected = run(tiny, stories)
    tally = collected.tallies["stories"]
    assert (tally.seen, tally.used, tally.short, tally.unlabelled) == (11, 6, 1, 4)
    assert collected.stories.counts.tolist() == [3, 3]
    settings = ExtractionSettings((0, 3), first_token=20)
    card = build_vectors(tiny, collected, (open_corpus(stories), open_corpus(PLAIN)), settings).card
    assert card.notes == (
        "1 stories were too short and were left out",
        "4 texts had no emotion label and were left out",
    )


def test_concepts_come_in_the_vocabularys_order() -> None:
    corpus = open_corpus([Text(LONG, concept) for concept in ("sad", "angry", "calm") * 2])
    expected = tuple(word for word in EMOTIONS.words if word in ("sad", "angry", "calm"))
    assert concepts_in(corpus, EMOTIONS) == expected


def test_parts_that_do_not_fit(tiny: Model) -> None:
    whole = run(tiny, LABELLED)
    other = run(tiny, [Text(text.text, {"calm": "sad"}.get(str(text.emotion), text.emotion)) for text in LABELLED])
    with pytest.raises(ArtifactError, match="different concepts cannot be merged; .*same --concepts"):
        merge([whole, other])
    narrow = tiny_model(hidden=16)
    with pytest.raises(ArtifactError, match="cannot be merged"):
        merge([whole, run(narrow, LABELLED)])
    with pytest.raises(ArtifactError, match="no parts"):
        merge([])


def test_merged_parts_that_leave_a_concept_empty(tiny: Model) -> None:
    some = EMOTIONS.subset(("calm", "happy", "sad"))
    how = ExtractionSettings((0, 3), first_token=20, part=True)
    corpora = (open_corpus(LABELLED), open_corpus(PLAIN))
    parts = [collect(tiny, corpora[0].shard(i, 2), corpora[1].shard(i, 2), some, how) for i in range(2)]
    with pytest.raises(CorpusError, match=r"no part of the corpus has a usable story of sad \(1 concept\(s\)\)"):
        build_vectors(tiny, merge(parts), corpora, how)


def test_story_format(tiny: Model, model_of) -> None:
    """As the assistant's answer in a chat, only the answer's tokens count, and the first token is counted there."""
    how = {"first_token": 3, "min_stories": 1}
    texts = [Text("abcdef", "calm", "a topic"), Text("ghijkl", "happy", "a topic")]
    raw, chat = run(tiny, texts, **how), run(tiny, texts, **how, format="chat")
    assert raw.tallies["stories"].tokens == chat.tallies["stories"].tokens == 8
    assert chat.tallies["stories"].fed > raw.tallies["stories"].fed
    assert np.abs(raw.stories.sums - chat.stories.sums).max() > 1e-3


def test_long_texts_are_cut(tiny: Model) -> None:
    collected = run(tiny, LABELLED, max_tokens=30)
    assert collected.tallies["stories"].tokens == 6 * (30 - 1 - 19)


def test_sketches_stand_in_for_large_matrices(tiny: Model, stories: Corpus, neutral: Corpus) -> None:
    exact = ExtractionSettings((1, 2), first_token=20)
    sketched = ExtractionSettings((1, 2), first_token=20, memory_budget=1000)
    corpora = (stories, neutral)
    a, b = (build_vectors(tiny, collect(tiny, *corpora, EMOTIONS, how), corpora, how) for how in (exact, sketched))
    assert a.card.denoise.sketch is None
    assert b.card.denoise.sketch == 64
    assert "neutral components come from a sketch of 64 rows (memory budget)" in b.card.notes
    for layer in (1, 2):
        assert (a.directions(layer) * b.directions(layer)).sum(axis=1).min() > 0.99
        assert a.at(layer).norm == pytest.approx(b.at(layer).norm)


def test_memory_does_not_grow_with_the_corpus() -> None:
    """Keeping anything of a text (150 bytes at the least) would show.

    In a process of its own: the shape checks that run in tests remember every shape they have seen.
    """
    script = Path(__file__).with_name("held_memory.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert large - small < 60 * 400, (small, large)
