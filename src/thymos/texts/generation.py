"""The engine of writing runs: a fixed plan of requests, batches, retries, two append-only files."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from thymos.errors import CorpusError, UsageError
from thymos.files import write_text
from thymos.models import Message, Sampling
from thymos.texts.append import AppendOnly
from thymos.texts.text import Rejection, Text
from thymos.texts.writers import Writer

__all__ = ["Request", "Run", "StoryPlan", "Task", "WriteProgress"]

_HOPELESS_BATCHES = 5
_STORY_SAMPLING = Sampling(max_new_tokens=4096, temperature=1.0, top_p=0.95)


@dataclass(frozen=True)
class StoryPlan:
    """What a writing run will do, fixed beforehand; a run resumes only under the same plan.

    Attributes:
        per_cell: Stories per (concept, topic) cell, or dialogues per topic. The paper: 12.
        per_request: Stories asked for at once; default: all of a cell, as in the paper. Small models do better
            with 1-4.
        seed: Seed of the whole run; every request has its own, made from it.
        sampling: How the model writes; its seed is not used.
        batch: Requests answered together, and what is lost at most when a run is stopped.
        retries: Further requests, with another seed, for stories that were rejected or missing.
        min_words: Shorter texts are rejected: few of their tokens would count (the first 49 are left out).
        bare: Ask for the text of a story alone, without its number, and keep whole answers only; one story a request.
        requests: A model's own requests for one story each, which take turns, with {topic} and {emotion} to be filled
            in; they need `bare`. Empty: the requests of thymos.
    """

    per_cell: int = 12
    per_request: int | None = None
    seed: int = 0
    sampling: Sampling = _STORY_SAMPLING
    batch: int = 8
    retries: int = 2
    min_words: int = 50
    bare: bool = False
    requests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.per_cell, self.batch, self.per_request or 1) < 1 or self.retries < 0 or self.min_words < 0:
            raise UsageError(
                f"per_cell={self.per_cell}, per_request={self.per_request}, batch={self.batch}, "
                f"retries={self.retries}, min_words={self.min_words}; the first three must be "
                "at least 1, the others at least 0"
            )

        if self.bare and self.parts[0] > 1:
            raise UsageError(f"bare stories are asked for one at a time, not {self.parts[0]}; set per_request=1")
        if self.requests and not self.bare:
            raise UsageError("requests of a model's own ask for one bare story each; set bare=True and per_request=1")

    def asking(self, requests: tuple[str, ...]) -> "StoryPlan":
        """The same plan with a model's own requests, each for one bare story."""
        return replace(self, per_request=1, bare=True, requests=requests)

    @property
    def parts(self) -> tuple[int, ...]:
        """Number of texts asked for in each request of a cell."""
        at_once = min(self.per_request or self.per_cell, self.per_cell)
        full, rest = divmod(self.per_cell, at_once)
        return (at_once,) * full + ((rest,) if rest else ())


@dataclass(frozen=True)
class WriteProgress:
    """Where a writing run stands; counts include what earlier, interrupted runs did."""

    done: int
    """Cells that are finished, short ones included."""
    cells: int
    texts: int
    """Texts kept."""
    rejected: Mapping[str, int]
    """Rejected texts and answers per reason: refusal, format, leak, duplicate, short."""
    missing: int
    """Texts that are missing from finished cells because the retries were used up."""
    rate: float
    """Cells per second, in this run."""
    eta_seconds: float | None
    """Seconds to go at that rate; None before the first batch."""


@dataclass(frozen=True)
class Request:
    """Part of a cell that is asked for at once."""

    emotion: str | None
    topic: str
    part: int
    texts: int
    variant: int
    """Position of the cell in the plan, plus the part: what alternates between requests."""

    @property
    def key(self) -> tuple[str | None, str, int]:
        """Names the request in the files."""
        return self.emotion, self.topic, self.part

    def seed(self, plan_seed: int, attempt: int) -> int:
        """Seed of one attempt, the same wherever and whenever the request is made."""
        named = json.dumps([plan_seed, self.emotion, self.topic, self.part, attempt])
        return int.from_bytes(hashlib.sha256(named.encode()).digest()[:4]) >> 1


@runtime_checkable
class Task(Protocol):
    """What is written: how to ask for it, and what to keep of an answer."""

    def messages(self, request: Request, texts: int) -> list[Message]:
        """The prompt for so many texts of a request."""
        ...

    def judge(self, request: Request, reply: str, texts: int) -> tuple[list[Text], list[Rejection]]:
        """Texts to keep and texts rejected."""
        ...


@dataclass
class _Ledger:
    """What the two files hold, as counts per request."""

    kept: Counter[tuple[str | None, str, int]] = field(default_factory=Counter)
    logged: Counter[tuple[str | None, str, int]] = field(default_factory=Counter)
    short: dict[tuple[str | None, str, int], int] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def take(self, kept: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]]) -> None:
        for row in kept:
            self.kept[_key(row)] += 1
        for row in rejected:
            self.logged[_key(row)] += 1
            if row["reason"] == "given up":
                self.short[_key(row)] = int(row["missing"])
            else:
                self.reasons[str(row["reason"])] += 1

    def finished(self, request: Request) -> bool:
        return self.kept[request.key] + self.short.get(request.key, 0) >= request.texts


def _key(row: Mapping[str, Any]) -> tuple[str | None, str, int]:
    return row.get("emotion"), row["topic"], row["part"]


class Run:
    """A writing run that can be stopped at any time and goes on where it was.

    Batches are fixed by the plan. A batch whose lines were only partly written is asked for again as a whole, and only
    the missing lines are added: with a repeatable writer the files come out the same as without the interruption.

    Args:
        task: What is written.
        requests: All requests, in order.
        writer: Who writes.
        plan: Batches, retries, seeds.
        out: The `.jsonl` file; rejected texts go to `<name>.rejected.jsonl`, the plan to `<name>.plan.json` beside it.
        identity: What must be the same on resume, besides plan and writer.

    Raises:
        UsageError: The file was begun under another plan.
        CorpusError: Not a `.jsonl` file, or one that was changed by hand.
        StorageError: The place cannot be written.
    """

    def __init__(
        self,
        task: Task,
        requests: Sequence[Request],
        writer: Writer,
        plan: StoryPlan,
        out: Path,
        identity: Mapping[str, Any],
    ) -> None:
        if out.suffix.lower() != ".jsonl":
            raise CorpusError(f"{out} ends in {out.suffix!r}; texts are written to a .jsonl file")
        self.task, self.requests, self.writer, self.plan = task, requests, writer, plan
        self.name = str(getattr(writer, "name", None) or "writer")
        self.texts, self.rejected = AppendOnly(out), AppendOnly(out.with_name(f"{out.stem}.rejected.jsonl"))
        self.begun = time.monotonic()
        _check_plan(out, {"schema": 1, **identity, "writer": self.name, "plan": _stored(plan)})
        self.ledger = _Ledger()
        self.ledger.take(self.texts.rows(), self.rejected.rows())
        self.done: set[int] = set()
        self._mark(0, len(requests))
        self.before = len(self.done)

    def go(self, on_progress: Callable[[WriteProgress], None] | None) -> WriteProgress:
        """Make all requests that are not finished.

        Raises:
            CorpusError: The writer has produced nothing usable.
        """
        size = self.plan.batch
        for first in range(0, len(self.requests), size):
            batch = self.requests[first : first + size]
            if not all(self.ledger.finished(request) for request in batch):
                self._write(batch)
                self._mark(first, first + len(batch))
                if on_progress is not None:
                    on_progress(self._progress())
            if first >= (_HOPELESS_BATCHES - 1) * size and not self.ledger.kept:
                break
        if not self.ledger.kept:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.ledger.reasons.most_common())
            raise CorpusError(
                f"{self.name!r} wrote nothing usable (rejected: {reasons or 'nothing'}); see {self.rejected.path}, ask "
                "for fewer texts per request, or use a larger model"
            )
        return self._progress()

    def _write(self, batch: Sequence[Request]) -> None:
        kept: dict[Request, list[dict[str, Any]]] = {request: [] for request in batch}
        rejected: dict[Request, list[dict[str, Any]]] = {request: [] for request in batch}
        for attempt in range(self.plan.retries + 1):
            open_ = [request for request in batch if len(kept[request]) < request.texts]
            if not open_:
                break
            seeds = [request.seed(self.plan.seed, attempt) for request in open_]
            wanted = [request.texts - len(kept[request]) for request in open_]
            prompts = [self.task.messages(request, n) for request, n in zip(open_, wanted, strict=True)]
            replies = self.writer(prompts, seeds)
            if len(replies) != len(open_):
                raise UsageError(
                    f"the writer gave {len(replies)} answers to {len(open_)} prompts; it must give one each"
                )
            for request, reply, n, seed in zip(open_, replies, wanted, seeds, strict=True):
                texts, refused = self.task.judge(request, reply, n)
                self._sort(texts, kept[request], refused, {"part": request.part, "attempt": attempt, "seed": seed})
                rejected[request] += [_rejected_row(each, request, attempt) for each in refused]
        for request in batch:
            if len(kept[request]) < request.texts:
                row = {"reason": "given up", "missing": request.texts - len(kept[request])}
                rejected[request].append(_of(request) | row)
        # Rejections first: a request counts as finished only when its kept texts are there too.
        new_rejected = [row for r in batch for row in rejected[r][self.ledger.logged[r.key] :]]
        new_kept = [row for r in batch for row in kept[r][self.ledger.kept[r.key] :]]
        self.rejected.append(new_rejected)
        self.texts.append(new_kept)
        self.ledger.take(new_kept, new_rejected)

    def _sort(
        self, texts: list[Text], kept: list[dict[str, Any]], refused: list[Rejection], where: Mapping[str, Any]
    ) -> None:
        """Number the texts that are new to their request; the others are rejected."""
        seen = {" ".join(row["text"].split()).casefold() for row in kept}
        for text in texts:
            same = " ".join(text.text.split()).casefold()
            if same in seen:
                refused.append(Rejection(text, "duplicate", "the same text twice in one cell"))
                continue
            seen.add(same)
            extra = {**where, "number": len(kept) + 1, **text.extra}
            kept.append(Text(text.text, text.emotion, text.topic, self.name, extra).row())

    def _mark(self, first: int, stop: int) -> None:
        """Look again at the cells that the requests from `first` up to `stop` belong to."""
        parts = len(self.plan.parts)
        for cell in range(first // parts, -(-stop // parts)):
            if all(self.ledger.finished(request) for request in self.requests[cell * parts : (cell + 1) * parts]):
                self.done.add(cell)

    def _progress(self) -> WriteProgress:
        done, cells = len(self.done), len(self.requests) // len(self.plan.parts)
        rate = (done - self.before) / max(time.monotonic() - self.begun, 1e-9)
        return WriteProgress(
            done=done,
            cells=cells,
            texts=self.ledger.kept.total(),
            rejected=dict(self.ledger.reasons),
            missing=sum(self.ledger.short.values()),
            rate=rate,
            eta_seconds=(cells - done) / rate if rate > 0 else None,
        )


def _stored(plan: StoryPlan) -> dict[str, Any]:
    """The plan as its file holds it; without requests as runs wrote it before there were any."""
    return {key: value for key, value in asdict(plan).items() if key != "requests" or value}


def _of(request: Request) -> dict[str, Any]:
    named = {"emotion": request.emotion, "topic": request.topic, "part": request.part}
    return {key: value for key, value in named.items() if value is not None}


def _rejected_row(rejection: Rejection, request: Request, attempt: int) -> dict[str, Any]:
    seen = {"attempt": attempt, "reason": rejection.reason, "detail": rejection.detail, "text": rejection.text.text}
    return _of(request) | seen


def _check_plan(out: Path, plan: Mapping[str, Any]) -> None:
    path = out.with_name(f"{out.stem}.plan.json")
    now = json.loads(json.dumps(plan))
    if not path.exists():
        if out.exists() and out.stat().st_size:
            raise UsageError(
                f"{out} exists, but no {path.name} beside it, so it cannot be gone on with; name a new file"
            )
        write_text(path, json.dumps(now, ensure_ascii=False, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise CorpusError(f"{path} is not JSON; it was changed by hand, so {out.name} cannot be gone on with") from None
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        raise UsageError(
            f"{out} was begun under another plan ({', '.join(changed)} changed); use the same settings, or name "
            "a new file"
        )
