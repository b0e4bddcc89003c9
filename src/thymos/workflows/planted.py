"""A vector set of the model organism beside the planted truth of its world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from thymos.behaviour import DecisionPoint, DoseCurve, Options, decision_point, dose_curve, scan_directions
from thymos.concepts import EMOTIONS
from thymos.geometry import GeometryMap
from thymos.models import Host, Select, Span, text_means
from thymos.organism.dispositions import chances
from thymos.organism.documents import Document
from thymos.organism.scorecard.bench import ranks, scores_of
from thymos.organism.stimuli import decision_points, held_out_stories
from thymos.organism.world import World
from thymos.stats import bootstrap, correlation
from thymos.vectors import EmotionVectors

__all__ = ["Beside", "Conduct", "Held", "axes_beside", "conduct_of", "held_of", "reading_beside", "steering_beside"]

STEERED = ("desperate", "calm")
"""The two emotions whose planted effect on cheating is largest, up and down (Sofroniew et al. 2026, reward hacking)."""
OUTCOME = "hack"
_STRENGTHS = (-0.2, -0.1, 0.1, 0.2)
_DEVELOPMENT = 50
"""Added to the seed: points that the layer is chosen on and nothing is reported from."""


@dataclass(frozen=True)
class Beside:
    """One figure beside what was planted."""

    question: str
    seen: str
    """Estimate with its 95% interval."""
    planted: str
    """What a perfect reader, or the world itself, would give."""
    chance: str
    n: str

    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of a table."""
        return self.question, self.seen, self.planted, self.chance, self.n


@dataclass(frozen=True, eq=False)
class Held:
    """Held-out stories of the world, read with the vectors."""

    documents: tuple[Document, ...]
    new: Float[np.ndarray, " stories"]
    """1 where phrases and topic occur in no training document."""
    scores: Float[np.ndarray, "stories concepts"]
    truth: tuple[int, ...]


def held_of(host: Host, vectors: EmotionVectors, world: World, per_emotion: int, seed: int) -> Held:
    """Read held-out stories of every emotion, at the vectors' chosen layer.

    Args:
        host: The model.
        vectors: Vectors of the 171 concepts, in the world's order.
        world: The world.
        per_emotion: Stories of each emotion; every third has new phrases and topics.
        seed: Equal seeds give equal stories.
    """
    made = [(d, pool) for d, pool in held_out_stories(world, per_emotion, seed) if d.emotion in vectors.concepts]
    select = Select(start_token=vectors.card.first_token)
    tokens = [host.tokens(document.text) for document, _ in made]
    rows = text_means(host, tokens, (vectors.layer,), Span(select=select, batch_tokens=host.batch_tokens))[:, 0]
    return Held(
        documents=tuple(document for document, _ in made),
        new=np.array([pool == "test" for _, pool in made], np.float64),
        scores=scores_of(vectors, rows, vectors.layer),
        truth=tuple(vectors.index(document.emotion or "") for document, _ in made),
    )


def reading_beside(held: Held, concepts: Sequence[str]) -> tuple[Beside, ...]:
    """How well the planted emotion of held-out stories is named: top 1, top 5, and its cluster."""
    truth = np.array(held.truth)
    rank = ranks(held.scores, truth)
    clusters = np.array([EMOTIONS[word].cluster or "" for word in concepts])
    right = clusters[held.scores.argmax(axis=1)] == clusters[truth]
    _, sizes = np.unique(clusters, return_counts=True)
    new = held.new > 0
    n = f"{len(truth)} held-out stories of the world"
    found = [
        ("Planted emotion of a story: first of 171", rank == 0, 1 / len(concepts), n),
        ("The same, among the first five", rank < 5, 5 / len(concepts), n),
        ("Its cluster, of ten", right, float((sizes / sizes.sum()).max()), f"{n}; chance: the largest cluster"),
    ]
    if new.sum() > 1:
        few = f"{int(new.sum())} of these stories"
        found.append(("First of 171, phrases and topics never trained on", rank[new] == 0, 1 / len(concepts), few))
    return tuple(
        Beside(
            question, f"{bootstrap(hits.astype(np.float64)):.2f}", "1.00: one emotion a story", f"{chance:.3f}", size
        )
        for question, hits, chance, size in found
    )


def axes_beside(geometry: GeometryMap, world: World) -> tuple[Beside, ...]:
    """Do the principal components follow planted valence and arousal."""
    scores = geometry.pca.scores
    rows = [world.row(word) for word in geometry.concepts]
    found = []
    for name, places in (("valence", (0,)), ("arousal", (1, 2))):
        planted = world.axis(name)[rows]
        usable = [place for place in places if place < scores.shape[1]]
        best = max(usable, key=lambda place: abs(np.corrcoef(scores[:, place], planted)[0, 1]))
        sign = np.sign(np.corrcoef(scores[:, best], planted)[0, 1])
        which = f"PC{best + 1}" if len(places) == 1 else f"PC{best + 1}, the better of PC2 and PC3"
        found.append(
            Beside(
                f"|r| of {which} with planted {name}",
                f"{correlation(sign * scores[:, best], planted).interval:.2f}",
                "1.00: the axis itself",
                f"about {np.sqrt(2 / (np.pi * len(planted))):.2f}",
                f"{len(planted)} concepts",
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Conduct:
    """One behaviour under two vectors and random directions."""

    curve: DoseCurve
    layer: int
    ceiling: float
    """Planted probability of the outcome when the assistant is desperate."""
    floor: float
    """And when it is calm."""
    rest: float
    """Mean planted probability at the points as they are."""


def conduct_of(
    host: Host,
    vectors: EmotionVectors,
    world: World,
    sizes: tuple[int, int],
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Conduct:
    """Cheating at held-out decision points, under desperate and calm and as many random directions of equal length.

    Args:
        host: The model.
        vectors: The set.
        world: The world.
        sizes: Decision points, and random directions.
        seed: Of points and directions.
        on_progress: Called with (done, all).
    """
    layer = _steering_layer(host, vectors, _ready(host, world, max(2, sizes[0] // 3), seed + _DEVELOPMENT))
    points = decision_points(world, "cheat", sizes[0], seed)
    curve = dose_curve(
        host,
        [decision_point(host, point.prompt, Options(dict(point.options))) for point in points],
        {name: vectors[name] for name in STEERED},
        _STRENGTHS,
        OUTCOME,
        randoms=sizes[1],
        in_span=0,
        seed=seed,
        layer=layer,
        on_progress=on_progress,
    )
    ceiling, floor = (chances("cheat", name, world)[OUTCOME] for name in STEERED)
    rest = float(np.mean([point.chances[OUTCOME] for point in points]))
    return Conduct(curve, layer, ceiling, floor, rest)


def _ready(host: Host, world: World, count: int, seed: int) -> list[DecisionPoint]:
    points = decision_points(world, "cheat", count, seed)
    return [decision_point(host, point.prompt, Options(dict(point.options))) for point in points]


def _steering_layer(host: Host, vectors: EmotionVectors, points: Sequence[DecisionPoint]) -> int:
    """The layer at which the two vectors differ most in what they do, on points of development."""
    gaps = []
    for layer in vectors.layers:
        found = vectors.at(layer)
        rows = np.stack([found.vectors[vectors.index(name)] for name in STEERED]) * max(_STRENGTHS) * found.norm
        up, down = scan_directions(host, points, {layer: rows.astype(np.float32)}).of(OUTCOME).mean(axis=1)
        gaps.append(float(up - down))
    return vectors.layers[int(np.argmax(gaps))]


def steering_beside(conduct: Conduct) -> tuple[Beside, ...]:
    """What the largest dose of both vectors does, beside the planted probabilities and the random directions."""
    curve, dose = conduct.curve, max(_STRENGTHS)
    at = f"{len(curve.baseline)} held-out points, layer {conduct.layer}"
    random = curve.changes[[arm == "random" for arm in curve.arms], -1]
    found = [
        Beside(
            "Cheating without steering", f"{bootstrap(curve.zero):.2f}", f"{conduct.rest:.2f} at these points", "", at
        )
    ]
    for name, planted in zip(STEERED, (conduct.ceiling, conduct.floor), strict=True):
        beyond = curve.beyond_random(name, dose)
        where = "outside" if beyond.outside else "inside"
        change = curve.effect(name, dose)
        found.append(
            Beside(
                f"Change under {name} {dose:+g}",
                f"{change:+.2f}",
                f"{planted - conduct.rest:+.2f} if it were all {name} ({planted:.2f})",
                f"{where} {beyond.n} random: {random.min():+.2f} to {random.max():+.2f}",
                at,
            )
        )
    return tuple(found)
