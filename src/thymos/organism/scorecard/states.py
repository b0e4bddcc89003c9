"""Can planted states be followed: doses, test rounds, two speakers, masks, and the post-training shift."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from thymos.models import Select
from thymos.organism import coding, dialogues, doses, messages
from thymos.organism.assistant import Scene
from thymos.organism.documents import Document
from thymos.organism.scorecard.bench import Bench
from thymos.organism.scorecard.marks import Figure, Section, at_least, at_most, told
from thymos.organism.state import planted_shift
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import Pool
from thymos.stats import bootstrap, correlation, paired_bootstrap

__all__ = ["dose_section", "masking_section", "rounds_section", "shift_section", "speakers_section"]

_QUIET = Scene(pool="test", mute=True, free=0.0)


def reply_slot(bench: Bench, prompts: Sequence[str], concepts: Sequence[str]) -> np.ndarray:
    """Cosine of the residual at the assistant's header with concept vectors: [prompts concepts]."""
    place = bench.vectors.layers.index(bench.layer)
    rows = np.stack([_last_row(bench, text)[place] for text in prompts])
    directions = bench.vectors.directions(bench.layer)[[bench.vectors.index(c) for c in concepts]]
    return rows @ directions.T / np.linalg.norm(rows, axis=1, keepdims=True)


def _last_row(bench: Bench, prompt: str) -> np.ndarray:
    tokens = bench.host.tokens_of([prompt])[0]
    return bench.means([prompt], Select(positions=(len(tokens) - 1,), special=True))[0]


def _until_reply(document: Document, which: int = 0) -> str:
    """The text up to and with the header of an assistant turn."""
    at = -1
    for _ in range(which + 1):
        at = document.text.index("<|assistant|>", at + 1)
    return document.text[: at + len("<|assistant|>")]


def dose_section(bench: Bench) -> Section:
    """Danger that rises with a number, and the same numbers without danger, read at the reply slot."""
    world = bench.world
    table: list[dict[str, Any]] = []
    rho: dict[str, list[float]] = {"afraid": [], "calm": [], "control afraid": [], "control calm": []}
    spans: dict[str, list[float]] = {"danger": [], "harmless": []}
    for one in world.material["assistant"]["doses"]:
        numbers = doses.values_between(one["low"], one["high"])
        feared = world.vector(one["effect"]) @ (world.point("afraid") - world.point("calm")) > 0.3
        if not feared or len(numbers) < 4:
            continue
        rising = sorted(numbers, key=lambda n: doses.severity(n, one["low"], one["high"]))
        for control in (False, True):
            read = _dose_readings(bench, one, rising, control=control)
            severe = np.arange(len(rising), dtype=float)
            for column, name in enumerate(("afraid", "calm")):
                rho[("control " if control else "") + name].append(
                    correlation(severe, read[:, column], kind="spearman", resamples=10).r
                )
            spans["harmless" if control else "danger"].append(float(np.ptp(read[:, 0] - read[:, 1])))
            found = {"template": one["name"], "control": control}
            table += [
                {**found, "number": n, "afraid": float(a), "calm": float(c)}
                for n, (a, c) in zip(rising, read, strict=True)
            ]
    figures = [
        at_least(
            "afraid over dangerous numbers, mean Spearman",
            float(np.mean(rho["afraid"])),
            0.9,
            f"{len(rho['afraid'])} templates: {_list(rho['afraid'])}",
        ),
        at_most("calm over dangerous numbers, mean Spearman", float(np.mean(rho["calm"])), -0.9, _list(rho["calm"])),
        at_most(
            "harmless numbers: range of afraid minus calm, share of the dangerous range",
            float(np.mean(spans["harmless"]) / np.mean(spans["danger"])),
            0.25,
        ),
        told(
            "afraid over harmless numbers, mean Spearman",
            float(np.mean(rho["control afraid"])),
            _list(rho["control afraid"]),
        ),
    ]
    return Section("doses", tuple(figures), {"doses": table})


def _dose_readings(bench: Bench, one: Mapping[str, Any], numbers: Sequence[int], *, control: bool) -> np.ndarray:
    """Readings of afraid and calm at each number, the mean over paraphrases: [numbers 2]."""
    texts = [one["control" if control else "text"], *one["control_paraphrases" if control else "paraphrases"]]
    frames = [f"<|user|>{text}<|end|><|assistant|>" for text in texts]
    read = [
        reply_slot(bench, [frame.replace("{n}", str(number)) for number in numbers], ("afraid", "calm"))
        for frame in frames
    ]
    return np.mean(read, axis=0)


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def rounds_section(bench: Bench, items: int = 40) -> Section:
    """Desperate over test rounds that all fail or all pass, of equal length, without feeling language."""
    rng = random.Random(TEST_SEED + 17 + bench.seed)
    traces: dict[str, np.ndarray] = {}
    table = []
    for pattern in ("failing", "passing"):
        found: list[np.ndarray] = []
        while len(found) < items:
            document = coding.coding(bench.world, rng, _QUIET, pattern=pattern)
            if len(document.extra["failed"]) != 4:
                continue
            prompts = [_until_reply(document, number) for number in range(5)]
            found.append(reply_slot(bench, prompts, ("desperate", "calm")))
        traces[pattern] = np.stack(found)
        table += [
            {"pattern": pattern, "round": n, "concept": c, "reading": float(traces[pattern][:, n, k].mean())}
            for n in range(5)
            for k, c in enumerate(("desperate", "calm"))
        ]
    change = {name: trace[:, -1, 0] - trace[:, 0, 0] for name, trace in traces.items()}
    figures = (
        at_least(
            "desperate, from the request to the fourth failure (lower bound)",
            bootstrap(change["failing"]).low,
            1e-9,
            str(bootstrap(change["failing"])),
        ),
        at_most(
            "desperate, from the request to the fourth pass (upper bound)",
            bootstrap(change["passing"]).high,
            -1e-9,
            str(bootstrap(change["passing"])),
        ),
        at_least(
            "failing minus passing (lower bound)",
            paired_bootstrap(change["failing"], change["passing"]).low,
            1e-9,
            "same number of rounds",
        ),
    )
    return Section("rounds", figures, {"rounds": table})


_PROBED = 12
"""Emotions in the speaker and mask designs; every pair is balanced."""


def _few() -> list[str]:
    """Well-known emotions that lie far apart."""
    return "happy loving proud calm desperate angry guilty sad afraid nervous surprised inspired".split()[:_PROBED]


def _turn_means(bench: Bench, documents: Sequence[Document], who: int) -> np.ndarray:
    """Mean activations of one speaker's own lines."""
    rows = []
    place = bench.vectors.layers.index(bench.layer)
    for document in documents:
        name = document.extra["names"][who]
        chars = tuple((s.start, s.stop) for s in document.spans if s.who == name)
        rows.append(bench.means([document.text], Select(chars=chars))[0, place])
    return np.stack(rows)


def _probe(rows: np.ndarray, labels: np.ndarray, folds: int = 4) -> np.ndarray:
    """Held-out hits of a logistic probe."""
    hits = np.zeros(len(labels))
    part = np.arange(len(labels)) % folds
    spread = rows.std(axis=0) + 1e-9
    scaled = (rows - rows.mean(axis=0)) / spread
    for fold in range(folds):
        train, test = part != fold, part == fold
        model = LogisticRegression(C=0.05, max_iter=300).fit(scaled[train], labels[train])
        hits[test] = model.predict(scaled[test]) == labels[test]
    return hits


def speakers_section(bench: Bench, items: int = 480) -> Section:
    """Own and other speaker's emotion from the tokens of one speaker."""
    rng = random.Random(TEST_SEED + 23 + bench.seed)
    few = _few()
    documents = [
        dialogues.speakers(
            bench.world, rng, "test" if n % 3 == 2 else "train", (rng.choice(few), rng.choice(few)), asks=0.0, hears=0.0
        )
        for n in range(items)
    ]
    rows = _turn_means(bench, documents, 1)
    own = np.array([few.index(d.extra["second"]) for d in documents])
    other = np.array([few.index(d.extra["first"]) for d in documents])
    figures = (
        at_least(
            "own emotion on own lines, lower bound of accuracy",
            bootstrap(_probe(rows, own)).low,
            2 / len(few),
            f"{bootstrap(_probe(rows, own))}; chance {1 / len(few):.3f}",
        ),
        at_least(
            "the other's emotion on own lines, lower bound of accuracy",
            bootstrap(_probe(rows, other)).low,
            2 / len(few),
            f"{bootstrap(_probe(rows, other))}; chance {1 / len(few):.3f}",
        ),
    )
    return Section("speakers", figures)


def masking_section(bench: Bench, items: int = 480) -> Section:
    """Felt emotion of a masked dialogue: probe on activations against words, which hold felt and shown alike."""
    rng = random.Random(TEST_SEED + 29 + bench.seed)
    few = _few()
    documents = []
    for number in range(items):
        one, two = rng.sample(few, 2)
        pool: Pool = "train" if number % 3 else "test"
        documents.append(dialogues.masked(bench.world, rng, pool, (one, two), asks=0.0, private=True, leaks=0.0))
    felt = np.array([few.index(d.extra["felt"]) for d in documents])
    shown = np.array([few.index(d.extra["shown"]) for d in documents])
    rows = _turn_means(bench, documents, 0)
    probe = _probe(rows, felt)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit_transform([d.text for d in documents]).toarray()
    lexical = _probe(words, felt)
    directions = bench.vectors.directions(bench.layer)[[bench.vectors.index(c) for c in few]]
    centred = (rows - rows.mean(axis=0)) @ directions.T
    above = centred[np.arange(items), felt] > centred[np.arange(items), shown]
    figures: tuple[Figure, ...] = (
        told("felt emotion from activations, accuracy", bootstrap(probe), f"chance {1 / len(few):.3f}"),
        told("felt emotion from words, accuracy", bootstrap(lexical)),
        at_least(
            "activations minus words (lower bound)",
            paired_bootstrap(probe, lexical).low,
            1e-9,
            str(paired_bootstrap(probe, lexical)),
        ),
        told("story vectors: felt above shown", bootstrap(above.astype(float)), "chance 0.5"),
    )
    return Section("masking", figures)


def shift_section(base: Bench, tuned: Bench, items: int = 200) -> Section:
    """Change of every reading at the reply slot from base to tuned, with the same vectors, against the plant."""
    world, concepts = base.world, base.world.words
    rng = random.Random(TEST_SEED + 31 + base.seed)
    rest = replace(_QUIET, mute=False)
    documents = [(messages.challenge if n % 2 else messages.ordinary)(world, rng, rest) for n in range(items)]
    prompts = [_until_reply(d) for d in documents]
    twin = replace_host(base, tuned)
    shift = reply_slot(twin, prompts, concepts) - reply_slot(base, prompts, concepts)
    truth = planted_shift(world)
    halves = [shift[k::2].mean(axis=0) for k in (0, 1)]
    mean = shift.mean(axis=0)
    table = [{"concept": c, "shift": float(mean[k]), "planted": float(truth[k])} for k, c in enumerate(concepts)]
    figures = (
        at_least(
            "shift base to tuned against the plant, rank correlation",
            correlation(truth, mean, kind="spearman"),
            0.7,
            "171 concepts",
        ),
        told("split-half reliability of the shift", correlation(halves[0], halves[1])),
    )
    return Section("shift", figures, {"shift": table})


def replace_host(bench: Bench, other: Bench) -> Bench:
    """The first bench's vectors on the second one's network."""
    twin = Bench(other.host, bench.world, bench.stories, bench.tests, bench.seed, bench.neutral)
    twin.__dict__["vectors"] = bench.vectors
    return twin
