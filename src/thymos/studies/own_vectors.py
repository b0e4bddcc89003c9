"""Vectors of any model from stories that thymos ships, made alike for every checkpoint of a comparison.

A comparison needs the other models' own vectors, and the bench holds those of one model only. So all models of a
comparison read the same stories, the measured one too, and nothing but the model differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from thymos.errors import CorpusError
from thymos.models import Host, Select, Span, Tokens, text_means
from thymos.studies.bench import ENGLISH, Bench
from thymos.studies.stimuli import load_stimuli
from thymos.texts import battery_texts, neutral_dialogues
from thymos.vectors import neutral_components, remove, unit_rows
from thymos.vectors.moments import ExactScatter

__all__ = ["OwnVectors", "Stories", "own_vectors", "same_depth", "shared_stories"]

_FIRST_TOKEN = 50
_NEUTRAL_FIRST_TOKEN = 5
_LEAST_STORIES = 2
_LEAST_CONCEPTS = 8


@dataclass(frozen=True)
class Stories:
    """Labelled stories, as many of each concept, and neutral texts."""

    concepts: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    """Per concept."""
    neutral: tuple[str, ...]

    @property
    def count(self) -> int:
        """Texts that a model reads."""
        return sum(map(len, self.texts)) + len(self.neutral)


def shared_stories(bench: Bench, per_concept: int, neutral: int) -> Stories:
    """The stories that fit a bench: the shipped battery for models of English, the world's own for the bundled one.

    Args:
        bench: Says which.
        per_concept: Stories of each concept, an even number so that both halves have as many.
        neutral: Neutral texts at most.

    Raises:
        CorpusError: Too few stories for two halves, or too few concepts.
    """
    rows: Sequence[Mapping[str, Any]]
    if bench.world == ENGLISH:
        rows = [{"text": text.text, "emotion": text.emotion} for text in battery_texts()]
        calm = [text.text for text in neutral_dialogues()]
    else:
        told = load_stimuli("compare_geometry", bench.world)
        rows, calm = told["stories"], [one["text"] for one in told["neutral"]]
    grouped: dict[str, list[str]] = {}
    for row in rows:
        grouped.setdefault(row["emotion"], []).append(row["text"])
    wanted = per_concept - per_concept % 2
    kept = {concept: texts[:wanted] for concept, texts in grouped.items() if len(texts) >= wanted}
    if wanted < _LEAST_STORIES or len(kept) < _LEAST_CONCEPTS:
        raise CorpusError(
            f"{len(kept)} concepts have {per_concept} stories; a comparison needs at least {_LEAST_CONCEPTS} concepts "
            f"with {_LEAST_STORIES} stories each; change --set stories"
        )
    return Stories(tuple(kept), tuple(map(tuple, kept.values())), tuple(calm[:neutral]))


@dataclass(frozen=True, eq=False)
class OwnVectors:
    """Denoised unit vectors of one model from all stories, and from either half of them."""

    concepts: tuple[str, ...]
    layers: tuple[int, ...]
    whole: Float[np.ndarray, "layers concepts hidden"]
    halves: Float[np.ndarray, "2 layers concepts hidden"]
    """From the stories with even, and with odd numbers of each concept."""


def own_vectors(host: Host, stories: Stories, layers: Sequence[int]) -> OwnVectors:
    """Vectors of one model: concept mean minus grand mean, neutral components taken out, length 1.

    The recipe of Sofroniew et al. 2026, on text means: stories from their 50th token on (from their middle on where
    they are shorter than 100), neutral components of half the variance of neutral texts.
    """
    flat = [text for texts in stories.texts for text in texts]
    rows = _means(host, flat, layers, _FIRST_TOKEN).reshape(len(stories.concepts), -1, len(layers), host.hidden_size)
    calm = _means(host, stories.neutral, layers, _NEUTRAL_FIRST_TOKEN)
    bases = [_basis(calm[:, place]) for place in range(len(layers))]
    parts = [rows, rows[:, 0::2], rows[:, 1::2]]
    made = [np.stack([_clean(part[:, :, k], bases[k], stories.concepts) for k in range(len(layers))]) for part in parts]
    return OwnVectors(stories.concepts, tuple(layers), made[0], np.stack(made[1:]))


def _means(
    host: Host, texts: Sequence[str], layers: Sequence[int], first_token: int
) -> Float[np.ndarray, "texts layers hidden"]:
    marked = []
    for tokens in host.tokens_of(list(texts)):
        content = np.flatnonzero(~tokens.special)
        if not len(content):
            raise CorpusError(f"the tokenizer of {host.name!r} gives no tokens for a story")
        used = content[min(first_token - 1, len(content) // 2) :]
        marked.append(Tokens(ids=tokens.ids, special=~np.isin(np.arange(len(tokens)), used)))
    return text_means(host, marked, tuple(layers), Span(select=Select(), batch_tokens=host.batch_tokens))


def _basis(rows: Float[np.ndarray, "texts hidden"]) -> Float[np.ndarray, "k hidden"]:
    scatter = ExactScatter(rows.shape[1])
    scatter.add(torch.from_numpy((rows - rows.mean(axis=0)).astype(np.float32)))
    return neutral_components(scatter).basis


def _clean(
    rows: Float[np.ndarray, "concepts stories hidden"], basis: Float[np.ndarray, "k hidden"], concepts: tuple[str, ...]
) -> Float[np.ndarray, "concepts hidden"]:
    means = rows.astype(np.float64).mean(axis=1)
    found: Float[np.ndarray, "concepts hidden"] = unit_rows(remove(means - means.mean(axis=0), basis), concepts).astype(
        np.float32
    )
    return found


def same_depth(layer: int, host: Host, other: Host) -> int:
    """The layer of another model at the same depth."""
    return other.layer_at((layer + 1) / host.n_layers)
