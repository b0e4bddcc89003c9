import sys
from pathlib import Path

import pytest
import torch

from thymos import bundled
from thymos.errors import ModelError, UsageError
from thymos.models import Model, Sampling, load
from thymos.organism.tokenizer import END, START

LOADING = sys.modules[load.__module__]
CHAT = [
    {"role": "system", "content": "You are an assistant in an office."},
    {"role": "user", "content": "Is the work done?"},
    {"role": "assistant", "content": "<think>I read the request once more.</think>The tests all passed."},
    {"role": "tool", "content": "Test run one: all five tests pass."},
    {"role": "user", "content": "Tell me how it went."},
]


@pytest.fixture
def shipped(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy of thymos whose package data are the trial checkpoints."""
    monkeypatch.setattr(LOADING, "model_path", lambda name: trained / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", bundled.MODELS)
def test_shipped_models_load_by_name(shipped: None, name: str) -> None:
    model = load(name, device="cpu")
    assert (model.name, model.kind, model.dtype) == (name, "decoder", torch.float32)


def test_every_command_takes_the_name(shipped: None, thymos) -> None:
    ran = thymos("doctor", "bundled", "--device", "cpu", "--quiet")
    assert ran.exit_code == 0, ran.output


def test_the_data_folder_is_inside_the_package() -> None:
    assert bundled.model_path("bundled").is_relative_to(Path(bundled.__file__).parent)
    assert bundled.stimuli_path("battery.jsonl").is_file()


@pytest.mark.parametrize("name", bundled.MODELS)
def test_a_copy_without_weights_says_how_to_get_them(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(LOADING, "model_path", tmp_path.joinpath)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=rf"no weights of '{name}'.*thymos organism train --out .*/{name}'"):
        load(name)


def test_a_training_in_the_working_directory_comes_first(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(LOADING, "model_path", tmp_path.joinpath)
    monkeypatch.chdir(trained)
    assert load("bundled", device="cpu").name == "bundled"


def test_roles_cover_what_each_turn_says(model: Model) -> None:
    tokens = model.chat_tokens(CHAT)
    assert [span.role for span in tokens.roles] == [message["role"] for message in CHAT]
    for span, message in zip(tokens.roles, CHAT, strict=True):
        said = model.tokenizer.decode(tokens.ids[span.start : span.stop])
        assert "".join(said.split()) == "".join(message["content"].split())
    ids = tokens.ids.tolist()
    start, end, reply = (model.tokenizer.convert_tokens_to_ids(mark) for mark in (START, END, "<|assistant|>"))
    assert ids[0] == start and ids.count(start) == 1
    assert ids.count(end) == len(CHAT) and ids[-1] == reply
    inside = {position for span in tokens.roles for position in range(span.start, span.stop)}
    assert {position for position in range(len(ids)) if not tokens.special[position]} == inside


def test_unknown_roles_are_refused(model: Model) -> None:
    with pytest.raises(Exception, match="unknown role critic"):
        model.chat_tokens([{"role": "critic", "content": "No."}])


def test_a_chat_longer_than_the_context_is_refused(model: Model) -> None:
    assert model.max_positions == 128
    with pytest.raises(UsageError, match="longer than the context"):
        model.chat_tokens("Is the work done? " * 40)


def ending(model: Model, prompt: object) -> Model:
    """The same model, whose next token after a prompt is the end mark."""
    network = type(model.network)(model.network.config)
    network.load_state_dict(model.network.state_dict())
    found: list[torch.Tensor] = []
    hook = network.model.norm.register_forward_hook(lambda _, __, out: found.append(out))
    with torch.no_grad():
        network(input_ids=torch.as_tensor(prompt)[None])
        hook.remove()
        rows = network.lm_head.weight.clone()
        last = found[0][0, -1]
        rows[model.tokenizer.convert_tokens_to_ids(END)] = 1_000 * last / last.norm() ** 2
        network.lm_head.weight = torch.nn.Parameter(rows)
    return Model.wrap(network.eval(), model.tokenizer)


def test_the_end_mark_ends_a_reply(model: Model) -> None:
    tokens = model.chat_tokens(CHAT[:2])
    stopped = ending(model, tokens.ids.astype("int64"))
    reply = stopped.chat(CHAT[:2], Sampling(max_new_tokens=8))
    assert (reply.finish, reply.text) == ("stop", "")
    assert reply.new_ids in ((), (stopped.tokenizer.convert_tokens_to_ids(END),))
    free = model.chat(CHAT[:2], Sampling(max_new_tokens=5, temperature=1.0, seed=1))
    assert free.finish in ("length", "stop") and len(free.new_ids) <= 5
    assert free.tokens.roles[-1].role == "assistant"
