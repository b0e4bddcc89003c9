"""Readers trained on a study's own stimuli, held out by group: linear probes, mean differences, word statistics."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from thymos.errors import UsageError
from thymos.stats import PermutationResult, permutation_test

__all__ = [
    "Shuffles",
    "Split",
    "accuracy",
    "accuracy_test",
    "centred_cosines",
    "codes",
    "cosines",
    "group_splits",
    "hits",
    "lexical_hits",
    "lexical_scores",
    "mantel",
    "matching_test",
    "mean_differences",
    "ridge_smoother",
]

Split = tuple[np.ndarray, np.ndarray]
"""Indices of the items a reader is trained on, and of those it is tested on."""

_RIDGE = 1.0
"""Penalty in units of the mean squared length of a standardised row; fixed, never tuned on the items tested."""
_PENALTY = 10.0
"""C of the logistic regression on words."""


def codes(labels: Sequence[str], classes: Sequence[str]) -> Int[np.ndarray, " items"]:
    """Labels as numbers of classes."""
    index = {name: number for number, name in enumerate(classes)}
    return np.asarray([index[label] for label in labels], np.int64)


def group_splits(groups: Sequence[str], folds: int, seed: int) -> list[Split]:
    """Splits in which a group is either trained on or tested on, never both; folds hold about as many items each.

    Raises:
        UsageError: Fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise UsageError(f"items of {len(names)} group cannot be held out by group; give items of at least two")
    count = min(folds, len(names))
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = Counter(groups)
    filled = [0] * count
    fold_of: dict[str, int] = {}
    for name in sorted((names[n] for n in order), key=lambda name: -sizes[name]):
        fold_of[name] = int(np.argmin(filled))
        filled[fold_of[name]] += sizes[name]
    part = np.asarray([fold_of[group] for group in groups])
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(count)]


def ridge_smoother(
    rows: Float[np.ndarray, "items hidden"], splits: Sequence[Split]
) -> Float[np.ndarray, "items items"]:
    """The held-out ridge probe as a matrix: its product with the labels' one-hot codes is every item's scores.

    Row i holds the weights of the training items in the scores of item i; items of its own group have weight 0. The
    matrix does not depend on the labels, so that a permutation test can refit the probe at no cost. The intercept is
    left out: it would tell the frequency of labels in the other groups.
    """
    out = np.zeros((len(rows), len(rows)))
    for train, test in splits:
        centre, spread = rows[train].mean(axis=0), rows[train].std(axis=0)
        # A dimension that hardly varies in training must not blow up in the test.
        spread = np.maximum(spread, 1e-6 * max(float(spread.max()), 1e-12))
        known, new = (rows[train] - centre) / spread, (rows[test] - centre) / spread
        inner = known @ known.T
        inner[np.diag_indices(len(train))] += _RIDGE * max(float(np.trace(inner)) / len(train), 1e-12)
        weights = np.linalg.solve(inner, known @ new.T).T
        out[np.ix_(test, train)] = weights - weights.sum(axis=1, keepdims=True) / len(train)
    return out


def hits(scores: Float[np.ndarray, "items classes"], labels: Int[np.ndarray, " items"]) -> Float[np.ndarray, " items"]:
    """1 where the highest score is the label's, else 0."""
    return (scores.argmax(axis=1) == labels).astype(np.float64)


def accuracy(
    smoother: Float[np.ndarray, "items items"], labels: Int[np.ndarray, " items"], classes: int
) -> Float[np.ndarray, " items"]:
    """Held-out hits of the probe."""
    return hits(smoother @ np.eye(classes)[labels], labels)


@dataclass(frozen=True)
class Shuffles:
    """How items are shuffled.

    Attributes:
        permutations: How often.
        seed: Same seed, same shuffles.
        within: Groups inside which items are shuffled, where the labels depend on the group; None: one group.
    """

    permutations: int
    seed: int
    within: Int[np.ndarray, " items"] | None = None


def accuracy_test(
    smoothers: Sequence[Float[np.ndarray, "items items"]],
    labels: Sequence[Int[np.ndarray, " items"]],
    classes: int,
    shuffles: Shuffles,
    tested: Bool[np.ndarray, " items"] | None = None,
) -> PermutationResult:
    """Mean accuracy over several probes of the same items against shuffled items, each shuffle refitted.

    Args:
        smoothers: One per probe, such as one per speaker.
        labels: Of each probe; an item's labels stay together when items are shuffled.
        classes: How many.
        shuffles: How items are shuffled.
        tested: Items that are counted; default: all.
    """
    chosen = np.ones(len(labels[0]), bool) if tested is None else tested
    parts = [smoother[chosen] for smoother in smoothers]
    eye = np.eye(classes)

    def mean(order: np.ndarray) -> float:
        if shuffles.within is not None:
            order = _inside(order, shuffles.within)
        found = []
        for part, own in zip(parts, labels, strict=True):
            moved = own[order]
            found.append(float(((part @ eye[moved]).argmax(axis=1) == moved[chosen]).mean()))
        return float(np.mean(found))

    items = np.arange(len(labels[0]))
    return permutation_test(mean, items, permutations=shuffles.permutations, seed=shuffles.seed)


def _inside(order: np.ndarray, groups: Int[np.ndarray, " items"]) -> np.ndarray:
    """An order of all items as an order of the items of every group; an order that changes nothing still does not."""
    out = np.empty(len(order), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        out[members] = members[np.argsort(order[members], kind="stable")]
    return out


def lexical_scores(
    texts: Sequence[str], labels: Int[np.ndarray, " items"], classes: int, splits: Sequence[Split]
) -> Float[np.ndarray, "items classes"]:
    """Held-out class probabilities of logistic regression on tf-idf of words and word pairs.

    The baseline of every reading: what the same words tell without the model.
    """
    scores = np.zeros((len(texts), classes))
    for train, test in splits:
        seen = np.unique(labels[train])
        counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
        try:
            known = counter.fit_transform([texts[n] for n in train])
        except ValueError:
            raise UsageError(
                f"the {len(train)} training texts hold no words, so there is no word baseline; give texts as written"
            ) from None
        if len(seen) < 2:
            scores[np.ix_(test, seen)] = 1.0
            continue
        with warnings.catch_warnings():
            # The last digits of the optimum do not matter to a baseline.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=_PENALTY, max_iter=200).fit(known, labels[train])
        scores[np.ix_(test, seen)] = model.predict_proba(counter.transform([texts[n] for n in test]))
    return scores


def lexical_hits(
    texts: Sequence[str], labels: Sequence[str], groups: Sequence[str], seed: int, folds: int = 5
) -> Float[np.ndarray, " items"] | None:
    """Held-out hits of `lexical_scores`, whole groups left out together; None where a split has nothing to tell apart.

    Args:
        texts: What is read.
        labels: What it is about.
        groups: Texts of one group are held out together.
        seed: Of the folds.
        folds: How many.
    """
    classes = sorted(set(labels))
    truth = codes(labels, classes)
    if len(set(groups)) < 2:
        return None
    splits = group_splits(groups, folds, seed)
    if any(len(np.unique(truth[train])) < 2 for train, _ in splits):
        return None
    return hits(lexical_scores(texts, truth, len(classes), splits), truth)


def mean_differences(
    rows: Float[np.ndarray, "items hidden"], labels: Int[np.ndarray, " items"], classes: int
) -> Float[np.ndarray, "classes hidden"]:
    """Mean of each class minus the mean over classes.

    Raises:
        UsageError: A class without items.
    """
    eye = np.eye(classes)[labels]
    counts = eye.sum(axis=0)
    if not counts.all():
        raise UsageError(f"{int((counts == 0).sum())} of {classes} classes have no items; give items of every class")
    means = (eye.T @ rows) / counts[:, None]
    return means - means.mean(axis=0)


def cosines(
    left: Float[np.ndarray, "left hidden"], right: Float[np.ndarray, "right hidden"]
) -> Float[np.ndarray, "left right"]:
    """Cosine of every row with every row."""
    sizes = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)[None]
    found: Float[np.ndarray, "left right"] = (left @ right.T) / np.maximum(sizes, 1e-12)
    return found


def centred_cosines(
    rows: Float[np.ndarray, "items hidden"], directions: Float[np.ndarray, "concepts hidden"]
) -> Float[np.ndarray, "items concepts"]:
    """Readings of rows from which their own mean has been taken."""
    return cosines(rows - rows.mean(axis=0), directions)


def matching_test(matrix: Float[np.ndarray, "n n"], permutations: int, seed: int) -> PermutationResult:
    """Mean of the diagonal against shuffled columns: do equal names match better than unequal ones?"""
    place = np.arange(len(matrix))
    return permutation_test(
        lambda order: float(matrix[place, order].mean()), place, permutations=permutations, seed=seed
    )


def mantel(
    left: Float[np.ndarray, "n n"], right: Float[np.ndarray, "n n"], permutations: int, seed: int
) -> PermutationResult:
    """Correlation of the entries above the diagonal of two cosine matrices, against shuffled names (Mantel's test)."""
    above = np.triu_indices(len(left), 1)
    first = left[above] - left[above].mean()
    first = first / max(float(np.linalg.norm(first)), 1e-12)

    def correlate(order: np.ndarray) -> float:
        second = right[np.ix_(order, order)][above]
        second = second - second.mean()
        return float(first @ second / max(float(np.linalg.norm(second)), 1e-12))

    return permutation_test(correlate, np.arange(len(left)), permutations=permutations, seed=seed)
