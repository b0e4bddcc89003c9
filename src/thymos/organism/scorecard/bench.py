"""What every part of the scorecard shares: the model, the world, its vectors and its development layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from thymos.concepts import EMOTIONS
from thymos.models import Host, Select, Span, text_means
from thymos.organism.documents import Document
from thymos.organism.stimuli import held_out_stories
from thymos.organism.world import World
from thymos.texts import Text, open_corpus
from thymos.vectors import EmotionVectors, ExtractionSettings, build_vectors, collect

__all__ = ["FIRST_TOKEN", "Bench", "vectors_of"]

FIRST_TOKEN = 50
"""Stories are read from their 50th token on, as in the paper."""


def vectors_of(host: Host, texts: Sequence[Text], neutral: Sequence[Text], layer: int | None = None) -> EmotionVectors:
    """Vectors of every layer from labelled stories, without validation."""
    settings = ExtractionSettings(
        layers=host.resolve_layers("all"), first_token=FIRST_TOKEN, batch_tokens=host.batch_tokens
    )
    stories, calm = open_corpus(list(texts)), open_corpus(list(neutral))
    found = collect(host, stories, calm, EMOTIONS, settings)
    built = build_vectors(host, found, (stories, calm), settings)
    return built if layer is None else built.with_card(layer=layer)


def as_texts(documents: Sequence[Document]) -> list[Text]:
    """Documents as labelled texts."""
    return [Text(text=d.text, emotion=d.emotion, topic=d.topic) for d in documents]


@dataclass(frozen=True, eq=False)
class Bench:
    """A checkpoint on the bench.

    Attributes:
        host: The checkpoint.
        world: The world it was trained on.
        stories: Held-out stories per emotion that vectors are made from.
        tests: Held-out stories per emotion that they are tested on.
        seed: Of everything random.
        neutral: Neutral documents for the denoising.
    """

    host: Host
    world: World
    stories: int = 24
    tests: int = 12
    seed: int = 0
    neutral: tuple[Text, ...] = ()

    @cached_property
    def training(self) -> list[tuple[Document, str]]:
        """Stories that vectors are made from; none of them was in the training of the network."""
        return held_out_stories(self.world, self.stories, self.seed)

    @cached_property
    def testing(self) -> list[tuple[Document, str]]:
        """Other stories."""
        return held_out_stories(self.world, self.tests, self.seed + 1)

    @cached_property
    def vectors(self) -> EmotionVectors:
        """Vectors of the held-out stories, with the development layer chosen."""
        built = vectors_of(self.host, as_texts([d for d, _ in self.training]), self.neutral)
        return built.with_card(layer=self.layer_of(built), layer_choice="best top-1 on development stories")

    @property
    def layer(self) -> int:
        """The development layer: best top-1 on a third set of stories."""
        return self.vectors.layer

    def layer_of(self, vectors: EmotionVectors) -> int:
        """The layer whose nearest vectors name the feeling of development stories best."""
        documents = [d for d, _ in held_out_stories(self.world, 3, self.seed + 2)]
        truth = np.array([self.world.row(d.emotion or "") for d in documents])
        means = self.means([d.text for d in documents])
        hits = [
            float((ranks(scores_of(vectors, means[:, layer], layer), truth) == 0).mean()) for layer in vectors.layers
        ]
        return vectors.layers[int(np.argmax(hits))]

    def means(self, texts: Sequence[str], select: Select | None = None) -> Float[np.ndarray, "texts layers hidden"]:
        """Mean activations of texts at every layer, from the 50th token on unless selected otherwise."""
        tokens = [self.host.tokens(text) for text in texts]
        chosen = select or Select(start_token=FIRST_TOKEN)
        return text_means(
            self.host, tokens, self.host.resolve_layers("all"), Span(select=chosen, batch_tokens=self.host.batch_tokens)
        )


def scores_of(
    vectors: EmotionVectors, rows: Float[np.ndarray, "texts hidden"], layer: int
) -> Float[np.ndarray, "texts concepts"]:
    """Cosine of centred rows with every direction."""
    found = vectors.at(layer)
    centred = rows - found.mean
    return centred @ found.vectors.T / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def ranks(scores: Float[np.ndarray, "texts concepts"], truth: np.ndarray) -> np.ndarray:
    """Rank of the true concept of each text, 0 the first; ties count against it."""
    own = scores[np.arange(len(truth)), truth]
    return (scores >= own[:, None]).sum(axis=1) - 1
