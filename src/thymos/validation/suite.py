"""The whole validation of a vector set in one call: sweep, recall, baselines, stability, logit lens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from thymos.concepts import Vocabulary
from thymos.errors import CorpusError
from thymos.models import Host
from thymos.stats import Interval, paired_bootstrap
from thymos.validation.baselines import better_of, length_baseline, lexical_centroid, lexical_logistic
from thymos.validation.estimators import Estimator, logistic_probe, mean_difference
from thymos.validation.items import Items
from thymos.validation.logit_lens import LogitLens, logit_lens
from thymos.validation.quality import Figure, Quality, quality_of
from thymos.validation.recall import Recall, RecallSettings, held_out_recall
from thymos.validation.stability import Stability, StabilitySettings, stability
from thymos.validation.sweep import LayerSweep, SweepSettings, layer_sweep
from thymos.vectors import EmotionVectors, TextMeans

__all__ = ["Validation", "ValidationSettings", "validate_vectors"]

_ESTIMATORS: dict[str, Estimator] = {
    "difference_of_means": mean_difference,
    "logistic_probes": logistic_probe(strength=0.1),
}


@dataclass(frozen=True)
class ValidationSettings:
    """How much is computed."""

    folds: int = 12
    """Topic folds; at most the number of topics."""
    seed: int = 0
    resamples: int = 2000
    permutations: int = 1000
    stability_resamples: int = 100
    lens: bool = True
    """Logit lens, where the model has an unembedding."""
    second_estimator: bool = True
    """Score logistic probes beside differences of means."""


@dataclass(frozen=True, eq=False)
class Validation:
    """What is known about the quality of a vector set."""

    sweep: LayerSweep
    recall: Recall
    """At the chosen layer, by the set's own estimator."""
    probes: Recall | None
    """By logistic probes at the same layer and folds."""
    raw: Recall
    """By directions without the neutral components removed."""
    lexical: tuple[Recall, ...]
    """tf-idf logistic regression and nearest tf-idf centroid, on the same texts and folds."""
    length: Recall
    stability: Stability
    lens: LogitLens | None
    layer: int
    settings: ValidationSettings

    @property
    def baseline(self) -> Recall:
        """The better of the two lexical readers."""
        return better_of(*self.lexical)

    @cached_property
    def difference(self) -> Interval:
        """Top-1 recall of the whole procedure (layer chosen on other topics) minus the better lexical reader's."""
        return paired_bootstrap(
            self.nested_hits, self.baseline.hits(1), resamples=self.settings.resamples, seed=self.settings.seed
        )

    @cached_property
    def probe_difference(self) -> Interval | None:
        """Logistic probes at the chosen layer minus the better lexical reader."""
        if self.probes is None:
            return None
        return paired_bootstrap(
            self.probes.hits(1), self.baseline.hits(1), resamples=self.settings.resamples, seed=self.settings.seed
        )

    @property
    def nested_hits(self) -> np.ndarray:
        """Hit of each text at the layer that was chosen without its topic."""
        place = {layer: row for row, layer in enumerate(self.sweep.layers)}
        chosen = np.asarray([place[self.sweep.chosen[fold]] for fold in self.sweep.fold])
        found: np.ndarray = self.sweep.hits[chosen, np.arange(len(chosen))].astype(np.float64)
        return found

    @cached_property
    def quality(self) -> Quality:
        """Every figure, as the card stores them."""
        found = quality_of(
            self.recall,
            self.layer,
            baseline=self.baseline,
            length=self.length,
            stability=self.stability,
            sweep=self.sweep,
        )
        figures = dict(found.figures)
        figures["top1_nested_minus_lexical"] = Figure.of(self.difference, chance=0.0)
        figures["raw_top1"] = Figure.of_top1(self.raw)
        if self.probes is not None and self.probe_difference is not None:
            figures["probes_top1"] = Figure.of_top1(self.probes)
            figures["probes_minus_lexical"] = Figure.of(self.probe_difference, chance=0.0)
        return replace(found, figures=figures)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON and the card."""
        found = self.quality.to_dict()
        found["layers_chosen_per_fold"] = list(self.sweep.chosen)
        found["recall_by_layer"] = {
            str(layer): [round(v, 4) for v in (held.estimate, held.low, held.high)]
            for layer, held in zip(self.sweep.layers, self.sweep.curve, strict=True)
        }
        return found


def validate_vectors(
    means: TextMeans,
    vectors: EmotionVectors,
    *,
    host: Host | None = None,
    vocabulary: Vocabulary | None = None,
    settings: ValidationSettings | None = None,
) -> Validation:
    """Validate a vector set on the per-text means of its own stories, split by topic.

    Directions are estimated anew from the training topics of every fold, with the set's estimator and neutral
    components; nothing scores a text whose topic it has seen.

    Args:
        means: The kept per-text means of the extraction.
        vectors: The set, for its estimator and neutral components.
        host: The model, for the logit lens.
        vocabulary: Word forms for the logit lens.
        settings: Folds, seeds, resamples.

    Raises:
        CorpusError: Fewer than three topics, or a concept that is missing from some training topics.
    """
    how = settings or ValidationSettings()
    items = Items(means.labels, means.topics, means.concepts)
    estimator = _ESTIMATORS.get(vectors.card.estimator, mean_difference)
    folds = _folds(means, how, estimator)
    recall_settings = RecallSettings(folds, how.seed, how.resamples, how.permutations)
    sweep = layer_sweep(
        means.at,
        means.layers,
        items,
        neutral=lambda layer: vectors.at(layer).neutral,
        estimator=estimator,
        settings=SweepSettings(1, folds, how.seed, how.resamples),
    )
    rows, neutral = means.at(sweep.layer), vectors.at(sweep.layer).neutral
    texts = [text.text for text in means.texts]

    def recall(name: str, made_by: Estimator, removed: Any) -> Recall:
        return held_out_recall(rows, items, estimator=made_by, neutral=removed, settings=recall_settings, name=name)

    lexical = (
        lexical_logistic(texts, items, settings=recall_settings),
        lexical_centroid(texts, items, settings=recall_settings),
    )
    return Validation(
        sweep=sweep,
        recall=recall(vectors.card.estimator, estimator, neutral),
        probes=recall("logistic_probes", _ESTIMATORS["logistic_probes"], None) if how.second_estimator else None,
        raw=recall("not denoised", estimator, None),
        lexical=lexical,
        length=length_baseline(means.lengths, items, settings=recall_settings),
        stability=stability(
            rows, items, neutral=neutral, settings=StabilitySettings(how.stability_resamples, seed=how.seed)
        ),
        lens=_lens(host, vectors, sweep.layer, vocabulary) if how.lens else None,
        layer=sweep.layer,
        settings=how,
    )


def _folds(means: TextMeans, how: ValidationSettings, estimator: Estimator) -> int:
    topics = len(means.topic_names)
    if topics < 3:
        raise CorpusError(
            f"validation splits by topic, but the stories have {topics} topic(s); give them a `topic` column with at "
            "least 3 values"
        )
    # Probes are refitted for every pair of folds in a nested sweep: five outer folds keep that affordable.
    return min(how.folds, topics) if estimator is mean_difference else min(how.folds, topics, 5)


def _lens(host: Host | None, vectors: EmotionVectors, layer: int, vocabulary: Vocabulary | None) -> LogitLens | None:
    if host is None or host.sites.unembedding is None:
        return None
    forms: Sequence[Sequence[str]] | None = None
    if vocabulary is not None:
        known = set(vocabulary.words)
        forms = [vocabulary[c].forms if c in known else (c,) for c in vectors.concepts]
    return logit_lens(host, vectors.directions(layer), vectors.concepts, forms=forms)
