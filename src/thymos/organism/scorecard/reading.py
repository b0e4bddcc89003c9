"""Can the planted feeling be read: 171-way recall, geometry, logit lens."""

import numpy as np
from jaxtyping import Float
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from thymos.concepts import EMOTIONS
from thymos.geometry import pca
from thymos.organism.documents import Document
from thymos.organism.scorecard.bench import Bench, ranks, scores_of
from thymos.organism.scorecard.marks import Section, at_least, at_most, told
from thymos.stats import Correlation, bootstrap, correlation
from thymos.validation import logit_lens

__all__ = ["geometry_section", "recall_section", "word_scores"]


def recall_section(bench: Bench) -> Section:
    """171-way recall of held-out stories by the nearest vector, and of their ten clusters."""
    documents, pools = zip(*bench.testing, strict=True)
    truth = np.array([bench.world.row(d.emotion or "") for d in documents])
    found = bench.means([d.text for d in documents])[:, bench.vectors.layers.index(bench.layer)]
    scores = scores_of(bench.vectors, found, bench.layer)
    rank = ranks(scores, truth)
    clusters = np.array([_cluster(word) for word in bench.world.words])
    right = (clusters[scores.argmax(axis=1)] == clusters[truth]).astype(float)
    new = np.array([pool == "test" for pool in pools])
    words = word_scores([d for d, _ in bench.training], list(documents), bench)
    figures = [
        at_least("171-way top-1, nearest vector", bootstrap((rank == 0).astype(float)), 0.25, "chance 0.006"),
        at_least("171-way top-5", bootstrap((rank < 5).astype(float)), 0.60, "chance 0.029"),
        at_least("ten clusters", bootstrap(right), 0.70, f"most frequent cluster {_majority(clusters):.2f}"),
        told("top-1 on new phrases and topics", bootstrap((rank[new] == 0).astype(float))),
        told("top-1 on known phrases", bootstrap((rank[~new] == 0).astype(float))),
    ]
    figures += [
        told(f"top-1 of words: {name}", bootstrap((ranks(one, truth) == 0).astype(float)), "stories without context")
        for name, one in words.items()
    ]
    return Section("reading", tuple(figures))


def _cluster(word: str) -> str:
    return EMOTIONS[word].cluster or ""


def _majority(clusters: np.ndarray) -> float:
    _, counts = np.unique(clusters, return_counts=True)
    return float(counts.max() / counts.sum())


def word_scores(
    training: list[Document], testing: list[Document], bench: Bench
) -> dict[str, Float[np.ndarray, "texts concepts"]]:
    """Scores of every emotion by two bag-of-words readers, trained on as many stories as the vectors."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    known = words.fit_transform([d.text for d in training])
    new = words.transform([d.text for d in testing])
    labels = np.array([bench.world.row(d.emotion or "") for d in training])
    count = len(bench.world.words)
    places = (labels, np.arange(len(labels)))
    sums = sparse.csr_matrix((np.ones(len(labels)), places), shape=(count, len(labels))) @ known
    nearest = (new @ normalize(sums).T).toarray()
    model = LogisticRegression(C=30.0, max_iter=200, tol=1e-4).fit(known, labels)
    logistic = np.full((len(testing), count), -np.inf)
    logistic[:, model.classes_] = model.decision_function(new)
    return {"tf-idf centroid": nearest, "tf-idf logistic": logistic}


def geometry_section(bench: Bench) -> Section:
    """Principal components against planted appraisals and human norms, and the logit lens."""
    directions = bench.vectors.directions(bench.layer)
    scores = pca(directions, 5).scores
    valence, arousal = bench.world.axis("valence"), bench.world.axis("arousal")
    rated = [(n, c.norms) for n, c in enumerate(EMOTIONS) if c.norms is not None]
    rows = np.array([n for n, _ in rated])
    pleasure, human = (np.array([getattr(norms, key) for _, norms in rated]) for key in ("pleasure", "arousal"))
    second = max((1, 2), key=lambda n: abs(correlation(scores[:, n], arousal, resamples=10).r))
    figures = [
        at_least("|r| of PC1 with planted valence", _flip(scores[:, 0], valence), 0.90, "171 concepts"),
        at_least(
            f"|r| of PC{second + 1} with planted arousal",
            _flip(scores[:, second], arousal),
            0.75,
            "better of PC2 and PC3",
        ),
        at_least("|r| of PC1 with human pleasure", _flip(scores[rows, 0], pleasure), 0.75, "45 words"),
        at_least(f"|r| of PC{second + 1} with human arousal", _flip(scores[rows, second], human), 0.55, "45 words"),
    ]
    lens = logit_lens(bench.host, directions, bench.vectors.concepts)
    own = [entry.own[0].rank for entry in lens.entries if entry.own]
    size = bench.host.network.config.vocab_size
    figures.append(
        at_most(
            "logit lens: median rank of the own word, share of the vocabulary",
            float(np.median(own)) / size,
            0.02,
            f"{len(own)} single-token concepts, vocabulary {size}",
        )
    )
    return Section("geometry", tuple(figures))


def _flip(scores: np.ndarray, truth: np.ndarray) -> Correlation:
    sign = np.sign(np.corrcoef(scores, truth)[0, 1])
    return correlation(scores * sign, truth)
