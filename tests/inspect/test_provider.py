from pathlib import Path

import anyio
import numpy as np
import pytest
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from inspect_ai.tool import ToolInfo
from scripted import run

import thymos
from thymos.errors import FingerprintMismatchError, LayerError, UnknownConceptError, UsageError
from thymos.inspect.provider import ThymosAPI, parse_doses
from thymos.models import Sampling, chat_tokens, tiny_model
from thymos.steering import steer

ASK = [ChatMessageUser(content="Is the gate open?")]


def _say(api: ThymosAPI, messages=ASK, **config):
    return anyio.run(api.generate, messages, [], "none", GenerateConfig(**config))


def test_a_dose_is_what_steering_does_and_readings_come_with_the_reply(tiny, vectors) -> None:
    api = ThymosAPI("tiny", host=tiny, vectors=vectors, steer="calm:0.2", reads="happy,sad")
    output = _say(api, temperature=0.0, max_tokens=12)
    with steer(tiny, vectors["calm"] * 0.2):
        expected = thymos.models.generate(
            tiny, [chat_tokens(tiny, "Is the gate open?", enable_thinking=False)], Sampling(12)
        )[0]
    assert output.completion == expected.text
    assert output.usage.output_tokens == len(expected.new_ids) and output.stop_reason in ("stop", "max_tokens")
    told = output.metadata["thymos"]
    assert told["steer"] == {"calm": 0.2} and told["layer"] == vectors.layer
    assert set(told["reads"]["reply"]) == {"happy", "sad"} and set(told["reads"]) == {"reply_slot", "reply"}
    slot = thymos.models.rows(tiny, chat_tokens(tiny, "Is the gate open?"), (vectors.layer,))
    assert np.isfinite(list(told["reads"]["reply_slot"].values())).all() and len(slot) == 1


def test_draws_follow_prompt_and_repetition_and_not_the_order_of_requests(tiny) -> None:
    other = [ChatMessageUser(content="And the roof?")]
    how = {"temperature": 1.0, "max_tokens": 16, "seed": 3}
    first, second = ThymosAPI("tiny", host=tiny), ThymosAPI("tiny", host=tiny)
    a = [_say(first, one, **how).completion for one in (ASK, ASK, other)]
    b = [_say(second, one, **how).completion for one in (other, ASK, ASK)]
    assert a == [b[1], b[2], b[0]] and a[0] != a[1]
    assert _say(ThymosAPI("tiny", host=tiny), **{**how, "seed": 4}).completion != a[0]


def test_a_reply_that_was_begun_is_continued_and_stop_sequences_end_it(tiny) -> None:
    api = ThymosAPI("tiny", host=tiny)
    begun = _say(api, [*ASK, ChatMessageAssistant(content="Well, ")], temperature=0.0, max_tokens=8)
    whole = chat_tokens(tiny, "Is the gate open?").text + "Well, "
    assert begun.usage.input_tokens == len(tiny.tokens(whole, add_special=False))
    plain = _say(api, temperature=0.0, max_tokens=30).completion
    mark = plain[4:6]
    assert mark and _say(api, temperature=0.0, max_tokens=30, stop_seqs=[mark]).completion == plain.split(mark)[0]


def test_a_full_context_is_no_error(tiny) -> None:
    output = _say(ThymosAPI("tiny", host=tiny), [ChatMessageUser(content="a long story " * 400)])
    assert output.stop_reason == "model_length" and output.completion == ""


def test_tokens_are_counted_by_the_models_own_tokenizer(tiny) -> None:
    api = ThymosAPI("tiny", host=tiny)
    assert anyio.run(api.count_tokens, "gate") == 4
    assert anyio.run(api.count_tokens, ASK) == len(chat_tokens(tiny, "Is the gate open?"))
    assert api.max_connections() == 1


def test_what_does_not_fit_is_refused_with_the_way_out(tiny, vectors) -> None:
    for told, error, words in (
        ({"steer": "calm:0.1"}, UsageError, "add -M vectors=FOLDER"),
        ({"reads": "calm"}, UsageError, "add -M vectors=FOLDER"),
        ({"vectors": vectors, "steer": "calmm:0.1"}, UnknownConceptError, "did you mean 'calm'"),
        ({"vectors": vectors, "steer": "calm"}, UsageError, "write concept:strength"),
        ({"vectors": vectors, "steer": "calm:nan"}, UsageError, "no dose"),
        ({"vectors": vectors, "layer": 77}, LayerError, "layer 77"),
        ({"vector": vectors}, UsageError, "did you mean 'vectors'"),
    ):
        with pytest.raises(error, match=words):
            ThymosAPI("tiny", host=tiny, **told)
    with pytest.raises(FingerprintMismatchError, match="fingerprint"):
        ThymosAPI("tiny", host=tiny_model(seed=5), vectors=vectors)
    tool = ToolInfo(name="look", description="looks")
    with pytest.raises(UsageError, match="no tool calls"):
        anyio.run(ThymosAPI("tiny", host=tiny).generate, ASK, [tool], "auto", GenerateConfig())


def test_doses_are_read_as_the_command_line_gives_them() -> None:
    assert parse_doses("calm:0.05, angry:-0.1") == parse_doses(["calm:0.05", "angry:-0.1"])
    with pytest.raises(UsageError, match="twice"):
        parse_doses("calm:0.1,calm:0.2")


def test_inspect_runs_a_task_on_it_without_a_network(tiny, vectors, tmp_path: Path) -> None:
    saved = vectors.save(tmp_path / "vectors")
    model = get_model("thymos/tiny", memoize=False, host=tiny, vectors=saved, steer="calm:0.05", reads="calm")
    task = Task(dataset=[Sample(input="Is the gate open?", target="x")], solver=generate(), scorer=includes())
    log = run(task, model, tmp_path, max_tokens=6)
    output = log.samples[0].output
    assert (
        output.metadata["thymos"]["steer"] == {"calm": 0.05} and "calm" in output.metadata["thymos"]["reads"]["reply"]
    )
