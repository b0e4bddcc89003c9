"""Imported first: says how to install Inspect where it is missing."""

from types import ModuleType

from thymos.extras import require

__all__ = ["INSPECT"]

INSPECT: ModuleType = require("inspect_ai", "inspect", "running Inspect tasks on thymos models")
