"""`EmotionVectors`: the artifact - a folder of safetensors, a card and a README."""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from thymos.errors import ArtifactError, FingerprintMismatchError, LayerError, SchemaError, UnknownConceptError
from thymos.files import replacing_all
from thymos.models import Host
from thymos.vectors.card import Card, make_card, parse_card
from thymos.vectors.concept_vector import ConceptVector

__all__ = ["EmotionVectors", "LayerVectors"]

_TENSORS, _CARD, _README = "vectors.safetensors", "card.json", "README.md"
_PARTS = ("vectors", "raw", "mean", "neutral", "norm")
_LARGEST_HEADER = 16 * 2**20


@dataclass(frozen=True, eq=False)
class LayerVectors:
    """Everything stored for one layer, float32."""

    vectors: Float[np.ndarray, "concepts hidden"]
    """Unit rows, denoised."""
    raw: Float[np.ndarray, "concepts hidden"]
    """Centred, not denoised, not normalised."""
    mean: Float[np.ndarray, " hidden"]
    """Grand mean over concepts."""
    neutral: Float[np.ndarray, "k hidden"]
    """Removed neutral components, orthonormal rows."""
    norm: float
    """Mean residual norm on neutral text."""


@dataclass(frozen=True, eq=False)
class EmotionVectors:
    """Concept directions of one model. Indexing gives a `ConceptVector`; `at` gives a layer's matrices."""

    per_layer: Mapping[int, LayerVectors]
    card: Card

    @property
    def concepts(self) -> tuple[str, ...]:
        """Concept names, in the order of the rows."""
        return self.card.concepts

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers stored."""
        return self.card.layers

    @property
    def layer(self) -> int:
        """The chosen layer."""
        return self.card.layer

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.concepts)}

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.concepts)

    def __contains__(self, concept: str) -> bool:
        return concept in self._index

    def __repr__(self) -> str:
        return (
            f"<EmotionVectors of {self.card.model.id!r}: {len(self)} concepts, layers {_short(self.layers)}, "
            f"chosen layer {self.layer}, {self.card.estimator}>"
        )

    def _repr_html_(self) -> str:
        # A card may come from anywhere, and a notebook runs what it is shown.
        rows = "".join(f"<tr><td>{key}</td><td>{escape(value)}</td></tr>" for key, value in self.summary().items())
        return f"<table><caption>Emotion vectors</caption>{rows}</table>"

    def summary(self) -> dict[str, str]:
        """What a person wants to know first."""
        return {
            "model": self.card.model.id + (f" ({self.card.model.revision})" if self.card.model.revision else ""),
            "concepts": f"{len(self)} ({', '.join(self.concepts[:6])}{', ...' if len(self) > 6 else ''})",
            "layers": f"{_short(self.layers)} (chosen: {self.layer}, {self.card.layer_choice})",
            "estimator": self.card.estimator,
            "stories": f"{self.card.stories.used} of {self.card.stories.texts} texts, "
            f"from token {self.card.first_token} ({self.card.stories.name})",
            "neutral components": f"{self.card.denoise.components.get(self.layer, 0)} at layer {self.layer}",
        }

    def at(self, layer: int | None = None) -> LayerVectors:
        """Matrices of one layer (default: the chosen one).

        Raises:
            LayerError: The set does not hold that layer.
        """
        chosen = self.layer if layer is None else layer
        if chosen not in self.per_layer:
            raise LayerError(f"layer {chosen} is not in this vector set; it holds {_short(self.layers)}")
        return self.per_layer[chosen]

    def directions(self, layer: int | None = None) -> Float[np.ndarray, "concepts hidden"]:
        """Unit denoised directions of one layer."""
        return self.at(layer).vectors

    def index(self, concept: str) -> int:
        """Row of a concept.

        Raises:
            UnknownConceptError: The set does not hold it.
        """
        if concept not in self._index:
            raise UnknownConceptError.of(concept, self.concepts, "this vector set")
        return self._index[concept]

    def __getitem__(self, concept: str) -> ConceptVector:
        row = self.index(concept)
        return ConceptVector(
            values={layer: found.vectors[row] for layer, found in self.per_layer.items()},
            norms={layer: found.norm for layer, found in self.per_layer.items()},
            layer=self.layer,
            recipe=concept,
            fingerprint=self.card.model.fingerprint,
        )

    def with_card(self, **changes: Any) -> "EmotionVectors":
        """The same tensors with other card fields (quality figures, chosen layer, notes)."""
        return replace(self, card=make_card(**{**self.card.model_dump(), **changes}))

    def check_model(self, host: Host, *, allow_mismatch: bool = False) -> None:
        """Refuse a model whose weights are not the ones the vectors were made from.

        Raises:
            FingerprintMismatchError: Fingerprints or widths differ.
        """
        theirs, ours = host.fingerprint, self.card.model.fingerprint
        if host.hidden_size != self.card.model.hidden_size or host.n_layers < self.card.model.n_layers:
            raise FingerprintMismatchError(
                f"these vectors were made from {self.card.model.id!r} (hidden size {self.card.model.hidden_size}, "
                f"{self.card.model.n_layers} layers); {host.name!r} has hidden size {host.hidden_size} "
                f"and {host.n_layers} layers; extract vectors from this model"
            )
        if theirs != ours and not allow_mismatch:
            raise FingerprintMismatchError(
                f"these vectors were made from {self.card.model.id!r} with weight fingerprint {ours}, but "
                f"{host.name!r} has {theirs}; extract vectors from this model, or pass allow_mismatch=True "
                "(--allow-mismatch) if the difference is meant"
            )

    def digest(self) -> str:
        """SHA-256 of concepts, layers and tensors: equal for two sets that read and steer alike."""
        whole = hashlib.sha256(json.dumps([self.concepts, self.layers, self.layer]).encode())
        for name, value in self.tensors().items():
            whole.update(name.encode() + value.tobytes())
        return whole.hexdigest()

    def tensors(self) -> dict[str, Float[np.ndarray, "..."]]:
        """Named tensors exactly as they are stored."""
        found: dict[str, Any] = {}
        for layer, parts in sorted(self.per_layer.items()):
            for part in _PARTS:
                found[f"{part}.{layer}"] = np.array(getattr(parts, part), np.float32, order="C")
        return found

    def save(self, folder: str | Path) -> Path:
        """Write `vectors.safetensors`, `card.json` and `README.md`: all of them, or none and the old set stays.

        Raises:
            StorageError: The disk is full, or the folder is not writable.
        """
        place = Path(folder)
        with replacing_all(place / _TENSORS, place / _CARD, place / _README) as (tensors, card, page):
            # One key: the writer puts several in any order, and a set must have the same bytes each time.
            save_file(self.tensors(), tensors, metadata={"format": "thymos"})
            card.write_text(self.card.model_dump_json(indent=2) + "\n", encoding="utf-8")
            page.write_text(readme(self.card), encoding="utf-8")
        return place

    @classmethod
    def load(cls, folder: str | Path, model: Host | None = None, *, allow_mismatch: bool = False) -> "EmotionVectors":
        """Read a vector set and, when a model is given, check that it is the right one.

        Raises:
            ArtifactError: Files are missing, truncated, or not what the card says; pickle is never read.
            SchemaError: The card is not valid.
            FingerprintMismatchError: The vectors belong to another model.
        """
        place = Path(folder)
        card = parse_card(_read_card(place))
        found = cls(_read_tensors(place / _TENSORS, card), card)
        if model is not None:
            found.check_model(model, allow_mismatch=allow_mismatch)
        return found


def _read_card(place: Path) -> str:
    if not place.is_dir():
        hint = (
            " (pickle is never read; a vector set is a folder)"
            if place.suffix in (".pt", ".pth", ".pkl", ".bin")
            else ""
        )
        raise ArtifactError(f"no vector set at {place}: expected a folder with {_TENSORS} and {_CARD}{hint}")
    for name in (_CARD, _TENSORS):
        if not (place / name).is_file():
            pickles = [p.name for p in place.iterdir() if p.suffix in (".pt", ".pth", ".pkl", ".bin")]
            hint = f"; {', '.join(pickles)} is pickle, which can run code and is never read" if pickles else ""
            raise ArtifactError(f"{place} has no {name}, so it is not a vector set{hint}")
    return (place / _CARD).read_text(encoding="utf-8", errors="replace")


def _read_tensors(path: Path, card: Card) -> dict[int, LayerVectors]:
    _check_header(path)
    try:
        stored = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as err:
        raise ArtifactError(f"{path} cannot be read ({err}); the file is damaged: copy or extract it again") from err
    expected = {f"{part}.{layer}" for layer in card.layers for part in _PARTS}
    if set(stored) != expected:
        missing, unknown = sorted(expected - set(stored)), sorted(set(stored) - expected)
        raise SchemaError(f"{path} does not fit its card: missing {missing[:4]}, unknown {unknown[:4]}")
    concepts, hidden = len(card.concepts), card.model.hidden_size
    layers = {}
    for layer in card.layers:
        parts: dict[str, Any] = {part: stored[f"{part}.{layer}"] for part in _PARTS}
        shapes = {"vectors": (concepts, hidden), "raw": (concepts, hidden), "mean": (hidden,), "norm": ()}
        for part, value in parts.items():
            fits = value.shape == shapes[part] if part in shapes else value.ndim == 2 and value.shape[1] == hidden
            if value.dtype != np.float32 or not fits:
                raise ArtifactError(
                    f"{path}: {part}.{layer} is {value.dtype} {value.shape}; expected float32 "
                    f"{shapes.get(part, ('k', hidden))}"
                )
            if not np.isfinite(value).all():
                raise ArtifactError(f"{path}: {part}.{layer} holds NaN or infinity; extract the vectors again")
        layers[layer] = LayerVectors(**{**parts, "norm": float(parts["norm"])})
    return layers


def _check_header(path: Path) -> None:
    """Refuse absurd headers before anything is allocated for them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ArtifactError(f"{path} is truncated: {size} bytes are too few for a safetensors file")
        length = struct.unpack("<Q", start)[0]
        if length > min(_LARGEST_HEADER, size - 8):
            raise ArtifactError(
                f"{path} claims a header of {length} bytes in a file of {size}; it is truncated or hostile and was "
                "not read"
            )
        try:
            json.loads(file.read(length))
        except (ValueError, RecursionError) as err:
            raise ArtifactError(f"{path} has an unreadable header ({err}); it is not a safetensors file") from err


def _short(layers: tuple[int, ...]) -> str:
    if len(layers) > 2 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}-{layers[-1]}"
    return ", ".join(map(str, layers))


def readme(card: Card) -> str:
    """A model card in Markdown for a vector set, as hubs show it."""
    quality = _quality(card.quality)
    weights = f"`{card.model.fingerprint[:16]}`" + (f", {card.model.revision}" if card.model.revision else "")
    return (
        "---\nlibrary_name: thymos\ntags: [emotion-vectors, activation-steering, interpretability]\n---\n\n"
        f"# Emotion vectors of {card.model.id}\n\n"
        f"{len(card.concepts)} linear directions in the residual stream of `{card.model.id}` (weights "
        f"{weights}), one per concept and layer ({_short(card.layers)}; chosen layer "
        f"{card.layer}, {card.layer_choice}). They are representations of concepts; nothing here is "
        "a claim about experience.\n\n"
        "## Use\n\n```python\nimport thymos\n\n"
        f'model = thymos.load("{card.model.id}")\nvectors = thymos.EmotionVectors.load("path/to/this/folder", model)\n'
        'thymos.read(model, vectors, "The last train left an hour ago.")\n```\n\n'
        "## Making\n\n"
        f"- estimator: {card.estimator}, {card.stories.used} stories of {card.stories.name} ({card.stories.tokens} "
        f"tokens, from token {card.first_token}), {card.neutral.used} neutral texts of {card.neutral.name}\n"
        "- layer convention: output of block l, counted from 0; strength 1.0 is the mean residual norm on neutral "
        "text\n"
        f"- neutral components removed at layer {card.layer}: {card.denoise.components.get(card.layer, 0)} "
        f"({card.denoise.share:.0%} of the variance of {card.denoise.unit})\n\n"
        + (f"## Quality\n\n{quality}\n\n" if quality else "")
        + ("## Notes\n\n" + "\n".join(f"- {note}" for note in card.notes) + "\n\n" if card.notes else "")
        + f"Concepts: {', '.join(card.concepts)}.\n"
    )


def _quality(quality: Mapping[str, Any]) -> str:
    """One row per figure, and what else the card tells of them as a list."""
    stored = quality.get("figures")
    figures: dict[str, Mapping[str, Any]] = {}
    if isinstance(stored, Mapping) and all(isinstance(each, Mapping) for each in stored.values()):
        figures = {key: value for key, value in stored.items() if "value" in value}
    rows = [
        "| " + " | ".join(_cell(cell) for cell in (name, *figure_cells(figure))) + " |"
        for name, figure in figures.items()
    ]
    head = ["| figure | value | interval | chance | p | n |", "|---|---|---|---|---|---|"]
    rest = {key: value for key, value in quality.items() if key != "figures" or not figures}
    told = [f"- {key}: {value}" for key, value in _flat(rest).items()]
    return "\n\n".join("\n".join(part) for part in ([*head, *rows] if rows else [], told) if part)


def figure_cells(figure: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Value, interval, chance, p and n of a figure of a card, which may hold anything; "" where it has none."""
    low, high = _number(figure.get("low")), _number(figure.get("high"))
    level = figure.get("level")
    share = f" ({level:.0%})" if isinstance(level, float) and level != 0.95 else ""
    p = figure.get("p")
    by = f" ({figure['p_by']})" if isinstance(figure.get("p_by"), str) else ""
    return (
        _number(figure.get("value")),
        f"[{low}, {high}]{share}" if low and high else "",
        _number(figure.get("chance")),
        f"{p:.2g}{by}" if isinstance(p, float) else "",
        str(figure["n"]) if isinstance(figure.get("n"), int) else "",
    )


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            found[prefix + key] = f"{value:.4g}"
        elif not isinstance(value, list | tuple):
            found[prefix + key] = str(value)
    return found
