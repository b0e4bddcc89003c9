"""Moments taken in the very pass that writes the stories: what is read is what the model computed while writing.

The model is asked for one bare story at a time. While it writes, the residual rows of its own tokens are summed per
story and layer; only sums are held, and those of stories that are not kept are dropped. The rows differ from those of
re-reading: they were computed with the request in front. How far that moves the directions is measured, on a sample.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from thymos.concepts import Vocabulary
from thymos.errors import ArtifactError, UsageError
from thymos.files import storage_errors
from thymos.models import Host, Select, Span, text_means
from thymos.texts import Corpus, ModelWriter, StoryPlan, WriteProgress, open_corpus, write_stories
from thymos.vectors.checkpoint import AFRESH, Collected, Keeper, interrupts_held, open_run
from thymos.vectors.emotion_vectors import EmotionVectors
from thymos.vectors.extraction import Runner, Watch, check_stories, keeps, nothing_yet
from thymos.vectors.moments import ConceptMoments
from thymos.vectors.plan import ExtractionSettings, concepts_in, plan_of
from thymos.vectors.spool import KeptText, Spool, TextMeans
from thymos.vectors.watching import WatchingWriter

__all__ = ["REREAD_STORIES", "WritingJob", "agreement_with_rereading", "collect_while_generating", "with_agreement"]

_STORIES = "stories-while-generating.jsonl"
REREAD_STORIES = 512
"""Stories read again, at most, to measure the agreement."""


@dataclass(frozen=True)
class WritingJob:
    """What is written while it is read."""

    topics: tuple[str, ...]
    plan: StoryPlan
    """With bare stories, one per request."""
    progress: Callable[[WriteProgress], None] | None = None


def collect_while_generating(
    host: Host, job: WritingJob, neutral: Corpus, vocabulary: Vocabulary, settings: ExtractionSettings, watch: Watch
) -> tuple[Collected, Corpus]:
    """Let the model write stories and take their moments in the same pass; then read the neutral texts as usual.

    A checkpoint stands between two batches of the writer. A resumed run cuts the stories file back to it and writes
    what came later again, with the same seeds: the same bits come out as without the interruption.

    Args:
        host: A decoder.
        job: Topics, plan, and who is told after every batch.
        neutral: Texts without emotional content.
        vocabulary: What is written about. Concepts that end up without a story are left out.
        settings: With format "while_generating".
        watch: Its run folder, which is needed, also takes the stories.

    Returns:
        The moments, and the stories that were kept.

    Raises:
        UsageError: An encoder, a plan that does not ask for bare stories, or no run folder.
        CorpusError: Nothing usable was written, or too few stories of a concept.
        ArtifactError: Resuming with another plan.
    """
    if host.kind == "encoder":
        raise UsageError(f"{host.name!r} is an encoder and cannot write stories; give some with --stories")
    if not job.plan.bare or watch.run is None or settings.format != "while_generating":
        raise UsageError(
            f"bare={job.plan.bare}, run={watch.run}, format={settings.format!r}; reading while generating needs a plan "
            "with bare=True, a run folder, and settings with format='while_generating'"
        )
    if settings.max_tokens is not None and job.plan.sampling.max_new_tokens > settings.max_tokens:
        raise UsageError(
            f"stories of {job.plan.sampling.max_new_tokens} tokens would be written, but only {settings.max_tokens} "
            "are to be read; a pass that writes reads everything, so give the same bound to both"
        )
    found = nothing_yet(host, vocabulary.words, settings)
    found = open_run(watch.run, _plan(host, job, neutral, vocabulary, settings), found, resume=watch.resume)
    spool = Spool(watch.run, len(settings.layers), host.hidden_size, rows=found.spooled)
    keeper = Keeper(watch.run, found, spool.sync, watch.checkpoint_seconds)
    path = watch.run / _STORIES
    try:
        _write(host, vocabulary, job, path, _Taker(settings, found, spool, keeper, job))
        corpus = open_corpus(path)
        kept = _of_concepts(found, corpus, vocabulary, settings)
        check_stories(kept, settings, corpus.name)
        Runner(host, settings, found, keeper, watch.progress).neutral(neutral)
    finally:
        spool.close()
    return _of_concepts(found, corpus, vocabulary, settings), corpus


def _plan(
    host: Host, job: WritingJob, neutral: Corpus, vocabulary: Vocabulary, settings: ExtractionSettings
) -> dict[str, Any]:
    """Everything that decides the bits of the result: in place of the stories' hash, how they are written."""
    writing = {
        "topics": list(job.topics),
        "plan": asdict(job.plan),
        "prompts": {concept.word: list(concept.prompts) for concept in vocabulary},
    }
    return plan_of(host, neutral, neutral, vocabulary.words, settings) | {"stories": writing}


@dataclass(eq=False)
class _Taker:
    """Adds the means of kept stories to the moments, batch by batch, in the order of the stories file."""

    settings: ExtractionSettings
    found: Collected
    spool: Spool
    keeper: Keeper
    job: WritingJob

    def take(self, writer: WatchingWriter, rows: Sequence[dict[str, Any]]) -> None:
        """Add the stories that a batch left in the file."""
        tally, words = self.found.tallies["stories"], self.found.concepts
        share = min(1.0, self.settings.keep_texts / (len(self.job.topics) * len(words) * self.job.plan.per_cell))
        for row in rows:
            index, read = tally.seen, writer.read[row["seed"]]
            tally.seen += 1
            tally.tokens += read.tokens
            tally.fed += read.fed
            tally.padded += read.padded
            if read.mean is None:
                tally.short += 1
                continue
            tally.used += 1
            self.found.stories.add(read.mean[None], np.asarray([words.index(row["emotion"])], np.int64))
            if self.settings.keep_texts and keeps(self.settings.seed, index, share):
                self.spool.add(
                    read.mean[None], [KeptText(index, row["emotion"], row["topic"], read.tokens, row["text"])]
                )
        # Means of rejected answers go here, unseen by the moments.
        writer.read.clear()


def _write(host: Host, vocabulary: Vocabulary, job: WritingJob, path: Path, taker: _Taker) -> None:
    """Write what is not in the moments yet; Ctrl-C leaves a checkpoint behind the last finished batch."""
    writer = WatchingWriter(ModelWriter(host, job.plan.sampling), taker.settings.layers, taker.settings.first_token)
    taken = _cut_back(path, taker.found.tallies["stories"].seen)

    def batch_written(progress: WriteProgress) -> None:
        nonlocal taken
        with interrupts_held() as release:
            rows, taken = _rows_from(path, taken)
            taker.take(writer, rows)
            taker.keeper.maybe()
            if job.progress is not None:
                job.progress(progress)
            release()

    try:
        write_stories(writer, vocabulary, job.topics, job.plan, path, batch_written)
    except KeyboardInterrupt:
        taker.keeper.write()
        raise
    taker.keeper.write()


def _rows_from(path: Path, place: int) -> tuple[list[dict[str, Any]], int]:
    """Rows behind a byte of the file, and where they end."""
    if not path.exists():
        return [], place
    with path.open("rb") as file:
        file.seek(place)
        lines = file.readlines()
    return [json.loads(line) for line in lines], place + sum(map(len, lines))


def _cut_back(path: Path, rows: int) -> int:
    """Leave the first `rows` stories, or with none nothing of the run that wrote them; return the length left."""
    with storage_errors(path):
        if rows == 0:
            for name in (path.name, f"{path.stem}.rejected.jsonl", f"{path.stem}.plan.json"):
                path.with_name(name).unlink(missing_ok=True)
            return 0
        if not path.exists():
            raise ArtifactError(f"{path} is gone, so its run cannot go on; {AFRESH}")
        with path.open("r+b") as file:
            for number in range(rows):
                if not file.readline().endswith(b"\n"):
                    raise ArtifactError(
                        f"{path} holds {number} stories, but the checkpoint beside it has counted {rows}; {AFRESH}"
                    )
            return file.truncate(file.tell())


def _of_concepts(found: Collected, corpus: Corpus, vocabulary: Vocabulary, settings: ExtractionSettings) -> Collected:
    """The moments of the concepts that have stories."""
    if settings.part:
        return found
    words = concepts_in(corpus, vocabulary, settings.min_stories)
    places = [found.concepts.index(word) for word in words]
    stories = ConceptMoments(found.stories.counts[places], found.stories.sums[:, places])
    return Collected(words, stories, found.tokens, found.dialogues, found.tallies, found.spooled)


def agreement_with_rereading(host: Host, kept: TextMeans, settings: ExtractionSettings) -> dict[str, Any]:
    """Cosines between directions read while writing and directions of the same stories read again as plain text.

    Both are differences of means, before denoising, on at most 512 kept stories: as many of each concept as possible.

    Args:
        host: The model.
        kept: Per-text means of `collect_while_generating`.
        settings: Its settings.

    Returns:
        Number of stories and concepts, and the median and the smallest cosine over concepts per layer; without a
        layer where fewer than two concepts have stories long enough.
    """
    chosen = _spread(kept.labels, REREAD_STORIES, settings.seed)
    tokens = host.tokens_of([kept.texts[row].text for row in chosen], longest=settings.max_tokens)
    select = Select(start_token=settings.first_token)
    usable = [place for place, each in enumerate(tokens) if select.mask(each).any()]
    names, labels = np.unique(kept.labels[chosen[usable]], return_inverse=True)
    found: dict[str, Any] = {"stories": len(usable), "concepts": len(names), "median": {}, "min": {}}
    if len(names) < 2:
        return found
    again = ConceptMoments.empty(len(settings.layers), len(names), host.hidden_size)
    span = Span(select, settings.batch_tokens)
    for first in range(0, len(usable), 32):
        some = usable[first : first + 32]
        means = text_means(host, [tokens[place] for place in some], settings.layers, span)
        again.add(means, labels[first : first + 32])
    for place, layer in enumerate(settings.layers):
        here = ConceptMoments.empty(1, len(names), host.hidden_size)
        here.add(kept.at(layer)[chosen[usable]][:, None], labels)
        cosines = _cosines(here.means()[0], again.means()[place])
        found["median"][str(layer)] = round(float(np.median(cosines)), 4)
        found["min"][str(layer)] = round(float(cosines.min()), 4)
    return found


def with_agreement(
    host: Host, vectors: EmotionVectors, kept: TextMeans | None, settings: ExtractionSettings
) -> EmotionVectors:
    """The set with its agreement with re-reading among the quality figures; a note where nothing was kept."""
    if kept is None:
        note = "agreement with re-reading not measured: no per-text means were kept"
        return vectors.with_card(notes=(*vectors.card.notes, note))
    figures = {"while_generating_agreement": agreement_with_rereading(host, kept, settings)}
    return vectors.with_card(quality={**vectors.card.quality, **figures})


def _spread(labels: Int64[np.ndarray, " texts"], most: int, seed: int) -> Int64[np.ndarray, " sample"]:
    """At most so many texts, drawn at random, as evenly over the labels as they allow."""
    order = np.random.default_rng(seed).permutation(len(labels))
    seen: dict[int, int] = {}
    turn = np.empty(len(labels), np.int64)
    for text in order.tolist():
        label = int(labels[text])
        turn[text] = seen[label] = seen.get(label, -1) + 1
    return np.sort(order[np.argsort(turn[order], kind="stable")][:most])


def _cosines(
    left: Float[np.ndarray, "concepts hidden"], right: Float[np.ndarray, "concepts hidden"]
) -> Float[np.ndarray, " concepts"]:
    """Cosines of the centred rows of two sets of means."""
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    sizes = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    found: Float[np.ndarray, " concepts"] = (left * right).sum(axis=1) / np.where(sizes == 0, 1.0, sizes)
    return found
