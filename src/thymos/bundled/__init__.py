"""Package data: the bundled model, and stimuli that ship with thymos."""

from importlib.resources import files
from pathlib import Path

__all__ = ["MODELS", "model_path", "stimuli_path", "world_path"]

MODELS = ("bundled", "bundled-base")
"""Checkpoints that ship with thymos: an instrument with planted emotions, after and before its post-training."""


def model_path(name: str) -> Path:
    """Folder of a shipped checkpoint, one of `MODELS`; it does not exist in a copy of thymos without weights."""
    return Path(str(files(__package__) / "models" / name))


def stimuli_path(name: str) -> Path:
    """Path of a shipped stimulus file, e.g. `stimuli_path("battery.jsonl")`."""
    return Path(str(files(__package__) / "stimuli" / name))


def world_path() -> Path:
    """Folder of the bundled model's truth and held-out texts; it does not exist in a copy of thymos without weights."""
    return Path(str(files(__package__) / "world"))
