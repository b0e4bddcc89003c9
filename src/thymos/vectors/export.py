"""Vector sets for other tools: llama.cpp control vectors (GGUF), NumPy, PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from thymos.errors import LayerError, UsageError
from thymos.extras import require
from thymos.files import replacing
from thymos.vectors.concept_vector import ConceptVector
from thymos.vectors.emotion_vectors import EmotionVectors

__all__ = ["FORMATS", "export", "to_gguf", "to_npz", "to_pt"]

FORMATS = ("gguf", "npz", "pt")


def export(vectors: EmotionVectors, path: Path, kind: str, concept: str | None = None) -> Path:
    """Write a vector set, or one concept of it, in another tool's format.

    Args:
        vectors: The set.
        path: File to write.
        kind: One of `FORMATS`. GGUF holds one direction, so it needs a concept.
        concept: Concept to export; None exports all (npz, pt).

    Raises:
        UsageError: Unknown format, or GGUF without a concept.
        UnknownConceptError: The set does not hold the concept.
    """
    if kind not in FORMATS:
        raise UsageError(f"unknown export format {kind!r}; valid: {', '.join(FORMATS)}")
    if kind == "gguf":
        if concept is None:
            raise UsageError("a GGUF control vector holds one direction per layer; name it with --concept")
        return to_gguf(vectors[concept], vectors.card.model.architecture, path)
    return to_npz(vectors, path, concept) if kind == "npz" else to_pt(vectors, path, concept)


def to_gguf(vector: ConceptVector, architecture: str, path: Path) -> Path:
    """Write a llama.cpp control vector.

    llama.cpp adds tensor `direction.N` to the output of block N and cannot address block 0, which is left out. Its
    scale is absolute, so each direction is written times the layer's residual norm: `--control-vector-scaled FILE 0.05`
    then means what a strength of 0.05 means here.

    Args:
        vector: The direction; its recipe is stored as the name.
        architecture: The model's architecture, stored as the hint llama.cpp shows.
        path: File to write.

    Raises:
        LayerError: Only layer 0 is known.
        MissingExtraError: The package `gguf` is not installed.
    """
    gguf = require("gguf", "gguf", "writing GGUF control vectors")
    layers = [layer for layer in vector.layers if layer >= 1]
    if not layers:
        raise LayerError("llama.cpp cannot add a control vector to block 0; export a set that holds later layers")
    with replacing(path) as temporary:
        writer = gguf.GGUFWriter(temporary, "controlvector")
        writer.add_name(vector.recipe)
        writer.add_string("controlvector.model_hint", architecture)
        writer.add_uint32("controlvector.layer_count", len(layers))
        for layer in layers:
            values = vector.values[layer] * np.float32(vector.norms[layer])
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(values, np.float32))
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
    return path


def to_npz(vectors: EmotionVectors, path: Path, concept: str | None = None) -> Path:
    """Write NumPy arrays: `layers`, `concepts`, `directions` [layers, concepts, hidden] (unit), `norms` [layers]."""
    arrays: dict[str, Any] = dict(_arrays(vectors, concept))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return path


def to_pt(vectors: EmotionVectors, path: Path, concept: str | None = None) -> Path:
    """Write a PyTorch file of plain tensors and lists, readable with `torch.load(..., weights_only=True)`.

    thymos itself never reads such files.
    """
    arrays = _arrays(vectors, concept)
    content = {
        "directions": torch.from_numpy(arrays["directions"]),
        "norms": torch.from_numpy(arrays["norms"]),
        "layers": arrays["layers"].tolist(),
        "concepts": arrays["concepts"].tolist(),
        "convention": "layer l: output of block l, counted from 0; unit directions; add strength * norm * direction",
        "model": vectors.card.model.id,
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)
    return path


def _arrays(vectors: EmotionVectors, concept: str | None) -> dict[str, np.ndarray]:
    rows = list(range(len(vectors))) if concept is None else [vectors.index(concept)]
    return {
        "directions": np.stack([vectors.directions(layer)[rows] for layer in vectors.layers]),
        "norms": np.asarray([vectors.at(layer).norm for layer in vectors.layers], np.float32),
        "layers": np.asarray(vectors.layers),
        "concepts": np.asarray([vectors.concepts[row] for row in rows]),
    }
