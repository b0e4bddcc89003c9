"""The demo on a model of the world: mechanics and honesty, on a random network that reads words and writes nothing."""

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from thymos.concepts import Vocabulary
from thymos.errors import UsageError
from thymos.models import Model, load, tiny_model
from thymos.organism import build_tokenizer, open_world
from thymos.organism.release import write_wording
from thymos.organism.stories import story
from thymos.texts import Text, WriteProgress, own_wording, write_texts
from thymos.vectors import EmotionVectors
from thymos.workflows import DEMO_NOTE, DemoSize, DemoWatch, PlantedDemo, demo, main_line, run_folder
from thymos.workflows.demo_texts import exhibits, tokens_of

SIZE = DemoSize(topics=3, held_out=3, points=6, randoms=5)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random network that knows the world's words; its folder brings the world's wording."""
    folder = tmp_path_factory.mktemp("organism")
    tokenizer = build_tokenizer(open_world(), documents_per_stage=300)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        intermediate_size=96,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_wording(folder, open_world())
    return load(folder)


def written(
    host: Model, vocabulary: Vocabulary, topics: Sequence[str], plan: Any, path: Path, progress: Callable[[Any], None]
) -> None:
    """Stands in for the model's own stories: a random network writes nothing that could be read."""
    if not path.exists():
        world, rng = open_world(), random.Random(plan.seed)
        made = [
            (topic, story(world, rng, "train", word, ends=0.0, asks=0.0)) for topic in topics for word in world.words
        ]
        write_texts(path, [Text(one.text, one.emotion, topic, "scripted") for topic, one in made])
    progress(WriteProgress(1, 1, 1, {}, 0, 1.0, None))


@dataclass
class Heard:
    """What was told while the demo ran."""

    stages: list[str]
    stories: list[Text]


@pytest.fixture(scope="module")
def ran(host: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[PlantedDemo, Heard]:
    heard = Heard([], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thymos.workflows.extraction.write_stories", written)
        watch = DemoWatch(stage=heard.stages.append, story=heard.stories.append)
        return demo(tmp_path_factory.mktemp("demo"), host, size=SIZE, watch=watch), heard


def test_every_figure_stands_beside_truth_chance_and_n(ran: tuple[PlantedDemo, Heard]) -> None:
    result, _ = ran
    questions = [one.question for one in result.beside]
    assert len(questions) == len(set(questions)) == 9
    for one in result.beside:
        assert re.fullmatch(r"[+-]?\d\.\d\d \[[+-]?\d\.\d\d, [+-]?\d\.\d\d\]", one.seen), one
        assert one.planted and one.n
    assert sum("outside 5 random" in one.chance or "inside 5 random" in one.chance for one in result.beside) == 2


def test_words_alone_tell_planted_emotions_above_chance(ran: tuple[PlantedDemo, Heard]) -> None:
    """Even a random network passes words on, so a pipeline that keeps labels and texts together must find some."""
    result, _ = ran
    top5 = next(one for one in result.beside if "first five" in one.question)
    assert float(top5.seen.split()[0]) > 2 * 5 / 171


def test_the_first_story_is_shown_once_and_stages_are_told(ran: tuple[PlantedDemo, Heard]) -> None:
    result, heard = ran
    assert [one.text for one in heard.stories] == [result.story.text]
    assert heard.stages[0] == "loading model and world" and "steering" in heard.stages


def test_the_report_says_what_it_is_of_and_loads_nothing(ran: tuple[PlantedDemo, Heard]) -> None:
    result, _ = ran
    page = result.report.read_text(encoding="utf-8")
    assert "model organism" in page and "finding about other models" in page
    for name in ("Beside the planted truth", "Map and conduct", "Texts", "Validation", "Geometry"):
        assert f">{name}</h2>" in page
    assert "<script" not in page and "@import" not in page
    for attribute in re.findall(r"(?:src|href)=\"([^\"]*)\"", page):
        assert attribute.startswith(("#", "data:")), attribute
    assert page.count("<svg") >= 8


def test_the_card_warns_and_keeps_the_quality(ran: tuple[PlantedDemo, Heard]) -> None:
    result, _ = ran
    again = EmotionVectors.load(result.report.parent / "vectors")
    assert any(note in DEMO_NOTE for note in again.card.notes)
    assert again.layer == result.validation.layer
    assert again.card.first_token == 50 and again.card.neutral.texts == 300


def test_the_curve_has_its_controls_and_its_truth(ran: tuple[PlantedDemo, Heard]) -> None:
    result, _ = ran
    conduct = result.conduct
    assert conduct.curve.arms.count("random") == 5 and conduct.curve.zero_gap < 1e-3
    assert conduct.floor < conduct.rest < conduct.ceiling
    assert set(conduct.curve.names[:2]) == {"desperate", "calm"}


def test_a_second_run_goes_on_with_the_stories_and_finds_the_same(
    ran: tuple[PlantedDemo, Heard], host: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = ran
    out = result.report.parent
    stories = (run_folder(out / "vectors") / "stories.jsonl").read_bytes()
    main_line._same_run(out, host, 0, SIZE)
    assert (run_folder(out / "vectors") / "stories.jsonl").read_bytes() == stories
    record = json.loads((out / "demo.json").read_text(encoding="utf-8"))
    assert record["model"] == host.fingerprint and record["topics"] == 3


def test_another_seed_starts_afresh(host: Model, tmp_path: Path) -> None:
    run = run_folder(tmp_path / "vectors")
    run.mkdir()
    main_line._same_run(tmp_path, host, 0, SIZE)
    (run / "stories.jsonl").write_text("{}\n", encoding="utf-8")
    main_line._same_run(tmp_path, host, 0, SIZE)
    assert (run / "stories.jsonl").exists()
    main_line._same_run(tmp_path, host, 1, SIZE)
    assert not (run / "stories.jsonl").exists()


def test_a_model_of_no_world_is_refused(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no planted truth to hold it against; use 'bundled'"):
        demo(tmp_path, tiny)
    assert not (tmp_path / "demo.json").exists()


def test_what_is_read_is_held_out_and_fits_the_template(host: Model) -> None:
    world = open_world()
    shown = exhibits(world)
    assert [one.document.text for one in shown] == [one.document.text for one in exhibits(world)]
    code, turned, letter = shown
    assert len(code.document.extra["failed"]) == 4 and turned.document.extra["how"] == "reversal"
    assert turned.concepts == (turned.document.extra["other"], turned.document.emotion)
    for one in (code, letter):
        tokens = tokens_of(host, one)
        same = host.tokens(one.document.text)
        assert np.array_equal(tokens.ids, same.ids)
        assert {span.role for span in tokens.roles} >= {"user", "assistant"}


def test_own_wording_of_the_world_is_what_the_model_was_trained_on(host: Model) -> None:
    own, world = own_wording(host), open_world()
    assert own is not None and set(own.topics) == {topic["topic"] for topic in world.topics_of("train")}
    assert all("{emotion}" in ask for ask in own.story_requests) and "{e}" not in "".join(own.story_requests)
    assert len(own.texts) == 3 and tiny_model().folder is None
