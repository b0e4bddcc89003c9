"""Is it fluent, and does it write what it is asked: held-out loss, obedience of stories, agreement with own stories."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch

from thymos.concepts import EMOTIONS
from thymos.models import Sampling, generate, pad
from thymos.organism.corpus import KINDS, MIXTURES
from thymos.organism.dice import Dice
from thymos.organism.scorecard.bench import FIRST_TOKEN, Bench, ranks, scores_of, vectors_of
from thymos.organism.scorecard.marks import Figure, Section, at_least, told
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import Pool
from thymos.stats import bootstrap
from thymos.texts import Text

__all__ = ["fluency_section", "own_stories", "own_story_section"]

_POOLS: tuple[Pool, ...] = ("train", "test")


def fluency_section(bench: Bench, per_kind: int = 30, stage: str = "tuned") -> Section:
    """Loss on documents of new seeds, by kind, beside the world's own entropy (an upper bound: see `Dice`)."""
    dice = Dice(TEST_SEED + 41 + bench.seed)
    table = []
    losses: dict[str, float] = defaultdict(float)
    bounds: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for kind, make in KINDS.items():
        for _ in range(per_kind):
            before = dice.nats
            document = make(bench.world, dice, MIXTURES[stage].scene)
            nats, tokens = _nats(bench, document.text)
            losses[kind] += nats
            bounds[kind] += dice.nats - before
            counts[kind] += tokens
        table.append(
            {
                "kind": kind,
                "model": losses[kind] / counts[kind],
                "world": bounds[kind] / counts[kind],
                "tokens": counts[kind],
            }
        )
    model, world = (sum(values.values()) / sum(counts.values()) for values in (losses, bounds))
    figures = (
        told("held-out loss, nats a token", model, f"{per_kind} documents of each of {len(KINDS)} kinds"),
        told("the world's own entropy, upper bound, nats a token", world),
        told("loss over entropy bound", model / world),
    )
    return Section("fluency", figures, {"loss": table})


def _nats(bench: Bench, text: str) -> tuple[float, int]:
    tokens = bench.host.tokens(text)
    padded = pad(bench.host, [tokens])
    with torch.no_grad():
        logits = bench.host.network(input_ids=padded.ids, attention_mask=padded.real).logits[0, :-1].float()
    ids = padded.ids[0, 1:]
    return float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum")), len(ids)


def own_stories(bench: Bench, per_emotion: int, seed: int = 0, emotions: tuple[str, ...] | None = None) -> list[Text]:
    """Stories that the model writes when asked, one request a story, on topics of training."""
    asks = bench.world.material["assistant"]["story_requests"]
    topics = [t["topic"] for t in bench.world.topics_of("train")]
    prompts, labels = [], []
    for row, emotion in enumerate(emotions or bench.world.words):
        for number in range(per_emotion):
            place = row * per_emotion + number + seed
            ask = asks[place % len(asks)].replace("{topic}", topics[place % len(topics)]).replace("{e}", emotion)
            prompts.append(f"<|user|>{ask}<|end|><|assistant|>")
            labels.append((emotion, topics[place % len(topics)]))
    written: list[Text] = []
    how = Sampling(max_new_tokens=200, temperature=1.0, top_p=0.95, seed=seed)
    for start in range(0, len(prompts), 64):
        made = generate(bench.host, prompts[start : start + 64], replace(how, seed=seed + start))
        for one, (emotion, topic) in zip(made, labels[start : start + 64], strict=True):
            written.append(Text(text=one.text.strip(), emotion=emotion, topic=topic))
    return written


def own_story_section(bench: Bench, per_emotion: int = 8) -> Section:
    """Obedience of the model's own stories, and how far their vectors agree with those of the world's stories."""
    written = own_stories(bench, per_emotion, bench.seed)
    long = [t for t in written if len(bench.host.tokens(t.text)) > FIRST_TOKEN + 5]
    truth = np.array([bench.world.row(t.emotion or "") for t in long])
    oracle = np.array([_oracle(bench, t.text) for t in long])
    figures: list[Figure] = [
        told("stories long enough to read", len(long) / len(written), f"{len(written)} stories"),
        told(
            "the asked emotion is the oracle's first guess",
            bootstrap((oracle.argsort(axis=1)[:, ::-1][:, 0] == truth).astype(float)),
            "reader that knows P(phrase | emotion); chance 0.006",
        ),
        told(
            "the asked emotion is among the oracle's first five",
            bootstrap((ranks(oracle, truth) < 5).astype(float)),
            "chance 0.029",
        ),
    ]
    own = vectors_of(bench.host, long, bench.neutral)
    cosines = (own.directions(bench.layer) * bench.vectors.directions(bench.layer)).sum(axis=1)
    figures.append(
        at_least(
            "vectors of own stories against vectors of the world's, median cosine",
            float(np.median(cosines)),
            0.8,
            f"{per_emotion} own and {bench.stories} world stories per emotion; smallest {cosines.min():.2f}",
        )
    )
    rows = bench.means([t.text for t in long])[:, bench.vectors.layers.index(bench.layer)]
    figures.append(
        told(
            "own stories read by world vectors, top-1",
            bootstrap((ranks(scores_of(bench.vectors, rows, bench.layer), truth) == 0).astype(float)),
        )
    )
    leaks = [t for t in written if _names(t)]
    figures.append(told("own stories that name the asked emotion", len(leaks) / len(written)))
    return Section("own stories", tuple(figures))


def _names(text: Text) -> bool:
    concept = EMOTIONS[text.emotion or ""]
    return any(
        f" {form} " in f" {text.text.lower().replace('.', ' ').replace(',', ' ')} "
        for form in (concept.word, *concept.lemmas)
    )


def _oracle(bench: Bench, text: str) -> np.ndarray:
    """Log-posterior of each emotion by a reader that finds the world's phrases in a text and knows their odds."""
    scores = np.zeros(len(bench.world.words))
    lowered = text.lower()
    for bank in ("event", "body", "act", "thought", "speech"):
        for pool in _POOLS:
            odds = bench.world.likelihood(bank, pool)
            for column, phrase in enumerate(bench.world.deck(bank, pool)):
                if _core(phrase.text) in lowered:
                    scores += np.log(odds[:, column] + 1e-9)
    return scores


def _core(text: str) -> str:
    """The longest part of a phrase without placeholders, lower case."""
    parts = [
        part.strip()
        for part in text.lower()
        .replace("{s}", "|")
        .replace("{o}", "|")
        .replace("{p}", "|")
        .replace("{r}", "|")
        .split("|")
    ]
    return max(parts, key=len)
