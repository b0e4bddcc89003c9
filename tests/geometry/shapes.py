"""Directions with a planted geometry."""

import numpy as np


def rotation(hidden: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(hidden, hidden)))[0]


def blobs(groups: int = 4, per: int = 6, hidden: int = 20, noise: float = 0.15, seed: int = 0) -> np.ndarray:
    """Unit-length group centres with members around them; lengths differ wildly, and must not matter."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(hidden, groups)))[0].T
    rows = np.repeat(centres, per, axis=0) + noise * rng.normal(size=(groups * per, hidden))
    return rows * rng.uniform(0.1, 50.0, size=(len(rows), 1))


def circumplex(words: int = 40, hidden: int = 30, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Directions that carry pleasure (strong), arousal (weaker) and no dominance, and the norms."""
    rng = np.random.default_rng(seed)
    norms = rng.uniform(-1, 1, size=(words, 3))
    axes = np.linalg.qr(rng.normal(size=(hidden, 2)))[0].T
    rows = (
        np.outer(norms[:, 0], axes[0]) * 2 + np.outer(norms[:, 1], axes[1]) + noise * rng.normal(size=(words, hidden))
    )
    return rows, norms
