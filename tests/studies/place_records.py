"""Records as `places_block` and `directions_block` write them, made from arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def places(name: str, rows: Mapping[str, np.ndarray], meta: Mapping[str, Any], text: str = "") -> dict[str, Any]:
    values = {place: row.tolist() for place, row in rows.items()}
    norms = {place: float(np.linalg.norm(row)) for place, row in rows.items()}
    return {"id": name, "text": text, "ids": [], "meta": dict(meta), "layer": 1, "rows": values, "norms": norms}


def directions(concepts: Sequence[str], rows: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"concept": concept, "layer": 1, "direction": row.tolist()}
        for concept, row in zip(concepts, rows, strict=True)
    ]  # fmt: skip


def orthogonal(count: int, hidden: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(hidden, count))
    return np.linalg.qr(drawn)[0].T
