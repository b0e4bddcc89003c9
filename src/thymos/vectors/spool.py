"""Per-text means kept on disk, for validation and probes: rows stream out to a file, memory stays flat."""

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

__all__ = ["KeptText", "Spool", "TextMeans"]

_ROWS, _TEXTS = "means.f32", "texts.jsonl"


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
            kept = self._texts_path.read_text(encoding="utf-8").splitlines(keepends=True)[:rows] if rows else []
            self._means: BinaryIO = (folder / _ROWS).open("r+b" if rows else "wb")
            self._means.truncate(rows * self._width * 4)
            self._means.seek(0, 2)
            self._texts = self._texts_path.open("w", encoding="utf-8")
            self._texts.writelines(kept)

    def add(self, means: Float[np.ndarray, "texts layers hidden"], texts: Sequence[KeptText]) -> None:
        """Append rows."""
        with storage_errors(self._texts_path):
            self._means.write(np.ascontiguousarray(means, np.float32).tobytes())
            for text in texts:
                self._texts.write(json.dumps(text.__dict__, ensure_ascii=False) + "\n")
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
        self.sync()
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
        lines = (folder / _TEXTS).read_text(encoding="utf-8").splitlines()
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


def _parse(line: str) -> KeptText:
    try:
        fields: dict[str, Any] = json.loads(line)
        return KeptText(**fields)
    except (json.JSONDecodeError, TypeError) as err:
        raise ArtifactError("the list of kept texts is damaged; run `thymos extract` again without --resume") from err
