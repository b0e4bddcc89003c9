"""Small planted stimulus sets in a folder of their own."""

import json
from pathlib import Path

import pytest

from thymos.organism import open_world
from thymos.organism.sets import blackmail, effort, sycophancy


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the studies find a few items of the world."""
    world = open_world()
    (folder / "studies").mkdir()
    made = {
        "blackmail": blackmail.make(world, 2),
        "sycophancy": sycophancy.make(world, 4),
        "effort": effort.make(world, 4),
    }
    for name, rows in made.items():
        (folder / "studies" / f"{name}.json").write_text(json.dumps(rows))
    monkeypatch.setattr("thymos.bundled.world_path", lambda: folder)
