"""Where code that a model wrote is run: in a sandbox of Inspect's, never in this process.

"docker" is a container without a network. "local" is a temporary folder on this machine: what the model wrote runs as
the user who started the study and can do what that user can do. So it is never chosen by itself.
"""

import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

from thymos.errors import ThymosError, UsageError
from thymos.extras import require
from thymos.studies.agent_loop import Run, TestRun

__all__ = [
    "SANDBOXES",
    "InspectRunner",
    "Runner",
    "SandboxName",
    "check_sandbox",
    "environment_of",
    "open_runner",
    "python_of",
    "run_in",
]

SandboxName = Literal["docker", "local"]
SANDBOXES: tuple[SandboxName, ...] = ("docker", "local")
_SECONDS_TO_START = 600.0
"""A first container has to be fetched."""
_KILOBYTES = 4 * 1024**2
"""Address space of a test run."""
_LIMITED = f'ulimit -v {_KILOBYTES} 2>/dev/null; ulimit -c 0 2>/dev/null; exec "$@"'
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@runtime_checkable
class Runner(Protocol):
    """Something that runs tests away from this process."""

    def run(self, wanted: Run) -> TestRun:
        """Run the tests of a folder of files; what goes wrong in them is in the result."""
        ...


def check_sandbox(name: str) -> SandboxName:
    """A name of a sandbox.

    Raises:
        UsageError: Unknown.
    """
    if name not in SANDBOXES:
        raise UsageError(
            f"unknown sandbox {name!r}; valid: 'docker' (a container), 'local' (code that the model writes runs on "
            "this machine as your user)"
        )
    return name


async def run_in(box: Any, wanted: Run, folder: str, python: str) -> TestRun:
    """Run tests in a sandbox of Inspect's, in a folder of their own, with an empty environment and a time limit.

    Args:
        box: A `SandboxEnvironment`.
        wanted: Files and limits.
        folder: A new folder, relative to the sandbox's own.
        python: The interpreter there.
    """
    for path, text in wanted.files.items():
        await box.write_file(f"{folder}/{path}", text)
    # No variable of the parent reaches the code: keys and tokens often lie there.
    own = ["env", "-i", f"PATH={_PATH}", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8"]
    command = ["sh", "-c", _LIMITED, "sh", *own, python, "-m", "unittest", *wanted.tests]
    try:
        done = await box.exec(command, cwd=folder, timeout=wanted.seconds, timeout_retry=False)
    except TimeoutError:
        return TestRun(None, f"stopped after {wanted.seconds} seconds")
    except (UnicodeDecodeError, PermissionError) as err:
        return TestRun(1, f"the run gave nothing that can be read ({type(err).__name__})")
    return TestRun(int(done.returncode), f"{done.stdout}{done.stderr}")


def python_of(name: SandboxName) -> str:
    """The interpreter inside a sandbox."""
    return sys.executable if name == "local" else "python3"


@dataclass(eq=False)
class InspectRunner:
    """One sandbox of Inspect's, held open by an Inspect task in a thread of its own; a context manager.

    Only Inspect's public interface is used: the task's one sample waits for test runs until it is closed.
    """

    name: SandboxName
    _wanted: "queue.Queue[Run | None]" = field(default_factory=queue.Queue, init=False)
    _done: "queue.Queue[TestRun | BaseException | None]" = field(default_factory=queue.Queue, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _runs: int = field(default=0, init=False)

    def __enter__(self) -> "InspectRunner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join(60)
            self._thread = None

    def run(self, wanted: Run) -> TestRun:
        """Run tests; the sandbox is started by the first call.

        Raises:
            MissingExtraError: Inspect is not installed.
            UsageError: The sandbox cannot be started.
        """
        if self._thread is None:
            self._start()
        self._wanted.put(wanted)
        answer = self._done.get()
        if not isinstance(answer, TestRun):
            raise self._failure(answer)
        return answer

    def _start(self) -> None:
        require("inspect_ai", "inspect", "running code that a model wrote")
        self._thread = threading.Thread(target=self._hold, name="thymos-sandbox", daemon=True)
        self._thread.start()
        try:
            answer = self._done.get(timeout=_SECONDS_TO_START)
        except queue.Empty:
            answer = TimeoutError(f"no answer in {_SECONDS_TO_START:g} seconds")
        if answer is not None:
            self._thread = None
            raise self._failure(answer)

    def _failure(self, answer: object) -> ThymosError:
        if isinstance(answer, ThymosError):
            return answer
        told = " ".join(str(answer).split())[:300]
        other = (
            "start Docker, or pass sandbox=local (--set sandbox=local), which runs code that the model writes on this "
            "machine as your user"
            if self.name == "docker"
            else "see what the system says about temporary folders"
        )
        return UsageError(f"the sandbox {self.name!r} cannot be used: {type(answer).__name__}: {told}; {other}")

    def _hold(self) -> None:
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                told = self._task(folder)
            self._done.put(RuntimeError(told))
        except BaseException as err:  # handed to the caller, who raises it
            self._done.put(err)

    def _task(self, folder: str) -> str:
        inspect, data, solving, tools, anyio = (
            require(name, "inspect", "running code that a model wrote")
            for name in ("inspect_ai", "inspect_ai.dataset", "inspect_ai.solver", "inspect_ai.util", "anyio")
        )

        async def solve(state: Any, generate: Any) -> Any:  # noqa: ARG001 - Inspect's signature
            self._done.put(None)
            while (wanted := await anyio.to_thread.run_sync(self._wanted.get, abandon_on_cancel=True)) is not None:
                self._runs += 1
                self._done.put(await run_in(tools.sandbox(), wanted, f"run-{self._runs}", python_of(self.name)))
            return state

        hold = solving.solver(name="hold_sandbox")(lambda: solve)
        task = inspect.Task(dataset=[data.Sample(input="tests")], solver=hold(), sandbox=self.name)
        log = inspect.eval(
            task, model=None, display="none", log_dir=folder, log_samples=False, score=False, log_level="error"
        )[0]
        return str(getattr(log.error, "message", log.status))


@contextmanager
def open_runner(name: str) -> Iterator[Runner]:
    """The shipped runner: a sandbox that lives as long as the context.

    Raises:
        UsageError: Unknown name, or the sandbox cannot be started (at the first run).
    """
    with InspectRunner(check_sandbox(name)) as runner:
        yield runner


def environment_of(name: str) -> str:
    """What a sandbox means, in a sentence for reports."""
    if name == "local":
        return "code of the model ran on this machine, as the user of the study (sandbox=local)"
    return "code of the model ran in a container (sandbox=docker)"
