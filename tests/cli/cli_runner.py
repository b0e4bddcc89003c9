"""Runs commands in this process, for the tests of the command line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from thymos.cli.app import app

__all__ = ["CONCEPTS", "Ran", "Run", "run_command"]


CONCEPTS = "angry bored calm grateful happy hopeful lonely proud sad tense".split()
"""Concepts of the stories."""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object it must be."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """The last line on standard error."""
        return self.err.strip().splitlines()[-1]


Run = Callable[..., Ran]


def run_command(*words: object, stdin: str | None = None) -> Ran:
    """Run `thymos WORDS`."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    return Ran(result.exit_code, result.stdout, result.stderr)
