"""Recipes are read, never evaluated."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymos.cli.recipe import format_recipe, parse_recipe
from thymos.errors import UnknownConceptError, UsageError

CONCEPTS = ("calm", "angry", "desperate", "at ease", "on edge", "self-confident", "worn out", "élan", "calm2")

coefficients = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.sampled_from(CONCEPTS), coefficients, min_size=1))
def test_what_is_written_is_read_back_to_the_same_numbers(terms: dict[str, float]) -> None:
    assert parse_recipe(format_recipe(terms), CONCEPTS) == terms


@given(st.text(max_size=60) | st.text("01.e+-*/()' calmangry", max_size=60))
def test_any_text_is_a_finite_recipe_of_known_concepts_or_a_usage_error(text: str) -> None:
    try:
        found = parse_recipe(text, CONCEPTS)
    except UsageError:
        return
    assert found and set(found) <= set(CONCEPTS)
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("calm", {"calm": 1.0}),
        ("0.05*calm - 0.02*angry", {"calm": 0.05, "angry": -0.02}),
        ("0.05*calm-0.02*angry", {"calm": 0.05, "angry": -0.02}),
        ("-calm + angry", {"calm": -1.0, "angry": 1.0}),
        ("calm*0.5", {"calm": 0.5}),
        ("calm / 4", {"calm": 0.25}),
        ("2*3*calm", {"calm": 6.0}),
        ("5e-2*calm", {"calm": 0.05}),
        (".5*calm", {"calm": 0.5}),
        ("calm + calm", {"calm": 2.0}),
        ("calm - calm", {"calm": 0.0}),
        ("0.1*(calm - 0.5*(angry + desperate))", {"calm": 0.1, "angry": -0.05, "desperate": -0.05}),
        ("at ease - on edge", {"at ease": 1.0, "on edge": -1.0}),
        ("0.5*self-confident-0.5*worn out", {"self-confident": 0.5, "worn out": -0.5}),
        ("'calm' - \"at ease\"", {"calm": 1.0, "at ease": -1.0}),
        ("calm2", {"calm2": 1.0}),
    ],
)
def test_linear_recipes_are_read(text: str, expected: dict[str, float]) -> None:
    assert parse_recipe(text, CONCEPTS) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "calm.__class__",
        "calm.values",
        "calm(1)",
        "calm[0]",
        "lambda: calm",
        "calm if calm else angry",
        "calm**2",
        "calm; angry",
        "calm = 1",
        "f'{calm}'",
    ],
)
def test_code_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_recipe(text, CONCEPTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a number or a concept at character 1, found the end"),
        ("0.05", "holds a number without a concept"),
        ("calm + 1", "holds a number without a concept"),
        ("calm +", "expected a number or a concept at character 7"),
        ("calm angry", "expected an operator .* found 'angry'"),
        ("0.05calm", r"expected an operator .* at character 5, found 'calm'"),
        ("(calm", "expected a closing parenthesis"),
        ("calm*angry", "must be linear"),
        ("calm/0", "divides by something that is not a number above 0"),
        ("1/calm", "divides by"),
        ("1e999*calm", "too large"),
        ("(" * 40 + "calm" + ")" * 40, "more than 32 deep"),
        ("calm+" * 3000 + "calm", "at most 10000 are read"),
    ],
)
def test_a_bad_recipe_is_told_where_and_why(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_recipe(text, CONCEPTS)


def test_an_unknown_concept_is_met_with_the_nearest_one() -> None:
    with pytest.raises(UnknownConceptError, match="unknown concept 'clam' .* did you mean 'calm'"):
        parse_recipe("0.1*clam", CONCEPTS)
    with pytest.raises(UnknownConceptError, match="put spaces around the minus: calm - angry"):
        parse_recipe("calm-angry", CONCEPTS)
