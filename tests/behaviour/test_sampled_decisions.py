from collections.abc import Callable

import numpy as np
import pytest

from thymos.behaviour import OTHER, Options, decision_point, match_options, sample_decisions, score_decisions
from thymos.errors import UsageError
from thymos.models import Add, Model, Sampling

LETTERS = Options.of({"low": [chr(c) for c in range(33, 80)], "high": [chr(c) for c in range(80, 127)]})
ONE = Sampling(max_new_tokens=1, temperature=1.0)


def test_the_longest_start_decides() -> None:
    classify = match_options(Options.of({"yes": ["Yes"], "but": [" Yes, but"], "no": "No"}))
    assert [classify(text) for text in ("Yes.", " Yes, but no", "No!", "\n Yes", "Maybe", "")] == [
        "yes",
        "but",
        "no",
        "yes",
        None,
        None,
    ]
    assert classify.outcomes == ("yes", "but", "no")


def test_sampling_agrees_with_exact_scoring(tiny: Model, directions: np.ndarray) -> None:
    """The share of replies lies within its error of the exact probability, steered or not."""
    point = decision_point(tiny, "Which one, then?", LETTERS)
    for edits in ([], [Add({1: directions[0]}, 0.5, {1: 8.0})]):
        exact = score_decisions(tiny, [point], edits, normalise=False)
        found = sample_decisions(tiny, [point.tokens], match_options(LETTERS), 400, ONE, edits)
        for outcome in ("low", "high"):
            p = float(exact.of(outcome)[0])
            assert found.rate(outcome).estimate == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 400))
        assert found.counts.sum() == 400 and found.outcomes == ("low", "high", OTHER)


def test_a_seed_fixes_the_replies(tiny: Model) -> None:
    def drawn(seed: int) -> tuple[tuple[str, ...], ...]:
        settings = Sampling(max_new_tokens=4, temperature=1.0, seed=99)
        return sample_decisions(tiny, ["One", "And two"], len_of, 20, settings, seed=seed).texts

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert len(first) == 2 and all(len(set(texts)) > 10 for texts in first)


def len_of(text: str) -> str | None:
    return "long" if len(text) > 3 else None


def test_counts_by_prompt_and_over_all(tiny: Model) -> None:
    found = sample_decisions(tiny, ["One", "Two"], len_of, 9, Sampling(max_new_tokens=4, temperature=1.0))
    assert found.outcomes[-1] == OTHER and found.counts.shape == (2, len(found.outcomes))
    assert (found.counts.sum(axis=1) == 9).all()
    assert sum(interval.estimate for interval in found.rates.values()) == pytest.approx(1)
    one = found.rate(OTHER, prompt=0)
    assert one.n == 9 and 0 <= one.low <= one.estimate <= one.high <= 1
    with pytest.raises(UsageError, match="no outcome 'lang'; did you mean 'long'"):
        found.rate("lang")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], len_of, 0), "0 replies to each of 1 prompts are no sample"),
        (([], len_of, 3), "3 replies to each of 0 prompts are no sample"),
        ((["a"], len_of, 2, Sampling()), "temperature 0 gives the same reply 2 times"),
    ],
)
def test_what_is_no_sample(tiny: Model, arguments: tuple[list[str], Callable, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sample_decisions(tiny, *arguments)
