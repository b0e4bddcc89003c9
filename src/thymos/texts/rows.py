"""Rows of every kind of source, one at a time or in small batches; nothing here holds a whole file."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thymos.errors import CorpusError
from thymos.texts.text import COLUMNS, Text

__all__ = ["SUFFIXES", "JsonlRows", "MemoryRows", "ParquetRows", "Row", "RowSource", "as_text", "is_dataset"]

Row = tuple[str, Any]
"""Where a row is ("line 12"), and the row: a mapping, a `Text` or a string."""
RowSource = Callable[[], Iterator[Row]]
"""Starts again at the first row each time it is called."""

SUFFIXES = (".jsonl", ".parquet")
_PARQUET_ROWS = 256


@dataclass(frozen=True)
class JsonlRows:
    """Lines of a JSONL file; blank lines are passed over."""

    path: Path

    def __call__(self) -> Iterator[Row]:
        """Read the file from its first line."""
        with _opened(self.path) as handle:
            for number, raw in enumerate(handle, start=1):
                if raw.strip():
                    yield f"line {number}", _parse(raw, number)


@dataclass(frozen=True)
class ParquetRows:
    """Rows of a Parquet file, a few hundred at a time."""

    path: Path

    def __call__(self) -> Iterator[Row]:
        """Read the file from its first row."""
        with _opened(self.path) as handle:
            try:
                table = pq.ParquetFile(handle)
                check_columns(table.schema_arrow.names)
                first = 1
                for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                    rows = batch.to_pylist()
                    yield from ((f"row {first + i}", row) for i, row in enumerate(rows))
                    first += len(rows)
            except pa.ArrowException as err:
                raise CorpusError(f"not a readable Parquet file ({str(err).splitlines()[0]}); write it again") from None


@dataclass(frozen=True, eq=False)
class MemoryRows:
    """Items of a sequence, of a Hugging Face dataset, or of what a function returns each time it is called."""

    items: Any

    def __call__(self) -> Iterator[Row]:
        """Start at the first item."""
        columns = getattr(self.items, "column_names", None)
        if isinstance(columns, list):
            check_columns(columns)
        for number, item in enumerate(self.items() if callable(self.items) else self.items, start=1):
            yield f"row {number}", item


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CorpusError("there is no such file; check the path") from None
    except OSError as err:
        raise CorpusError(f"it cannot be read: {err.strerror}; give a readable file") from None


def _parse(raw: bytes, number: int) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as err:
        raise CorpusError(f"line {number} is not UTF-8 (byte {err.start}); save the file as UTF-8") from None
    except json.JSONDecodeError as err:
        torn = "" if raw.endswith(b"\n") else "; the line has no end, so writing may have been cut off"
        raise CorpusError(f"line {number} is not JSON: {err.msg} at column {err.colno}{torn}") from None
    except RecursionError:
        raise CorpusError(f"line {number} is nested too deeply to be read") from None


def check_columns(columns: list[str]) -> None:
    """Fail before the first row when there is no column of texts.

    Raises:
        CorpusError: No column `text`.
    """
    if "text" not in columns:
        raise CorpusError(
            f"there is no column 'text'; columns seen: {', '.join(map(str, columns)) or 'none'}; rename the one that "
            "holds the texts"
        )


def as_text(item: Any, where: str) -> Text:
    """Turn one row into a `Text`.

    Args:
        item: A `Text`, a string, or a mapping with the key `text`.
        where: Named in errors, e.g. "line 12".

    Raises:
        CorpusError: The row has no usable text, or a label that is not a string.
    """
    if isinstance(item, str):
        item = Text(item)
    if isinstance(item, Text):
        _check_string(item.text, where)
        return item
    if not isinstance(item, Mapping):
        raise CorpusError(f"{where} is {type(item).__name__}, not an object; write {{'text': ..., 'emotion': ...}}")
    if "text" not in item:
        raise CorpusError(
            f"{where} has no 'text'; columns seen: {', '.join(map(str, item)) or 'none'}; rename the one that holds "
            "the text"
        )
    text = item["text"]
    _check_string(text, where)
    labels = {name: _label(item.get(name), name, where) for name in COLUMNS[1:]}
    extra = {key: value for key, value in item.items() if key not in COLUMNS and value is not None}
    return Text(text, extra=extra, **labels)


def _check_string(text: Any, where: str) -> None:
    if not isinstance(text, str):
        raise CorpusError(f"{where}: 'text' is {type(text).__name__} ({text!r:.40}), not a string; write it in quotes")
    if not text.strip():
        raise CorpusError(f"{where}: 'text' is empty; drop the row")
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise CorpusError(
            f"{where}: 'text' holds half of a surrogate pair at character {err.start}; no tokenizer reads it"
        ) from None


def _label(value: Any, name: str, where: str) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise CorpusError(
            f"{where}: {name!r} is {type(value).__name__} ({value!r:.40}), not a string; write the name (class "
            "labels of a dataset: features[...].int2str)"
        )
    return value


def is_dataset(source: object) -> bool:
    """Whether this is a Hugging Face dataset, without importing the package.

    Raises:
        CorpusError: It is a dictionary of splits.
    """
    package = sys.modules.get("datasets")
    if package is None:
        return False
    if isinstance(source, package.DatasetDict | package.IterableDatasetDict):
        splits = ", ".join(map(str, source))
        raise CorpusError(f"a dataset with the splits {splits} was given; choose one, e.g. dataset['train']")
    return isinstance(source, package.Dataset | package.IterableDataset)
