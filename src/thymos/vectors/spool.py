"""Per-text means kept on disk, for validation and probes: rows stream out to a file, memory stays flat."""

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float, Int64

from thymos.errors import ArtifactError, CorpusError
from thymos.files import storage_errors
from thymos.vectors.estimators import TextRows

__all__ = ["SPOOLED", "KeptText", "Spool", "TextMeans"]

_ROWS, _TEXTS = "means.f32", "texts.jsonl"
SPOOLED = (_ROWS, _TEXTS)
"""Names of the files of a spool."""


@dataclass(frozen=True)
class KeptText:
    """One text whose mean was kept."""

    index: int
    """Position in the corpus."""
    emotion: str
    topic: str
    tokens: int
    text: str


class Spool:
    """Appends per-text means; can be cut back to a known length after an interruption."""

    def __init__(self, folder: Path, layers: int, hidden: int, *, rows: int = 0) -> None:
        """Open a spool, keeping its first `rows` rows and dropping anything after them."""
        self._width = layers * hidden
        self.rows = rows
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._texts_path = folder / _TEXTS
            if rows:
                _check_kept(folder, rows, self._width)
            self._means: BinaryIO = (folder / _ROWS).open("r+b" if rows else "wb")
            self._means.truncate(rows * self._width * 4)
            self._means.seek(0, 2)
            # Cut in place: were the kept lines written again, a kill in between would lose them.
            self._texts: BinaryIO = self._texts_path.open("r+b" if rows else "wb")
            self._texts.truncate(sum(map(len, itertools.islice(self._texts, rows))) if rows else 0)
            self._texts.seek(0, 2)

    def add(self, means: Float[np.ndarray, "texts layers hidden"], texts: Sequence[KeptText]) -> None:
        """Append rows."""
        with storage_errors(self._texts_path):
            self._means.write(np.ascontiguousarray(means, np.float32).tobytes())
            for text in texts:
                self._texts.write(json.dumps(text.__dict__, ensure_ascii=False).encode() + b"\n")
            self.rows += len(texts)

    def sync(self) -> int:
        """Put everything on the disk and return the number of rows."""
        with storage_errors(self._texts_path):
            for file in (self._means, self._texts):
                file.flush()
                os.fsync(file.fileno())
        return self.rows

    def close(self) -> None:
        """Flush and close."""
        try:
            self.sync()
        finally:
            with storage_errors(self._texts_path):
                self._means.close()
                self._texts.close()


class TextMeans:
    """Per-text means of a finished extraction, read from disk one layer at a time."""

    def __init__(self, folder: Path, layers: Sequence[int], concepts: Sequence[str], hidden: int) -> None:
        """Open the kept rows of a run folder.

        Raises:
            ArtifactError: The files are missing or their lengths do not fit.
        """
        if not (folder / _TEXTS).exists():
            raise ArtifactError(f"no kept per-text means in {folder}; run `thymos extract` with --keep-texts above 0")
        self.layers = tuple(layers)
        self.concepts = tuple(concepts)
        with (folder / _TEXTS).open("rb") as lines:
            self.texts: tuple[KeptText, ...] = tuple(_parse(line) for line in lines)
        size = (folder / _ROWS).stat().st_size
        expected = len(self.texts) * len(self.layers) * hidden * 4
        if size != expected:
            raise ArtifactError(
                f"{folder / _ROWS} has {size} bytes, expected {expected}; the run was cut off: use --resume"
            )
        if not self.texts:
            raise CorpusError(
                f"no per-text means were kept in {folder}; run `thymos extract` with --keep-texts above 0"
            )
        self._rows = np.memmap(folder / _ROWS, np.float32, "r", shape=(len(self.texts), len(self.layers), hidden))
        index = {concept: number for number, concept in enumerate(self.concepts)}
        self.labels: Int64[np.ndarray, " texts"] = np.asarray([index[text.emotion] for text in self.texts], np.int64)
        self.topic_names = tuple(sorted({text.topic for text in self.texts}))
        topics = {topic: number for number, topic in enumerate(self.topic_names)}
        self.topics: Int64[np.ndarray, " texts"] = np.asarray([topics[text.topic] for text in self.texts], np.int64)
        self.lengths: Int64[np.ndarray, " texts"] = np.asarray([text.tokens for text in self.texts], np.int64)

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, layer: int) -> Float[np.ndarray, "texts hidden"]:
        """Means of one layer, float32."""
        return np.array(self._rows[:, self.layers.index(layer)])

    def rows_at(self, layer: int) -> TextRows:
        """Means, labels and topics of one layer, as estimators take them."""
        return TextRows(self.at(layer), self.labels, self.topics)


def _check_kept(folder: Path, rows: int, width: int) -> None:
    """Raise an ArtifactError unless both files hold at least the rows that a checkpoint counts on."""
    try:
        with (folder / _TEXTS).open("rb") as lines:
            found = min(sum(1 for _ in lines), (folder / _ROWS).stat().st_size // (width * 4))
    except FileNotFoundError:
        found = 0
    if found < rows:
        raise ArtifactError(
            f"{folder} holds {found} kept texts, but its checkpoint counts {rows}; start afresh with "
            "--overwrite instead of --resume"
        )


def _parse(line: bytes) -> KeptText:
    try:
        fields: dict[str, Any] = json.loads(line)
        return KeptText(**fields)
    except (ValueError, TypeError) as err:
        raise ArtifactError("the list of kept texts is damaged; run `thymos extract` again with --overwrite") from err
