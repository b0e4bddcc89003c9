"""Named reference sets: what readings look like on known text, so that a score can be called high or low."""

import json
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from thymos.errors import ArtifactError, CorpusError, UsageError
from thymos.files import replacing
from thymos.models import CONTENT, Host, Select
from thymos.readings.score import ReadSettings, probe_of, score_tokens
from thymos.texts import Corpus
from thymos.vectors import EmotionVectors

__all__ = ["Reference", "calibrate"]

_GRID = np.concatenate([[0.0, 0.0005, 0.001, 0.005], np.linspace(0.01, 0.99, 99), [0.995, 0.999, 0.9995, 1.0]])
_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Reference:
    """Distribution of token readings on a reference corpus."""

    name: str
    layers: tuple[int, ...]
    concepts: tuple[str, ...]
    mean: Float[np.ndarray, "layers concepts"]
    spread: Float[np.ndarray, "layers concepts"]
    """Standard deviation over tokens."""
    quantiles: Float[np.ndarray, "layers concepts grid"]
    """Values at the fixed grid of probabilities `Reference.grid()`."""
    tokens: int
    """Tokens the figures are taken over."""
    texts: int
    fingerprint: str
    centred: bool
    corpus_sha256: str
    denoised: bool = True

    @staticmethod
    def grid() -> Float[np.ndarray, " grid"]:
        """Probabilities of the stored quantiles; p-values are interpolated between them."""
        return _GRID

    def save(self, path: Path) -> Path:
        """Write one safetensors file.

        Raises:
            StorageError: The place is not writable.
        """
        about = {
            "name": self.name,
            "layers": list(self.layers),
            "concepts": list(self.concepts),
            "tokens": self.tokens,
            "texts": self.texts,
            "fingerprint": self.fingerprint,
            "centred": self.centred,
            "corpus_sha256": self.corpus_sha256,
            "denoised": self.denoised,
        }
        tensors = {"mean": self.mean, "spread": self.spread, "quantiles": self.quantiles}
        with replacing(path) as temporary:
            save_file(
                {k: np.ascontiguousarray(v) for k, v in tensors.items()}, temporary, {"reference": json.dumps(about)}
            )
        return path

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read what `save` wrote.

        Raises:
            ArtifactError: Missing, damaged, or not a reference set.
        """
        if not path.is_file():
            raise ArtifactError(f"no reference set at {path}; make one with thymos.calibrate(...)")
        try:
            with safe_open(path, framework="np") as file:
                about = json.loads(file.metadata()["reference"])
                tensors = {key: file.get_tensor(key) for key in ("mean", "spread", "quantiles")}
            about |= {"layers": tuple(about["layers"]), "concepts": tuple(about["concepts"])}
            shape = (len(about["layers"]), len(about["concepts"]))
            for key, value in tensors.items():
                if value.dtype != np.float32 or value.shape != (shape if key != "quantiles" else (*shape, _GRID.size)):
                    raise ValueError(f"{key} is {value.dtype} {value.shape}")
            return cls(**tensors, **about)
        except (SafetensorError, KeyError, TypeError, ValueError) as err:
            raise ArtifactError(f"{path} is not a reference set, or is damaged ({err})") from err


class _Sample:
    """Rows of a stream, thinned evenly so that at most `longest` are held."""

    def __init__(self, longest: int) -> None:
        self.seen = 0
        self._longest, self._stride, self._skip, self._held = longest, 1, 0, 0
        self._kept: list[Float[np.ndarray, "rows layers concepts"]] = []

    def add(self, rows: Float[np.ndarray, "rows layers concepts"]) -> None:
        """Keep every stride-th row, counted over the whole stream."""
        self.seen += rows.shape[0]
        # A copy: a view would keep the scores of every token alive.
        self._kept.append(rows[self._skip :: self._stride].copy())
        self._skip = (self._skip - rows.shape[0]) % self._stride
        self._held += self._kept[-1].shape[0]
        if self._held > self._longest:
            self._kept = [self.values()[::2]]
            self._held, self._stride = self._kept[0].shape[0], self._stride * 2

    def values(self) -> Float[np.ndarray, "rows layers concepts"]:
        """The rows that were kept."""
        return np.concatenate(self._kept)


def calibrate(
    host: Host,
    vectors: EmotionVectors,
    corpus: Corpus,
    name: str,
    *,
    settings: ReadSettings | None = None,
    select: Select = CONTENT,
    longest: int = 20_000,
) -> Reference:
    """Readings on a reference corpus, per layer and concept.

    Args:
        host: The model.
        vectors: The set to read with.
        corpus: Reference texts, for example neutral dialogues or benign traffic.
        name: Shown with every calibrated reading.
        settings: Layers, concepts and centring; a calibrated reading must use the same.
        select: Tokens that count.
        longest: Most tokens kept for the quantiles; a larger corpus is thinned evenly as it streams.

    Raises:
        CorpusError: Fewer than 20 selected tokens.
        UsageError: The name cannot be shown or stored.
    """
    if not re.fullmatch(r"[\w .-]{1,60}", name):
        raise UsageError(f"reference name {name!r}: use letters, digits, spaces, dots and dashes, at most 60")
    how = settings or ReadSettings()
    probe = probe_of(vectors, how)
    sample = _Sample(longest)
    texts = 0
    stream = iter(corpus)
    while batch := list(islice(stream, _AT_ONCE)):
        tokens = [t for t in host.tokens_of([text.text for text in batch]) if len(t)]
        for index, scores in score_tokens(host, probe, tokens):
            sample.add(scores[select.mask(tokens[index])])
            texts += 1
    if sample.seen < 20:
        raise CorpusError(f"the reference corpus {corpus.name} has {sample.seen} usable tokens; at least 20 are needed")
    values = sample.values()
    return Reference(
        name=name,
        layers=probe.layers,
        concepts=tuple(how.concepts or vectors.concepts),
        mean=values.mean(axis=0, dtype=np.float64).astype(np.float32),
        spread=values.std(axis=0, dtype=np.float64).astype(np.float32),
        quantiles=np.moveaxis(np.quantile(values, _GRID, axis=0), 0, -1).astype(np.float32),
        tokens=values.shape[0],
        texts=texts,
        fingerprint=vectors.card.model.fingerprint,
        centred=how.centred,
        corpus_sha256=corpus.sha256,
        denoised=how.denoised,
    )
