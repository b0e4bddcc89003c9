import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from thymos.errors import UsageError
from thymos.models import Add, Model, Probe, Sampling, TokenEvent, generate, rows, stream, tiny_model

PROMPTS = ["ab", "a longer prompt", "Hm?"]


def scripted(*answers: str | list[int]) -> Model:
    """A tiny model that says these answers, one per row of the batch, and then end tokens."""
    model = tiny_model(layers=2)
    ids = [
        model.tokens(answer, add_special=False).ids.tolist() if isinstance(answer, str) else answer
        for answer in answers
    ]
    step = iter(range(10_000))

    def say(module: object, args: object, logits: torch.Tensor) -> torch.Tensor:
        index = next(step)
        forced = torch.full_like(logits, -1e4)
        for row in range(logits.shape[0]):
            said = ids[row % len(ids)]
            forced[row, -1, said[index] if index < len(said) else 257] = 1e4
        return forced

    model.network.lm_head.register_forward_hook(say)
    return model


def joined(events: list[TokenEvent], row: int = 0) -> str:
    return "".join(event.text for event in events if event.row == row)


@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_events_are_the_tokens_and_texts_of_the_rows(tiny: Model, temperature: float) -> None:
    events: list[TokenEvent] = []
    how = Sampling(max_new_tokens=25, temperature=temperature, seed=2)
    for row, made in enumerate(generate(tiny, PROMPTS, how, on_token=events.append)):
        mine = [event for event in events if event.row == row]
        assert [event.token_id for event in mine] == list(made.new_ids)
        assert [event.index for event in mine] == list(range(len(made.new_ids)))
        assert joined(events, row) == made.text
    assert [event.row for event in events[:3]] == [0, 1, 2], "in the order of generation"


@pytest.mark.parametrize(
    "answer",
    ["für 真的 🙂 ok", "🙂🙂", "plain", "�", [0xF0, 0x9F], [0xE2, 0x28, 0xA1, 0x41, 0xFF], []],
)
def test_characters_of_several_tokens_arrive_whole(answer: str | list[int]) -> None:
    model = scripted([byte_id(byte) for byte in answer] if isinstance(answer, list) else answer)
    for most in (5, 64):
        model = scripted([byte_id(byte) for byte in answer] if isinstance(answer, list) else answer)
        events: list[TokenEvent] = []
        (made,) = generate(model, ["x"], Sampling(max_new_tokens=most), on_token=events.append)
        assert joined(events) == made.text
        if isinstance(answer, str) and most == 64:
            assert made.text == answer
            assert made.finish == "stop"
            assert all(not event.text.startswith("\ufffd") for event in events[:-2]) or answer == "�"


def byte_id(byte: int) -> int:
    """Token id of a byte: the tokenizer's alphabet is sorted by its printable stand-ins."""
    from tokenizers import pre_tokenizers  # noqa: PLC0415 - only this helper needs it

    order = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [value for value in range(256) if value not in plain]
    return order.index(chr(byte) if byte in plain else chr(256 + shifted.index(byte)))


def test_the_byte_helper() -> None:
    ids = tiny_model(layers=1).tokens("é🙂 a", add_special=False).ids.tolist()
    assert ids == [byte_id(byte) for byte in "é🙂 a".encode()]


def test_end_tokens_end_a_row() -> None:
    for made in generate(scripted("ok"), ["x"], Sampling(max_new_tokens=9)):
        assert made.new_ids[-1] == 257
        assert (made.text, made.finish, len(made.new_ids)) == ("ok", "stop", 3)
    (cut,) = generate(scripted("ok, then"), ["x"], Sampling(max_new_tokens=4))
    assert (cut.text, cut.finish) == ("ok, ", "length")


def test_several_end_tokens_are_known() -> None:
    model = scripted([*range(60, 64), 262, 70])
    model.network.generation_config.eos_token_id = [257, 262]
    (made,) = generate(model, ["x"], Sampling(max_new_tokens=9))
    assert made.new_ids == (60, 61, 62, 63, 262)
    assert made.finish == "stop"


@pytest.mark.parametrize("pads_with_the_end_token", [False, True])
def test_stop_strings_end_a_row_while_others_go_on(pads_with_the_end_token: bool) -> None:
    model = scripted("one two\n\nthree four", "never stops at all", "für END und so weiter")
    if pads_with_the_end_token:
        model.tokenizer.pad_token = None
    events: list[TokenEvent] = []
    probe = Probe({0: np.eye(2, 32, dtype=np.float32)})
    how = Sampling(max_new_tokens=18, stop=("\n\n", "END"))
    first, second, third = generate(model, PROMPTS, how, probe=probe, on_token=events.append)
    assert (first.text, first.finish) == ("one two\n\n", "stop")
    assert (second.text, second.finish) == ("never stops at all", "length")
    assert (third.text, third.finish) == ("für END", "stop")
    for row, made in enumerate((first, second, third)):
        assert joined(events, row) == made.text
        assert len([event for event in events if event.row == row]) == len(made.new_ids)
        assert made.scores is not None
        assert made.scores.shape[0] == len(made.tokens) - 1


def test_a_stop_string_in_the_prompt_does_not_stop() -> None:
    (made,) = generate(scripted("and on"), ["END and"], Sampling(max_new_tokens=6, stop=("END",)))
    assert (made.text, made.finish) == ("and on", "length")


def test_a_stop_string_that_is_a_special_token() -> None:
    (made,) = generate(scripted([60, 262, 70]), ["x"], Sampling(max_new_tokens=3, stop=("<|end|>",)))
    assert made.new_ids == (60, 262)
    assert made.finish == "stop"


def test_scores_of_an_event_are_those_of_the_row_that_decided_it(tiny: Model) -> None:
    directions = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    events: list[TokenEvent] = []
    made = generate(
        tiny, PROMPTS, Sampling(max_new_tokens=5), probe=Probe({1: directions, 2: directions}), on_token=events.append
    )
    for event in events:
        row = made[event.row]
        assert row.scores is not None
        assert event.scores is not None
        assert row.tokens.prompt_length is not None
        np.testing.assert_array_equal(event.scores, row.scores[row.tokens.prompt_length - 1 + event.index])


def test_stream_yields_what_generate_returns(tiny: Model) -> None:
    how = Sampling(max_new_tokens=20, temperature=1.0, seed=5)
    (made,) = generate(tiny, ["abc"], how)
    events = list(stream(tiny, "abc", how))
    assert [event.token_id for event in events] == list(made.new_ids)
    assert joined(events) == made.text
    assert not tiny.hooks.active


def test_stream_raises_the_error_of_the_call(tiny: Model) -> None:
    with pytest.raises(UsageError, match="no tokens"):
        list(stream(tiny, tiny.tokens("", add_special=False)))


def test_closing_a_stream_ends_the_call_and_takes_its_steering_back() -> None:
    model = tiny_model()
    tokens, before = model.tokens("after"), threading.active_count()
    plain = rows(model, tokens, [3])
    passes: list[int] = []
    model.sites.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    push = Add({1: np.ones(32, np.float32)}, 2.0, {1: 1.0})
    events: Iterator[TokenEvent] = stream(
        model,
        "abc",
        Sampling(max_new_tokens=1900),
        interventions=[push],
        probe=Probe({0: np.eye(1, 32, dtype=np.float32)}),
    )
    assert next(events).index == 0
    events.close()
    assert not model.hooks.active
    assert threading.active_count() == before
    assert len(passes) < 1000, "the rest of the call was not run"
    np.testing.assert_array_equal(rows(model, tokens, [3]), plain)
