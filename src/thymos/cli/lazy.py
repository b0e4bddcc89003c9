"""The one place where the command line loads what is heavy.

The modules beside this one declare commands: they import Typer and nothing heavier, so that `thymos --help`, shell
completion and mistyped commands answer at once. What a command does is in `thymos.cli.jobs`, loaded when it runs.
"""

import importlib
from typing import Any

__all__ = ["job"]


def job(name: str) -> Any:
    """The module `thymos.cli.jobs.NAME`."""
    return importlib.import_module(f"thymos.cli.jobs.{name}")
