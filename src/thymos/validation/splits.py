"""Splits by topic: no topic is ever on both sides, so a direction cannot win by recognising a story's setting."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from thymos.errors import CorpusError, UsageError
from thymos.validation.items import Items

__all__ = ["Fold", "check_training", "development_split", "fold_numbers", "topic_folds"]


@dataclass(frozen=True, eq=False)
class Fold:
    """Item indices of one split, each sorted.

    Attributes:
        train: Items to estimate or choose on.
        test: Items to score; none of their topics occurs in `train`.
    """

    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


def topic_folds(items: Items, *, folds: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """Cross-validation folds whose test parts are disjoint groups of whole topics.

    Topics are shuffled by the seed, then dealt largest first to the emptiest fold, as GroupKFold does. The result does
    not depend on the order of the items.

    Args:
        items: Concepts and topics of the texts.
        folds: Number of folds; with fewer topics than that, every topic is a fold of its own.
        seed: Same seed, same folds.

    Raises:
        UsageError: Fewer than two folds.
        CorpusError: Fewer than two topics, or a concept that is missing from the training part of a fold.
    """
    numbers = fold_numbers(items, folds=folds, seed=seed)
    return tuple(
        Fold(np.flatnonzero(numbers != number), np.flatnonzero(numbers == number))
        for number in range(numbers.max() + 1)
    )


def fold_numbers(items: Items, *, folds: int = 5, seed: int = 0) -> Int[np.ndarray, " items"]:
    """Number of the fold whose test part each item is in; see `topic_folds`."""
    if folds < 2:
        raise UsageError(f"folds is {folds}; a split needs at least 2")
    sizes = _topic_sizes(items)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    number_of_topic = np.empty(len(sizes), dtype=np.int64)
    filled = np.zeros(min(folds, len(sizes)), dtype=np.int64)
    for topic in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        emptiest = int(np.argmin(filled))
        number_of_topic[topic] = emptiest
        filled[emptiest] += sizes[topic]
    numbers: Int[np.ndarray, " items"] = number_of_topic[items.topic_codes]
    for number in range(len(filled)):
        check_training(items, numbers != number, f"the training part of fold {number + 1} of {len(filled)}")
    return numbers


def development_split(items: Items, *, share: float = 0.5, seed: int = 0) -> Fold:
    """Topics to choose on (`train`) and topics to report (`test`).

    Args:
        items: Concepts and topics of the texts.
        share: Share of the topics that goes to development; at least one topic is on each side.
        seed: Same seed, same split.

    Raises:
        UsageError: A share outside (0, 1).
        CorpusError: Fewer than two topics, or a concept that is missing from the development topics.
    """
    if not 0.0 < share < 1.0:
        raise UsageError(f"share is {share}; valid values are between 0 and 1, e.g. 0.5")
    topics = len(_topic_sizes(items))
    chosen = np.random.default_rng(seed).permutation(topics)[: min(max(1, round(share * topics)), topics - 1)]
    train = np.isin(items.topic_codes, chosen)
    check_training(items, train, "the development topics")
    return Fold(np.flatnonzero(train), np.flatnonzero(~train))


def _topic_sizes(items: Items) -> Int[np.ndarray, " topics"]:
    sizes = np.bincount(items.topic_codes)
    if len(sizes) < 2:
        raise CorpusError(
            f"the {len(items)} texts have {len(sizes)} topic(s); held-out figures need at least 2, because texts of "
            "one topic share words and settings: give texts with a `topic` column"
        )
    return sizes


def check_training(items: Items, train: Bool[np.ndarray, " items"], where: str) -> None:
    """Raise unless every concept has an item to train on.

    Raises:
        CorpusError: A concept has none; the message names it.
    """
    left = np.bincount(items.labels[train], minlength=len(items.concepts))
    if not left.all():
        name = items.concepts[int(np.argmin(left))]
        raise CorpusError(
            f"concept {name!r} is missing from {where}: all its texts have held-out topics; give texts of it on more "
            "topics, use more folds, or leave the concept out"
        )
