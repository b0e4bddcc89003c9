import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymos.errors import UsageError
from thymos.models import DEFAULT_BATCH_TOKENS, plan_batches

LENGTHS = st.lists(st.integers(0, 700), max_size=60)


@given(lengths=LENGTHS, budget=st.integers(1, 3000))
def test_every_text_is_in_exactly_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    plan = plan_batches(lengths, budget)
    assert sorted(index for batch in plan for index in batch) == list(range(len(lengths)))
    for batch in plan:
        fed = len(batch) * max(lengths[index] for index in batch)
        assert fed <= budget or len(batch) == 1


@given(lengths=LENGTHS, budget=st.integers(1, 3000))
def test_longest_first_and_ties_in_reading_order(lengths: list[int], budget: int) -> None:
    order = [index for batch in plan_batches(lengths, budget) for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    assert plan_batches(tuple(lengths), budget) == plan_batches(lengths, budget)


@given(lengths=LENGTHS, budget=st.integers(1, 3000))
def test_batches_are_filled(lengths: list[int], budget: int) -> None:
    plan = plan_batches(lengths, budget)
    for batch, following in zip(plan, plan[1:], strict=False):
        longest = max(lengths[index] for index in batch)
        assert (len(batch) + 1) * longest > budget, f"{following[0]} would have fitted"


def test_plan_of_a_known_case() -> None:
    assert plan_batches([5, 10, 3, 10, 1], 20) == [[1, 3], [0, 2, 4]]
    assert plan_batches([]) == []
    assert plan_batches([DEFAULT_BATCH_TOKENS + 1, 2]) == [[0], [1]]


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_below_one_is_refused(budget: int) -> None:
    with pytest.raises(UsageError, match="batch_tokens must be positive"):
        plan_batches([1, 2], budget)
