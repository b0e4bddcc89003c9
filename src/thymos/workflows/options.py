"""What an extraction can be told, and what follows from it: settings, topics, the plan of writing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from thymos.concepts import Vocabulary
from thymos.models import Host, Sampling
from thymos.texts import Corpus, StoryPlan, Text, WriteProgress, own_wording, plan_for
from thymos.vectors import ExtractionSettings, Progress

__all__ = ["ExtractOptions", "OnProgress", "TextSource", "run_folder", "settings_of", "story_plan"]

TextSource = str | Path | Corpus | Iterable[Text]
OnProgress = Callable[[Progress | WriteProgress], None]
STORY_TOKENS = 400
"""Longest story the model is given room for, in tokens; about twice what is asked for."""
_FIRST_TOKEN = 50
_SMALL, _MANY, _FEW = 50_000_000, 64, 8
"""Weights below which a batch costs little more than a row, and the sizes of batches."""


@dataclass(frozen=True)
class ExtractOptions:
    """Everything `extract` can be told; `first_token` is --start-token of the command line."""

    out: str | Path | None = None
    """Folder of the vector set; None saves nothing."""
    concepts: str | Path | Sequence[str] | Vocabulary | None = None
    """A concept file, words, or a vocabulary; None: the 171."""
    layers: str | int | float | Sequence[int] = "all"
    layer: int | None = None
    """The chosen layer; None: the sweep's choice when validated, else two thirds of the depth."""
    first_token: int | None = None
    """First token of a story that is used, from 1; None: what the model brings, else 50."""
    max_tokens: int | None = None
    batch_tokens: int | None = None
    """Positions fed at once; None: what suits the device."""
    format: Literal["raw", "chat"] = "raw"
    estimator: str = "means"
    """"means" or "probes"."""
    neutral_unit: Literal["tokens", "dialogues"] = "tokens"
    neutral_share: float = 0.5
    keep_texts: int = 4096
    memory_budget: int = 4 * 2**30
    topics: int | None = None
    """Topics used when the model writes its own stories; None: all it brings, or all that are shipped."""
    per_cell: int = 1
    """Stories per concept and topic when the model writes its own."""
    stories_at_once: int | None = None
    """Stories written in one batch; None: what suits the model's size."""
    story_tokens: int = STORY_TOKENS
    """Longest story, in tokens, when the model writes its own."""
    while_generating: bool = False
    """Take the moments in the pass that writes the stories, and report how far reading them again agrees."""
    validate: bool = True
    resume: bool = False
    seed: int = 0

    def for_model(self, host: Host) -> "ExtractOptions":
        """The same, with what was left open filled in: by what the model brings, then by defaults."""
        own = own_wording(host)
        first = own.first_token if own is not None else None
        small = sum(each.numel() for each in host.network.parameters()) < _SMALL
        return replace(
            self,
            first_token=self.first_token or first or _FIRST_TOKEN,
            stories_at_once=self.stories_at_once or (_MANY if small else _FEW),
        )

    @property
    def folder(self) -> Path | None:
        """`out` as a path."""
        return None if self.out is None else Path(self.out)


def run_folder(out: str | Path) -> Path:
    """Where a run keeps its state: beside the vector set, which stays exactly the artifact."""
    return Path(out).with_name(Path(out).name + ".run")


def settings_of(host: Host, options: ExtractOptions) -> ExtractionSettings:
    """Extraction settings for a model."""
    return ExtractionSettings(
        layers=host.resolve_layers(options.layers),
        first_token=options.for_model(host).first_token or _FIRST_TOKEN,
        max_tokens=options.max_tokens,
        batch_tokens=options.batch_tokens or host.batch_tokens,
        keep_texts=options.keep_texts,
        memory_budget=options.memory_budget,
        format="while_generating" if options.while_generating else options.format,
        seed=options.seed,
    )


def story_plan(host: Host, options: ExtractOptions) -> StoryPlan:
    """How a model writes its own stories: in the wording it brings, if it brings any."""
    how = options.for_model(host)
    plan = StoryPlan(
        per_cell=how.per_cell,
        seed=how.seed,
        sampling=Sampling(max_new_tokens=how.story_tokens * how.per_cell, temperature=1.0, top_p=0.95),
        batch=how.stories_at_once or _FEW,
        min_words=how.first_token or _FIRST_TOKEN,
    )
    suited = plan_for(host, plan)
    if suited is plan:
        return plan
    return replace(suited, sampling=replace(plan.sampling, max_new_tokens=how.story_tokens))
