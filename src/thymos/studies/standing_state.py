"""Is a character's standing emotion held at every token, also where nothing shows it? The paper's negative result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thymos.stats import PermutationResult, bootstrap, paired_bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.passages import (
    NAMES,
    Passage,
    Script,
    directions_block,
    directions_of,
    named,
    places_block,
    rows_of,
)
from thymos.studies.probes import (
    Shuffles,
    Split,
    accuracy,
    accuracy_test,
    centred_cosines,
    codes,
    group_splits,
    hits,
    lexical_scores,
    ridge_smoother,
)
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.speakers import speaker_passages
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record, Records

__all__ = ["StandingState", "StandingStateSettings"]

_PAPER = {
    "expressed": ".713", "hidden": ".760", "unexpressed_neutral": ".386", "unexpressed_story": ".760",
    "unexpressed_other": ".826",
}  # fmt: skip
_UNSHOWN = ("hidden", "unexpressed_neutral", "unexpressed_story", "unexpressed_other")


@dataclass(frozen=True)
class StandingStateSettings(Settings):
    """Settings of `standing-state`."""

    dialogues: int = option(300, "dialogues over all emotions and conditions")
    transfer: int = option(144, "dialogues without a preamble that the probe is tried on")
    folds: int = option(5, "folds of topics")
    permutations: int = option(2000, "shuffles of the emotions, each refitted")

    @classmethod
    def quick(cls) -> "StandingStateSettings":
        """Half of the dialogues."""
        return cls(dialogues=150, permutations=1000)


class StandingState(Study):
    """A preamble states what somebody feels; probes read it from lines that show it, hide it, or are about another."""

    name = "standing-state"
    question = "Can a stated emotion be read from all later lines of its bearer, in conditions a probe has never met?"
    source = "Sofroniew et al. 2026, mixed logistic-regression probe (a negative result)"
    settings = StandingStateSettings

    def blocks(self, bench: Bench, settings: StandingStateSettings) -> Blocks:
        """The dialogues with their preambles, the same lines without, and dialogues that never had one."""
        told = load_stimuli("standing_state", bench.world)[: settings.dialogues]
        concepts = tuple(sorted({one["emotion"] for one in told}))
        known = tuple(concept for concept in concepts if concept in bench.vectors)
        if known:
            yield directions_block(bench, "vectors", known)
        yield places_block(bench, "stated", [_passage(one, stated=True) for one in told])
        yield places_block(bench, "bare", [_passage(one, stated=False) for one in told])
        others = load_stimuli("speakers", bench.world)[: settings.transfer]
        yield places_block(bench, "others", speaker_passages(others, "named"))

    def analyse(self, records: Records, context: Context, settings: StandingStateSettings) -> Findings:
        """Accuracy per condition: conditions pooled, the tested one left out, without preamble, and by words."""
        read = _Read(records["stated"], records["bare"], settings, context)
        estimates = [_pooled(read), _left_out_claim(read)]
        for condition in read.conditions:
            estimates += _condition(read, condition)
        estimates += _transfer(read, records["others"])
        if "vectors" in records:
            estimates += _story(read, records["vectors"])
        remarks = (
            "The emotion's word stands in the preamble alone: the baseline that may read the whole text sees it.",
            "A probe that holds only where it was trained, or only beside a preamble, is no standing state.",
        )
        return Findings(tuple(estimates), {"conditions": _table(read)}, remarks=remarks)


def _passage(one: Mapping[str, Any], *, stated: bool) -> Passage:
    names = tuple(one.get("names", NAMES))
    script = Script()
    if stated:
        script.say(named(one["preamble"], names))
    for turn in one["turns"]:
        mine = turn["speaker"] == "N"
        script.line(names[0 if mine else 1], named(turn["text"], names), "own" if mine else "partner")
    own = " ".join(named(turn["text"], names) for turn in one["turns"] if turn["speaker"] == "N")
    meta = {
        "emotion": one["emotion"], "condition": one["condition"], "other": one.get("other"), "topic": one["topic"],
        "own": own,
    }  # fmt: skip
    return script.passage(one["id"], meta)


class _Read:
    """Rows, labels and readers of the study."""

    def __init__(
        self, stated: Sequence[Record], bare: Sequence[Record], settings: StandingStateSettings, context: Context
    ) -> None:
        metas = [record["meta"] for record in stated]
        self.settings, self.seed, self.planted = settings, context.seed, context.planted
        self.classes = tuple(sorted({meta["emotion"] for meta in metas}))
        self.n = len(self.classes)
        self.labels = codes([meta["emotion"] for meta in metas], self.classes)
        self.where = np.asarray([meta["condition"] for meta in metas])
        self.conditions = tuple(name for name in _PAPER if name in set(self.where.tolist()))
        self.rows = rows_of(stated, "own")
        self.splits = group_splits([meta["topic"] for meta in metas], settings.folds, context.seed)
        self.apart = _apart(self.splits, self.where)
        self.pooled, self.left_out = (ridge_smoother(self.rows, splits) for splits in (self.splits, self.apart))
        self.bare = ridge_smoother(rows_of(bare, "own"), self.splits)
        self.partner = ridge_smoother(rows_of(stated, "partner"), self.splits)
        self.own, whole = [meta["own"] for meta in metas], [record["text"] for record in stated]
        self.words = {
            "own lines": self._words(self.own, self.splits),
            "own lines, left out": self._words(self.own, self.apart),
            "whole text": self._words(whole, self.splits),
        }

    def _words(self, texts: Sequence[str], splits: Sequence[Split]) -> Float[np.ndarray, " items"]:
        return hits(lexical_scores(texts, self.labels, self.n, splits), self.labels)

    def hits(self, smoother: Float[np.ndarray, "items items"]) -> Float[np.ndarray, " items"]:
        """Held-out hits."""
        return accuracy(smoother, self.labels, self.n)

    def null(self, smoother: Float[np.ndarray, "items items"], tested: Bool[np.ndarray, " items"]) -> PermutationResult:
        """Accuracy against shuffled emotions."""
        shuffles = Shuffles(self.settings.permutations, self.seed)
        return accuracy_test([smoother], [self.labels], self.n, shuffles, tested)


def _apart(splits: Sequence[Split], where: np.ndarray) -> list[Split]:
    """Splits in which neither the topic nor the condition of a tested item was trained on."""
    found = []
    for train, test in splits:
        for condition in np.unique(where):
            tested = test[where[test] == condition]
            trained = train[where[train] != condition]
            if len(tested) and len(trained):
                found.append((trained, tested))
    return found


def _pooled(read: _Read) -> Estimate:
    everyone = np.ones(len(read.labels), bool)
    found, test = read.hits(read.pooled), read.null(read.pooled, everyone)
    words, whole = read.words["own lines"], read.words["whole text"]
    return estimate(
        "all conditions in training: accuracy on the bearer's lines", bootstrap(found, seed=read.seed),
        chance=1 / read.n, p=test.p, primary=True, paper=".39 to .83 by condition (15-way)",
        truth="planted from the preamble on" if read.planted else "",
        control=f"own lines by words {words.mean():.3f}, whole text by words {whole.mean():.3f}; without the preamble "
        f"{read.hits(read.bare).mean():.3f}; on the partner's lines {read.hits(read.partner).mean():.3f}",
        note=f"activations minus words of own lines {paired_bootstrap(found, words, seed=read.seed)}, of the whole "
        f"text {paired_bootstrap(found, whole, seed=read.seed)}; held out by topic",
    )  # fmt: skip


def _left_out_claim(read: _Read) -> Estimate:
    tested = np.isin(read.where, _UNSHOWN)
    found, test = read.hits(read.left_out)[tested], read.null(read.left_out, tested)
    words = read.words["own lines, left out"][tested]
    return estimate(
        "tested condition left out of training: accuracy where nothing shows the emotion",
        bootstrap(found, seed=read.seed), chance=1 / read.n, p=test.p, primary=True, paper="not done",
        truth="planted from the preamble on" if read.planted else "",
        control=f"own lines by words {words.mean():.3f}; shuffled, refitted: 95% below "
        f"{np.quantile(test.null, 0.95):.3f}",
        note=f"activations minus words {paired_bootstrap(found, words, seed=read.seed)}",
    )  # fmt: skip


def _condition(read: _Read, condition: str) -> list[Estimate]:
    tested = read.where == condition
    told = []
    for how, smoother, words, paper in (
        ("pooled training", read.pooled, "own lines", _PAPER[condition]),
        ("left out of training", read.left_out, "own lines, left out", "not done"),
    ):
        test = read.null(smoother, tested)
        told.append(
            estimate(
                f"{condition}, {how}: accuracy",
                bootstrap(read.hits(smoother)[tested], seed=read.seed),
                p=test.p,
                chance=1 / read.n,
                paper=paper,
                control=f"own lines by words {read.words[words][tested].mean():.3f}; without the preamble "
                f"{read.hits(read.bare)[tested].mean():.3f}",
            )  # fmt: skip
        )
    return told


def _transfer(read: _Read, others: Sequence[Record]) -> list[Estimate]:
    """The probe of all conditions on dialogues whose speakers show what they feel and no preamble says it."""
    pairs = [
        (record["rows"][place], record["meta"][key], record["meta"]["lines"][int(place)])
        for record in others
        for place, key in (("0", "first"), ("1", "second"))
        if record["meta"][key] in read.classes
    ]
    if len(pairs) < 2:
        return []
    rows = np.concatenate([read.rows, np.asarray([row for row, _, _ in pairs], np.float64)])
    labels = np.concatenate([read.labels, codes([label for _, label, _ in pairs], read.classes)])
    known = len(read.labels)
    split: list[Split] = [(np.arange(known), np.arange(known, len(rows)))]
    smoother = ridge_smoother(rows, split)
    tested = np.arange(len(rows)) >= known
    test = accuracy_test([smoother], [labels], read.n, Shuffles(read.settings.permutations, read.seed), tested)
    texts = [*read.own, *(text for _, _, text in pairs)]
    words = hits(lexical_scores(texts, labels, read.n, split), labels)[tested]
    scores = smoother @ np.eye(read.n)[labels]
    within = read.pooled @ np.eye(read.n)[read.labels]
    return [
        estimate(
            "transfer to dialogues without a preamble: accuracy",
            bootstrap(accuracy(smoother, labels, read.n)[tested], seed=read.seed), p=test.p, chance=1 / read.n,
            paper="messy on natural text, magnitudes very low", control=f"by words {words.mean():.3f}",
        ),
        estimate(
            "spread of the probe's scores there, share of that on held-out dialogues",
            float(scores[tested].std() / max(float(within.std()), 1e-12)), n=int(tested.sum()),
            paper="very low (no number)",
        ),
    ]  # fmt: skip


def _story(read: _Read, records: Sequence[Record]) -> list[Estimate]:
    concepts = [record["concept"] for record in records]
    if len(concepts) < 2:
        return []
    mine = np.isin(read.labels, [read.classes.index(concept) for concept in concepts])
    scores = centred_cosines(read.rows[mine], directions_of(records))
    truth = codes([read.classes[label] for label in read.labels[mine]], concepts)
    found = hits(scores, truth)
    told = []
    for condition in read.conditions:
        chosen = read.where[mine] == condition
        if chosen.sum() > 1:
            told.append(
                estimate(
                    f"{condition}: story vectors, top-1",
                    bootstrap(found[chosen], seed=read.seed),
                    chance=1 / len(concepts),
                    note="centred over all dialogues; nothing was trained on them",
                )  # fmt: skip
            )
    return told


def _table(read: _Read) -> list[dict[str, Any]]:
    found = []
    for condition in read.conditions:
        chosen = read.where == condition
        row: dict[str, Any] = {"condition": condition, "dialogues": int(chosen.sum())}
        for name, values in (
            ("pooled", read.hits(read.pooled)), ("left out", read.hits(read.left_out)),
            ("without preamble", read.hits(read.bare)), ("partner's lines", read.hits(read.partner)),
            ("words of own lines", read.words["own lines"]), ("words of all", read.words["whole text"]),
        ):  # fmt: skip
            row[name] = float(values[chosen].mean())
        found.append(row)
    return found
