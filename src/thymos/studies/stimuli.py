"""The two stimulus sets of every study behind one loader: ordinary English, and the bundled model's own world.

A set is JSON or JSON lines of one layout in both worlds; in the planted one, items carry their truth as well.
"""

import gzip
import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from thymos import bundled
from thymos.errors import CorpusError, UsageError, did_you_mean
from thymos.studies.bench import ENGLISH, PLANTED, Worlds

__all__ = ["load_stimuli", "stimulus_sets"]


_SHARED = {"intensity": "numeric_templates", "implicit": "implicit_messages"}
"""English sets that other parts of thymos use too."""


def _folder(world: Worlds) -> Path:
    if world not in (ENGLISH, PLANTED):
        raise UsageError(f"unknown stimulus set {world!r}; valid: {ENGLISH!r}, {PLANTED!r}")
    return bundled.stimuli_path("studies") if world == ENGLISH else bundled.world_path() / "studies"


def stimulus_sets(world: Worlds) -> tuple[str, ...]:
    """Names of the sets of a world."""
    own = {path.name.split(".")[0] for path in _folder(world).glob("*.json*")}
    return tuple(sorted(own | (set(_SHARED) if world == ENGLISH else set())))


@lru_cache(maxsize=64)
def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def load_stimuli(name: str, world: Worlds = ENGLISH) -> Any:
    """A stimulus set: what its JSON holds, or a list of the rows of JSON lines.

    Raises:
        UsageError: Unknown world or name.
        CorpusError: The file is damaged; install thymos again.
    """
    folder = _folder(world)
    stem = bundled.stimuli_path(_SHARED[name]) if world == ENGLISH and name in _SHARED else folder / name
    for path in (stem.with_name(f"{stem.name}{ending}") for ending in (".json", ".jsonl", ".json.gz")):
        if not path.exists():
            continue
        try:
            if path.suffix != ".jsonl":
                return json.loads(_read(path))
            return [json.loads(line) for line in _read(path).splitlines() if line.strip()]
        except (ValueError, EOFError, OSError, zlib.error):
            raise CorpusError(f"{path} is damaged; install thymos again") from None
    known = stimulus_sets(world)
    raise UsageError(
        f"no stimuli {name!r}{did_you_mean(name, known)}; sets: {', '.join(known) or 'none are installed'}"
    )
