import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thymos.errors import UsageError
from thymos.models import Model, PlainDialogueWarning, chat_tokens, render, reply_slot, tiny_model

BOS = 256
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|system|>\nYou are a helpful assistant. Today is 26 Jul 2024.<|end|>\n"
    "{% endif %}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% if thinking %}<think>\n{% endif %}{% endif %}"
)
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why is the sky blue, Zoë? 🙂"},
    {"role": "assistant", "content": "Scattering."},
    {"role": "user", "content": "  Thanks!  "},
]


def templated(template: str | None) -> Model:
    model = tiny_model(layers=1)
    model.tokenizer.chat_template = template
    return model


@pytest.fixture(scope="module")
def chatml() -> Model:
    return templated(CHATML)


def said(model: Model, tokens, turn: int) -> str:  # noqa: ANN001
    span = next(span for span in tokens.roles if span.turn == turn)
    return model.tokenizer.decode(tokens.ids[span.start : span.stop].tolist())


def test_role_spans_decode_back_to_the_contents(tiny: Model, chatml: Model) -> None:
    for model in (tiny, chatml):
        tokens = chat_tokens(model, CONVERSATION)
        assert [span.role for span in tokens.roles] == ["system", "user", "assistant", "user"]
        for turn, message in enumerate(CONVERSATION):
            assert said(model, tokens, turn) == message["content"].strip()
        inside = {at for span in tokens.roles for at in range(span.start, span.stop)}
        assert {at for at, special in enumerate(tokens.special) if not special} == inside
        assert tokens.role_of(0) is None


TURN = st.text(alphabet="aesurtind<|>0246\n ü🙂", min_size=1, max_size=12).filter(str.strip)


@settings(deadline=None)
@given(first=TURN, second=TURN, third=TURN)
def test_contents_that_look_like_the_template_are_still_found(
    tiny: Model, chatml: Model, first: str, second: str, third: str
) -> None:
    messages = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": second},
        {"role": "user", "content": third},
    ]
    for model in (tiny, chatml):
        tokens = chat_tokens(model, messages)
        assert [said(model, tokens, turn) for turn in range(3)] == [m["content"].strip() for m in messages]


@pytest.mark.parametrize("content", ["user", "a", "2", "You", "assistant", "26 Jul", "end"])
def test_a_short_message_is_not_found_in_a_header_or_a_default_prompt(chatml: Model, content: str) -> None:
    tokens = chat_tokens(chatml, [{"role": "user", "content": content}])
    header = chatml.tokenizer.convert_tokens_to_ids("<|user|>")
    assert tokens.ids.tolist().index(header) + 2 == tokens.roles[0].start
    assert said(chatml, tokens, 0) == content


def test_bos_is_never_doubled() -> None:
    writes, leaves = templated("{{ bos_token }}{{ messages[0]['content'] }}"), templated("{{ messages[0]['content'] }}")
    for model in (writes, leaves):
        assert chat_tokens(model, "hello").ids.tolist().count(BOS) == 1
        assert chat_tokens(model, "hello").ids[0] == BOS
    plain = templated(None)
    with pytest.warns(PlainDialogueWarning):
        assert chat_tokens(plain, "hello").ids.tolist().count(BOS) == 1
    assert tiny_model("gpt2", layers=1).tokens("hello").ids.tolist().count(BOS) == 0


def test_a_model_without_a_template_gets_a_plain_dialogue_and_one_warning() -> None:
    model = templated(None)
    with pytest.warns(PlainDialogueWarning, match="has no chat template") as seen:
        tokens = chat_tokens(model, CONVERSATION)
    assert len(seen) == 1
    assert tokens.text.startswith("System: Be brief.\n\nHuman: Why is")
    assert tokens.text.endswith("\n\nHuman: Thanks!\n\nAssistant:")
    assert [said(model, tokens, turn) for turn in range(4)] == [m["content"].strip() for m in CONVERSATION]
    with pytest.warns(PlainDialogueWarning):
        assert render(model, CONVERSATION, add_generation_prompt=False).endswith("Human: Thanks!")


def test_a_template_that_drops_a_message_is_an_error() -> None:
    dropping = "{% for m in messages if m['role'] != 'system' %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    model = templated(dropping)
    with pytest.raises(UsageError, match=r"rewrote or dropped the text of message 0 \(role 'system'\)"):
        chat_tokens(model, CONVERSATION)
    # Also where another message happens to contain the dropped text.
    with pytest.raises(UsageError, match="message 0"):
        chat_tokens(model, [{"role": "system", "content": "sky"}, *CONVERSATION[1:]])


def test_a_template_that_rewrites_a_message_is_an_error() -> None:
    model = templated("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}")
    with pytest.raises(UsageError, match="message 0"):
        chat_tokens(model, "hello")


def test_a_template_that_depends_on_contents_falls_back_to_looking() -> None:
    strips = (
        "{% for m in messages %}[{{ m['role'] }}]{% if '</think>' in m['content'] %}"
        "{{ m['content'].split('</think>')[-1] | trim }}{% else %}{{ m['content'] }}{% endif %}"
        "({{ m['content'] | length }}){% endfor %}"
    )
    model = templated(strips)
    tokens = chat_tokens(model, [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "good day"}])
    assert [said(model, tokens, turn) for turn in (0, 1)] == ["hello", "good day"]
    with pytest.raises(UsageError, match="message 0"):
        chat_tokens(model, [{"role": "assistant", "content": "<think>hm</think> yes"}])


def test_options_reach_the_template(chatml: Model) -> None:
    assert render(chatml, CONVERSATION, thinking=True).endswith("<think>\n")
    tokens = chat_tokens(chatml, CONVERSATION, thinking=True)
    assert tokens.text.endswith("<think>\n")
    assert tokens.special[-1]
    assert chat_tokens(chatml, CONVERSATION, add_generation_prompt=False).text.endswith("<|end|>\n")


def test_the_reply_slot_is_the_last_prompt_token(tiny: Model) -> None:
    tokens = chat_tokens(tiny, "hello")
    assert reply_slot(tokens) == len(tokens) - 1
    assert reply_slot(tiny.with_ids(tokens, [3, 4])) == len(tokens) - 1


def test_generated_ids_become_a_turn_of_the_assistant(tiny: Model) -> None:
    tokens = tiny.chat_tokens([{"role": "user", "content": "hello"}])
    longer = tiny.with_ids(tokens, [40, 41, 257])
    span = longer.roles[-1]
    assert (span.role, span.start, span.stop, span.turn) == ("assistant", len(tokens), len(tokens) + 2, 1)
    assert longer.prompt_length == len(tokens)
    assert longer.special.tolist()[-3:] == [False, False, True]
    assert tiny.with_ids(tiny.tokens("no chat"), [40]).roles == ()


def test_empty_turns_have_no_span(tiny: Model) -> None:
    tokens = chat_tokens(tiny, [{"role": "system", "content": " "}, {"role": "user", "content": "hi"}])
    assert [(span.role, span.turn) for span in tokens.roles] == [("user", 1)]


@pytest.mark.parametrize("bad", [[], [{"role": "user"}], [{"content": "x"}]])
def test_malformed_conversations(tiny: Model, bad: list[dict[str, str]]) -> None:
    with pytest.raises(UsageError, match="conversation is empty|a message is"):
        chat_tokens(tiny, bad)


def test_rendering_with_a_template_does_not_warn(tiny: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chat_tokens(tiny, CONVERSATION)
