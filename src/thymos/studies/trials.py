"""The trial log of a study: versioned, append-only, written block by block, and the only thing an analysis reads.

A block is a part of a study that is done whole or not at all; what is in it does not depend on how the run got there.
So a run that was killed at any point goes on behind its last whole block and ends with the same records.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thymos.errors import ArtifactError, SchemaError, UsageError
from thymos.texts import AppendOnly

__all__ = ["SCHEMA", "Block", "Record", "Records", "TrialLog", "open_log", "read_log"]

SCHEMA = 1
"""Version of the log's layout; a newer one is refused."""

Record = Mapping[str, Any]
"""One trial: inputs with their fed token ids, intervention, outputs, scores; plain JSON values."""


@dataclass(frozen=True)
class Block:
    """A part of a study.

    Attributes:
        name: Unique in the study; what is in the block follows from name, settings, seed, model and vectors.
        trials: How many records it will have, for the estimate of the time left.
        make: Computes the records.
    """

    name: str
    trials: int
    make: Callable[[], Iterable[Record]]


class Records(Mapping[str, tuple[Record, ...]]):
    """Records by block, in the order in which the blocks were done."""

    def __init__(self, blocks: Mapping[str, Iterable[Record]] | None = None) -> None:
        self._blocks: dict[str, tuple[Record, ...]] = {k: tuple(v) for k, v in (blocks or {}).items()}

    def __getitem__(self, name: str) -> tuple[Record, ...]:
        if name not in self._blocks:
            raise UsageError(f"the log holds no block {name!r}; it holds {', '.join(self._blocks) or 'none'}")
        return self._blocks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, name: object) -> bool:
        return name in self._blocks

    def under(self, prefix: str) -> dict[str, tuple[Record, ...]]:
        """Blocks whose names begin with a prefix, by the rest of their names."""
        return {name.removeprefix(prefix): rows for name, rows in self._blocks.items() if name.startswith(prefix)}

    def with_block(self, name: str, records: Iterable[Record]) -> "Records":
        """The same and one block more."""
        return Records({**self._blocks, name: tuple(records)})


class TrialLog:
    """Blocks on the disk, or in memory where no path is given."""

    def __init__(self, path: Path | None, header: Mapping[str, Any], records: Records) -> None:
        self.path, self.header, self.records = path, dict(header), records
        self._file = AppendOnly(path) if path is not None else None

    def add(self, block: Block) -> tuple[Record, ...]:
        """Compute a block and write it; one that is there already is returned as it was written.

        Raises:
            StorageError: The log cannot be written; the block is not in it then.
        """
        if block.name in self.records:
            return self.records[block.name]
        made = tuple(_plain(record) for record in block.make())
        if self._file is not None:
            # One call, one write: the end mark is on the disk only behind all records of its block.
            rows: list[Record] = [{"block": block.name, **record} for record in made]
            self._file.append([*rows, {"end": block.name, "records": len(made)}])
        self.records = self.records.with_block(block.name, made)
        return made


def open_log(path: Path | None, header: Mapping[str, Any]) -> TrialLog:
    """Open a log to go on with it, or begin one.

    Args:
        path: The file, JSON lines; None keeps everything in memory.
        header: What the records follow from: study, settings, seed, model, vectors. A log with another header is
            refused.

    Raises:
        ArtifactError: The file belongs to another run.
        SchemaError: It is of a newer version.
        StorageError: It cannot be written.
    """
    wanted = {"schema": SCHEMA, **_plain(header)}
    if path is None or not path.exists() or path.stat().st_size == 0:
        log = TrialLog(path, wanted, Records())
        if path is not None:
            AppendOnly(path).append([wanted])
        return log
    found, records = read_log(path)
    if found != wanted:
        other = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        raise ArtifactError(
            f"{path} was begun with another {', '.join(other)} ({_short(found, other)}; now {_short(wanted, other)}); "
            "choose another --out, or pass --overwrite"
        )
    return TrialLog(path, found, records)


def read_log(path: Path) -> tuple[dict[str, Any], Records]:
    """Header and whole blocks of a log; a block that a crash cut off is left out.

    Raises:
        ArtifactError: Not a trial log.
        SchemaError: Written by a newer version of thymos.
    """
    rows = AppendOnly(path).rows()
    header = next(rows, None)
    if header is None or "schema" not in header or "study" not in header:
        raise ArtifactError(f"{path} is no trial log: its first line is no header; choose another file")
    if not isinstance(header["schema"], int) or header["schema"] > SCHEMA:
        raise SchemaError(
            f"{path} has schema {header['schema']}, this version of thymos reads up to {SCHEMA}; update thymos"
        )
    pending: dict[str, list[Record]] = {}
    done: dict[str, tuple[Record, ...]] = {}
    for row in rows:
        if "end" in row:
            records = pending.pop(row["end"], [])
            # Records of an attempt that was cut off may lie before those of the one that was ended.
            done[row["end"]] = tuple(records[len(records) - row["records"] :])
        else:
            pending.setdefault(row["block"], []).append({k: v for k, v in row.items() if k != "block"})
    return header, Records(done)


def _plain(value: Any) -> Any:
    """JSON values only, so that a record in memory equals the one that is read back."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value


def _short(header: Mapping[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key} {str(header.get(key))[:80]}" for key in keys)
