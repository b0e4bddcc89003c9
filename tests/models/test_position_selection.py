from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from thymos.errors import UsageError
from thymos.models import CONTENT, EVERYWHERE, Model, RoleSpan, Select, Span, Tokens, pad, rows, text_means, truncate
from thymos.models.capture import selection

WORDS = st.text(alphabet="ab ü🙂真é.", max_size=14)


# Strategies give plain values; the dataclasses are made in the tests, where beartype may draw its random samples.


@st.composite
def fed(draw: st.DrawFn) -> dict[str, Any]:
    length = draw(st.integers(1, 14))
    cuts = sorted(draw(st.lists(st.integers(0, length), min_size=4, max_size=4)))
    ends = np.asarray(
        draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=length, max_size=length))
    )
    return {
        "ids": np.arange(length, dtype=np.int32),
        "special": np.asarray(draw(st.lists(st.booleans(), min_size=length, max_size=length))),
        "offsets": np.stack([ends[:, 0], ends[:, 0] + ends[:, 1]], axis=1).astype(np.int32),
        "roles": [("user", cuts[0], cuts[1], 0), ("assistant", cuts[2], cuts[3], 1)],
        "prompt_length": draw(st.none() | st.integers(1, length)),
    }


def tokens_from(parts: dict[str, Any]) -> Tokens:
    return Tokens(**{**parts, "roles": tuple(RoleSpan(*span) for span in parts["roles"])})


def optional(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | st.lists(strategy, max_size=3).map(tuple)


SELECTS = st.fixed_dictionaries(
    {
        "start_token": st.integers(1, 6),
        "where": st.sampled_from(["all", "prompt", "generated", "reply"]),
        "roles": optional(st.sampled_from(["user", "assistant", "system"])),
        "positions": optional(st.integers(0, 14)),
        "chars": optional(st.tuples(st.integers(0, 12), st.integers(0, 14))),
        "special": st.booleans(),
    }
)


def meant(select: Select, tokens: Tokens, index: int) -> bool:
    """The definition, one position at a time."""

    def in_role(at: int) -> bool:
        return any(span.start <= at < span.stop and span.role in (select.roles or ()) for span in tokens.roles)

    prompt = len(tokens) if tokens.prompt_length is None else tokens.prompt_length
    slot = select.where == "reply" and index == prompt - 1
    if tokens.special[index] and not select.special and not slot:
        return False
    if {
        "all": False,
        "prompt": index >= prompt,
        "generated": index < prompt,
        "reply": index < prompt - 1,
    }[select.where]:
        return False
    if select.positions is not None and index not in select.positions:
        return False
    if select.roles is not None and not in_role(index):
        return False
    counted = sum(1 for at in range(index + 1) if not tokens.special[at] and (select.roles is None or in_role(at)))
    if select.start_token > 1 and counted < select.start_token:
        return False
    if select.chars is not None:
        start, stop = (int(edge) for edge in tokens.offsets[index])
        covered = set(range(start, stop))
        return any(covered & set(range(low, high)) for low, high in select.chars)
    return True


@given(parts=fed(), conditions=SELECTS)
def test_mask_is_its_definition(parts: dict[str, Any], conditions: dict[str, Any]) -> None:
    tokens, select = tokens_from(parts), Select(**conditions)
    expected = [meant(select, tokens, index) for index in range(len(tokens))]
    assert select.mask(tokens).tolist() == expected


@given(text=WORDS, low=st.integers(0, 14), width=st.integers(0, 5))
def test_character_ranges_cover_whole_characters(tiny: Model, text: str, low: int, width: int) -> None:
    tokens = tiny.tokens(text)
    mask = Select(chars=((low, low + width),)).mask(tokens)
    chosen = bytes(np.concatenate([[], tokens.ids[mask]]).astype(int).tolist())
    assert len(chosen) == int(mask.sum())
    said = tiny.tokenizer.decode(tokens.ids[mask].tolist())
    assert said == text[low : low + width]


@given(text=WORDS)
def test_offsets_and_special_marks_of_real_texts(tiny: Model, text: str) -> None:
    tokens = tiny.tokens(text)
    assert tokens.special.tolist() == [True] + [False] * len(text.encode())
    covered = sorted({at for low, high in tokens.offsets.tolist() for at in range(low, high)})
    assert covered == list(range(len(text)))


def story(words: int) -> str:
    return " ".join(f"w{number}" for number in range(words))


@pytest.mark.parametrize("name", ["tiny", "minilm"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("partners", [(), (400,), (3, 90), (60, 61, 62)])
def test_start_token_50_is_the_fiftieth_content_token_in_every_batch(
    request: pytest.FixtureRequest, name: str, side: str, partners: tuple[int, ...]
) -> None:
    model: Model = request.getfixturevalue(name)
    tokens = model.tokens(story(80))
    batch = [tokens, *(model.tokens(story(n)) for n in partners)]
    padded = pad(model, batch, side)
    select = Select(start_token=50)
    chosen = selection(batch, padded, select)
    content = [index for index, special in enumerate(tokens.special) if not special]
    place = 0 if side == "right" else padded.ids.shape[1] - len(tokens)
    assert np.flatnonzero(chosen[0])[0] == place + content[49]
    assert int(chosen[0].sum()) == len(content) - 49
    assert not chosen[~padded.real.numpy()].any(), "padding is never chosen"
    fed_ids = padded.ids.numpy()[0][chosen[0]]
    np.testing.assert_array_equal(fed_ids, tokens.ids[content[49:]])


def test_start_token_moves_the_mean_to_the_right_rows(tiny: Model) -> None:
    tokens = tiny.tokens(story(40))
    expected = rows(tiny, tokens, [2])[0, 50:].mean(axis=0)  # BOS is row 0: the 50th content token is row 50
    for side in ("right", "left"):
        batch = [tiny.tokens(story(90)), tokens, tiny.tokens(story(20))]
        found = text_means(tiny, batch, [2], Span(Select(start_token=50), 100_000, side))
        np.testing.assert_allclose(found[1, 0], expected, atol=2e-6)


def test_bos_is_left_out_unless_asked_for(tiny: Model, minilm: Model) -> None:
    assert CONTENT.mask(tiny.tokens("ab")).tolist() == [False, True, True]
    assert EVERYWHERE.mask(tiny.tokens("ab")).all()
    mask = CONTENT.mask(minilm.tokens("good morning"))
    assert mask.tolist() == [False, True, True, False], "[CLS] and [SEP]"


def test_selection_errors_say_what_is_missing(tiny: Model) -> None:
    plain = tiny.tokens_of(["abc"])[0]
    with pytest.raises(UsageError, match="carry no offsets"):
        Select(chars=((0, 1),)).mask(plain)
    with pytest.raises(UsageError, match="no role spans"):
        Select(roles=("user",)).mask(plain)
    with pytest.raises(UsageError, match="counts from 1, got 0"):
        Select(start_token=0)


def test_where_is_checked() -> None:
    unchecked: dict[str, Any] = {"where": "answer"}
    with pytest.raises((UsageError, TypeCheckError), match="none of 'all'|'answer'"):
        Select(**unchecked)


@given(parts=fed(), longest=st.integers(1, 16))
def test_truncation_keeps_the_head(parts: dict[str, Any], longest: int) -> None:
    tokens = tokens_from(parts)
    cut = truncate(tokens, longest)
    assert len(cut) == min(len(tokens), longest)
    np.testing.assert_array_equal(cut.ids, tokens.ids[:longest])
    assert len(cut.offsets) == len(cut.special) == len(cut)
    for position in range(len(cut)):
        assert cut.role_of(position) == tokens.role_of(position)


def test_long_texts_are_cut_to_the_context(tiny: Model) -> None:
    assert len(tiny.tokens("x" * 5000)) == 2048
    assert [len(t) for t in tiny.tokens_of(["x" * 50, "x"], longest=10)] == [10, 2]
    assert tiny.tokens_of([]) == []
