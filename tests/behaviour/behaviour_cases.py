"""Decisions that several tests score."""

import numpy as np

from thymos.behaviour import Options

OPTIONS = Options.of(
    {"help": ["I will help.", "I will do it.", "Yes"], "refuse": ["I will not.", "No"], "ask": "I wonder"}
)
PROMPTS = ("Can you lift this?", "The rope is thin. Will it hold?", "Well", "Somebody rang twice, then left: so?")


def unit_rows(n: int, hidden: int = 32, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, hidden))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
