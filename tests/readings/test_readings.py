"""Readings are cosines, summed up and shown as what they are."""

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from thymos.errors import (
    ActivationError,
    CorpusError,
    FingerprintMismatchError,
    LayerError,
    UnknownConceptError,
    UsageError,
)
from thymos.models import Model, Sampling, Select, chat_tokens, generate, rows, tiny_model
from thymos.readings import Reading, ReadSettings, held_out_words, read, read_corpus, read_stream, score_tokens
from thymos.readings.reader import token_strings
from thymos.readings.score import probe_of
from thymos.texts import Text, open_corpus
from thymos.vectors import EmotionVectors

TEXT = "The gate stood open, and nobody came."
CHAT = [
    {"role": "user", "content": "Is the gate open?"},
    {"role": "assistant", "content": "It is open."},
    {"role": "user", "content": "Thank you, and good night."},
]
MULTIBYTE = "né 日本語 🙂 e\u0301 👩‍👩‍👧 — “naïve” ß"


def cosines(residual: np.ndarray, directions: np.ndarray) -> np.ndarray:
    residual = residual.astype(np.float64)
    return residual @ directions.T.astype(np.float64) / np.linalg.norm(residual, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def reading(tiny: Model, vectors: EmotionVectors) -> Reading:
    return read(tiny, vectors, TEXT, settings=ReadSettings(layers=(3, 1)))


@pytest.fixture(scope="module")
def chat_reading(tiny: Model, vectors: EmotionVectors) -> Reading:
    return read(tiny, vectors, CHAT)


def test_scores_are_cosines(tiny: Model, vectors: EmotionVectors, reading: Reading) -> None:
    """Of every fed token, BOS included, in the order of the layers, with the uncentred row."""
    assert reading.layers == (1, 3)
    assert reading.concepts == vectors.concepts
    assert reading.scores.dtype == np.float32
    assert len(reading) == len(TEXT) + 1
    residual = rows(tiny, tiny.tokens(TEXT), (1, 3))
    for place, layer in enumerate((1, 3)):
        expected = cosines(residual[place], vectors.directions(layer))
        np.testing.assert_allclose(reading.scores[:, place], expected, atol=1e-5)
        np.testing.assert_array_equal(reading.at(layer), reading.scores[:, place])
        np.testing.assert_array_equal(reading.of("calm", layer), reading.at(layer)[:, reading.concepts.index("calm")])
    assert reading.layer == 3, "the set's chosen layer was not read, so the highest one is summarised"


def test_the_chosen_layer_is_the_default(tiny: Model, vectors: EmotionVectors) -> None:
    found = read(tiny, vectors, TEXT)
    assert found.layers == (vectors.layer,)
    assert found.layer == vectors.layer
    assert read(tiny, vectors, TEXT, settings=ReadSettings(layers=(2, 2, 0))).layers == (0, 2)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("denoised", [False, True])
def test_settings(tiny: Model, vectors: EmotionVectors, centred: bool, denoised: bool) -> None:
    how = ReadSettings(layers=(2,), centred=centred, denoised=denoised, concepts=("sad", "calm"))
    found = read(tiny, vectors, TEXT, settings=how)
    part = vectors.at(2)
    directions = (part.vectors if denoised else part.raw)[[vectors.index("sad"), vectors.index("calm")]]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    residual = rows(tiny, tiny.tokens(TEXT), (2,))[0] - (part.mean if centred else 0)
    assert found.concepts == ("sad", "calm")
    assert (found.centred, found.denoised) == (centred, denoised)
    np.testing.assert_allclose(found.at(), cosines(residual, directions), atol=1e-5)


def test_summaries(reading: Reading) -> None:
    content = reading.at(3)[1:]
    np.testing.assert_allclose(reading.mean(), content.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(reading.mean(layer=1), reading.at(1)[1:].mean(axis=0), rtol=1e-5)
    order = np.argsort(-content.mean(axis=0))
    assert [name for name, _ in reading.top(2)] == [reading.concepts[i] for i in order[:2]]
    chosen = Select(chars=((4, 8),))
    np.testing.assert_allclose(reading.mean(chosen), reading.at(3)[5:9].mean(axis=0), rtol=1e-5)
    assert repr(reading).startswith(f"<Reading of {len(reading)} tokens, 4 concepts, layer 3: ")
    with pytest.raises(UsageError, match="no token of this text is selected"):
        reading.mean(Select(start_token=999))
    with pytest.raises(LayerError, match=r"layer 2 was not read; this reading holds \[1, 3\]"):
        reading.at(2)
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        reading.of("clam")


def test_a_reading_says_how_often_it_is_right(tiny: Model, vectors: EmotionVectors) -> None:
    assert read(tiny, vectors, TEXT).known == ""
    figures = {"recall_top1": {"value": 0.5}, "recall_top1_nested": {"value": 0.341, "chance": 0.25}}
    found = read(tiny, vectors.with_card(quality={"figures": figures}), TEXT)
    assert found.known == (
        f"the top concept is right in 34% of held-out texts ({len(vectors)} concepts, layer {vectors.layer}, 25% by "
        "chance)"
    )
    assert found.known in repr(found) and found.known in found._repr_html_() and found.known in found.to_json()
    assert found.known in found.to_html()
    for odd in ({"figures": 3}, {"figures": {"recall_top1": "high"}}, {"figures": {"recall_top1": {"value": None}}}):
        assert held_out_words(vectors.with_card(quality=odd)) == ""


def test_roles_and_turns(chat_reading: Reading) -> None:
    """Template tokens belong to no turn; a role is the mean over the tokens of all its turns."""
    spans = chat_reading.tokens.roles
    assert [(span.role, span.turn) for span in spans] == [("user", 0), ("assistant", 1), ("user", 2)]
    for span, message in zip(spans, CHAT, strict=True):
        assert "".join(chat_reading.token_strings[span.start : span.stop]) == message["content"]
    turns = chat_reading.by_turn()
    assert list(turns.columns) == ["turn", "role", *chat_reading.concepts]
    for row, span in enumerate(spans):
        expected = chat_reading.at()[span.start : span.stop].mean(axis=0)
        np.testing.assert_allclose(turns.loc[row, list(chat_reading.concepts)].astype(float), expected, rtol=1e-5)
    roles = chat_reading.by_role()
    assert list(roles.index) == ["user", "assistant"]
    both = np.concatenate([chat_reading.at()[spans[i].start : spans[i].stop] for i in (0, 2)])
    np.testing.assert_allclose(roles.loc["user"], both.mean(axis=0), rtol=1e-5)
    content = np.concatenate([chat_reading.at()[span.start : span.stop] for span in spans])
    np.testing.assert_allclose(chat_reading.mean(), content.mean(axis=0), rtol=1e-5)


def test_texts_without_roles(reading: Reading) -> None:
    assert reading.by_role().empty
    assert list(reading.by_turn().columns) == ["turn", "role", *reading.concepts]


@pytest.mark.parametrize("text", [TEXT, MULTIBYTE, " leading and  double spaces\n\ttabs", "a", "\n"])
def test_token_strings_join_to_the_text(tiny: Model, text: str) -> None:
    tokens = tiny.tokens(text)
    strings = token_strings(tiny, tokens)
    assert len(strings) == len(tokens)
    assert "".join(strings[1:]) == text


def test_token_strings_of_a_wordpiece_tokenizer(minilm: Model) -> None:
    text = " Né  unbelievably, x\n日本 end"
    tokens = minilm.tokens(text)
    strings = token_strings(minilm, tokens)
    assert (strings[0], strings[-1]) == ("[CLS]", "[SEP]")
    assert "".join(strings[1:-1]) == text


def test_token_strings_of_a_chat(tiny: Model) -> None:
    tokens = chat_tokens(tiny, [{"role": "user", "content": MULTIBYTE}], add_generation_prompt=False)
    assert "".join(token_strings(tiny, tokens)) == tokens.text


def test_token_strings_of_generated_tokens(tiny: Model) -> None:
    """Generated ids carry no offsets; characters of several bytes are still whole."""
    prompt = tiny.tokens("né")
    tokens = tiny.with_ids(prompt, tiny.tokens("日本🙂 x", add_special=False).ids.tolist())
    strings = token_strings(tiny, tokens)
    assert len(strings) == len(tokens)
    assert "".join(strings[1:]) == "né日本🙂 x"
    broken = tiny.with_ids(prompt, [*tiny.tokens("🙂ab").ids.tolist()[1:3], *tiny.tokens("ab").ids.tolist()[1:]])
    assert "".join(token_strings(tiny, broken)).endswith("ab")


def test_reading_a_generation_equals_its_own_scores(tiny: Model, vectors: EmotionVectors) -> None:
    """What a probe saw during generation is what a reading of the same tokens finds."""
    settings = ReadSettings(layers=(1, 2))
    found = generate(tiny, ["The gate"], Sampling(max_new_tokens=12), probe=probe_of(vectors, settings))[0]
    later = read(tiny, vectors, found.tokens, settings=settings)
    fed = len(found.tokens) - 1
    np.testing.assert_allclose(found.scores[:fed], later.scores[:fed], atol=1e-5)


@pytest.mark.parametrize("centred", [False, True])
def test_read_stream_equals_a_reading_afterwards(tiny: Model, vectors: EmotionVectors, centred: bool) -> None:
    """Each event carries the scores of the row that decided its token."""
    settings = ReadSettings(layers=(0, 3), centred=centred)
    conversation = CHAT[:1]
    events = list(read_stream(tiny, vectors, conversation, Sampling(max_new_tokens=10), settings=settings))
    prompt = chat_tokens(tiny, conversation)
    tokens = tiny.with_ids(prompt, [event.token_id for event in events])
    later = read(tiny, vectors, tokens, settings=settings)
    assert [event.index for event in events] == list(range(len(events)))
    for event in events:
        position = len(prompt) - 1 + event.index
        np.testing.assert_allclose(event.scores, later.scores[position], atol=1e-5)


def test_read_corpus_equals_read(tiny: Model, vectors: EmotionVectors, stories) -> None:
    """In the corpus's own order, whatever the batches."""
    settings = ReadSettings(layers=(1, 2))
    found = list(read_corpus(tiny, vectors, stories, settings=settings))
    assert [text.text for text, _ in found] == [text.text for text in stories]
    for text, reading in found[::5]:
        alone = read(tiny, vectors, text.text, settings=settings)
        assert reading.token_strings == alone.token_strings
        np.testing.assert_allclose(reading.scores, alone.scores, atol=1e-5)


def test_read_corpus_is_lazy(tiny: Model, vectors: EmotionVectors) -> None:
    seen = []

    def texts():
        for number in range(100_000):
            seen.append(number)
            yield Text(f"text {number}")

    first = next(read_corpus(tiny, vectors, open_corpus(texts)))
    assert first[0].text == "text 0"
    assert len(seen) < 1000


def test_batches_do_not_matter(tiny: Model, vectors: EmotionVectors) -> None:
    texts = [tiny.tokens("x" * n) for n in (3, 40, 7, 12)]
    probe = probe_of(vectors)
    alone = dict(score_tokens(tiny, probe, texts, batch_tokens=1))
    together = dict(score_tokens(tiny, probe, texts, batch_tokens=10_000))
    assert set(alone) == set(together) == {0, 1, 2, 3}
    for index in alone:
        np.testing.assert_allclose(alone[index], together[index], atol=1e-5)


def test_frames(chat_reading: Reading) -> None:
    frame = chat_reading.to_frame()
    seq, layers, concepts = chat_reading.scores.shape
    assert len(frame) == seq * layers * concepts
    assert list(frame.columns) == ["position", "token", "role", "special", "layer", "concept", "score"]
    back = frame.score.to_numpy().reshape(seq, layers, concepts)
    np.testing.assert_array_equal(back, chat_reading.scores)
    one = frame[(frame.position == 8) & (frame.concept == "sad")].iloc[0]
    assert one.score == chat_reading.of("sad")[8]
    assert one.token == chat_reading.token_strings[8]
    assert one.role == chat_reading.tokens.role_of(8)
    assert frame[frame.special].role.isna().all()
    means = frame[frame.role == "assistant"].groupby("concept").score.mean()
    np.testing.assert_allclose(means["calm"], chat_reading.by_role().loc["assistant", "calm"], rtol=1e-5)


def test_json(chat_reading: Reading) -> None:
    found = json.loads(chat_reading.to_json())
    assert found["concepts"] == list(chat_reading.concepts)
    assert found["layers"] == [chat_reading.layer]
    assert found["token_ids"] == chat_reading.tokens.ids.tolist()
    assert "".join(found["tokens"]) == chat_reading.tokens.text
    assert found["roles"].count("assistant") == len("It is open.")
    np.testing.assert_allclose(found["scores"], chat_reading.scores, atol=1e-6)
    assert found["top"][0]["concept"] == chat_reading.top(1)[0][0]
    assert (found["unit"], found["reference"]) == ("cosine", None)


def test_html(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    """Stands alone, shows every word, and runs nothing that a text says."""
    evil = "<script>alert('x')</script> & \"quoted\""
    page = read(tiny, vectors, evil).to_html(tmp_path / "reading.html", concept="calm")
    assert (tmp_path / "reading.html").read_text(encoding="utf-8") == page
    assert page.startswith("<!doctype html>")
    assert "<script>alert" not in page
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "calm" in page
    assert "prefers-color-scheme" in page or "light-dark(" in page
    fragment = read(tiny, vectors, evil)._repr_html_()
    assert "<html" not in fragment
    assert "aria-" in fragment or "role=" in fragment or "<table" in fragment


def test_terminal(chat_reading: Reading) -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"), force_terminal=False)  # noqa: SIM115
    console.print(chat_reading)
    console.file.close()
    shown = console.export_text()
    top = chat_reading.top(5)
    assert "Top concepts" in shown
    assert all(f"{value:+.4f}" in shown for _, value in top)
    assert "mean cosine" in shown


def test_timeline(chat_reading: Reading) -> None:
    chart = chat_reading.timeline(["calm", "sad"])
    text = json.dumps(chart.to_dict())  # type: ignore[attr-defined]
    assert "calm" in text
    assert "sad" in text
    assert chat_reading.timeline() is not None


def test_what_cannot_be_read(tiny: Model, vectors: EmotionVectors, model_of, minilm: Model) -> None:
    with pytest.raises(CorpusError, match="text is empty"):
        read(tiny_model("gpt2"), vectors, "", allow_mismatch=True)
    with pytest.raises(LayerError, match="layer 9 is not in this vector set"):
        read(tiny, vectors, TEXT, settings=ReadSettings(layers=(9,)))
    with pytest.raises(UnknownConceptError, match="did you mean 'happy'"):
        read(tiny, vectors, TEXT, settings=ReadSettings(concepts=("hapy",)))
    other = tiny_model(seed=1)
    for attempt in (
        lambda: read(other, vectors, TEXT),
        lambda: next(read_corpus(other, vectors, open_corpus(["x"]))),
        lambda: next(read_stream(other, vectors, "x")),
    ):
        with pytest.raises(FingerprintMismatchError, match=f"{tiny.fingerprint}.*{other.fingerprint}"):
            attempt()
    assert len(read(other, vectors, TEXT, allow_mismatch=True)) == len(TEXT) + 1
    with pytest.raises(FingerprintMismatchError, match="hidden size"):
        read(minilm, vectors, TEXT, allow_mismatch=True)


def test_residuals_that_are_not_finite(vectors: EmotionVectors) -> None:
    model = tiny_model()
    model.network.model.embed_tokens.weight.data[ord("z") - ord("!")] = math.nan
    with pytest.raises(ActivationError, match="gives NaN or infinite readings; load it with dtype=float32"):
        read(model, vectors, "zzz", allow_mismatch=True)


def test_the_demo_network_is_read_too(minilm: Model, vectors_of) -> None:
    """An encoder is read like any other network."""
    found = read(minilm, vectors_of(minilm), "Né, the gate stood open.")
    assert found.tokens.special[[0, -1]].all()
    assert isinstance(found.to_frame(), pd.DataFrame)
    residual = rows(minilm, found.tokens, (found.layer,))[0]
    np.testing.assert_allclose(found.at(), cosines(residual, vectors_of(minilm).directions(found.layer)), atol=1e-5)


@pytest.mark.parametrize("source", ["", " \n", [{"role": "user", "content": ""}]])
def test_an_empty_text_is_refused(tiny: Model, vectors: EmotionVectors, source: str | list[dict[str, str]]) -> None:
    with pytest.raises(CorpusError, match="the text is empty: it has no tokens to read"):
        read(tiny, vectors, source)


def test_tokens_without_text_can_be_shown(tiny: Model, vectors: EmotionVectors) -> None:
    reading = read(tiny, vectors, tiny.tokens(""))
    assert repr(reading).endswith("no text>")
    console = Console(record=True, file=io.StringIO())
    console.print(reading)
    assert vectors.concepts[0] in reading.heatmap() and "Top concepts" in console.export_text()
