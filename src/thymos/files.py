"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thymos.errors import StorageError

__all__ = ["replacing", "replacing_all", "storage_errors", "write_text"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's complaints about writing into a StorageError that names the path."""
    try:
        yield
    except Exception as err:
        code = _code(err)
        if code in _FULL:
            raise StorageError(f"no space left while writing {path}; free some and run again (use --resume)") from err
        if code in _REFUSED:
            raise StorageError(f"cannot write {path}: {os.strerror(code)}; choose another place with --out") from err
        raise


def _code(err: Exception) -> int:
    """The system's error number; the safetensors writer gives it in words alone."""
    if isinstance(err, OSError):
        return err.errno or 0
    found = re.search(r"\(os error (\d+)\)", str(err))
    return int(found[1]) if found else 0


@contextmanager
def replacing_all(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Yield a temporary file beside each path; all take their places only once every one of them is on the disk.

    Raises:
        StorageError: The disk is full, or a place is not writable; what was at the paths before is still there.
    """
    temporaries: list[Path] = []
    with storage_errors(paths[0]):
        try:
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
                os.close(handle)
                temporaries.append(Path(name))
            yield tuple(temporaries)
            for temporary in temporaries:
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
                temporary.chmod(0o644)
            for temporary, path in zip(temporaries, paths, strict=True):
                temporary.replace(path)
        finally:
            for temporary in temporaries:
                temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`; it takes the place of `path` only if the block succeeds.

    Raises:
        StorageError: The disk is full, or the place is not writable.
    """
    with replacing_all(path) as (temporary,):
        yield temporary


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
