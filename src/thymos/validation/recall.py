"""Held-out recall: do directions made on some topics name the concept of texts on other topics?"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from thymos.errors import UsageError
from thymos.stats import Interval, PermutationResult, bootstrap, paired_bootstrap
from thymos.validation._permuting import Fitted, Refit, fixed_null, permute_within, refit_means, refitted_null
from thymos.validation._ranking import Ranks, expected_hits, own_ranks, stratified_auroc
from thymos.validation.estimators import (
    Estimator,
    check_rows,
    fold_sums,
    mean_difference,
    unit_directions,
)
from thymos.validation.items import Items
from thymos.validation.splits import fold_numbers

__all__ = [
    "Recall",
    "RecallSettings",
    "held_out_recall",
    "held_out_scores",
    "paired_difference",
    "recall_of_scores",
    "refit_permutation",
]

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class RecallSettings:
    """How recall is measured; two results are comparable item by item when folds and seed agree.

    Attributes:
        folds: Number of topic folds.
        seed: Seed of folds, resamples and permutations.
        resamples: Bootstrap samples per interval.
        permutations: Label permutations; 0: no p-values (they are NaN). Very large corpora get fewer, 199 at least.
        level: Confidence level.
    """

    folds: int = 5
    seed: int = 0
    resamples: int = 2000
    permutations: int = 1000
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class Recall:
    """Held-out recall of one way of scoring texts.

    Intervals say how far the figure would move with other held-out texts, given the directions of each fold.

    Attributes:
        name: What scored the texts.
        top1: Share of texts whose own concept scores highest.
        top3: Share of texts whose own concept is among the three highest.
        top5: Share of texts whose own concept is among the five highest.
        auroc: One-against-rest AUROC within folds, mean over concepts.
        p: Permutation p-value of top-1 recall, one test over all folds: labels permuted within topics, the hits of all
            folds pooled.
        p_auroc: The same for the AUROC.
        p_by: "refitted": the reader was fitted anew for every permutation, which makes the test exact (Ojala & Garriga
            2010, J. Mach. Learn. Res. 11, test 1). "not refitted": the scores stayed as they were, because fitting
            takes too long; p is then a little too small.
        concepts: Names of the concepts.
        labels: Concept of each item.
        ranks: Rank of each item's own concept, from 1; the best rank where scores tie.
        ties: Number of other concepts with exactly the same score as the own one.
        predictions: Concept with the highest score (the first of them where scores tie).
        fold: Number of the fold each item was held out in.
        confusion: Items by own concept (rows) and predicted concept (columns).
        auroc_by_concept: One-against-rest AUROC of each concept; NaN where a concept is alone in all its folds.
    """

    name: str
    top1: Interval
    top3: Interval
    top5: Interval
    auroc: Interval
    p: float
    p_auroc: float
    p_by: Fitted
    concepts: tuple[str, ...]
    labels: Int[np.ndarray, " items"]
    ranks: Int[np.ndarray, " items"]
    ties: Int[np.ndarray, " items"]
    predictions: Int[np.ndarray, " items"]
    fold: Int[np.ndarray, " items"]
    confusion: Int[np.ndarray, "concepts concepts"]
    auroc_by_concept: Float[np.ndarray, " concepts"]

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.labels)

    @property
    def folds(self) -> int:
        """Number of folds that were used."""
        return int(self.fold.max()) + 1

    @property
    def chance(self) -> dict[int, float]:
        """Recall of random guessing for k = 1, 3 and 5; the AUROC's is 0.5."""
        return {k: min(1.0, k / len(self.concepts)) for k in (1, 3, 5)}

    def hits(self, k: int = 1) -> Float[np.ndarray, " items"]:
        """Per item: 1 if its own concept is among the k highest, else 0; a fraction where scores tie."""
        return expected_hits(Ranks(self.ranks, self.ties), k)

    @cached_property
    def by_concept(self) -> Float[np.ndarray, " concepts"]:
        """Top-1 recall of each concept."""
        found: Float[np.ndarray, " concepts"] = np.bincount(
            self.labels, weights=self.hits(1), minlength=len(self.concepts)
        ) / np.bincount(self.labels, minlength=len(self.concepts))
        return found

    def __str__(self) -> str:
        return (
            f"{self.name}: top-1 {self.top1} (chance {self.chance[1]:.3f}, p={self.p:.2g}, permuted, {self.p_by}), "
            f"top-5 {self.top5}, "
            f"AUROC {self.auroc}; {self.n} texts, {self.folds} topic folds"
        )


def held_out_recall(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    *,
    estimator: Estimator = mean_difference,
    neutral: Float[np.ndarray, "k hidden"] | None = None,
    settings: RecallSettings | None = None,
    name: str = "directions",
) -> Recall:
    """Recall of directions on texts whose topics they have not seen.

    Args:
        rows: One row per text (its mean residual), float32 or float64.
        items: Concept and topic of each text.
        estimator: Makes raw directions from training rows; neutral components are projected out of them and they are
            scaled to length 1 afterwards. Differences of means are made anew for every permutation; others are not.
        neutral: Orthonormal neutral components of this layer, or None.
        settings: Folds, seed, resamples, permutations.
        name: What to call it in reports.

    Raises:
        CorpusError: Too few topics, a concept without training texts, or a direction of zero.
        UsageError: Rows that do not fit the items.
        ActivationError: NaN or infinity.

    Source: the recall figures of open replications of Sofroniew et al. 2026; the paper itself has no held-out test.
    """
    how = settings or RecallSettings()
    scores = held_out_scores(rows, items, estimator=estimator, neutral=neutral, settings=how)
    refit = None
    if estimator is mean_difference and how.permutations:
        refit = refit_means(rows, items, fold_numbers(items, folds=how.folds, seed=how.seed), neutral)
    return recall_of_scores(scores, items, settings=how, name=name, refit=refit)


def held_out_scores(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    *,
    estimator: Estimator = mean_difference,
    neutral: Float[np.ndarray, "k hidden"] | None = None,
    settings: RecallSettings | None = None,
) -> Float[np.ndarray, "items concepts"]:
    """Centred cosine of each row with each direction, made on the other folds.

    A row is centred by the equal-weight mean over concepts of its fold's training rows. Arguments and errors: see
    `held_out_recall`.
    """
    check_rows(rows, items)
    how = settings or RecallSettings()
    return _scores(rows, items, fold_numbers(items, folds=how.folds, seed=how.seed), estimator, neutral)


def recall_of_scores(
    scores: Float[np.ndarray, "items concepts"],
    items: Items,
    *,
    settings: RecallSettings | None = None,
    name: str = "scores",
    refit: Refit | None = None,
) -> Recall:
    """Summarise held-out scores of any origin; they must come from the folds of `topic_folds` with these settings.

    Args:
        scores: Higher means more of the concept; each item scored by what was fitted without its fold.
        items: Concept and topic of each text.
        settings: Folds, seed, resamples, permutations.
        name: What made the scores.
        refit: Makes the scores anew from permuted labels; None: the scores stay as they are.

    Raises:
        UsageError: Scores that do not fit the items, or NaN.
    """
    if scores.shape != (len(items), len(items.concepts)):
        raise UsageError(
            f"scores have shape {scores.shape}; valid is ({len(items)}, {len(items.concepts)}), items x concepts"
        )
    if np.isnan(scores).any():
        raise UsageError(f"{int(np.isnan(scores).sum())} scores are NaN; score every text on every concept")
    how = settings or RecallSettings()
    numbers = fold_numbers(items, folds=how.folds, seed=how.seed)
    ranks = own_ranks(scores, items.labels)
    area = stratified_auroc(scores, items, numbers)
    macro = float(np.nanmean(area.by_concept)) if np.isfinite(area.by_concept).any() else 0.5
    p, p_auroc = _permutation_p(scores, items, numbers, how, refit)
    predictions = scores.argmax(axis=1)
    concepts = len(items.concepts)
    confusion = np.bincount(items.labels * concepts + predictions, minlength=concepts**2)

    def interval(values: Float[np.ndarray, " items"]) -> Interval:
        return bootstrap(values, resamples=how.resamples, seed=how.seed, level=how.level)

    return Recall(
        name=name,
        top1=interval(expected_hits(ranks, 1)),
        top3=interval(expected_hits(ranks, 3)),
        top5=interval(expected_hits(ranks, 5)),
        auroc=_within_unit(interval(macro + area.influence)),
        p=p,
        p_auroc=p_auroc,
        p_by="not refitted" if refit is None else "refitted",
        concepts=items.concepts,
        labels=items.labels,
        ranks=ranks.best,
        ties=ranks.ties,
        predictions=predictions,
        fold=numbers,
        confusion=confusion.reshape(concepts, concepts),
        auroc_by_concept=area.by_concept,
    )


def paired_difference(
    vectors: Recall, baseline: Recall, *, k: int = 1, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Top-k recall of the first minus that of the second, with an interval over the items both scored.

    Args:
        vectors: Recall of the directions.
        baseline: Recall of what they must beat.
        k: 1, 3, 5 or any other depth.
        resamples: Bootstrap samples.
        seed: Same seed, same interval.
        level: Confidence level.

    Raises:
        UsageError: The two were not measured on the same items and folds.
    """
    same = vectors.n == baseline.n and np.array_equal(vectors.labels, baseline.labels)
    if not same or not np.array_equal(vectors.fold, baseline.fold):
        raise UsageError(
            f"{vectors.name!r} ({vectors.n} items) and {baseline.name!r} ({baseline.n} items) were not measured on the "
            "same items and folds; use the same texts, folds and seed for both"
        )
    return paired_bootstrap(vectors.hits(k), baseline.hits(k), resamples=resamples, seed=seed, level=level)


def refit_permutation(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    *,
    estimator: Estimator = mean_difference,
    neutral: Float[np.ndarray, "k hidden"] | None = None,
    settings: RecallSettings | None = None,
) -> PermutationResult:
    """Permutation test of top-1 recall that makes the directions anew from every set of permuted labels.

    Labels are permuted within topics. For differences of means this is the test behind `Recall.p`; other estimators are
    fitted once per fold and permutation, which takes long. Arguments and errors: see `held_out_recall`.
    """
    check_rows(rows, items)
    how = settings or RecallSettings()
    numbers = fold_numbers(items, folds=how.folds, seed=how.seed)
    rng = np.random.default_rng(how.seed)
    if estimator is mean_difference:
        return refitted_null(refit_means(rows, items, numbers, neutral), items, numbers, how.permutations, rng).top1

    def top1(labels: Int[np.ndarray, " items"]) -> float:
        drawn = Items(labels, items.topics, items.concepts)
        return float(expected_hits(own_ranks(_scores(rows, drawn, numbers, estimator, neutral), labels), 1).mean())

    observed = top1(items.labels)
    null = np.array([top1(permute_within(items.labels, items.topic_codes, 1, rng)[0]) for _ in range(how.permutations)])
    as_large = int(np.sum(null >= observed - 1e-12))
    return PermutationResult(observed, (1 + as_large) / (1 + how.permutations), null, how.permutations)


def _scores(
    rows: Float[np.ndarray, "items hidden"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    estimator: Estimator,
    neutral: Float[np.ndarray, "k hidden"] | None,
) -> Float[np.ndarray, "items concepts"]:
    sums = fold_sums(rows, items, numbers)
    scores = np.empty((len(items), len(items.concepts)))
    for number in range(len(sums.sums)):
        means = sums.means_without(number)
        centre = means.mean(axis=0)
        if estimator is mean_difference:
            raw = means - centre
        else:
            train = numbers != number
            raw = estimator(rows[train], items.labels[train])
        directions = unit_directions(raw, neutral, items.concepts)
        test = np.flatnonzero(numbers == number)
        for start in range(0, len(test), _ROWS_AT_ONCE):
            part = test[start : start + _ROWS_AT_ONCE]
            centred = rows[part].astype(np.float64) - centre
            sizes = np.linalg.norm(centred, axis=1, keepdims=True)
            scores[part] = centred @ directions.T / np.where(sizes > 0, sizes, 1.0)
    return scores


def _permutation_p(
    scores: Float[np.ndarray, "items concepts"],
    items: Items,
    numbers: Int[np.ndarray, " items"],
    how: RecallSettings,
    refit: Refit | None,
) -> tuple[float, float]:
    if how.permutations < 1:
        return float("nan"), float("nan")
    rng = np.random.default_rng(how.seed)
    if refit is None:
        found = fixed_null(scores, items, numbers, how.permutations, rng)
    else:
        found = refitted_null(refit, items, numbers, how.permutations, rng)
    return found.top1.p, found.auroc.p


def _within_unit(interval: Interval) -> Interval:
    """The first-order bootstrap may overshoot the range of an AUROC by a hair."""
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))
