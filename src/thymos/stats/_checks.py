"""Checks of the arrays that come in; every function of this package runs them before it computes."""

import numpy as np
from jaxtyping import Shaped

from thymos.errors import UsageError


def check_finite(name: str, values: Shaped[np.ndarray, "..."], *, least: int = 1) -> None:
    """Raise unless an array has at least `least` rows and no NaN or infinity.

    Raises:
        UsageError: Too few rows, or a value that is not finite; the message names the first one's position.
    """
    if values.shape[0] < least or values.size == 0:
        raise UsageError(f"{name} has {values.shape[0]} rows (shape {values.shape}); at least {least} are needed")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = ", ".join(str(int(index)) for index in bad[0])
        raise UsageError(
            f"{name} has {len(bad)} values that are NaN or infinite, the first at [{place}]; leave those items out"
        )


def check_same_length(
    names: tuple[str, str], first: Shaped[np.ndarray, "..."], second: Shaped[np.ndarray, "..."]
) -> None:
    """Raise unless two arrays have the same number of rows.

    Raises:
        UsageError: The lengths differ.
    """
    if len(first) != len(second):
        raise UsageError(
            f"{names[0]} has {len(first)} rows and {names[1]} has {len(second)}; both must describe the same items"
        )


def check_varies(name: str, values: Shaped[np.ndarray, " items"]) -> None:
    """Raise when all values are equal, so that no association with them is defined.

    Raises:
        UsageError: All values are equal.
    """
    if np.all(values == values[0]):
        raise UsageError(f"all {len(values)} values of {name} are {values[0]}; an association needs values that differ")


def check_level(level: float) -> None:
    """Raise unless a confidence level is strictly between 0 and 1.

    Raises:
        UsageError: It is not; 95 is the usual slip.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; valid values are between 0 and 1, e.g. 0.95")


def check_count(name: str, count: int) -> None:
    """Raise unless a count is at least 1.

    Raises:
        UsageError: It is not.
    """
    if count < 1:
        raise UsageError(f"{name} is {count}; it must be at least 1")
