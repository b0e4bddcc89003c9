from collections.abc import Callable

import numpy as np
import pytest
from behaviour_cases import OPTIONS, PROMPTS, unit_rows

from thymos.behaviour import DecisionPoint, decision_point
from thymos.models import Model


@pytest.fixture(scope="session")
def points_of() -> Callable[[Model], list[DecisionPoint]]:
    def make(model: Model) -> list[DecisionPoint]:
        return [decision_point(model, prompt, OPTIONS, id=f"p{i}") for i, prompt in enumerate(PROMPTS)]

    return make


@pytest.fixture(scope="session")
def points(tiny: Model, points_of: Callable[[Model], list[DecisionPoint]]) -> list[DecisionPoint]:
    return points_of(tiny)


@pytest.fixture(scope="session")
def directions() -> np.ndarray:
    return unit_rows(5)
