"""Are the emotion of whoever speaks and the emotion of the other speaker represented apart?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.concepts import EMOTIONS
from thymos.errors import UsageError
from thymos.models import Host
from thymos.stats import bootstrap, bootstrap_items, correlation, paired_bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import LEAST_RANDOMS
from thymos.studies.passages import NAMES, Passage, Script, directions_block, directions_of, places_block, rows_of
from thymos.studies.probes import (
    Shuffles,
    accuracy,
    accuracy_test,
    codes,
    cosines,
    group_splits,
    hits,
    lexical_scores,
    mantel,
    matching_test,
    mean_differences,
    ridge_smoother,
)
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.speakers_dosed import dosed_blocks, dosed_findings
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record, Records

__all__ = ["Speakers", "SpeakersSettings", "speaker_passages"]

_NUMBERED = ("Person 1", "Person 2")
_ASK = "Tell me a story in which two people talk with each other."
_LEAST_NORMS = 5
_NEAREST = 3


@dataclass(frozen=True)
class SpeakersSettings(Settings):
    """Settings of `speakers`."""

    dialogues: int = option(288, "dialogues of two speakers")
    forms: tuple[str, ...] = option(
        ("named", "numbered", "roles", "told"),
        "who speaks: named persons, Person 1 and 2, user and assistant, a story told by the assistant; the first is "
        "the one of the claims",
    )
    folds: int = option(5, "folds of topics")
    permutations: int = option(2000, "shuffles of the dialogues' emotions")
    resamples: int = option(500, "bootstrap samples of the separation")
    mark: float = option(0.0, "pass mark of within-kind minus cross-kind cosine, lower bound")
    steered: tuple[str, ...] = option(("happy", "sad", "angry", "afraid"), "emotions whose probes are steered")
    dosed_dialogues: int = option(3, "dialogues in which one speaker's lines are steered; 0 for no steering")
    strength: float = option(0.2, "dose, as a fraction of the mean residual norm")
    randoms: int = option(LEAST_RANDOMS, "random directions of equal norm")

    @classmethod
    def quick(cls) -> "SpeakersSettings":
        """Half of the dialogues, one steered."""
        return cls(dialogues=144, permutations=1000, resamples=300, dosed_dialogues=1)


class Speakers(Study):
    """Two people with emotions drawn independently: own and other's emotion on one speaker's tokens."""

    name = "speakers"
    question = "Are the present speaker's and the other speaker's emotion represented apart, with one geometry?"
    source = "Sofroniew et al. 2026, present and other speaker"
    settings = SpeakersSettings

    def blocks(self, bench: Bench, settings: SpeakersSettings) -> Blocks:
        """Concept directions; the dialogues in every form; then doses of the probes made from the first form."""
        dialogues = load_stimuli("speakers", bench.world)[: settings.dialogues]
        concepts = bench.known(_emotions(dialogues))
        yield directions_block(bench, "vectors", concepts)
        if unknown := [form for form in settings.forms if form not in _FORMS]:
            raise UsageError(f"unknown form {unknown[0]!r} of the dialogues; valid: {', '.join(_FORMS)}")
        forms = [form for form in settings.forms if form not in _CHATS or _chats(bench.host)]
        for form in forms:
            records = yield places_block(bench, f"rows/{form}", speaker_passages(dialogues, form))
            if form == forms[0] and bench.host.kind == "decoder" and settings.dosed_dialogues:
                yield from dosed_blocks(bench, settings, _probes(records))

    def analyse(self, records: Records, context: Context, settings: SpeakersSettings) -> Findings:
        """Accuracies beside words, separation of the probes, shared geometry, story vectors, regulation, doses."""
        estimates: list[Estimate] = []
        tables: dict[str, list[dict[str, Any]]] = {}
        baselines: dict[str, Float[np.ndarray, " items"]] = {}
        remarks = []
        for number, (form, block) in enumerate(records.under("rows/").items()):
            read = _Read(block, settings, context)
            baselines = baselines or _words(read)
            estimates += _reading(read, form, baselines, primary=number == 0)
            estimates += _separation(read, form, primary=number == 0)
            if number == 0:
                concepts = [record["concept"] for record in records["vectors"]]
                estimates += _story(read, concepts, directions_of(records["vectors"]))
                estimates += _regulation(read, context)
                tables["nearest present probes of each other-probe"] = _nearest(read)
        missing = [form for form in settings.forms if f"rows/{form}" not in records]
        if missing:
            remarks.append(f"the model has no chat template, so these forms were left out: {', '.join(missing)}")
        told, rows, refusals = dosed_findings(records, context, settings)
        if rows:
            tables["doses of the probes"] = rows
        return Findings((*estimates, *told), tables, tuple(refusals), tuple(remarks))


_CHATS = ("roles", "told")
_FORMS = ("named", "numbered", *_CHATS)


def _chats(host: Host) -> bool:
    return bool(getattr(host.tokenizer, "chat_template", None))


def _emotions(dialogues: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({one[key] for one in dialogues for key in ("first_emotion", "second_emotion")}))


def speaker_passages(dialogues: Sequence[Mapping[str, Any]], form: str) -> list[Passage]:
    """The dialogues in one form; the places "0" and "1" are the words of either speaker."""
    return [_passage(one, form) for one in dialogues]


def _passage(one: Mapping[str, Any], form: str) -> Passage:
    lines = [" ".join(turn["text"] for turn in one["turns"] if turn["speaker"] == who) for who in (0, 1)]
    meta = {
        "first": one["first_emotion"], "second": one["second_emotion"], "topic": one["topic"], "lines": lines,
        "form": form,
    }  # fmt: skip
    if form == "roles":
        roles = ("user", "assistant")
        messages = tuple({"role": roles[turn["speaker"]], "content": turn["text"]} for turn in one["turns"])
        turns = {str(who): tuple(n for n, turn in enumerate(one["turns"]) if turn["speaker"] == who) for who in (0, 1)}
        return Passage(one["id"], messages, turns=turns, meta=meta)
    names = _NUMBERED if form == "numbered" else tuple(one.get("names", NAMES))
    script = Script()
    script.say(one.get("preface", "").replace("{N}", names[0]).replace("{M}", names[1]))
    for turn in one["turns"]:
        script.line(names[turn["speaker"]], turn["text"], str(turn["speaker"]))
    if form == "told":
        story = ({"role": "user", "content": _ASK}, {"role": "assistant", "content": script.text})
        return Passage(one["id"], story, chars=dict(script.chars), meta=meta)
    return script.passage(one["id"], meta)


class _Read:
    """Rows and labels of one form: index 0 and 1 are the speakers."""

    def __init__(self, block: Sequence[Record], settings: SpeakersSettings, context: Context) -> None:
        self.settings, self.seed, self.planted = settings, context.seed, context.planted
        metas = [record["meta"] for record in block]
        self.classes = tuple(sorted({meta[key] for meta in metas for key in ("first", "second")}))
        self.n = len(self.classes)
        felt = [codes([meta[key] for meta in metas], self.classes) for key in ("first", "second")]
        self.own = (felt[0], felt[1])
        self.other = (felt[1], felt[0])
        self.rows = tuple(rows_of(block, who) for who in ("0", "1"))
        self.texts = tuple([meta["lines"][who] for meta in metas] for who in (0, 1))
        self.splits = group_splits([meta["topic"] for meta in metas], settings.folds, context.seed)
        self.smoothers = tuple(ridge_smoother(rows, self.splits) for rows in self.rows)

    def labels(self, kind: str) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " items"]]:
        """Emotions of the present or the other speaker, per speaker whose tokens are read."""
        return self.own if kind == "present" else self.other

    def probes(self, kind: str, who: int) -> Float[np.ndarray, "classes hidden"]:
        """Mean differences from one speaker's tokens."""
        return mean_differences(self.rows[who], self.labels(kind)[who], self.n)

    def pooled(self, kind: str) -> Float[np.ndarray, "classes hidden"]:
        """The mean of both speakers' probes."""
        found: Float[np.ndarray, "classes hidden"] = (self.probes(kind, 0) + self.probes(kind, 1)) / 2
        return found


def _probes(block: Sequence[Record]) -> dict[str, Float[np.ndarray, "classes hidden"]]:
    """Probes of both kinds on the second speaker's tokens, which are the ones that are steered; by kind and emotion."""
    metas = [record["meta"] for record in block]
    classes = tuple(sorted({meta[key] for meta in metas for key in ("first", "second")}))
    rows = rows_of(block, "1")
    found: dict[str, Float[np.ndarray, "classes hidden"]] = {}
    for kind, key in (("present", "second"), ("other", "first")):
        means = mean_differences(rows, codes([meta[key] for meta in metas], classes), len(classes))
        found |= {f"{kind} {emotion}": means[number : number + 1] for number, emotion in enumerate(classes)}
    return found


def _words(read: _Read) -> dict[str, Float[np.ndarray, " items"]]:
    """Hits of the word baseline by kind; the lines are the same in every form."""
    found: dict[str, Float[np.ndarray, " items"]] = {}
    for kind in ("present", "other"):
        labels = read.labels(kind)
        each = [hits(lexical_scores(read.texts[who], labels[who], read.n, read.splits), labels[who]) for who in (0, 1)]
        found[kind] = np.mean(each, axis=0)
    return found


def _reading(
    read: _Read, form: str, baselines: Mapping[str, Float[np.ndarray, " items"]], *, primary: bool
) -> list[Estimate]:
    told = []
    for kind, what in (("present", "the speaker's own emotion"), ("other", "the other speaker's emotion")):
        labels = read.labels(kind)
        found = np.mean([accuracy(read.smoothers[who], labels[who], read.n) for who in (0, 1)], axis=0)
        words = baselines[kind]
        shuffles = Shuffles(read.settings.permutations, read.seed)
        test = accuracy_test(read.smoothers, labels, read.n, shuffles)
        gap = paired_bootstrap(found, words, seed=read.seed)
        told.append(
            estimate(
                f"{form}: {what} on own tokens, accuracy",
                bootstrap(found, seed=read.seed),
                chance=1 / read.n,
                p=test.p,
                primary=primary,
                control=f"same lines by words (tf-idf) {bootstrap(words, seed=read.seed)}; shuffled, "
                f"refitted: 95% below {np.quantile(test.null, 0.95):.3f}",
                truth="both emotions are planted, drawn apart" if read.planted else "",
                note=f"activations minus words {gap}; held out by topic",
            )  # fmt: skip
        )
    return told


def _kinds(read: _Read, items: np.ndarray, own: Any, other: Any) -> tuple[float, float]:
    """Mean cosine of equal emotions' probes: same kind over speakers, and the two kinds on the same tokens."""
    made = {}
    for who in (0, 1):
        for kind, labels in (("present", own), ("other", other)):
            chosen = labels[who][items]
            if len(np.unique(chosen)) < read.n:
                return float("nan"), float("nan")
            made[kind, who] = mean_differences(read.rows[who][items], chosen, read.n)
    within = [np.diag(cosines(made[kind, 0], made[kind, 1])).mean() for kind in ("present", "other")]
    cross = [np.diag(cosines(made["present", who], made["other", who])).mean() for who in (0, 1)]
    return float(np.mean(within)), float(np.mean(cross))


def _separation(read: _Read, form: str, *, primary: bool) -> list[Estimate]:
    everyone = np.arange(len(read.own[0]))

    def gap(items: np.ndarray) -> float:
        within, cross = _kinds(read, items, read.own, read.other)
        return within - cross

    size = bootstrap_items(gap, len(everyone), resamples=read.settings.resamples, seed=read.seed)
    within, cross = _kinds(read, everyone, read.own, read.other)
    null = _swapped(read)
    p = (1 + int((null >= size.estimate).sum())) / (1 + len(null))
    shared = mantel(
        cosines(read.pooled("present"), read.pooled("present")), cosines(read.pooled("other"), read.pooled("other")),
        read.settings.permutations, read.seed,
    )  # fmt: skip
    apart = matching_test(cosines(read.pooled("present"), read.pooled("other")), read.settings.permutations, read.seed)
    low, high = np.quantile(apart.null, [0.025, 0.975])
    return [
        estimate(
            f"{form}: probes of one kind over speakers minus present against other on the same tokens, cosine", size,
            side="at least", mark=read.settings.mark, primary=primary, p=p,
            clear=bool(size.low > 0 and size.estimate > null.max()),
            control=f"who feels what swapped at random in each dialogue: at most {null.max():+.3f}",
            paper="similar over speakers, nearly orthogonal across kinds (figures only)",
            truth="present and other are planted apart" if read.planted else "",
            note=f"within {within:+.3f}, across {cross:+.3f}",
        ),
        estimate(
            f"{form}: cosine of present and other probes of one emotion", cross, n=read.n, paper="near 0",
            control=f"different emotions, 95%: {low:+.3f} to {high:+.3f}",
        ),
        estimate(
            f"{form}: agreement of the geometry of present and other probes (Mantel r)", shared.statistic, n=read.n,
            p=shared.p, chance=0.0, paper="agree (figure only)",
        ),
    ]  # fmt: skip


def _swapped(read: _Read) -> Float[np.ndarray, " shuffles"]:
    """The separation when present and other are exchanged in a random half of the dialogues."""
    rng = np.random.default_rng(read.seed)
    everyone = np.arange(len(read.own[0]))
    found = []
    for _ in range(read.settings.permutations):
        swap = rng.random(len(everyone)) < 0.5
        one, two = (np.where(swap, read.own[1 - who], read.own[who]) for who in (0, 1))
        within, cross = _kinds(read, everyone, (one, two), (two, one))
        if np.isfinite(within - cross):
            found.append(within - cross)
    return np.asarray(found or [0.0], np.float64)


def _story(read: _Read, concepts: Sequence[str], story: Float[np.ndarray, "concepts hidden"]) -> list[Estimate]:
    shared = [emotion for emotion in read.classes if emotion in concepts]
    if len(shared) < 2:
        return []
    mine = np.asarray([read.classes.index(emotion) for emotion in shared])
    story = story[[concepts.index(emotion) for emotion in shared]]
    told = []
    for kind, paper in (("present", "story probes lean to present"), ("other", "")):
        test = matching_test(cosines(story, read.pooled(kind)[mine]), read.settings.permutations, read.seed)
        told.append(
            estimate(
                f"story vectors and {kind} probes, cosine",
                test.statistic,
                n=len(shared),
                p=test.p,
                paper=paper,
                chance=float(test.null.mean()),
                control=f"other emotions: 95% below {np.quantile(test.null, 0.95):+.3f}",
            )  # fmt: skip
        )
    shares = np.mean([_shares(read, who, mine, story) for who in (0, 1)], axis=0)
    test = matching_test(shares, read.settings.permutations, read.seed)
    told.append(
        estimate(
            "story readings explained by held-out present probes, mean R^2 per emotion",
            bootstrap(np.diag(shares).copy(), seed=read.seed),
            paper=".66 on the implicit prompts",
            p=test.p,
            chance=float(test.null.mean()),
            control=f"other emotions' probes {test.null.mean():.3f}",
        )  # fmt: skip
    )
    return told


def _shares(
    read: _Read, who: int, mine: Int[np.ndarray, " shared"], story: Float[np.ndarray, "shared hidden"]
) -> Float[np.ndarray, "shared shared"]:
    """Squared correlations over dialogues of story readings (rows) with held-out probe scores (columns)."""
    rows = read.rows[who]
    readings = cosines(rows - rows.mean(axis=0), story)
    scores = (read.smoothers[who] @ np.eye(read.n)[read.own[who]])[:, mine]
    readings, scores = readings - readings.mean(axis=0), scores - scores.mean(axis=0)
    return cosines(readings.T, scores.T) ** 2


def _regulation(read: _Read, context: Context) -> list[Estimate]:
    told = []
    likeness = np.maximum(cosines(read.pooled("other"), read.pooled("present")), 0.0)
    for axis, paper in (("arousal", "r = -.47 (171 emotions)"), ("valence", "r = .07")):
        rated = {emotion: value for emotion in read.classes if (value := _rating(context, emotion, axis)) is not None}
        if len(rated) < _LEAST_NORMS:
            continue
        rows = np.asarray([read.classes.index(emotion) for emotion in rated])
        values = np.asarray(list(rated.values()), np.float64)
        weights = likeness[np.ix_(rows, rows)]
        near = (weights @ values) / np.maximum(weights.sum(axis=1), 1e-12)
        if np.ptp(near) == 0 or np.ptp(values) == 0:
            continue
        found = correlation(values, near, seed=read.seed)
        told.append(
            estimate(
                f"{axis}: an other-probe's own against that of the present probes near it, r",
                found,
                p=found.p,
                paper=paper,
                truth="not planted" if context.planted else "",
                note="weights: positive cosines, the emotion's own among them; the paper's weighting is not known. The "
                f"texts may hold the writer's idea of a fitting reaction; {len(rated)} emotions",
            )  # fmt: skip
        )
    return told


def _rating(context: Context, emotion: str, axis: str) -> float | None:
    points, dimensions = context.truth.get("points"), context.truth.get("dimensions")
    if points and dimensions and emotion in points and axis in dimensions:
        return float(points[emotion][list(dimensions).index(axis)])
    if emotion not in EMOTIONS.words or EMOTIONS[emotion].norms is None:
        return None
    norms = EMOTIONS[emotion].norms
    return float(getattr(norms, "pleasure" if axis == "valence" else axis))


def _nearest(read: _Read) -> list[dict[str, Any]]:
    likeness = cosines(read.pooled("other"), read.pooled("present"))
    found = []
    for number, emotion in enumerate(read.classes):
        order = [place for place in np.argsort(-likeness[number]) if place != number][:_NEAREST]
        near = ", ".join(f"{read.classes[place]} {likeness[number, place]:+.2f}" for place in order)
        found.append({"other speaker": emotion, "own": float(likeness[number, number]), "nearest present": near})
    return found
