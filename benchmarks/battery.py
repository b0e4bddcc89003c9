"""How much of the battery do words alone give away, before and after it was edited against a word reader?

The shipped battery was edited until a tf-idf reader no longer knew concepts by stock words. That reader's own words
chose the edits, so its score on the edited battery is biased low. This command prints the same comparison on the texts
as they were first written, and the word reader trained on the unedited texts of other topics.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from benchmarks.report import Report, Sheet
from thymos.models import Select, Span, load, text_means
from thymos.stats import bootstrap
from thymos.texts import battery
from thymos.validation import (
    Items,
    Recall,
    RecallSettings,
    SweepSettings,
    better_of,
    held_out_recall,
    layer_sweep,
    lexical_centroid,
    lexical_logistic,
    logistic_probe,
    paired_difference,
    topic_folds,
)

BEFORE = Path(__file__).parent / "data" / "battery_before_editing.jsonl"
SETTINGS = RecallSettings(folds=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--first-token", type=int, default=20)
    arguments = parser.parse_args()
    host = load(arguments.model)
    edited = {v.id: v for v in battery()}
    before = {row["id"]: row["text"] for row in map(json.loads, BEFORE.read_text(encoding="utf-8").splitlines())}
    names = sorted(edited)
    items = Items.of([edited[n].emotion for n in names], [edited[n].topic for n in names])
    versions = {"as shipped": [edited[n].text for n in names], "before editing": [before[n] for n in names]}
    rows = []
    for label, texts in versions.items():
        readers = _readers(host, texts, items, arguments.first_token)
        best = better_of(readers["tf-idf, logistic"], readers["tf-idf, centroid"])
        for name, recall in readers.items():
            gap = "" if name.startswith("tf-idf") else f"{paired_difference(recall, best):+.3f}"
            rows.append((label, name, f"{recall.top1:.3f}", gap))
    words = _word_hits(versions["before editing"], versions["as shipped"], items, "word")
    rows.append(("as shipped", "tf-idf SVM trained on the unedited texts", f"{bootstrap(words):.3f}", ""))
    for label, texts in versions.items():
        characters = _word_hits(texts, texts, items, "char_wb")
        rows.append((label, "character 2-5-gram SVM (no part in the editing)", f"{bootstrap(characters):.3f}", ""))
    report = Report("battery", (), {"model": arguments.model, "folds": 12, "first_token": arguments.first_token})
    columns = ("battery", "reader", "top-1 [95%]", "minus the better tf-idf reader")
    note = f"{len(names)} texts, {len(items.concepts)} concepts, chance {1 / len(items.concepts):.3f}, topics held out"
    report.sheets.append(Sheet("What words give away", columns, rows, note))
    report.show()
    print(report.write())


def _readers(host, texts: list[str], items: Items, first_token: int) -> dict[str, Recall]:
    layers = tuple(range(host.n_layers))
    means = text_means(host, host.tokens_of(texts), layers, Span(Select(start_token=first_token)))
    sweep = layer_sweep(lambda layer: means[:, layer], layers, items, settings=SweepSettings(1, 12))
    at = means[:, sweep.layer]
    return {
        "difference of means (not denoised)": held_out_recall(at, items, settings=SETTINGS),
        "logistic probes": held_out_recall(at, items, estimator=logistic_probe(0.1), settings=SETTINGS),
        "tf-idf, logistic": lexical_logistic(texts, items, settings=SETTINGS),
        "tf-idf, centroid": lexical_centroid(texts, items, settings=SETTINGS),
    }


def _word_hits(train: list[str], test: list[str], items: Items, unit: str) -> np.ndarray:
    hits = np.zeros(len(items))
    for fold in topic_folds(items, folds=12):
        ngrams = (1, 2) if unit == "word" else (2, 5)
        tfidf = TfidfVectorizer(ngram_range=ngrams, analyzer=unit, sublinear_tf=True, min_df=2)
        seen = tfidf.fit_transform([train[i] for i in fold.train])
        model = LinearSVC(C=1.0).fit(seen, items.labels[fold.train])
        hits[fold.test] = model.predict(tfidf.transform([test[i] for i in fold.test])) == items.labels[fold.test]
    return hits


if __name__ == "__main__":
    main()
