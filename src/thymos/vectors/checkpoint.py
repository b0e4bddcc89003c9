"""Run folders: the plan, and the latest state of the moments, written between batches."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from thymos.errors import ArtifactError, CorpusError, ThymosError
from thymos.files import replacing, storage_errors, write_text
from thymos.vectors.moments import ConceptMoments, RowMoments, State
from thymos.vectors.plan import Tally

__all__ = ["AFRESH", "Collected", "Keeper", "forgotten_where_useless", "interrupts_held", "open_run"]

_PLAN, _STATE = "plan.json", "state.safetensors"
STAGES = ("stories", "neutral")
AFRESH = "start afresh with --overwrite instead of --resume (in Python: resume=False)"
"""What to do about a run that cannot be gone on with."""


@dataclass
class Collected:
    """Moments of a whole run, or of a part of one."""

    concepts: tuple[str, ...]
    stories: ConceptMoments
    tokens: RowMoments
    """Neutral rows, one per token."""
    dialogues: RowMoments
    """Neutral rows, one per text (its mean)."""
    tallies: dict[str, Tally] = field(default_factory=lambda: {stage: Tally() for stage in STAGES})
    spooled: int = 0
    """Per-text means kept so far."""


@dataclass
class Keeper:
    """Writes a checkpoint now and then, and one when the run is interrupted."""

    run: Path | None
    found: Collected
    flush: Callable[[], int] | None = None
    """Flushes kept texts and returns their number."""
    seconds: float = 30.0
    _last: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    def maybe(self) -> None:
        """Write a checkpoint if the last one is old enough; never spend more than a twentieth of the time on it."""
        if self.run is not None and time.monotonic() - self._last > max(self.seconds, 20 * self._cost):
            self.write()

    def write(self) -> None:
        """Write a checkpoint."""
        if self.run is None:
            return
        started = time.monotonic()
        if self.flush is not None:
            self.found.spooled = self.flush()
        tensors: State = {f"stories.{key}": value for key, value in self.found.stories.state().items()}
        tensors |= {f"tokens.{key}": value for key, value in self.found.tokens.state().items()}
        tensors |= {f"dialogues.{key}": value for key, value in self.found.dialogues.state().items()}
        about = {stage: asdict(tally) for stage, tally in self.found.tallies.items()} | {"spooled": self.found.spooled}
        with replacing(self.run / _STATE) as temporary:
            save_file(
                {key: value.contiguous() for key, value in tensors.items()}, temporary, {"progress": json.dumps(about)}
            )
        self._last = time.monotonic()
        self._cost = self._last - started


def open_run(run: Path, plan: dict[str, Any], fresh: Collected, *, resume: bool) -> Collected:
    """Prepare a run folder: start anew, or return the state to go on from.

    Raises:
        ArtifactError: The folder belongs to another plan, or its state is damaged.
    """
    text = json.dumps(plan, indent=2, sort_keys=True, default=str)
    if not resume or not (run / _PLAN).exists():
        with storage_errors(run):
            run.mkdir(parents=True, exist_ok=True)
            (run / _STATE).unlink(missing_ok=True)
        write_text(run / _PLAN, text)
        return fresh
    try:
        before = json.loads((run / _PLAN).read_text(encoding="utf-8"))
    except ValueError as err:
        raise ArtifactError(f"{run / _PLAN} is damaged ({err}); {AFRESH}") from err
    changed = _changes(before, json.loads(text))
    if changed:
        raise ArtifactError(
            f"cannot resume {run}: {', '.join(changed)} differ(s) from the run that was interrupted; use the same "
            f"model, texts, settings and thread count, or {AFRESH}"
        )
    if not (run / _STATE).exists():
        return fresh
    return _read_state(run / _STATE, fresh.concepts)


@contextmanager
def forgotten_where_useless(run: Path | None, files: Sequence[str]) -> Iterator[None]:
    """Leave nothing of a run that failed on its texts, or before its first checkpoint.

    The plan names its texts by their hash, so no later run could go on with it: a folder left behind would only stand
    in the way of the corrected command. Stories that the model wrote are kept.

    Args:
        run: The run folder.
        files: Names of what the run keeps beside the plan and the state.
    """
    try:
        yield
    except ThymosError as err:
        if run is not None and (isinstance(err, CorpusError) or not (run / _STATE).exists()):
            for name in (_PLAN, _STATE, *files):
                (run / name).unlink(missing_ok=True)
            with suppress(OSError):
                run.rmdir()  # only where nothing else is in it
        raise


def _changes(before: Any, now: Any, name: str = "") -> list[str]:
    """Names of what differs between two plans, with both values where they are short."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*now, *before])
        return [c for key in keys for c in _changes(before.get(key), now.get(key), f"{name}.{key}" if name else key)]
    if before == now:
        return []
    shown = f"{before!r} -> {now!r}"
    return [f"{name} ({shown})" if len(shown) <= 60 else name]


def _read_state(path: Path, concepts: tuple[str, ...]) -> Collected:
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["progress"])
            tensors: dict[str, torch.Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as err:
        raise ArtifactError(f"the checkpoint {path} is damaged ({err}); {AFRESH}") from err

    def part(name: str) -> State:
        return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}

    return Collected(
        concepts,
        ConceptMoments.from_state(part("stories")),
        RowMoments.from_state(part("tokens")),
        RowMoments.from_state(part("dialogues")),
        {stage: Tally(**about[stage]) for stage in STAGES},
        about["spooled"],
    )


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the callable that is yielded runs: moments are never left half updated."""
    # Started in the background of a script, Ctrl-C is ignored by the whole process: it stays ignored.
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        if caught:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        caught.append(number)

    before = signal.signal(signal.SIGINT, remember)

    def release() -> None:
        if caught:
            raise KeyboardInterrupt

    try:
        yield release
    finally:
        signal.signal(signal.SIGINT, before)
