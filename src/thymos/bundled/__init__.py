"""Package data: stimuli that ship with thymos."""

from importlib.resources import files
from pathlib import Path

__all__ = ["stimuli_path"]


def stimuli_path(name: str) -> Path:
    """Path of a shipped stimulus file, e.g. `stimuli_path("battery.jsonl")`."""
    return Path(str(files(__package__) / "stimuli" / name))
