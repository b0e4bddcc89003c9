"""What every chart asks of its data: it is there, it has the columns, it holds numbers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from thymos.errors import UsageError


def check_frame(what: str, frame: pd.DataFrame, columns: Sequence[str], numbers: Sequence[str]) -> None:
    """Check a table before it is drawn.

    Args:
        what: What the rows are, for the message.
        frame: The table.
        columns: Columns it must have.
        numbers: Columns (those present are checked) that must be finite numbers.

    Raises:
        UsageError: No rows, a missing column, or a value that is not a finite number.
    """
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(
            f"{what}: the columns {missing} are missing; seen {list(frame.columns)}, needed {list(columns)}"
        )
    if frame.empty:
        raise UsageError(f"{what}: no rows to draw; give at least one")
    for name in numbers:
        if name not in frame.columns:
            continue
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise UsageError(f"{what}: the column {name!r} has the type {frame[name].dtype}; give numbers")
        bad = np.flatnonzero(~np.isfinite(frame[name].to_numpy(dtype=float)))
        if bad.size:
            seen = frame[name].iloc[int(bad[0])]
            raise UsageError(
                f"{what}: {bad.size} of {len(frame)} values in the column {name!r} are not finite, the first in row "
                f"{int(bad[0])} ({seen}); drop these rows or compute them"
            )


def check_array(what: str, values: Shaped[np.ndarray, "..."]) -> None:
    """Check numbers before they are drawn.

    Raises:
        UsageError: No values, or one that is not finite.
    """
    if values.size == 0:
        raise UsageError(f"{what}: no values to draw (shape {values.shape}); give at least one")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UsageError(f"{what}: {bad} of {values.size} values are NaN or infinite; drop them or compute them")


def check_named(what: str, names: Sequence[object], count: int) -> None:
    """Check that there is one name per row, and no name twice.

    Raises:
        UsageError: Another number of names, or a repeated one.
    """
    if len(names) != count:
        raise UsageError(f"{what}: {len(names)} names for {count} rows; give one name per row")
    if len(set(names)) != len(names):
        twice = sorted({str(name) for name in names if list(names).count(name) > 1})
        raise UsageError(f"{what}: the names {twice[:5]} occur more than once; names must differ")
