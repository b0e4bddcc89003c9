"""The command line: `thymos COMMAND ...`."""

from thymos.cli.app import main

__all__ = ["main"]
