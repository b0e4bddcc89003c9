"""One pass over the stories and one over the neutral texts: from a corpus to moments, resumable bit for bit.

The plan (shards, batches, thread count) is fixed before the first batch and stored; moments are added batch by batch in
that order. A checkpoint is written between batches, so a killed run goes on where its last checkpoint stands and ends
with the same bits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.concepts import Vocabulary
from thymos.errors import ArtifactError, CorpusError
from thymos.models import Host, forward, pad
from thymos.models.capture import check_finite, masked_means, mean_weights, selection
from thymos.texts import Corpus
from thymos.vectors.checkpoint import Collected, Keeper, forgotten_where_useless, interrupts_held, open_run
from thymos.vectors.moments import ConceptMoments, RowMoments
from thymos.vectors.plan import Batch, ExtractionSettings, Tally, batches, concepts_in, plan_of, sketch_size
from thymos.vectors.spool import SPOOLED, KeptText, Spool

__all__ = ["Progress", "Runner", "Watch", "check_stories", "collect", "keeps", "merge", "nothing_yet"]


@dataclass(frozen=True)
class Progress:
    """A report on a long run."""

    stage: str
    """"stories" or "neutral"."""
    done: int
    total: int
    """Texts."""
    tally: Tally
    seconds: float
    """Time spent in this stage by this process."""


@dataclass(frozen=True)
class Watch:
    """Where a run keeps its state, and who is told about it."""

    run: Path | None = None
    """Folder for checkpoints and kept per-text means; None keeps neither."""
    resume: bool = False
    """Go on from the run folder's checkpoint, whose plan must be the same."""
    progress: Callable[[Progress], None] | None = None
    """Called after every batch."""
    checkpoint_seconds: float = 30.0
    """Shortest time between checkpoints."""


def merge(parts: Sequence[Collected]) -> Collected:
    """Moments of all parts together, added in the order given.

    Raises:
        ArtifactError: The parts have different concepts, layers or widths.
    """
    if not parts:
        raise ArtifactError("there are no parts to merge; give at least one")
    if len({part.concepts for part in parts}) != 1:
        raise ArtifactError("parts with different concepts cannot be merged; extract them with the same --concepts")
    merged = parts[0]
    for part in parts[1:]:
        merged = Collected(
            merged.concepts,
            merged.stories.merge(part.stories),
            merged.tokens.merge(part.tokens),
            merged.dialogues.merge(part.dialogues),
            {stage: tally.plus(part.tallies[stage]) for stage, tally in merged.tallies.items()},
        )
    return merged


def collect(
    host: Host,
    stories: Corpus,
    neutral: Corpus,
    vocabulary: Vocabulary,
    settings: ExtractionSettings,
    watch: Watch | None = None,
) -> Collected:
    """Read both corpora once and return their moments.

    Args:
        host: The model.
        stories: Texts with an `emotion`.
        neutral: Texts without emotional content.
        vocabulary: Concepts the labels must come from. Concepts without stories are left out, except with
            `settings.part`; pass a `subset` then.
        settings: See `ExtractionSettings`.
        watch: Checkpoints and progress.

    Raises:
        CorpusError: Nothing usable in a corpus.
        ActivationError: NaN or infinity in the residual stream.
        ArtifactError: Resuming with another plan.
    """
    how = watch or Watch()
    concepts = concepts_in(stories, vocabulary, 0 if settings.part else settings.min_stories)
    if settings.part:
        concepts = vocabulary.words
    found = nothing_yet(host, concepts, settings)
    if how.run is not None:
        found = open_run(how.run, plan_of(host, stories, neutral, concepts, settings), found, resume=how.resume)
    spool = Spool(how.run, len(settings.layers), host.hidden_size, rows=found.spooled) if how.run is not None else None
    keeper = Keeper(how.run, found, spool.sync if spool is not None else None, how.checkpoint_seconds)
    runner = Runner(host, settings, found, keeper, how.progress)
    with forgotten_where_useless(how.run, SPOOLED):
        try:
            runner.stories(stories, spool)
            runner.neutral(neutral)
        finally:
            if spool is not None:
                spool.close()
    return found


def nothing_yet(host: Host, concepts: tuple[str, ...], settings: ExtractionSettings) -> Collected:
    """Empty moments for an extraction: exact where the budget allows, else sketches."""
    layers, hidden = len(settings.layers), host.hidden_size
    size = sketch_size(layers, hidden, settings.memory_budget)
    return Collected(
        concepts,
        ConceptMoments.empty(layers, len(concepts), hidden),
        RowMoments.empty(layers, hidden, sketch=size),
        RowMoments.empty(layers, hidden, sketch=size),
    )


@dataclass(frozen=True, eq=False)
class Runner:
    """The two stages of an extraction, adding to the moments of one run."""

    host: Host
    settings: ExtractionSettings
    found: Collected
    keeper: Keeper
    progress: Callable[[Progress], None] | None

    def stories(self, corpus: Corpus, spool: Spool | None) -> None:
        """Add every story's mean to its concept."""
        label = {concept: number for number, concept in enumerate(self.found.concepts)}
        share = min(1.0, self.settings.keep_texts / max(corpus.count, 1))

        def run(batch: Batch, tally: Tally) -> None:
            means, selected = self._means(batch, tally)
            labels = np.asarray([label[str(text.emotion)] for text in batch.texts], np.int64)
            self.found.stories.add(means, labels)
            if spool is not None:
                kept = [row for row, index in enumerate(batch.indices) if keeps(self.settings.seed, index, share)]
                spool.add(means[kept], [_kept_text(batch, row, int(selected[row])) for row in kept])

        self._stage("stories", corpus, run)
        check_stories(self.found, self.settings, corpus.name)

    def neutral(self, corpus: Corpus) -> None:
        """Add every neutral token, and every neutral text's mean, to the neutral moments."""
        tally = self._stage("neutral", corpus, self._neutral_batch)
        if tally.used < 2 and not self.settings.part:
            raise CorpusError(
                f"{corpus.name} has {tally.used} usable neutral text(s); at least 2 are needed, 200 or more are better"
            )

    def _stage(self, stage: str, corpus: Corpus, run: Callable[[Batch, Tally], None]) -> Tally:
        tally = self.found.tallies[stage]
        select = self.settings.story_select if stage == "stories" else self.settings.neutral_select
        started = time.monotonic()
        with interrupts_held() as release:
            for batch in batches(self.host, corpus, tally, self.settings, select, labelled=stage == "stories"):
                run(batch, tally)
                tally.shard, tally.batch = batch.after
                tally.used += len(batch.texts)
                # Only here are the moments whole: an interruption anywhere else must not be written down.
                try:
                    self._report(stage, corpus, tally, started)
                    self.keeper.maybe()
                    release()
                except KeyboardInterrupt:
                    self.keeper.write()
                    raise
            self.keeper.write()
            release()
        return tally

    def _report(self, stage: str, corpus: Corpus, tally: Tally, started: float) -> None:
        if self.progress is not None:
            done = tally.used + tally.short + tally.unlabelled
            self.progress(Progress(stage, done, corpus.count, tally, time.monotonic() - started))

    def _means(
        self, batch: Batch, tally: Tally
    ) -> tuple[Float[np.ndarray, "texts layers hidden"], Float[np.ndarray, " texts"]]:
        padded = pad(self.host, batch.tokens, self.settings.padding_side)
        chosen = selection(batch.tokens, padded, self.settings.story_select)
        weights = mean_weights(chosen)
        layers = self.settings.layers
        place = {layer: column for column, layer in enumerate(layers)}
        means = torch.empty((len(batch.texts), len(layers), self.host.hidden_size))

        def sink(layer: int, hidden: Tensor) -> None:
            means[:, place[layer]] = masked_means(hidden, weights).cpu()

        forward(self.host, padded, layers, sink)
        found = means.numpy()
        check_finite(found, layers, self.host.name)
        _count(tally, batch, int(padded.ids.numel()), int(chosen.sum()))
        return found, chosen.sum(axis=1).astype(np.float64)

    def _neutral_batch(self, batch: Batch, tally: Tally) -> None:
        padded = pad(self.host, batch.tokens, self.settings.padding_side)
        chosen = selection(batch.tokens, padded, self.settings.neutral_select)
        weights, mask = mean_weights(chosen), torch.from_numpy(chosen)
        layers = self.settings.layers
        place = {layer: column for column, layer in enumerate(layers)}

        def sink(layer: int, hidden: Tensor) -> None:
            means = masked_means(hidden, weights)
            check_finite(means.unsqueeze(1).cpu().numpy(), [layer], self.host.name)
            self.found.tokens.add_layer(place[layer], hidden[mask.to(hidden.device)])
            self.found.dialogues.add_layer(place[layer], means)

        forward(self.host, padded, layers, sink)
        self.found.tokens.advance(int(chosen.sum()))
        self.found.dialogues.advance(len(batch.texts))
        _count(tally, batch, int(padded.ids.numel()), int(chosen.sum()))


def check_stories(found: Collected, settings: ExtractionSettings, name: str) -> None:
    """Raise a CorpusError when the stories that were read leave nothing, or nothing for some concept."""
    if settings.part:
        return
    tally = found.tallies["stories"]
    if tally.used == 0:
        raise CorpusError(
            f"none of the {tally.seen} texts in {name} reaches token {settings.first_token}; lower "
            "--start-token (battery-length texts do well with 20) or give longer texts"
        )
    empty = [c for c, n in zip(found.concepts, found.stories.counts, strict=True) if n == 0]
    if empty:
        raise CorpusError(
            f"no story of {', '.join(empty[:5])} reaches token {settings.first_token}; lower --start-token or "
            "give longer stories"
        )


def _count(tally: Tally, batch: Batch, padded: int, selected: int) -> None:
    tally.tokens += selected
    tally.fed += sum(len(tokens) for tokens in batch.tokens)
    tally.padded += padded


def keeps(seed: int, index: int, share: float) -> bool:
    """Whether a text's mean is kept: a fixed coin per text, so a resumed run keeps the same ones."""
    return share >= 1.0 or bool(np.random.default_rng((seed, index)).random() < share)


def _kept_text(batch: Batch, row: int, tokens: int) -> KeptText:
    text = batch.texts[row]
    return KeptText(batch.indices[row], str(text.emotion), text.topic or "", tokens, text.text)
