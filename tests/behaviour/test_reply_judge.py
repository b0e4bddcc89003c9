import pytest

from thymos.behaviour.judge import RUBRICS, agreement, judge_replies
from thymos.errors import ModelError

RUBRIC = RUBRICS["harshness"]
CASES = [("scene", f"reply {n}") for n in range(12)]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("2", "warm"), ("Verdict: 3.", "plain"), (" 1\n", "harsh"), ("<think>1 or 2?</think>2", "warm"),
        ("2, yes 2", "warm"),
        ("10", None), ("0", None), ("2.5", None), ("-1", None), ("1/3", None), ("1 or 2", None),
        ("warm", None), ("", None),
    ],
)  # fmt: skip
def test_answers_are_read_as_one_whole_number(answer: str, verdict: str | None):
    assert RUBRIC.read(answer) == verdict


def test_the_judge_sees_scene_and_reply_and_no_number_but_the_choices():
    (message,) = RUBRIC.messages("a scene", "a reply")
    assert "a scene" in message["content"] and "a reply" in message["content"] and "1: Harsh" in message["content"]


def test_verdicts_come_back_in_the_order_of_the_cases_however_they_were_asked():
    seen = []

    def writer(prompts, seeds):
        text = prompts[0][0]["content"]
        seen.append(next(n for n in range(12) if f"reply {n}\n" in text))
        return [str(seen[-1] % 3 + 1)]

    found = judge_replies(writer, RUBRIC, CASES, concurrency=1)
    assert [one.verdict for one in found] == [tuple(RUBRIC.verdicts)[n % 3] for n in range(12)]
    assert seen != sorted(seen) and sorted(seen) == list(range(12))


def test_nonsense_and_failures_are_unjudged_and_a_dead_endpoint_is_left_alone():
    calls = []

    def dead(prompts, seeds):
        calls.append(1)
        raise ModelError("timed out")

    found = judge_replies(dead, RUBRIC, CASES, patience=3, concurrency=1)
    assert len(calls) == 3 and all(one.verdict is None and one.failure for one in found)
    assert sum("not asked" in one.failure for one in found) == 9
    odd = judge_replies(lambda prompts, seeds: ["I would rather not say"], RUBRIC, CASES)
    assert all("no whole number" in one.failure for one in odd)


def test_kappa():
    first, second = ["a", "a", "b", "b"] * 10, ["a", "b", "b", "b"] * 9 + ["a", "b", "b", None]
    found = agreement(first, second)
    assert found.unjudged == 1 and found.n == 39
    assert found.kappa is not None and found.kappa.estimate == pytest.approx(0.5, abs=0.03)
    assert agreement(["a", "b"] * 20, ["a", "b"] * 20).kappa.estimate == 1
    assert agreement(["a"] * 5, ["a"] * 5).kappa is None
