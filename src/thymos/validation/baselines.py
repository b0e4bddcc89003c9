"""What the directions must beat: word statistics of the same texts on the same splits, and their length alone."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import normalize

from thymos.errors import CorpusError, UsageError
from thymos.validation._ranking import expected_hits, own_ranks
from thymos.validation._refits import MOST_REFITTED, first_scores, refit_centroids, refit_lengths
from thymos.validation.items import Items
from thymos.validation.recall import Recall, RecallSettings, recall_of_scores
from thymos.validation.splits import Fold, topic_folds

__all__ = ["LexicalSettings", "better_of", "length_baseline", "lexical_centroid", "lexical_logistic"]


@dataclass(frozen=True)
class LexicalSettings:
    """Settings of the tf-idf baselines.

    Attributes:
        ngrams: Shortest and longest word sequence.
        features: Most frequent n-grams of the training texts that are kept.
        least_texts: Training texts an n-gram must occur in; one seen once tells nothing about other texts.
        strengths: Inverse penalties (C) of the logistic regression; one is chosen on topics inside the training part.
        tolerance: Stopping tolerance of the solver; ranks hardly change below it.
    """

    ngrams: tuple[int, int] = (1, 2)
    features: int = 20_000
    least_texts: int = 2
    strengths: tuple[float, ...] = (1.0, 10.0, 100.0)
    tolerance: float = 0.05


def lexical_logistic(
    texts: Sequence[str],
    items: Items,
    *,
    lexical: LexicalSettings | None = None,
    settings: RecallSettings | None = None,
) -> Recall:
    """Recall of one-against-rest logistic regression on tf-idf of words and word pairs.

    Fitting takes too long to be repeated for every permutation: its p permutes the labels under the scores as they are.

    Args:
        texts: The texts the rows were made from, same order.
        items: Concept and topic of each text.
        lexical: Features and penalties; the penalty is chosen by top-1 recall on a fifth of the training topics.
        settings: The same as for the directions, so that both are held out alike.

    Raises:
        UsageError: Another number of texts than items.
        CorpusError: No words in the training texts, too few topics, or a concept without training texts.
    """
    words = lexical or LexicalSettings()
    how = settings or RecallSettings()
    scores = np.empty((len(items), len(items.concepts)))
    for fold, train, test in _features(texts, items, words, how):
        strength = _choose_strength(train, items.labels[fold.train], items.topic_codes[fold.train], words, how.seed)
        scores[fold.test] = _logistic_scores(train, items.labels[fold.train], test, strength, words)
    return recall_of_scores(scores, items, settings=how, name="tf-idf, logistic regression")


def lexical_centroid(
    texts: Sequence[str],
    items: Items,
    *,
    lexical: LexicalSettings | None = None,
    settings: RecallSettings | None = None,
) -> Recall:
    """Recall of the nearest mean tf-idf vector, by cosine. Arguments and errors: see `lexical_logistic`.

    With 1,000 texts or fewer the permutation test fits it anew; with more the scores stay as they are.
    """
    how = settings or RecallSettings()
    features = _features(texts, items, lexical or LexicalSettings(), how)
    name = "tf-idf, nearest centroid"
    if len(items) <= MOST_REFITTED:
        refit = refit_centroids(features, items)
        return recall_of_scores(first_scores(refit, items), items, settings=how, name=name, refit=refit)
    scores = np.empty((len(items), len(items.concepts)))
    for fold, train, test in features:
        places = (items.labels[fold.train], np.arange(len(fold.train)))
        shape = (len(items.concepts), len(fold.train))
        sums = sparse.csr_matrix((np.ones(len(fold.train)), places), shape=shape) @ train
        scores[fold.test] = (test @ normalize(sums).T).toarray()
    return recall_of_scores(scores, items, settings=how, name=name)


def length_baseline(
    lengths: Real[np.ndarray, " items"], items: Items, *, settings: RecallSettings | None = None
) -> Recall:
    """Recall of the number of tokens alone: a normal density of the logarithm of the length for each concept.

    Args:
        lengths: Tokens of each text, above 0.
        items: Concept and topic of each text.
        settings: The same as for the directions.

    Raises:
        UsageError: Another number of lengths than items, or one that is not above 0.
        CorpusError: Too few topics, or a concept without training texts.
    """
    if len(lengths) != len(items):
        raise UsageError(f"{len(lengths)} lengths for {len(items)} items; give one per text")
    if not np.all(lengths > 0):
        raise UsageError(f"the smallest length is {lengths.min()}; texts without tokens cannot be items")
    how = settings or RecallSettings()
    refit = refit_lengths(np.log(lengths.astype(np.float64)), items, topic_folds(items, folds=how.folds, seed=how.seed))
    return recall_of_scores(first_scores(refit, items), items, settings=how, name="length", refit=refit)


def better_of(first: Recall, *others: Recall) -> Recall:
    """The baseline with the highest top-1 recall, which is the one to beat.

    It is chosen on the held-out items themselves; that favours the baselines, never the directions.
    """
    return max((first, *others), key=lambda recall: recall.top1.estimate)


def _features(
    texts: Sequence[str], items: Items, words: LexicalSettings, how: RecallSettings
) -> Iterator[tuple[Fold, sparse.csr_matrix, sparse.csr_matrix]]:
    if len(texts) != len(items):
        raise UsageError(f"{len(texts)} texts for {len(items)} items; both must be in the same order")
    for fold in topic_folds(items, folds=how.folds, seed=how.seed):
        counter = TfidfVectorizer(
            ngram_range=words.ngrams,
            min_df=words.least_texts,
            max_features=words.features,
            sublinear_tf=True,
            strip_accents="unicode",
        )
        try:
            train = counter.fit_transform([texts[index] for index in fold.train])
        except ValueError as err:
            raise CorpusError(
                f"the {len(fold.train)} training texts hold no words of two or more letters that occur in at least "
                f"{words.least_texts} of them, so there is no lexical baseline; give texts as they were written"
            ) from err
        yield fold, train, counter.transform([texts[index] for index in fold.test])


def _choose_strength(
    rows: sparse.csr_matrix,
    labels: Int[np.ndarray, " items"],
    topics: Int[np.ndarray, " items"],
    words: LexicalSettings,
    seed: int,
) -> float:
    kinds = np.unique(topics)
    if len(kinds) < 2 or len(words.strengths) == 1:
        return words.strengths[len(words.strengths) // 2]
    held = np.random.default_rng(seed).permutation(kinds)[: max(1, len(kinds) // 5)]
    test = np.isin(topics, held)
    if len(np.unique(labels[~test])) < 2:
        return words.strengths[len(words.strengths) // 2]
    found = []
    for strength in words.strengths:
        scores = _logistic_scores(rows[~test], labels[~test], rows[test], strength, words, int(labels.max()) + 1)
        found.append(float(expected_hits(own_ranks(scores, labels[test]), 1).mean()))
    return words.strengths[int(np.argmax(found))]


def _logistic_scores(
    train: sparse.csr_matrix,
    labels: Int[np.ndarray, " train"],
    test: sparse.csr_matrix,
    strength: float,
    words: LexicalSettings,
    concepts: int | None = None,
) -> Float[np.ndarray, "test concepts"]:
    """Log-odds of every concept; a concept without training texts scores below all others."""
    # One dual problem per concept recalls as much as the joint fit and takes a tenth of its time with 171 concepts.
    binary = LogisticRegression(
        C=strength, solver="liblinear", dual=True, tol=words.tolerance, max_iter=200, random_state=0
    )
    model = OneVsRestClassifier(binary) if len(np.unique(labels)) > 2 else binary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, labels)
    found = np.asarray(model.decision_function(test), dtype=np.float64)
    found = np.column_stack([-found, found]) if found.ndim == 1 else found
    scores = np.full((test.shape[0], concepts or int(labels.max()) + 1), np.finfo(np.float64).min)
    scores[:, model.classes_] = found
    return scores
