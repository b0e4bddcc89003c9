"""A judge's second opinion on graded replies, as blocks of their own, and how far it agrees with the rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thymos.behaviour.judge import RUBRICS, Agreement, agreement, endpoint_judge, judge_replies
from thymos.studies.bench import Bench
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.trials import Block, Record, Records

__all__ = ["JUDGED", "Jury", "judge_block", "judged_estimates", "with_verdicts"]

JUDGED = "judged/"
"""Blocks of verdicts are named after the block that they judge."""
_DOUBTFUL = ("suspected", "unclear")
"""What the rules cannot tell; a judge's verdict replaces it."""


@dataclass(frozen=True)
class Jury:
    """Who judges, and by which rubric.

    Attributes:
        url: Base address of an OpenAI-compatible endpoint; empty for no judge.
        model: Name of the model there.
        rubric: Of `thymos.behaviour.judge.RUBRICS`.
    """

    url: str
    model: str
    rubric: str


def judge_block(bench: Bench, of: str, records: Sequence[Record], jury: Jury) -> Block:
    """Verdicts on all replies of a block; the judge sees prompt and reply, not the condition.

    Records: one per reply: `id`, `number`, `rules`, `verdict` (null for none), `answer`, `failure`.
    """
    cases = [(record, number, reply) for record in records for number, reply in enumerate(record["replies"])]

    def make() -> Iterator[Record]:
        writer = endpoint_judge(jury.url, jury.model)
        shown = [(record["text"], record["prefill"] + reply["reply"]) for record, _, reply in cases]
        found = judge_replies(writer, RUBRICS[jury.rubric], shown, seed=bench.seed_for("judge", of))
        for (record, number, reply), judged in zip(cases, found, strict=True):
            yield {
                "id": record["id"],
                "number": number,
                "rules": reply["outcome"],
                "verdict": judged.verdict,
                "answer": judged.answer,
                "failure": judged.failure,
            }

    return Block(f"{JUDGED}{of}", len(cases), make)


def with_verdicts(records: Sequence[Record], judged: Sequence[Record]) -> list[dict[str, Any]]:
    """The records of a rollout with the judge's verdict where the rules could not tell."""
    found: Mapping[tuple[str, int], str | None] = {(one["id"], one["number"]): one["verdict"] for one in judged}
    out = []
    for record in records:
        replies = []
        for number, reply in enumerate(record["replies"]):
            verdict = found.get((record["id"], number))
            settled = verdict if verdict and reply["outcome"] in _DOUBTFUL else reply["outcome"]
            replies.append({**reply, "outcome": settled})
        out.append({**record, "replies": replies})
    return out


def judged_estimates(records: Records, seed: int) -> tuple[list[Estimate], list[str]]:
    """Agreement of rules and judge over all judged blocks, and what must be said about it."""
    rows = [row for block in records.under(JUDGED).values() for row in block]
    if not rows:
        return [], []
    clear = [row for row in rows if row["rules"] not in _DOUBTFUL]
    found = agreement([row["rules"] for row in clear], [row["verdict"] for row in clear], seed=seed)
    return _estimates(found, len(rows) - len(clear)), _remarks(rows, found)


def _estimates(found: Agreement, doubtful: int) -> list[Estimate]:
    if found.kappa is None:
        return []
    note = f"{found}; {doubtful} replies that the rules could not tell are not in it"
    return [estimate("kappa of rules and judge", found.kappa, note=note)]


def _remarks(rows: Sequence[Record], found: Agreement) -> list[str]:
    failures = [row["failure"] for row in rows if row["failure"]]
    told = [f"judge and rules: {found}"]
    if failures:
        share = f"{len(failures)} of {len(rows)} replies are unjudged"
        told.append(f"{share} and count by the rules alone; the first: {failures[0]}")
    return told
