"""Models that bring their own requests, topics and neutral texts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thymos.concepts import EMOTIONS, Concept, Vocabulary
from thymos.errors import CorpusError, UsageError
from thymos.models import Generation, Model, load, tiny_model
from thymos.texts import (
    StoryPlan,
    Text,
    neutral_dialogues,
    neutral_for,
    own_wording,
    plan_for,
    topics,
    topics_for,
    write_stories,
    write_texts,
)
from thymos.workflows import ExtractOptions, estimate_cost, extract, run_folder

REQUESTS = ["Tell of {topic} and one who feels {emotion}.", "{emotion}: write about {topic}."]
WORDING = {
    "story_requests": REQUESTS,
    "topics": ["a lost dog", "the night train", "a fence"],
    "neutral": "neutral.jsonl",
    "first_token": 7,
    "note": "knows three topics",
}
WORDS = "the gate of a yard stood open while rain went over the roofs and somebody carried boxes up from a van".split()
Save = Callable[[dict[str, Any]], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model saved as any checkpoint is, with texts it brings."""
    model = tiny_model(layers=2)
    place = tmp_path / "model"
    model.network.save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    write_texts(place / "neutral.jsonl", [Text(" ".join(WORDS[n:] + WORDS[:n])) for n in range(12)])
    (place / "thymos.json").write_text(json.dumps(WORDING), encoding="utf-8")
    return place


@pytest.fixture
def model(folder: Path) -> Model:
    return load(folder)


def story(seed: int) -> str:
    turn = seed % len(WORDS)
    return f"Tale {seed}: " + " ".join(WORDS[turn:] + WORDS[:turn] + WORDS) + "."


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requests that reach the model; it answers each with one bare story."""
    seen: list[str] = []

    def answer(self: Any, prompts: Any, seeds: Any, **_: Any) -> list[Generation]:
        seen.extend(prompt[0]["content"] for prompt in prompts)
        assert all(len(prompt) == 1 for prompt in prompts)
        return [Generation(story(seed), self.host.tokens("x"), (), None, "stop") for seed in seeds]

    monkeypatch.setattr("thymos.texts.writers.ModelWriter.generations", answer)
    return seen


def test_a_folder_says_what_its_model_understands(model: Model, folder: Path) -> None:
    assert model.folder == folder.resolve()
    found = own_wording(model)
    assert found == own_wording(folder)
    assert found is not None and found.story_requests == tuple(REQUESTS)
    assert found.neutral == folder.resolve() / "neutral.jsonl" and found.first_token == 7
    assert found.note == "knows three topics" and found.texts == ()
    assert topics_for(model) == tuple(WORDING["topics"]) and topics_for(model, 2) == ("a lost dog", "the night train")
    assert neutral_for(model).count == 12


def test_other_models_bring_nothing_and_get_what_is_shipped(tiny: Model) -> None:
    assert tiny.folder is None and own_wording(tiny) is None
    assert topics_for(tiny) == topics_for(None) == topics()
    assert neutral_for(tiny).count == len(neutral_dialogues())
    with pytest.raises(UsageError, match=r"topics=101; valid: 1 to 100"):
        topics_for(tiny, 101)


def test_a_folder_keeps_its_place_when_the_working_directory_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    model = load("./model")
    monkeypatch.chdir("/")
    assert own_wording(model) is not None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"topic": []}, "unknown key 'topic'; valid: story_requests, .*, first_token, steered_layer, note"),
        ({"story_requests": ["Write."]}, r"'Write\.' lacks \{topic\} and \{emotion\}"),
        ({"story_requests": "Write."}, "'story_requests' must be a list of texts"),
        ({"topics": ["a dog", "a dog"]}, "'topics' holds an entry twice"),
        ({"topics": [""]}, "'topics' must be a list of texts"),
        ({"neutral": "absent.jsonl"}, "names the neutral texts 'absent.jsonl', but there is no"),
        ({"neutral": "../neutral.jsonl"}, "must be the name of a file in the same folder"),
        ({"first_token": 0}, "'first_token' must be a whole number from 1 on, got 0"),
        ({"steered_layer": -1}, "'steered_layer' must be a whole number from 0 on, got -1"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(folder: Path, change: dict[str, Any], complaint: str) -> None:
    (folder / "thymos.json").write_text(json.dumps({**WORDING, **change}), encoding="utf-8")
    with pytest.raises((CorpusError, UsageError), match=complaint):
        own_wording(folder)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_file_is_named(folder: Path, text: str) -> None:
    (folder / "thymos.json").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"thymos\.json"):
        own_wording(folder)


def test_stories_are_asked_for_in_the_models_own_words(model: Model, asked: list[str], tmp_path: Path) -> None:
    vocabulary = EMOTIONS.subset(["calm", "angry"])
    done = write_stories(model, vocabulary, None, StoryPlan(per_cell=1, min_words=5), tmp_path / "s.jsonl")
    assert done.texts == 6 and len(asked) == 6
    assert "Tell of a lost dog and one who feels calm." in asked
    assert "angry: write about a lost dog." in asked


def test_concepts_with_prompts_of_their_own_keep_them(model: Model, asked: list[str], tmp_path: Path) -> None:
    mine = Vocabulary((Concept("serene", (), (), None, None, prompts=("Show somebody at peace.",)),))
    write_stories(model, mine, ["a lost dog"], StoryPlan(per_cell=1, min_words=5), tmp_path / "s.jsonl")
    assert len(asked) == 1 and "Show somebody at peace." in asked[0]


def test_requests_of_a_plan_win_and_need_bare_stories(model: Model, tiny: Model) -> None:
    given = StoryPlan(per_cell=1).asking(("Of {topic}: {emotion}.",))
    assert plan_for(model, given) is given
    assert plan_for(tiny, StoryPlan()) == StoryPlan()
    suited = plan_for(model, StoryPlan(per_cell=3))
    assert suited.bare and suited.parts == (1, 1, 1) and suited.requests == tuple(REQUESTS)
    with pytest.raises(UsageError, match="set bare=True and per_request=1"):
        StoryPlan(per_cell=1, requests=("Of {topic}: {emotion}.",))


def test_extraction_needs_nothing_but_the_model(model: Model, asked: list[str], tmp_path: Path) -> None:
    options = ExtractOptions(out=tmp_path / "v", concepts=["calm", "angry", "proud"], validate=False)
    vectors = extract(model, options=options)
    assert vectors.card.first_token == 7
    assert vectors.card.neutral.texts == 12
    assert {text["topic"] for text in _rows(run_folder(tmp_path / "v") / "stories.jsonl")} == set(WORDING["topics"])
    cost = estimate_cost(model, None, None, options)
    assert cost.texts == 9 + 12 and cost.written_tokens > 0


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
