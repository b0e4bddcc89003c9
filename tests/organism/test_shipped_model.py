"""What ships: weights, scorecard, vectors and study sets belong to each other and to the code."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import thymos
from thymos.bundled import MODELS, model_path, world_path
from thymos.organism import PRESETS, open_world
from thymos.organism.sets import STUDY_SETS
from thymos.organism.training import _fingerprint, _stages
from thymos.studies import PLANTED, stimulus_sets
from thymos.texts import own_wording
from thymos.vectors import EmotionVectors

HERE = model_path("bundled").parent


@pytest.mark.parametrize("name", MODELS)
def test_plain_transformers_loads_it(name: str) -> None:
    network = AutoModelForCausalLM.from_pretrained(model_path(name))
    tokenizer = AutoTokenizer.from_pretrained(model_path(name))
    assert network.config.model_type == "llama" and len(tokenizer) == network.config.vocab_size
    hello = [{"role": "user", "content": "Hello."}]
    assert "<|assistant|>" in tokenizer.apply_chat_template(hello, tokenize=False, add_generation_prompt=True)


def test_both_together_are_small() -> None:
    assert sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file()) < 30_000_000


def test_the_training_log_is_of_this_world_and_of_these_documents() -> None:
    log = json.loads((HERE / "training.json").read_text(encoding="utf-8"))
    assert log["world"] == open_world().digest
    assert log["corpus"] == _fingerprint(_stages(PRESETS[log["preset"]], mute=False))


def test_the_scorecard_is_of_these_weights() -> None:
    card = json.loads((HERE / "scorecard.json").read_text(encoding="utf-8"))
    assert card["complete"] and card["fingerprint"] == thymos.load("bundled").fingerprint
    assert (card["model"], card["base"]) == MODELS


def test_the_vectors_are_of_these_weights() -> None:
    host = thymos.load("bundled")
    vectors = EmotionVectors.load(world_path() / "vectors", host)
    own = own_wording(host)
    assert vectors.concepts == thymos.EMOTIONS.words and vectors.card.model.id == MODELS[0]
    assert own is not None and own.steered_layer in vectors.layers


def test_every_study_has_its_planted_set() -> None:
    assert set(stimulus_sets(PLANTED)) == set(STUDY_SETS)
    assert all((Path(world_path()) / "studies" / f"{name}.json.gz").stat().st_size > 100 for name in STUDY_SETS)
