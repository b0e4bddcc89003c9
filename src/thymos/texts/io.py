"""Corpora that are read lazily and as often as needed, and files of texts that are written whole or not at all."""

import hashlib
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thymos.errors import CorpusError, UsageError
from thymos.files import replacing, storage_errors
from thymos.texts.append import make_folder
from thymos.texts.rows import SUFFIXES, JsonlRows, MemoryRows, ParquetRows, Row, RowSource, as_text, is_dataset
from thymos.texts.text import COLUMNS, Text

__all__ = ["IN_MEMORY", "Corpus", "CorpusSummary", "open_corpus", "write_texts"]

IN_MEMORY = "texts in memory"
"""Name of a corpus that came as a list."""
_WRITTEN_AT_ONCE = 256


@dataclass(frozen=True)
class CorpusSummary:
    """What one pass over a corpus finds out."""

    count: int
    """Number of texts."""
    concepts: Counter[str]
    """Texts per concept; texts without one are not counted."""
    topics: Counter[str]
    """Texts per topic; texts without one are not counted."""
    sha256: str
    """Hash over (emotion, topic, text) of every text in order: the same for one content in any file format."""


@dataclass(frozen=True)
class _Part:
    """Rows start, start + step, ... below stop of another source."""

    whole: RowSource
    start: int
    stop: int | None
    step: int = 1

    def __call__(self) -> Iterator[Row]:
        return itertools.islice(self.whole(), self.start, self.stop, self.step)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts that are streamed from their source each time they are asked for; nothing but a batch is in memory.

    Made by `open_corpus`. `count`, `concepts`, `topics` and `sha256` come from one streaming pass, made when the first
    of them is asked for.
    """

    name: str
    rows: RowSource = field(repr=False)
    partial: bool = False
    """Whether this is a slice or shard, which may be empty."""

    def __iter__(self) -> Iterator[Text]:
        """Texts in order.

        Raises:
            CorpusError: A row that cannot be used, or no rows at all; the message names the file and the line.
        """
        empty = True
        try:
            for where, row in self.rows():
                empty = False
                yield as_text(row, where)
        except CorpusError as err:
            raise CorpusError(f"{self.name}: {err}") from None
        if empty and not self.partial:
            raise CorpusError(f"{self.name} holds no texts; give at least one")

    def __len__(self) -> int:
        return self.count

    @cached_property
    def summary(self) -> CorpusSummary:
        """Counts and hash, from one pass."""
        count, concepts, topics, digest = 0, Counter[str](), Counter[str](), hashlib.sha256()
        for text in self:
            count += 1
            if text.emotion is not None:
                concepts[text.emotion] += 1
            if text.topic is not None:
                topics[text.topic] += 1
            digest.update(_dumps([text.emotion, text.topic, text.text]))
        return CorpusSummary(count, concepts, topics, digest.hexdigest())

    @property
    def count(self) -> int:
        """Number of texts."""
        return self.summary.count

    @property
    def concepts(self) -> Counter[str]:
        """Texts per concept."""
        return self.summary.concepts

    @property
    def topics(self) -> Counter[str]:
        """Texts per topic."""
        return self.summary.topics

    @property
    def sha256(self) -> str:
        """Hash of the content; see `CorpusSummary`."""
        return self.summary.sha256

    def slice(self, start: int, stop: int | None = None) -> "Corpus":
        """Texts from `start` up to but without `stop`, counted from 0.

        Raises:
            UsageError: A negative position, or `stop` before `start`.
        """
        if start < 0 or (stop is not None and stop < start):
            raise UsageError(f"slice({start}, {stop}): valid positions are 0 <= start <= stop")
        name = f"{self.name}[{start}:{'' if stop is None else stop}]"
        return Corpus(name, _Part(self.rows, start, stop), partial=True)

    def shard(self, index: int, shards: int) -> "Corpus":
        """Every `shards`-th text from `index` on; the shards 0..n-1 hold every text once.

        Raises:
            UsageError: Not 0 <= index < shards.
        """
        if not 0 <= index < shards:
            raise UsageError(f"shard {index} of {shards}: the index runs from 0 to {max(shards - 1, 0)}")
        return Corpus(f"{self.name} (shard {index} of {shards})", _Part(self.rows, index, None, shards), partial=True)


def open_corpus(source: str | Path | Corpus | Iterable[Any] | Callable[[], Iterable[Any]]) -> Corpus:
    """Open texts for reading.

    Args:
        source: The path of a `.jsonl` or `.parquet` file with a column `text` (and, if there, `emotion`, `topic`,
            `source`); a Hugging Face `Dataset` or `IterableDataset`; a sequence of `Text`, mappings or strings; or a
            function that returns a fresh iterable of them each time it is called.

    Returns:
        A corpus; of files the first row has been checked.

    Raises:
        CorpusError: No such file, a wrong suffix, an empty file, no column `text`, or a first row that cannot be used.
        UsageError: An iterator that can be read only once.
    """
    if isinstance(source, Corpus):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        if path.suffix.lower() not in SUFFIXES:
            raise CorpusError(f"{path} ends in {path.suffix!r}; valid endings of corpora are {', '.join(SUFFIXES)}")
        reader = JsonlRows(path) if path.suffix.lower() == ".jsonl" else ParquetRows(path)
        corpus = Corpus(str(path), reader)
        next(iter(corpus))
        return corpus
    if is_dataset(source):
        builder = getattr(getattr(source, "info", None), "dataset_name", None)
        return Corpus(f"dataset {builder}" if builder else "dataset in memory", MemoryRows(source))
    if not callable(source) and iter(source) is source:
        raise UsageError(
            f"a corpus is read more than once, and this {type(source).__name__} can be read only once; give a list, a "
            "file, or a function that starts it afresh"
        )
    return Corpus(IN_MEMORY, MemoryRows(source))


def write_texts(path: str | Path, texts: Iterable[Text | str | dict[str, Any]]) -> int:
    """Write texts to a `.jsonl` or `.parquet` file, whole or not at all.

    Args:
        path: The file; an existing one is replaced when the last text has been written.
        texts: Read once, a batch at a time.

    Returns:
        Number of texts written.

    Raises:
        CorpusError: A wrong suffix, no texts, or values the format cannot hold.
        StorageError: Disk full or no permission; what was at `path` before is still there.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise CorpusError(f"{path} ends in {path.suffix!r}; valid endings of corpora are {', '.join(SUFFIXES)}")
    make_folder(path)
    with replacing(path) as temporary:
        rows = (as_text(item, f"{path}: text {number}").row() for number, item in enumerate(texts, start=1))
        count = _write_jsonl(temporary, rows) if path.suffix.lower() == ".jsonl" else _write_parquet(temporary, rows)
        if count == 0:
            raise CorpusError(f"there are no texts to write to {path}; give at least one")
    return count


def _dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError) as err:
        raise CorpusError(f"a column holds something that JSON cannot: {err}; drop or convert it") from None


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with path.open("wb") as handle:
        for row in rows:
            handle.write(_dumps(row))
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Spool the rows to learn every column's type, then write: columns may appear late, and memory stays small."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    count = 0
    # A spool file with no name goes away by itself, whatever happens.
    with storage_errors(path), tempfile.TemporaryFile(dir=path.parent) as spool:
        try:
            for batch in _batches(rows):
                spool.writelines(_dumps(row) for row in batch)
                schema = pa.unify_schemas([schema, _extra_columns(batch)], promote_options="permissive")
                count += len(batch)
            spool.seek(0)
            with pq.ParquetWriter(path, schema) as writer:
                for batch in _batches(json.loads(line) for line in spool):
                    writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        except (pa.ArrowException, OverflowError) as err:
            raise CorpusError(
                f"a column cannot be written as Parquet: {str(err).splitlines()[0]}; drop it, or write .jsonl"
            ) from None
    return count


def _extra_columns(batch: list[dict[str, Any]]) -> pa.Schema:
    names = dict.fromkeys(key for row in batch for key in row if key not in COLUMNS)
    return pa.schema([(name, pa.array([row.get(name) for row in batch]).type) for name in names])


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, _WRITTEN_AT_ONCE)):
        yield batch
