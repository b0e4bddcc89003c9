"""One value against a sample of controls."""

import numpy as np
import pytest

from thymos.errors import UsageError
from thymos.stats import single_case_p


def test_a_value_of_the_same_distribution_is_called_different_at_the_nominal_rate() -> None:
    draw = np.random.default_rng(0)
    found = np.array([single_case_p(float(draw.normal()), draw.normal(size=20)) for _ in range(4000)])
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=0.012)
    assert np.mean(found < 0.5) == pytest.approx(0.5, abs=0.03)


def test_it_follows_the_formula_and_both_sides_count() -> None:
    controls = np.array([-1.0, 0.0, 1.0])
    # t = 3 / (1 * sqrt(4/3)) with 2 degrees of freedom.
    assert single_case_p(3.0, controls) == pytest.approx(0.12169, abs=1e-4)
    assert single_case_p(-3.0, controls) == pytest.approx(single_case_p(3.0, controls))


def test_equal_controls_and_bad_input() -> None:
    same = np.zeros(5)
    assert single_case_p(0.0, same) == 1.0 and single_case_p(0.1, same) == 0.0
    with pytest.raises(UsageError, match="2 controls say nothing"):
        single_case_p(0.0, np.zeros(2))
    with pytest.raises(UsageError, match="not finite"):
        single_case_p(float("nan"), same)
