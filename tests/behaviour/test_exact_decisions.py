from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from brute_force import brute, next_log_probabilities, sequence_probability
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from thymos.behaviour import DecisionPoint, Decisions, Options, decision_point, score_decisions
from thymos.behaviour.decisions import jobs_of
from thymos.behaviour.points import continuation_ids
from thymos.behaviour.trie import grow
from thymos.errors import ActivationError, LayerError, UsageError
from thymos.models import (
    TINY_ARCHITECTURES,
    Add,
    Cap,
    Model,
    ProjectOut,
    Sampling,
    Select,
    generate,
    intervene,
    tiny_model,
)

LAYER = 1
DECODERS = [name for name in TINY_ARCHITECTURES if name not in ("bert", "roberta", "modernbert")]
YES_NO = Options.of({"yes": "Yes", "no": "No"})


def add(direction: np.ndarray, strength: float = 0.5, select: Select | None = None) -> Add:
    return Add({LAYER: direction}, strength, {LAYER: 8.0}, select or Select(special=True))


def ids_of(model: Model, options: Options) -> dict[str, list[tuple[int, ...]]]:
    def one(text: str) -> tuple[int, ...]:
        return tuple(model.tokens(text, add_special=False).ids.tolist())

    return {name: [one(text) for text in texts] for name, texts in options.outcomes.items()}


@pytest.mark.parametrize("architecture", DECODERS)
def test_probabilities_are_those_of_feeding_every_prefix_alone(
    architecture: str, model_of: Callable[[str], Model], points_of: Callable[[Model], list[DecisionPoint]]
) -> None:
    model = model_of(architecture)
    points = points_of(model)
    raw = score_decisions(model, points, normalise=False)
    shares = score_decisions(model, points)
    for row, point in enumerate(points):
        expected = brute(model, point.tokens.ids.tolist(), ids_of(model, point.options))
        np.testing.assert_allclose(raw.probabilities[row], list(expected.values()), rtol=2e-4)
    np.testing.assert_allclose(raw.mass, raw.probabilities.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(raw.mass, shares.mass)
    np.testing.assert_allclose(shares.probabilities, raw.probabilities / raw.mass[:, None])


TEXTS = st.text("ab ", min_size=1, max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=2, max_size=3), prompt=TEXTS)
def test_any_options_that_begin_none_another_equal_brute_force(
    tiny: Model, outcomes: list[list[str]], prompt: str
) -> None:
    # An end mark makes every set of texts free of prefixes.
    flat, options = set(), {}
    for number, texts in enumerate(outcomes):
        fresh = [text + "." for text in dict.fromkeys(texts) if text + "." not in flat]
        flat |= set(fresh)
        if fresh:
            options[f"o{number}"] = tuple(fresh)
    if len(options) < 2:
        return
    point = decision_point(tiny, prompt, Options(options))
    found = score_decisions(tiny, [point], normalise=False)
    expected = brute(tiny, point.tokens.ids.tolist(), ids_of(tiny, point.options))
    np.testing.assert_allclose(found.probabilities[0], list(expected.values()), rtol=1e-4)


def test_texts_that_part_late_cost_one_pass_over_what_they_share(tiny: Model) -> None:
    options = Options.of({"go": ["I will run", "I will rush"], "stay": "I will sit"})
    _, [job] = jobs_of(tiny, [decision_point(tiny, "So?", options)])
    assert [tiny.tokenizer.decode(list(path)) for path in job.tree.paths] == ["I will "]
    assert len(job.rows) == 1 and job.rows[0].keep == len("I will ") + 1
    # "r" is enough: both texts behind it mean the same.
    assert [edge.outcome for edge in job.tree.edges][-2:] == [0, 1]


def test_a_pass_per_path_where_texts_part_twice() -> None:
    tree = grow({"a": [(1, 2, 3), (4, 5)], "b": [(1, 2, 9), (4, 6)]})
    assert sorted(tree.paths) == [(1, 2), (4,)]
    assert {edge.token for edge in tree.edges if edge.sequence == tree.paths.index((4,))} == {5, 6}
    # The same texts, all of one kind behind the first token: nothing but the prompt is fed.
    assert grow({"a": [(1, 2, 3), (1, 2)], "b": [(4, 5), (4, 6)]}).paths == ((),)


def test_the_longest_text_that_was_said_counts(tiny: Model) -> None:
    """ "yes" and "yes, but" are told apart: the short one has what the long one leaves."""
    options = Options.of({"yes": "yes", "but": "yes, but", "no": "no"})
    point = decision_point(tiny, "Well?", options)
    found = score_decisions(tiny, [point], normalise=False)
    ids = point.tokens.ids.tolist()
    short, long = (
        sequence_probability(tiny, ids, tuple(tiny.tokens(text, add_special=False).ids.tolist()))
        for text in ("yes", "yes, but")
    )
    assert found.of("but")[0] == pytest.approx(long, rel=1e-3)
    assert found.of("yes")[0] == pytest.approx(short - long, rel=1e-3)
    assert found.mass[0] == pytest.approx(short + found.of("no")[0])


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bloom", "opt", "jamba", "gemma2"])
def test_batches_of_any_size_agree(
    architecture: str,
    model_of: Callable[[str], Model],
    points_of: Callable[[Model], list[DecisionPoint]],
    directions: np.ndarray,
) -> None:
    model = model_of(architecture)
    points = points_of(model)
    for interventions in ([], [add(directions[0])]):
        alone = score_decisions(model, points, interventions, batch_tokens=1)
        for size in (80, 4096):
            together = score_decisions(model, points, interventions, batch_tokens=size)
            np.testing.assert_allclose(together.probabilities, alone.probabilities, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(together.mass, alone.mass, rtol=1e-3)


def test_nothing_added_changes_no_bit(tiny: Model, points: list[DecisionPoint], directions: np.ndarray) -> None:
    plain = score_decisions(tiny, points).probabilities
    for nothing in (add(directions[0], 0.0), add(0 * directions[0], 5.0)):
        np.testing.assert_array_equal(score_decisions(tiny, points, [nothing]).probabilities, plain)
    for what in (
        add(directions[0]),
        ProjectOut({LAYER: directions[:2]}),
        Cap({LAYER: directions[0]}, {LAYER: -3.0}),
    ):
        assert np.abs(score_decisions(tiny, points, [what]).probabilities - plain).max() > 1e-4
    assert not tiny.hooks.active


@pytest.mark.parametrize("where", ["all", "prompt", "generated", "reply"])
@pytest.mark.parametrize("special", [True, False])
def test_positions_mean_what_they_mean_in_generation(
    tiny: Model, points: list[DecisionPoint], directions: np.ndarray, where: str, special: bool
) -> None:
    """Steering "the reply" steers the prompt's last row and the continuation's, token by token."""
    edit = add(directions[0], 2.0, Select(where=where, special=special))
    found = score_decisions(tiny, points, [edit], normalise=False)
    for row, point in enumerate(points):
        length = len(point.tokens)

        def fed(path: tuple[int, ...], point: DecisionPoint = point, length: int = length) -> float:
            total = 0.0
            for done in range(len(path)):
                tokens = tiny.with_ids(point.tokens, path[:done])
                chosen = edit.select.mask(replace(tokens, prompt_length=length))
                here = Select(positions=tuple(np.flatnonzero(chosen).tolist()), special=True)
                with intervene(tiny, *([replace(edit, select=here)] if chosen.any() else [])):
                    total += float(next_log_probabilities(tiny, tokens.ids.tolist())[path[done]])
            return float(np.exp(total))

        no, wonder = (tuple(tiny.tokens(text, add_special=False).ids.tolist()) for text in ("N", "I wo"))
        assert found.of("ask")[row] == pytest.approx(fed(wonder), rel=2e-3)
        assert found.of("refuse")[row] > fed(no) * 0.99


def test_a_first_token_agrees_with_generation(tiny: Model, directions: np.ndarray) -> None:
    """Under steering of the reply, the greedy token is the likeliest outcome of all single letters."""
    letters = Options.of({chr(c): chr(c) for c in range(33, 127)})
    edit = add(directions[0], 4.0, Select(where="reply", special=True))
    point = decision_point(tiny, "The gate", letters)
    found = score_decisions(tiny, [point], [edit], normalise=False)
    new = generate(tiny, [point.tokens], Sampling(max_new_tokens=1), interventions=[edit])[0].new_ids[0]
    token = tiny.tokenizer.decode([new])
    if token in letters.outcomes:
        assert found.outcomes[int(found.probabilities[0].argmax())] == token


def test_roles_and_characters_reach_prompts_with_a_prefill(tiny: Model, directions: np.ndarray) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Will it hold?"}]
    options = Options.of({"yes": "It will hold", "no": "It will break"})
    point = decision_point(tiny, messages, options, "<think>hm</think>")
    assert point.tokens.text.endswith("<|assistant|>\n<think>hm</think>")
    assert [span.role for span in point.tokens.roles] == ["system", "user", "assistant"]
    assert tiny.tokenizer.decode(point.tokens.ids).count("<|bos|>") == 1
    plain = score_decisions(tiny, [point]).probabilities
    start = point.tokens.text.index("Will")
    by_role = score_decisions(tiny, [point], [add(directions[0], 3.0, Select(roles=("user",)))]).probabilities
    plain_prompt = decision_point(tiny, messages, options)
    by_chars = [
        score_decisions(tiny, [plain_prompt], [add(directions[0], 3.0, select)]).probabilities
        for select in (Select(chars=((start, start + len("Will it hold?")),)), Select(roles=("user",)))
    ]
    assert np.abs(by_role - plain).max() > 1e-4
    np.testing.assert_allclose(*by_chars, rtol=1e-5)


def test_points_may_have_options_of_their_own(tiny: Model) -> None:
    points = [
        decision_point(tiny, "One?", YES_NO),
        decision_point(tiny, "Two?", Options.of({"no": "Nope", "later": "Later"})),
    ]
    found = score_decisions(tiny, points)
    assert found.outcomes == ("yes", "no", "later")
    assert np.isnan(found.probabilities).tolist() == [[False, False, True], [True, False, False]]
    np.testing.assert_allclose(np.nansum(found.probabilities, axis=1), 1)
    np.testing.assert_allclose(found.log_odds("no"), np.log(found.of("no") / (1 - found.of("no"))), rtol=1e-9)
    with pytest.raises(UsageError, match="1 of 2 points do not have the outcome 'later'"):
        found.of("later")
    with pytest.raises(UsageError, match="no outcome 'nos'; did you mean 'no'"):
        found.of("nos")


def test_bare_ids_are_a_point(tiny: Model) -> None:
    point = decision_point(tiny, "The gate", YES_NO)
    bare = DecisionPoint(tuple(point.tokens.ids.tolist()), YES_NO)
    np.testing.assert_array_equal(
        score_decisions(tiny, [bare]).probabilities, score_decisions(tiny, [point]).probabilities
    )


def test_unlikely_options_still_have_shares() -> None:
    tree = grow({"a": [(1,)], "b": [(2,)]})
    shares, log_mass = tree.shares(np.asarray([[-2000.0, -2001.0]]))
    np.testing.assert_allclose(shares[0], [1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-1))])
    assert log_mass[0] == pytest.approx(-2000 + np.log(1 + np.exp(-1)))


def test_a_tokenizer_that_marks_the_start_of_a_text_marks_no_continuation() -> None:
    """Pieces such as "▁yes" are written behind a prompt as the tokenizer writes the whole text."""
    pieces = ["<unk>", "▁", "▁yes", "▁no", "y", "e", "s", "n", "o", ":", "▁Is", "▁it"]
    core = Tokenizer(models.Unigram([(p, -1.0 if len(p) > 1 else -9.0) for p in pieces], unk_id=0))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    model = Model.wrap(tiny_model().network, tokenizer)
    prompt = model.tokens("Is it:")

    def written(texts: list[str]) -> list[list[str]]:
        return [tokenizer.convert_ids_to_tokens(list(ids)) for ids in continuation_ids(model, prompt, texts)]

    assert written([" yes", "yes"]) == [["▁yes"], ["y", "e", "s"]]
    bare = replace(prompt, text="")
    assert [tokenizer.convert_ids_to_tokens(list(i)) for i in continuation_ids(model, bare, ["yes"])] == [["▁yes"]]


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({"yes": ("Yes",)}, "at least two outcomes, got \\['yes'\\]"),
        ({"yes": ("Yes",), "no": ()}, "outcome 'no' has no continuation or an empty one"),
        ({"yes": ("Yes", ""), "no": ("No",)}, "outcome 'yes' has no continuation or an empty one"),
        ({"yes": ("Yes", "Ok"), "no": ("No", "Ok")}, "'Ok' stands under two outcomes \\('yes' and 'no'\\)"),
    ],
)
def test_options_that_make_no_sense(outcomes: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Options(outcomes)


def test_what_cannot_be_scored(tiny: Model, minilm: Model, points: list[DecisionPoint]) -> None:
    with pytest.raises(UsageError, match="'minilm' is an encoder: it gives no probabilities"):
        score_decisions(minilm, [DecisionPoint((1, 2), YES_NO)])
    with pytest.raises(UsageError, match="no decision points were given"):
        score_decisions(tiny, [])
    with pytest.raises(UsageError, match="decision point 'x' has no tokens"):
        score_decisions(tiny, [DecisionPoint((), YES_NO, "x")])
    with pytest.raises(UsageError, match="'a' and 'b' have continuations that the tokenizer writes alike"):
        grow({"a": [(1, 2)], "b": [(3,), (1, 2)]})
    with pytest.raises(UsageError, match="fill the context .*2048 tokens"):
        decision_point(tiny, "a" * 3000, YES_NO)
    with pytest.raises(UsageError, match="fill the context"):
        score_decisions(tiny, [decision_point(tiny, "a" * 2040, Options.of({"a": "b" * 30, "c": "d"}))])
    with pytest.raises(LayerError, match="layer 9"):
        score_decisions(tiny, points, [Add({9: np.ones(32, np.float32)}, 1.0, {9: 1.0})])
    with pytest.raises(ActivationError, match="the logits of .* hold NaN"):
        # Two finite pushes whose sum is not.
        score_decisions(tiny, points, [Add({3: np.full(32, 1e38, np.float32)}, 3.0, {3: 1.0})] * 2)


def test_decisions_are_values(tiny: Model, points: list[DecisionPoint]) -> None:
    found = score_decisions(tiny, points)
    assert isinstance(found, Decisions) and found.probabilities.shape == (len(points), 3)
    assert ((found.mass > 0) & (found.mass < 1)).all()
