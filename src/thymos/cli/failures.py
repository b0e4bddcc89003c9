"""How commands end: one line on standard error, and the exit code that goes with it."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

from thymos.errors import ThymosError

__all__ = ["Interrupted", "failures_told", "one_line", "resumable", "tell"]

FAILED, INTERRUPTED = 1, 130


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a run that can be gone on with; its message says how."""


@contextmanager
def resumable(how: str, kept: Path | None = None) -> Iterator[None]:
    """Say how to go on when the block is interrupted.

    Args:
        how: For example "run the same command with --resume".
        kept: What there is to go on with; where it does not exist yet, only the interruption is told.
    """
    try:
        yield
    except KeyboardInterrupt as err:
        if kept is not None and not (kept.exists() and kept.stat().st_size):
            raise Interrupted("nothing was written yet; run the same command again to start afresh") from err
        raise Interrupted(how) from err


def one_line(text: object) -> str:
    """Text without line breaks and control characters: names and messages may come from files of strangers."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def tell(text: str) -> None:
    """One line on standard error."""
    with suppress(BrokenPipeError):
        typer.echo(one_line(text), err=True)


@contextmanager
def failures_told(*, debug: bool) -> Iterator[None]:
    """Turn whatever a command raises into one line and an exit code.

    Args:
        debug: Show tracebacks and the warnings of other libraries too.

    Raises:
        typer.Exit: The command failed (1), was badly used (2) or interrupted (130).
    """
    with _warnings_told(debug=debug):
        try:
            yield
            sys.stdout.flush()
        except Exception as err:
            # Typer shows its own: bad usage, prompts that were declined, plain exits.
            if isinstance(err, typer.Exit | typer.Abort) or hasattr(err, "format_message"):
                raise
            if isinstance(err, BrokenPipeError):
                _drop_output()
                raise typer.Exit(FAILED) from None
            if debug:
                traceback.print_exc()
            if isinstance(err, ThymosError):
                tell(f"error: {err}")
                raise typer.Exit(err.exit_code) from None
            advice = "" if debug else "; run with --debug for the traceback (thymos --debug COMMAND ...)"
            tell(f"error: {type(err).__name__}: {err}{advice}")
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt as err:
            tell(f"interrupted; {err}" if isinstance(err, Interrupted) else "interrupted")
            raise typer.Exit(INTERRUPTED) from None


def _drop_output() -> None:
    """Nobody reads any more: let Python's own flush at exit go nowhere, without a complaint."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _warnings_told(*, debug: bool) -> Iterator[None]:
    """Our own warnings as notes, those of other libraries only with --debug."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if debug or category.__module__.startswith("thymos."):
            tell(f"note: {message}")

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
