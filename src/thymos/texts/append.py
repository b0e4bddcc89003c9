"""A JSONL file that only grows: what survives a crash is every whole line."""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from thymos.errors import CorpusError
from thymos.files import storage_errors

__all__ = ["AppendOnly", "make_folder"]

_BLOCK = 1 << 16


class AppendOnly:
    """A JSONL file for runs that can be interrupted.

    Every `append` is on disk when it returns. A line torn by a crash is cut off when the file is opened again.

    Args:
        path: The file; it need not exist yet.

    Raises:
        StorageError: The file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        make_folder(self.path)
        with storage_errors(self.path):
            if self.path.exists():
                _mend(self.path)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows written so far.

        Raises:
            CorpusError: A line in the middle of the file is not a JSON object.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                row = _read(line)
                if row is None:
                    raise CorpusError(f"{self.path}: line {number} is not a JSON object; the file was changed by hand")
                yield row

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows and wait until the disk has them.

        Raises:
            StorageError: Disk full or no permission; none of these rows is in the file then.
        """
        lines = b"".join(json.dumps(dict(row), ensure_ascii=False).encode() + b"\n" for row in rows)
        if not lines:
            return
        with storage_errors(self.path), self.path.open("ab", buffering=0) as handle:
            before = handle.seek(0, os.SEEK_END)
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[handle.write(rest) :]
                os.fsync(handle.fileno())
            except OSError:
                handle.truncate(before)
                raise


def make_folder(path: Path) -> None:
    """Make the folder that a file goes into.

    Raises:
        StorageError: There is a file in its place, or no permission.
    """
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as err:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from err


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _mend(path: Path) -> None:
    """Cut off a last line without an end, unless only its line feed is missing."""
    with path.open("r+b") as handle:
        size = handle.seek(0, os.SEEK_END)
        start = size
        tail = b""
        while start > 0 and b"\n" not in tail:
            step = min(_BLOCK, start)
            start -= step
            handle.seek(start)
            tail = handle.read(step) + tail
        last = tail[tail.rfind(b"\n") + 1 :]
        if not last:
            return
        if _read(last) is not None:
            handle.seek(size)
            handle.write(b"\n")
        else:
            handle.truncate(size - len(last))
