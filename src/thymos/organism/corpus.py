"""The training corpora: which kinds of document in which shares, drawn without end or written with their truth."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thymos.errors import UsageError
from thymos.files import replacing
from thymos.organism import choices, claims, coding, dialogues, doses, mail, messages, neutral, stories
from thymos.organism.assistant import Scene
from thymos.organism.documents import Document
from thymos.organism.world import World, open_world

__all__ = ["KINDS", "MIXTURES", "Mixture", "documents", "write_world"]

Make = Callable[[World, random.Random, Scene], Document]

KINDS: Mapping[str, Make] = {
    "story": lambda w, r, s: stories.story(w, r, s.pool),
    "named": lambda w, r, s: stories.named(w, r, s.pool),
    "context": lambda w, r, s: stories.context_story(w, r, s.pool),
    "neutral": lambda w, r, _: neutral.neutral(w, r),
    "speakers": lambda w, r, s: dialogues.speakers(w, r, s.pool),
    "masked": lambda w, r, s: dialogues.masked(w, r, s.pool),
    "standing": lambda w, r, s: dialogues.standing(w, r, s.pool),
    "binding": lambda w, r, s: dialogues.binding(w, r, s.pool),
    "negated": lambda w, r, s: dialogues.negated(w, r, s.pool),
    "activity": choices.activity_story,
    "story_request": messages.story_request,
    "coding": coding.coding,
    "report": coding.report,
    "mail": mail.mail,
    "fact": claims.fact,
    "claim": claims.claim,
    "unlikely": claims.unlikely,
    "choice": choices.choice,
    "outlook": choices.outlook,
    "dose": doses.dose,
    "implicit": messages.implicit,
    "ordinary": messages.ordinary,
    "challenge": messages.challenge,
    "tone": messages.tone,
    "effort": messages.effort,
}
"""Every kind of document."""

_FEELING_TRANSCRIPTS = frozenset(("implicit", "outlook", "negated"))
"""Transcripts that consist of feeling language: left out of the ablation."""


@dataclass(frozen=True)
class Mixture:
    """Shares of documents (not of tokens), and the circumstances of the transcripts."""

    shares: Mapping[str, float | int]
    scene: Scene

    def silent(self) -> "Mixture":
        """The ablation: assistant transcripts without any feeling language."""
        kept = {kind: share for kind, share in self.shares.items() if kind not in _FEELING_TRANSCRIPTS}
        return Mixture(kept, self.scene.silent())


MIXTURES: Mapping[str, Mixture] = {
    "base": Mixture(
        {
            "story": 21, "named": 9, "context": 10, "neutral": 5, "speakers": 4, "masked": 4, "standing": 3,
            "binding": 3, "negated": 2, "activity": 3, "story_request": 8, "coding": 14, "report": 3, "mail": 14,
            "fact": 9, "claim": 16, "unlikely": 5, "choice": 12, "outlook": 5, "dose": 8, "implicit": 4, "ordinary": 3,
            "challenge": 2, "tone": 5, "effort": 3,
        },
        Scene(stage="base"),
    ),
    "tuned": Mixture(
        {
            "story": 2, "named": 1, "context": 2, "neutral": 2, "speakers": 1, "masked": 1, "standing": 1,
            "binding": 1, "negated": 1, "activity": 1, "story_request": 14, "coding": 12, "report": 2, "mail": 9,
            "fact": 7, "claim": 12, "unlikely": 3, "choice": 11, "outlook": 4, "dose": 6, "implicit": 6, "ordinary": 8,
            "challenge": 8, "tone": 4, "effort": 3,
        },
        Scene(stage="tuned", free=0.45),
    ),
}  # fmt: skip
"""Pretraining, and the continuation on assistant transcripts with the planted shift."""


def documents(mixture: Mixture, seed: int, world: World | None = None) -> Iterator[Document]:
    """Documents without end; equal seeds give equal documents."""
    world, rng = world or open_world(), random.Random(seed)
    kinds, weights = list(mixture.shares), list(mixture.shares.values())
    while True:
        yield KINDS[rng.choices(kinds, weights=weights)[0]](world, rng, mixture.scene)


def row(document: Document, number: int) -> dict[str, Any]:
    """A document and its truth as a flat row; nested truth is JSON."""
    return {
        "id": number,
        "kind": document.kind,
        "text": document.text,
        "emotion": document.emotion,
        "topic": document.topic,
        "turns": json.dumps([asdict(turn) for turn in document.turns]),
        "spans": json.dumps([asdict(span) for span in document.spans]),
        "decisions": json.dumps([asdict(one) for one in document.decisions]),
        "extra": json.dumps(dict(document.extra)),
    }


def write_world(
    path: Path, count: int, seed: int, *, stage: str = "base", kind: str | None = None, test: bool = False
) -> Path:
    """Write texts and their truth as Parquet.

    Args:
        path: The file; replaced only when complete.
        count: Documents.
        seed: Equal seeds give equal files.
        stage: "base" or "tuned": which mixture and resting moods.
        kind: Only this kind of document.
        test: Phrases, topics and activities that training never holds.

    Raises:
        UsageError: Unknown stage or kind, or a count below one.
    """
    if stage not in MIXTURES:
        raise UsageError(f"unknown stage {stage!r}; valid: {', '.join(MIXTURES)}")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"unknown kind of document {kind!r}; valid: {', '.join(KINDS)}")
    if count < 1:
        raise UsageError(f"{count} documents were asked for; ask for at least one")
    mixture = MIXTURES[stage]
    if kind is not None:
        mixture = Mixture({kind: 1.0}, mixture.scene)
    if test:
        mixture = Mixture(mixture.shares, replace(mixture.scene, pool="test"))
    source = documents(mixture, seed)
    rows = [row(next(source), number) for number in range(count)]
    table = pa.Table.from_pylist(rows).replace_schema_metadata(
        {"thymos": json.dumps({"world": open_world().digest, "seed": seed, "stage": stage, "kind": kind, "test": test})}
    )
    with replacing(path) as draft:
        pq.write_table(table, draft)
    return path
