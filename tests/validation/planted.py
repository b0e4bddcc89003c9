"""Synthetic texts whose truth is known: rows with a planted direction per concept, and words to match."""

import numpy as np

from thymos.validation import Items


def planted(
    *, concepts: int = 6, topics: int = 10, per: int = 2, hidden: int = 24, signal: float = 3.0, seed: int = 0
) -> tuple[np.ndarray, Items]:
    """Rows = common offset + topic effect + signal x concept direction + noise."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.repeat(np.arange(concepts), per), topics)
    places = np.repeat(np.arange(topics), concepts * per)
    directions = np.linalg.qr(rng.normal(size=(max(hidden, concepts), concepts)))[0].T[:, :hidden]
    rows = 20.0 + rng.normal(size=(topics, hidden))[places] + signal * directions[labels]
    rows = rows + rng.normal(size=rows.shape)
    return rows.astype(np.float32), Items(labels, places, tuple(f"concept {i}" for i in range(concepts)))


def rotation(hidden: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(hidden, hidden)))[0]
