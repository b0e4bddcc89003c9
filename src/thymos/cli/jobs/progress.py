"""Progress on standard error: bars with rate and time left on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from thymos.cli.failures import tell
from thymos.cli.jobs.show import console, duration
from thymos.cli.options import Output
from thymos.texts import WriteProgress
from thymos.vectors import Progress

__all__ = ["Meter"]

_SECONDS_BETWEEN_LINES = 15.0


class Meter:
    """Shows how far a run is; give it to a workflow as `progress`."""

    def __init__(self, output: Output) -> None:
        self.quiet = output.quiet
        self.bars: Bars | None = None
        if not self.quiet and sys.stderr.isatty():
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self.bars = Bars(*columns, TextColumn("{task.fields[note]}"), console=console(stderr=True))
        self.stage = ""
        self.task: TaskID | None = None
        self.first = (0, 0.0)
        self.last_line = -_SECONDS_BETWEEN_LINES

    def __enter__(self) -> "Meter":
        if self.bars is not None:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars is not None:
            if kind is None:
                self._finish()
            self.bars.stop()

    def __call__(self, seen: Progress | WriteProgress) -> None:
        """Take a report of a workflow."""
        if isinstance(seen, WriteProgress):
            rejected = f", {sum(seen.rejected.values())} rejected" if seen.rejected else ""
            self._show(
                "writing",
                seen.done,
                seen.cells,
                f"{seen.texts} texts{rejected}, {seen.rate:.2g} cells/s",
                seen.eta_seconds,
            )
            return
        if seen.stage != self.stage or self.first[1] > seen.seconds:
            self.first = (seen.done, seen.seconds)
        # After a resumption only what this process has done counts for the rate.
        done, seconds = seen.done - self.first[0], seen.seconds - self.first[1]
        if done <= 0 or seconds <= 0:
            self._show(seen.stage, seen.done, seen.total, "", None)
            return
        rate = done / seconds
        self._show(seen.stage, seen.done, seen.total, f"{rate:.3g} texts/s", (seen.total - seen.done) / rate)

    def counted(self, stage: str, done: int, total: int, told: str, left: float | None = None) -> None:
        """Say how far a stage is, with what is known about it and the seconds that are left."""
        self._show(stage, done, total, told, left)

    def working(self, what: str) -> None:
        """Say what goes on while nothing can be counted."""
        if self.quiet:
            return
        if self.bars is None:
            tell(f"{what} ...")
            return
        self._finish()
        self.stage = what
        self.task = self.bars.add_task(what, total=None, note="")

    def _show(self, stage: str, done: int, total: int, rate: str, left: float | None) -> None:
        fresh = stage != self.stage
        self.stage = stage
        if self.quiet:
            return
        told = rate if left is None or done >= total else f"{rate}, {duration(left)} left"
        if self.bars is not None:
            if fresh or self.task is None:
                self._finish()
                self.task = self.bars.add_task(stage, total=total, note="")
            self.bars.update(self.task, completed=done, total=total, note=told)
            return
        now = time.monotonic()
        if done >= total or now - self.last_line >= _SECONDS_BETWEEN_LINES:
            self.last_line = now
            tell(f"{stage}: {done} of {total}{', ' if told else ''}{told}")

    def _finish(self) -> None:
        """Stop the spinner of a stage without a count."""
        if self.bars is None or self.task is None:
            return
        for task in self.bars.tasks:
            if task.id == self.task and task.total is None:
                self.bars.update(self.task, total=1, completed=1)
