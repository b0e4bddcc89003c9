"""Does a steered concept vector raise its own word in what is said about a feeling, and nothing else?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.behaviour import DecisionPoint, Options, decision_point, scan_directions, score_decisions, tokens_at
from thymos.models import Add, Sampling, Select, chat_tokens, generate
from thymos.stats import bootstrap, directions_in_span, permutation_test, random_directions
from thymos.studies.bench import Bench, Context
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.readouts import known_of, rounded, told_against
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record, Records
from thymos.texts import topics_for

__all__ = ["SteeringValidation", "SteeringValidationSettings"]

_FRAMES = {
    "third_person": "what a third person feels",
    "first_person": "what the assistant feels",
    "no_story": "what just happened",
}
_PAPER = "diagonal rises, the rest mostly falls; more cross-talk in the first person (colours, no numbers)"
_ADVICE = "give prompts and prefixes after which this model names feelings"
_TINY = np.finfo(np.float64).tiny
_COMMON = 5
"""Shorter words of the topics say nothing about a story."""

_TURN = Select(roles=("assistant",))
"""The assistant's turn up to and with the prefix; the header belongs to the template."""

Changes = Float[np.ndarray, "directions prompts words"]


@dataclass(frozen=True)
class SteeringValidationSettings(Settings):
    """Settings of `steering-validation`."""

    prompts: int = option(8, "prompts per frame")
    strength: float = option(0.5, "dose of the claims, a fraction of the mean residual norm")
    others: tuple[float, ...] = option((-0.5, 0.1, 0.25), "further doses of the concept vectors")
    randoms: int = option(200, "random directions of equal norm")
    spanned: int = option(24, "random directions inside the span of the vectors")
    permutations: int = option(4000, "shuffles of which vector belongs to which word")
    least_mass: float = option(1e-5, "least probability of all the words together; below it they are not what is said")
    completions: int = option(6, "prompts of the no-story control that are written out under every vector")
    told_tokens: int = option(24, "tokens of each of them")
    told_randoms: int = option(24, "random directions under which they are written out too")

    @classmethod
    def quick(cls) -> "SteeringValidationSettings":
        """Six prompts per frame, one more dose."""
        return cls(prompts=6, others=(-0.5,), permutations=2000, completions=3, told_randoms=12)


class SteeringValidation(Study):
    """The matrix of steered vectors and scored words behind "He feels" and "I feel", and the no-story control."""

    name = "steering-validation"
    question = "Does steering with a concept vector raise the probability of that concept's word above the others?"
    source = "Sofroniew et al. 2026, steering validation"
    settings = SteeringValidationSettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: SteeringValidationSettings) -> Blocks:
        """Base rates of each frame first, its matrix where the words are what is said, then completions."""
        told = load_stimuli("validation", bench.world)
        words = known_of(bench, told["words"])
        for frame in _FRAMES:
            points = _points(bench, told[frame][: settings.prompts], words)
            base = yield _base_block(bench, f"base/{frame}", points, words)
            if _mass(base) >= settings.least_mass or frame == "no_story":
                yield _matrix_block(bench, frame, points, words, settings)
        yield _told_block(bench, told["no_story"][: settings.completions], words, settings)

    def analyse(self, records: Records, context: Context, settings: SteeringValidationSettings) -> Findings:
        """Diagonal against the rest in each frame, beside random directions, the span and the wrong words."""
        estimates: list[Estimate] = []
        tables: dict[str, list[dict[str, Any]]] = {"matrix": [], "words": []}
        refusals = []
        for frame, words in _FRAMES.items():
            mass = _mass(records[f"base/{frame}"])
            estimates.append(estimate(f"{frame}: probability of the words together, no dose", mass))
            if f"matrix/{frame}" not in records:
                refusals.append(
                    f"{frame}: the words that are scored have a probability of {mass:.1g} together (needed: "
                    f"{settings.least_mass:g}), so they are not what the model says about {words}; {_ADVICE}"
                )
                continue
            rows = records[f"matrix/{frame}"]
            estimates.append(_zero(frame, rows, records[f"base/{frame}"]))
            estimates += _claims(frame, rows, settings, context)
            tables["matrix"] += _matrix_table(frame, rows, settings)
            tables["words"] += _word_table(frame, rows, settings)
        estimates += _stories(records["completions"], context)
        tables["completions"] = _completion_table(records["completions"])
        estimates.sort(key=lambda one: not one.primary)
        return Findings(tuple(estimates), tables, tuple(refusals))


def _points(bench: Bench, told: Sequence[Mapping[str, Any]], words: Sequence[str]) -> list[DecisionPoint]:
    options = Options({word: (f" {word}",) for word in words})
    return [
        decision_point(bench.host, ({"role": "user", "content": one["user"]},), options, one["prefix"], id=one["id"])
        for one in told
    ]


def _base_block(bench: Bench, name: str, points: Sequence[DecisionPoint], words: Sequence[str]) -> Block:
    """Log-probabilities without any hook. Records: `id`, `text`, `ids`, `words`, `logp` by word, `mass`."""

    def make() -> Iterator[Record]:
        found = score_decisions(bench.host, points)
        for number, point in enumerate(points):
            tokens = tokens_at(bench.host, point)
            yield {
                **{"id": point.id, "text": tokens.text, "ids": tokens.ids.tolist(), "words": words},
                "logp": rounded(_log(found.probabilities[number], found.mass[number : number + 1])),
                "mass": float(found.mass[number]),
            }

    return Block(name, len(points), make)


def _log(shares: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Log-probabilities of words from their shares of all the words."""
    found: np.ndarray = np.log(np.maximum(shares, _TINY)) + np.log(np.maximum(mass, _TINY))
    return found


def _matrix_block(
    bench: Bench,
    frame: str,
    points: Sequence[DecisionPoint],
    words: Sequence[str],
    settings: SteeringValidationSettings,
) -> Block:
    """Every word under every direction.

    Records: first `names`, `arms` ("zero", "vector", "random", "span"), `strengths`, `layer` and `norm` of the
    conditions, then one per prompt: `id` and `logp` [conditions][words].
    """
    name = f"matrix/{frame}"

    def make() -> Iterator[Record]:
        found = bench.vectors.at(bench.steered)
        names, arms, strengths, rows = _conditions(bench, words, settings)
        shifts = {bench.steered: (rows * found.norm * np.asarray(strengths)[:, None]).astype(np.float32)}
        scored = scan_directions(bench.host, points, shifts, select=_TURN)
        yield {
            **{"names": names, "arms": arms, "strengths": strengths, "words": words},
            **{"layer": bench.steered, "norm": found.norm},
        }
        logs = _log(scored.probabilities, scored.mass[..., None])
        for number, point in enumerate(points):
            yield {"id": point.id, "logp": rounded(logs[:, number])}

    return Block(name, len(points) + 1, make)


def _conditions(
    bench: Bench, words: Sequence[str], settings: SteeringValidationSettings
) -> tuple[list[str], list[str], list[float], Float[np.ndarray, "conditions hidden"]]:
    """A zero dose, the vectors at every dose, and the controls at the dose of the claims."""
    own = bench.vectors.at(bench.steered).vectors[[bench.vectors.index(word) for word in words]]
    names, arms, strengths, rows = ["zero"], ["zero"], [0.0], [np.zeros((1, own.shape[1]))]
    for dose in dict.fromkeys((settings.strength, *settings.others)):
        names += list(words)
        arms += ["vector"] * len(own)
        strengths += [dose] * len(own)
        rows.append(own.astype(np.float64))
    controls: list[tuple[str, np.ndarray]] = []
    if settings.randoms:
        controls.append(("random", random_directions(settings.randoms, own.shape[1], bench.seed_for("random"))))
    if settings.spanned:
        controls.append(("span", directions_in_span(own, settings.spanned, bench.seed_for("span"))))
    for arm, some in controls:
        names += [f"{arm} {number}" for number in range(len(some))]
        arms += [arm] * len(some)
        strengths += [settings.strength] * len(some)
        rows.append(some.astype(np.float64))
    return names, arms, strengths, np.concatenate(rows)


def _told_block(
    bench: Bench,
    told: Sequence[Mapping[str, Any]],
    words: Sequence[str],
    settings: SteeringValidationSettings,
) -> Block:
    """What is written about nothing in particular under each vector. Records: `id`, `name`, `arm`, `reply`, `story`.

    `story` is the share of its longer words that belong to the topics which stories were written about, and not to the
    prompt.
    """
    layer = bench.steered
    found = bench.vectors.at(layer)
    conditions: list[tuple[str, str, np.ndarray]] = [("zero", "zero", np.zeros(found.vectors.shape[1], np.float32))]
    conditions += [(word, "vector", found.vectors[bench.vectors.index(word)]) for word in words]
    if settings.told_randoms:
        drawn = random_directions(settings.told_randoms, found.vectors.shape[1], bench.seed_for("told"))
        conditions += [(f"random {number}", "random", row) for number, row in enumerate(drawn)]

    def make() -> Iterator[Record]:
        prompts = [chat_tokens(bench.host, ({"role": "user", "content": one["user"]},)) for one in told]
        listed = _long_words(" ".join(topics_for(bench.host)))
        how = Sampling(max_new_tokens=settings.told_tokens)
        for name, arm, row in conditions:
            push = Add({layer: row}, settings.strength, {layer: found.norm}, Select(where="reply", special=True))
            for one, reply in zip(told, generate(bench.host, prompts, how, interventions=(push,)), strict=True):
                said = _long_words(reply.text) - _long_words(one["user"])
                share = len(said & listed) / len(said) if said else 0.0
                yield {"id": one["id"], "name": name, "arm": arm, "reply": reply.text, "story": share}

    return Block("completions", len(conditions) * len(told), make)


def _long_words(text: str) -> frozenset[str]:
    cleaned = "".join(letter if letter.isalpha() else " " for letter in text.lower())
    return frozenset(word for word in cleaned.split() if len(word) >= _COMMON)


def _mass(rows: Sequence[Record]) -> float:
    return float(np.mean([row["mass"] for row in rows]))


def _changes(rows: Sequence[Record], arm: str, strength: float) -> Changes:
    """Change of log-probability against the zero dose through the same hook."""
    head, *cases = rows
    logs = np.asarray([case["logp"] for case in cases], np.float64)
    chosen = [
        at
        for at, (kind, dose) in enumerate(zip(head["arms"], head["strengths"], strict=True))
        if kind == arm and dose == strength
    ]
    zero = logs[:, head["arms"].index("zero")]
    return np.moveaxis(logs[:, chosen] - zero[:, None], 0, 1)


def _zero(frame: str, rows: Sequence[Record], base: Sequence[Record]) -> Estimate:
    """What nothing at all, added through the same hook, changes: rounding, unless something is wrong."""
    zero = rows[0]["arms"].index("zero")
    gaps = [np.abs(np.subtract(one["logp"][zero], two["logp"])).max() for one, two in zip(rows[1:], base, strict=True)]
    return estimate(f"{frame}: zero dose through the same hook, largest change of log-probability", float(max(gaps)))


def _specific(matrix: Float[np.ndarray, "words words"]) -> float:
    """Mean of the diagonal minus mean of the rest: what a vector does to all words, and to a word by all, drops out."""
    count = len(matrix)
    own = float(np.trace(matrix)) / count
    return own - (float(matrix.sum()) - own * count) / (count * (count - 1))


def _claims(
    frame: str, rows: Sequence[Record], settings: SteeringValidationSettings, context: Context
) -> list[Estimate]:
    changes = _changes(rows, "vector", settings.strength)
    whole = changes.mean(axis=1)
    place = np.arange(len(whole))
    each = np.array([_specific(changes[:, prompt]) for prompt in range(changes.shape[1])])
    seen = bootstrap(each, seed=context.seed)
    null = permutation_test(
        lambda order: float(whole[place, order].mean()),
        place,
        permutations=settings.permutations,
        seed=context.seed,
    )
    nulls = {
        f"sets of {kind}": _random_sets(_changes(rows, arm, settings.strength), len(place), context.seed)
        for kind, arm in (("random directions", "random"), ("directions in the span", "span"))
    }
    control = frame == "no_story"
    more: dict[str, Any] = told_against(float(seen.estimate), nulls) | {"p": null.p, "paper": _PAPER}
    if not control:
        planted = "the word follows the feeling" if context.planted else ""
        more |= {"side": "at least", "mark": 0.0, "primary": True, "truth": planted}
    own = np.stack([np.diagonal(changes[:, prompt]) for prompt in range(changes.shape[1])])
    rest = (changes.sum(axis=(0, 2)) - own.sum(axis=1)) / (len(place) * (len(place) - 1))
    return [
        estimate(f"{frame}: own word minus the others, change of log-probability", seen, **more),
        estimate(f"{frame}: own word, change of log-probability", bootstrap(own.mean(axis=1), seed=context.seed)),
        estimate(f"{frame}: other words, change of log-probability", bootstrap(rest, seed=context.seed)),
        *_hits(frame, whole),
        *_significant(frame, rows, settings),
        *_doses(frame, rows, settings, context),
    ]


def _random_sets(changes: Changes, kinds: int, seed: int, draws: int = 200) -> Float[np.ndarray, " draws"]:
    """Diagonal minus rest of as many control directions as there are words."""
    if len(changes) < kinds:
        return np.zeros(0)
    rng, whole = np.random.default_rng(seed), changes.mean(axis=1)
    return np.array([_specific(whole[rng.choice(len(whole), kinds, replace=False)]) for _ in range(draws)])


def _hits(frame: str, whole: Float[np.ndarray, "words words"]) -> list[Estimate]:
    """How often the own word gains most under a vector, once what a word gains under all vectors is out."""
    centred = whole - whole.mean(axis=0)
    place = np.arange(len(whole))
    by_vector = float((centred.argmax(axis=1) == place).mean())
    by_word = float((whole.argmax(axis=0) == place).mean())
    chance = 1 / len(place)
    return [
        estimate(f"{frame}: vectors under which the own word gains most", by_vector, n=len(place), chance=chance),
        estimate(f"{frame}: words that gain most under the own vector", by_word, n=len(place), chance=chance),
    ]


def _family(rows: Sequence[Record], settings: SteeringValidationSettings) -> tuple[np.ndarray, np.ndarray]:
    """Change of every own word, and its p-value against the largest of all words under random directions."""
    own = np.diagonal(_changes(rows, "vector", settings.strength).mean(axis=1))
    randoms = _changes(rows, "random", settings.strength).mean(axis=1)
    middle, spread = randoms.mean(axis=0), np.maximum(randoms.std(axis=0), 1e-12)
    largest = ((randoms - middle) / spread).max(axis=1)
    z = (own - middle) / spread
    return own, (1.0 + (largest[None] >= z[:, None]).sum(axis=1)) / (1.0 + len(largest))


def _significant(frame: str, rows: Sequence[Record], settings: SteeringValidationSettings) -> list[Estimate]:
    if settings.randoms < 2:
        return []
    own, p = _family(rows, settings)
    note = f"against the largest of all words under each of {settings.randoms} random directions, p < .05"
    clear = float((p < 0.05).mean())
    name = f"{frame}: vectors whose own word rises beyond random directions, share"
    return [estimate(name, clear, n=len(own), note=note, paper="12 of 12, without random directions")]


def _doses(
    frame: str, rows: Sequence[Record], settings: SteeringValidationSettings, context: Context
) -> list[Estimate]:
    found = []
    for dose in settings.others:
        changes = _changes(rows, "vector", dose)
        each = np.array([_specific(changes[:, prompt]) for prompt in range(changes.shape[1])])
        name = f"{frame}: own word minus the others at {dose:+g}"
        note = "the other sign should lower it" if dose < 0 else ""
        found.append(estimate(name, bootstrap(each, seed=context.seed), note=note))
    return found


def _stories(rows: Sequence[Record], context: Context) -> list[Estimate]:
    """Whether steering brings in what the stories were about."""
    by_arm = {arm: _story_shares(rows, arm) for arm in ("zero", "vector", "random")}
    if not len(by_arm["vector"]):
        return []
    none, own = float(by_arm["zero"].mean()), by_arm["vector"]
    seen: Any = bootstrap(own, seed=context.seed) if len(own) > 1 else float(own.mean())
    words = f"no dose {none:.3f}"
    if len(by_arm["random"]):
        words += f"; random directions {float(by_arm['random'].mean()):.3f}"
    return [
        estimate(
            "no_story: words of story topics in completions, share", seen, control=words,
            paper="no story content, by eye", truth="none" if context.planted else "",
        )
    ]  # fmt: skip


def _story_shares(rows: Sequence[Record], arm: str) -> Float[np.ndarray, " directions"]:
    """Mean share per direction."""
    names = dict.fromkeys(row["name"] for row in rows if row["arm"] == arm)
    return np.array([float(np.mean([row["story"] for row in rows if row["name"] == name])) for name in names])


def _matrix_table(frame: str, rows: Sequence[Record], settings: SteeringValidationSettings) -> list[dict[str, Any]]:
    words = rows[0]["words"]
    whole = _changes(rows, "vector", settings.strength).mean(axis=1)
    return [
        {"frame": frame, "steered": one, "scored": two, "change": float(whole[row, column])}
        for row, one in enumerate(words)
        for column, two in enumerate(words)
    ]


def _word_table(frame: str, rows: Sequence[Record], settings: SteeringValidationSettings) -> list[dict[str, Any]]:
    if settings.randoms < 2:
        return []
    own, p = _family(rows, settings)
    return [
        {"frame": frame, "concept": word, "change": float(change), "p_family": float(one)}
        for word, change, one in zip(rows[0]["words"], own, p, strict=True)
    ]


def _completion_table(rows: Sequence[Record]) -> list[dict[str, Any]]:
    kept = [row for row in rows if row["arm"] != "random"]
    return [{key: row[key] for key in ("id", "name", "reply", "story")} for row in kept]
