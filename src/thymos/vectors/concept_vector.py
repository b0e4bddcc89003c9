"""One direction with its layers, its unit and its history: the algebra of steering."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from thymos.errors import FingerprintMismatchError, LayerError, UsageError

__all__ = ["ConceptVector"]


@dataclass(frozen=True, eq=False)
class ConceptVector:
    """A direction per layer, in units of the layer's mean residual norm.

    `vectors["calm"]` has length 1 at every layer; `vectors["calm"] * 0.05` adds 5% of the residual norm when steered.
    """

    values: Mapping[int, Float[np.ndarray, " hidden"]]
    """Layer -> direction x strength."""
    norms: Mapping[int, float]
    """Layer -> mean residual norm on neutral text."""
    layer: int
    """The layer steered unless others are named."""
    recipe: str
    """How it was made, e.g. "0.05*calm - 0.02*angry"."""
    fingerprint: str
    """Weight fingerprint of the model it belongs to."""
    named: tuple[int, ...] = ()
    """Layers asked for with `at`; empty: the chosen layer alone."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers it is known at."""
        return tuple(sorted(self.values))

    @property
    def steered(self) -> tuple[int, ...]:
        """Layers it is steered at unless others are named."""
        return self.named or (self.layer,)

    @property
    def strength(self) -> float:
        """Its length at the chosen layer, as a fraction of the residual norm."""
        return float(np.linalg.norm(self.values[self.layer]))

    def at(self, *layers: int) -> "ConceptVector":
        """The same vector restricted to the layers named; they are then the ones that are steered.

        Raises:
            LayerError: It is not known at one of them.
        """
        missing = [layer for layer in layers if layer not in self.values]
        if missing or not layers:
            raise LayerError(f"{self.recipe} is not known at layer(s) {missing}; it is known at {list(self.layers)}")
        return replace(
            self,
            values={layer: self.values[layer] for layer in layers},
            norms={layer: self.norms[layer] for layer in layers},
            layer=self.layer if self.layer in layers else layers[0],
            named=tuple(sorted(set(layers))),
        )

    def unit(self) -> "ConceptVector":
        """Length 1 at every layer.

        Raises:
            UsageError: The vector is zero at some layer.
        """
        sizes = {layer: float(np.linalg.norm(value)) for layer, value in self.values.items()}
        if not all(sizes.values()):
            raise UsageError(f"{self.recipe} is zero, so it has no direction")
        return replace(
            self,
            values={layer: value / sizes[layer] for layer, value in self.values.items()},
            recipe=f"unit({self.recipe})",
        )

    def __add__(self, other: "ConceptVector") -> "ConceptVector":
        return self._combine(other, 1.0, "+")

    def __sub__(self, other: "ConceptVector") -> "ConceptVector":
        return self._combine(other, -1.0, "-")

    def __mul__(self, factor: float | int) -> "ConceptVector":
        if not np.isfinite(factor):
            raise UsageError(f"{self.recipe} was multiplied by {factor}; strengths are finite numbers")
        values = {layer: value * np.float32(factor) for layer, value in self.values.items()}
        return replace(self, values=values, recipe=f"{factor:g}*{_wrap(self.recipe)}")

    __rmul__ = __mul__

    def __truediv__(self, factor: float | int) -> "ConceptVector":
        if factor == 0:
            raise UsageError(f"{self.recipe} was divided by zero")
        return self * (1.0 / factor)

    def __neg__(self) -> "ConceptVector":
        return self * -1.0

    def without(self, other: "ConceptVector") -> "ConceptVector":
        """The part of this vector that is orthogonal to another, layer by layer (not renormalised)."""
        self._check_partner(other)
        values = {}
        for layer in self._shared(other):
            axis = other.values[layer].astype(np.float64)
            square = float(axis @ axis)
            value = self.values[layer].astype(np.float64)
            values[layer] = (value - (value @ axis / square) * axis if square else value).astype(np.float32)
        return self._on(values, f"{_wrap(self.recipe)} without {_wrap(other.recipe)}")

    def along(self, other: "ConceptVector") -> "ConceptVector":
        """The part of this vector that lies along another, layer by layer."""
        rest = self.without(other)
        values = {layer: self.values[layer] - rest.values[layer] for layer in rest.layers}
        return self._on(values, f"{_wrap(self.recipe)} along {_wrap(other.recipe)}")

    def contrast(self, other: "ConceptVector") -> "ConceptVector":
        """Unit difference of the two directions, for example calm against desperate."""
        return replace((self.unit() - other.unit()).unit(), recipe=f"contrast({self.recipe}, {other.recipe})")

    def cosine(self, other: "ConceptVector", layer: int | None = None) -> float:
        """Cosine with another vector at one layer (default: the chosen layer).

        Raises:
            LayerError: One of them is not known there.
        """
        self._check_partner(other)
        chosen = self.layer if layer is None else layer
        shared = self._shared(other)
        if chosen not in shared:
            raise LayerError(f"{self.recipe} and {other.recipe} are both known at {shared}, not at {chosen}")
        left, right = self.values[chosen].astype(np.float64), other.values[chosen].astype(np.float64)
        size = float(np.linalg.norm(left) * np.linalg.norm(right))
        return float(left @ right / size) if size else 0.0

    def _combine(self, other: "ConceptVector", sign: float, symbol: str) -> "ConceptVector":
        self._check_partner(other)
        values = {l: self.values[l] + np.float32(sign) * other.values[l] for l in self._shared(other)}  # noqa: E741
        right = other.recipe if symbol == "+" else _wrap(other.recipe)
        return self._on(values, f"{self.recipe} {symbol} {right}")

    def _shared(self, other: "ConceptVector") -> list[int]:
        shared = sorted(set(self.values) & set(other.values))
        if not shared:
            raise LayerError(
                f"{self.recipe} (layers {self.layers}) and {other.recipe} (layers {other.layers}) share none"
            )
        return shared

    def _on(self, values: Mapping[int, Float[np.ndarray, " hidden"]], recipe: str) -> "ConceptVector":
        layer = self.layer if self.layer in values else min(values)
        named = tuple(key for key in self.named if key in values)
        norms = {key: self.norms[key] for key in values}
        return replace(self, values=values, norms=norms, layer=layer, recipe=recipe, named=named)

    def _check_partner(self, other: "ConceptVector") -> None:
        if self.fingerprint != other.fingerprint:
            raise FingerprintMismatchError(
                f"{self.recipe} belongs to the model {self.fingerprint[:12]} and {other.recipe} to "
                f"{other.fingerprint[:12]}; vectors of different models have no common space"
            )


def _wrap(recipe: str) -> str:
    return f"({recipe})" if any(mark in recipe for mark in (" + ", " - ", " without ", " along ")) else recipe
