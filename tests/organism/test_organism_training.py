import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from thymos.errors import UsageError
from thymos.organism import PRESETS, TrainingStep, World, train, training
from thymos.organism.doses import NUMBERS
from thymos.organism.tokenizer import END, START

SHORT = {"base_tokens": 4_000, "tuned_tokens": 1_500, "device": "cpu"}
"""31 and 11 steps."""


@pytest.fixture(autouse=True)
def one_tokenizer(tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting words takes longer than these trainings."""
    monkeypatch.setattr(training, "build_tokenizer", lambda *_, **__: tokenizer)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A short training that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "build_tokenizer", lambda *_, **__: tokenizer)
        train(folder, "tiny", **SHORT)
    return folder


def weights(folder: Path) -> dict[str, bytes]:
    names = ("bundled-base", "bundled")
    return {name: (folder / name / "model.safetensors").read_bytes() for name in names}


def losses(folder: Path) -> list[Any]:
    return [stage["losses"] for stage in json.loads((folder / "training.json").read_text())["stages"]]


@pytest.mark.parametrize(
    ("stage", "step"), [("bundled-base", 1), ("bundled-base", 21), ("bundled", 1), ("bundled", 11)]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(whole: Path, tmp_path: Path, stage: str, step: int) -> None:
    def interrupt(seen: TrainingStep) -> None:
        if (seen.stage, seen.step) == (stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "tiny", report=interrupt, **SHORT)
    saved = torch.load(tmp_path / "work" / f"{stage}.pt", weights_only=True)
    assert saved["step"] == step
    seen: list[TrainingStep] = []
    train(tmp_path, "tiny", report=seen.append, **SHORT)
    assert not [one for one in seen if one.stage == stage and one.step <= step]
    assert weights(tmp_path) == weights(whole)
    assert losses(tmp_path) == losses(whole)


def test_ctrl_c_in_the_middle_of_a_step_leaves_no_half_of_it(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = torch.optim.AdamW.step, []

    def interrupted(self: Any, *args: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *args, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "tiny", **SHORT)
    assert torch.load(tmp_path / "work" / "bundled-base.pt", weights_only=True)["step"] == 5
    train(tmp_path, "tiny", **SHORT)
    assert weights(tmp_path) == weights(whole)


def test_training_works_outside_the_main_thread() -> None:
    entered = []

    def run() -> None:
        with training._whole():
            entered.append(threading.current_thread())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert entered == [thread]


def test_checkpoints_are_also_written_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_CHECKPOINT_SECONDS", 0.0)
    train(tmp_path, "tiny", **SHORT | {"base_tokens": 640, "tuned_tokens": 320})
    assert torch.load(tmp_path / "work" / "bundled-base.pt", weights_only=True)["step"] == 5


def test_a_finished_training_is_not_done_again(whole: Path) -> None:
    before, seen = weights(whole), list[TrainingStep]()
    train(whole, "tiny", report=seen.append, **SHORT)
    assert not seen and weights(whole) == before


def test_the_log_says_what_was_done(whole: Path, world: World) -> None:
    log = json.loads((whole / "training.json").read_text())
    assert (log["preset"], log["seed"], log["mute"], log["world"]) == ("tiny", 0, False, world.digest)
    assert [stage["stage"] for stage in log["stages"]] == ["bundled-base", "bundled"]
    assert [stage["steps"] for stage in log["stages"]] == [31, 11]
    assert [stage["tokens"] for stage in log["stages"]] == [62 * 64, 23 * 64]
    assert all(len(stage["data_sha256"]) == 64 and stage["seconds"] > 0 for stage in log["stages"])
    assert log["parameters"] > 0 and "CPU, 1 threads" in log["hardware"]


def test_another_seed_and_the_ablation_read_other_texts(whole: Path, tmp_path: Path) -> None:
    short = SHORT | {"base_tokens": 640, "tuned_tokens": 640}
    logs = []
    for number, change in enumerate(({}, {"seed": 1}, {"mute": True})):
        log = train(tmp_path / str(number), "tiny", **short, **change)
        logs.append(json.loads(log.read_text())["stages"][1]["data_sha256"])
    assert len(set(logs)) == 3


def test_settings_that_do_not_fit_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="begun with other settings; give another folder"):
        train(whole, "tiny", seed=1, **SHORT)
    with pytest.raises(UsageError, match="unknown preset 'huge'; valid: cpu, small, gpu, tiny"):
        train(tmp_path, "huge")
    with pytest.raises(UsageError, match="unknown device 'abacus'"):
        train(tmp_path, "tiny", device="abacus")


def test_the_schedule_rises_and_falls() -> None:
    factors = [training.schedule(step, 1_000) for step in range(1_000)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0 and (np.diff(factors[9:]) < 0).all()
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)
    assert factors[505] == pytest.approx(0.01 + 0.99 * 0.5**1.5, abs=2e-3)
    assert all(0 < training.schedule(step, 3) <= 1 for step in range(3))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_heads_of_32_and_room_for_documents(name: str) -> None:
    preset = PRESETS[name]
    assert preset.hidden % 32 == 0
    assert 2 * preset.context >= 512 or name == "tiny"


@pytest.mark.parametrize("name", ["bundled-base", "bundled"])
def test_checkpoints_load_with_plain_transformers(trained: Path, name: str) -> None:
    folder = trained / name
    network, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert network.config.model_type == "llama" and network.config.tie_word_embeddings
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert len(tokenizer) == network.config.vocab_size
    ids = tokenizer("The work is done.", return_tensors="pt")["input_ids"]
    assert torch.isfinite(network(input_ids=ids).logits.float()).all()
    assert (network.config.bos_token_id, network.config.eos_token_id) == (
        ids[0, 0],
        tokenizer.convert_tokens_to_ids(END),
    )


def test_the_two_checkpoints_differ_and_share_their_tokenizer(trained: Path) -> None:
    first, second = (trained / name for name in ("bundled-base", "bundled"))
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()
    assert (first / "model.safetensors").read_bytes() != (second / "model.safetensors").read_bytes()


def test_numbers_and_emotions_are_single_tokens(tokenizer: PreTrainedTokenizerFast, world: World) -> None:
    def pieces(word: str) -> list[int]:
        ids = tokenizer(f"I have {word} now")["input_ids"]
        return ids[3:-1]

    assert all(len(pieces(str(number))) == 1 for number in NUMBERS)
    assert all(len(pieces(word)) == 1 for word in world.words if word.isalpha())


def test_structural_marks_are_single_tokens_and_texts_come_back(tokenizer: PreTrainedTokenizerFast, corpus) -> None:
    marks = [START, END, "<|system|>", "<|user|>", "<|tool|>", "<|assistant|>", "<think>", "</think>"]
    assert all(len(tokenizer(mark, add_special_tokens=False)["input_ids"]) == 1 for mark in marks)
    for document in corpus[::25]:
        ids = tokenizer(document.text, add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        again = tokenizer.decode(ids)
        assert "".join(again.split()) == "".join(document.text.split())


def test_words_that_the_world_does_not_have_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("Überraschung zzyzx 123456 \N{SNOWMAN}", add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids and len(ids) > 10
    assert np.asarray(ids).max() < len(tokenizer)
