"""Stories and neutral dialogues, written by the model under study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thymos.concepts import EMOTIONS, Vocabulary
from thymos.errors import UsageError
from thymos.models import Host, Message
from thymos.texts.generation import Request, Run, StoryPlan, WriteProgress
from thymos.texts.own_wording import asked_for_emotion, own_wording, topics_for
from thymos.texts.prompts import (
    Parsed,
    neutral_prompt,
    parse_bare,
    parse_blocks,
    parse_dialogue,
    refusal,
    story_prompt,
)
from thymos.texts.text import Reason, Rejection, Text
from thymos.texts.wording import emotional_words, leaks
from thymos.texts.writers import ModelWriter, Writer

__all__ = ["plan_for", "write_neutral", "write_stories"]


def write_stories(
    writer: Host | Writer,
    vocabulary: Vocabulary,
    topics: Sequence[str] | None,
    plan: StoryPlan,
    out: str | Path,
    on_progress: Callable[[WriteProgress], None] | None = None,
) -> WriteProgress:
    """Write stories for every concept and topic (after Sofroniew et al. 2026, story corpus).

    Topics are the outer loop, so a run that is stopped has the same number of stories for every concept. Answers that
    refuse, break the format, are too short, repeat themselves or use a form of the concept's word are rejected, logged
    with the reason in `<out>.rejected.jsonl`, and asked for again with another seed.

    A model that brings wording of its own (`own_wording`) is asked in that wording, for one bare story a request.

    Args:
        writer: A loaded decoder, or any `Writer`.
        vocabulary: The concepts; their own prompts replace the description in the request.
        topics: Situations; None: those that the model brings, or the shipped ones.
        plan: Fixed beforehand; call again with the same plan to go on after an interruption.
        out: A `.jsonl` file that grows batch by batch.
        on_progress: Called after every batch.

    Returns:
        The final counts.

    Raises:
        UsageError: No topics or one twice, an encoder, or a file that was begun under another plan.
        CorpusError: Nothing usable was written.
        StorageError: Disk full or no permission; what was written is kept.
    """
    if topics is None:
        topics = topics_for(writer if isinstance(writer, Host) else None)
    if isinstance(writer, Host):
        plan = plan_for(writer, plan)
    _check_topics(topics)
    cells = [(concept.word, topic) for topic in topics for concept in vocabulary]
    requests = [
        Request(emotion, topic, part, texts, number + part)
        for number, (emotion, topic) in enumerate(cells)
        for part, texts in enumerate(plan.parts)
    ]
    identity = {
        "kind": "stories",
        "concepts": {concept.word: list(concept.prompts) for concept in vocabulary},
        "topics": list(topics),
    }
    task = _Stories(vocabulary, plan)
    return Run(task, requests, _writer(writer, plan), plan, Path(out), identity).go(on_progress)


def write_neutral(
    writer: Host | Writer,
    topics: Sequence[str],
    plan: StoryPlan,
    out: str | Path,
    on_progress: Callable[[WriteProgress], None] | None = None,
) -> WriteProgress:
    """Write neutral dialogues, `plan.per_cell` per topic (after Sofroniew et al. 2026, neutral corpus).

    They are asked for with the labels Person and AI and stored with Human and Assistant. Dialogues with an emotional
    word or a pleasantry are rejected.

    Args:
        writer: A loaded decoder, or any `Writer`.
        topics: Situations the tasks are taken from.
        plan: Fixed beforehand.
        out: A `.jsonl` file that grows batch by batch.
        on_progress: Called after every batch.

    Returns:
        The final counts.

    Raises:
        UsageError: As for `write_stories`.
        CorpusError: Nothing usable was written.
        StorageError: Disk full or no permission; what was written is kept.
    """
    _check_topics(topics)
    requests = [
        Request(None, topic, part, texts, number + part)
        for number, topic in enumerate(topics)
        for part, texts in enumerate(plan.parts)
    ]
    identity = {"kind": "neutral dialogues", "topics": list(topics)}
    task = _Dialogues(plan.min_words)
    return Run(task, requests, _writer(writer, plan), plan, Path(out), identity).go(on_progress)


def plan_for(model: Host, plan: StoryPlan) -> StoryPlan:
    """The plan as it suits a model: in the wording that the model brings, unless the plan has requests already."""
    own = own_wording(model)
    return plan if plan.requests or own is None or not own.story_requests else plan.asking(own.story_requests)


def _writer(writer: Host | Writer, plan: StoryPlan) -> Writer:
    if not isinstance(writer, Host):
        return writer
    if writer.kind == "encoder":
        raise UsageError(f"{writer.name!r} is an encoder and cannot write; use a causal language model or an endpoint")
    return ModelWriter(writer, plan.sampling)


def _check_topics(topics: Sequence[str]) -> None:
    if isinstance(topics, str) or not topics:
        raise UsageError(f"topics={topics!r}; give a list of at least one topic")
    twice = next((topic for number, topic in enumerate(topics) if topic in topics[:number]), None)
    if twice is not None:
        raise UsageError(f"topic {twice!r} is there twice; every topic must be there once")


@dataclass(frozen=True)
class _Stories:
    vocabulary: Vocabulary
    plan: StoryPlan

    def messages(self, request: Request, texts: int) -> list[Message]:
        concept = self.vocabulary[request.emotion or ""]
        # Prompts of a concept's own were written by the user, for this run.
        if self.plan.requests and not concept.prompts:
            return asked_for_emotion(self.plan.requests, concept.word, request.topic, request.variant)
        return story_prompt(concept, request.topic, texts, request.variant, bare=self.plan.bare)

    def judge(self, request: Request, reply: str, texts: int) -> tuple[list[Text], list[Rejection]]:
        parsed = parse_bare(reply) if self.plan.bare else parse_blocks(reply, texts, "story")
        blocks, rejected = _blocks(request, reply, parsed)
        kept = []
        for block in blocks:
            text = Text(block, request.emotion, request.topic)
            found = leaks(block, self.vocabulary[request.emotion or ""])
            if found:
                named = dict.fromkeys(f"{leak.form!r} ({leak.kind})" for leak in found)
                rejected.append(Rejection(text, "leak", ", ".join(named)))
            elif (words := len(block.split())) < self.plan.min_words:
                rejected.append(Rejection(text, "short", f"{words} words"))
            else:
                kept.append(text)
        return kept, rejected


@dataclass(frozen=True)
class _Dialogues:
    min_words: int

    def messages(self, request: Request, texts: int) -> list[Message]:
        return neutral_prompt(request.topic, texts, request.variant)

    def judge(self, request: Request, reply: str, texts: int) -> tuple[list[Text], list[Rejection]]:
        blocks, rejected = _blocks(request, reply, parse_blocks(reply, texts, "dialogue"))
        kept = []
        for block in blocks:
            rewritten, problem = parse_dialogue(block)
            text = Text(rewritten, None, request.topic, extra={"system": rewritten.startswith("System:")})
            found = emotional_words(rewritten, EMOTIONS)
            if problem is not None:
                rejected.append(Rejection(text, "format", problem))
            elif found:
                rejected.append(Rejection(text, "leak", ", ".join(dict.fromkeys(repr(leak.form) for leak in found))))
            elif (words := len(rewritten.split())) < self.min_words:
                rejected.append(Rejection(text, "short", f"{words} words"))
            else:
                kept.append(text)
        return kept, rejected


def _blocks(request: Request, reply: str, parsed: Parsed) -> tuple[list[str], list[Rejection]]:
    """Whole blocks of an answer; refusals and broken blocks are rejected."""

    def no(text: str, reason: Reason, detail: str) -> Rejection:
        return Rejection(Text(text, request.emotion, request.topic), reason, detail)

    if not parsed.blocks and (words := refusal(reply, bare=True)) is not None:
        return [], [no(reply, "refusal", repr(words))]
    rejected = [no(text, "format", detail) for text, detail in parsed.broken]
    kept = []
    for block in parsed.blocks:
        words = refusal(block)
        if words is None:
            kept.append(block)
        else:
            rejected.append(no(block, "refusal", repr(words)))
    return kept, rejected
