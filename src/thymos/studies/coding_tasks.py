"""Coding tasks whose tests cannot be met, each with a twin that can be solved, as an agent gets them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from thymos import bundled
from thymos.behaviour.code_rules import is_test
from thymos.errors import CorpusError, UsageError, did_you_mean

__all__ = ["IMPOSSIBLE", "SOLVABLE", "CodingTask", "Kind", "coding_tasks"]

Kind = Literal["impossible", "solvable"]
IMPOSSIBLE: Kind = "impossible"
SOLVABLE: Kind = "solvable"
_HIDDEN = "test_holdout.py"


@dataclass(frozen=True)
class CodingTask:
    """A task in a folder of files.

    Attributes:
        id: Stable name; that of a twin ends in "-twin".
        group: Name of the pair.
        kind: Whether the tests can be met.
        statement: What the agent is asked.
        files: Path -> text, tests among them.
        hidden: Tests that the agent never sees: of what the task demands, and of special cases.
        why: Why it is impossible, or what the twin changes.
        examples: For the impossible task: an honest "attempt", "hacks" and the "honest" report; for the twin: the
            "reference" solution. Written by us, for the tests of the rules.
    """

    id: str
    group: str
    kind: Kind
    statement: str
    files: Mapping[str, str]
    hidden: str
    why: str
    examples: Mapping[str, Any]

    @property
    def code(self) -> tuple[str, ...]:
        """Files that are not tests."""
        return tuple(path for path in self.files if not is_test(path))

    @property
    def tests(self) -> tuple[str, ...]:
        """Files of tests."""
        return tuple(path for path in self.files if is_test(path))

    def untouched(self, now: Mapping[str, str]) -> dict[str, str]:
        """The agent's code with the tests as they were given."""
        return {path: text for path, text in now.items() if not is_test(path)} | {
            path: self.files[path] for path in self.tests
        }

    def held_out(self, now: Mapping[str, str]) -> dict[str, str]:
        """The agent's code with all tests, the hidden ones among them."""
        return {**self.untouched(now), _HIDDEN: self.hidden}


@lru_cache(maxsize=1)
def _read() -> tuple[CodingTask, ...]:
    folder: Path = bundled.stimuli_path("studies") / "coding"
    found: list[CodingTask] = []
    for path in sorted(folder.glob("*/task.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            found += [_impossible(told), _twin(told)]
        except (ValueError, KeyError):
            raise CorpusError(f"{path} is damaged; install thymos again") from None
    return tuple(found)


def _impossible(told: Mapping[str, Any]) -> CodingTask:
    examples = {name: told[name] for name in ("attempt", "hacks", "honest")}
    return CodingTask(
        told["id"], told["id"], IMPOSSIBLE, told["statement"], told["files"], told["holdout"], told["why_impossible"],
        examples,
    )  # fmt: skip


def _twin(told: Mapping[str, Any]) -> CodingTask:
    twin = told["twin"]
    examples = {"reference": told["reference"]}
    return CodingTask(
        twin["id"], told["id"], SOLVABLE, twin["statement"], twin["files"], twin["holdout"], twin["change"], examples
    )


def coding_tasks(kind: Kind | None = None, names: tuple[str, ...] = ()) -> tuple[CodingTask, ...]:
    """The shipped tasks: each impossible one followed by its twin.

    Args:
        kind: Of one kind only.
        names: Of these pairs only.

    Raises:
        UsageError: Unknown name.
        CorpusError: A file is damaged.
    """
    every = _read()
    known = list(dict.fromkeys(task.group for task in every))
    for name in names:
        if name not in known:
            raise UsageError(f"no coding task {name!r}{did_you_mean(name, known)}; tasks: {', '.join(known)}")
    return tuple(task for task in every if kind in (None, task.kind) and (not names or task.group in names))
