"""From moments to a vector set: centre, find neutral components, remove them, normalise."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np
from jaxtyping import Float

from thymos.errors import CorpusError, LayerError
from thymos.models import Host
from thymos.texts import Corpus
from thymos.vectors.card import Card, CorpusCard, DenoiseCard, ModelCard, make_card
from thymos.vectors.checkpoint import Collected
from thymos.vectors.denoise import NeutralComponents, neutral_components, remove
from thymos.vectors.emotion_vectors import EmotionVectors, LayerVectors
from thymos.vectors.estimators import DifferenceOfMeans, Estimator, LayerData, TextRows
from thymos.vectors.moments import SketchScatter
from thymos.vectors.plan import NEUTRAL_FIRST_TOKEN, ExtractionSettings, Tally

__all__ = ["BuildSettings", "build_vectors", "model_card", "unit_rows", "versions"]


@dataclass(frozen=True)
class BuildSettings:
    """What is done with the moments."""

    estimator: Estimator = DifferenceOfMeans()
    neutral_unit: Literal["tokens", "dialogues"] = "tokens"
    """Neutral components of single tokens or of text means; the paper does not say which, so the other is reported."""
    neutral_share: float = 0.5
    """Share of neutral variance removed."""
    layer: int | None = None
    """The chosen layer; None: two thirds of the way through."""
    layer_choice: str | None = None


def build_vectors(
    host: Host,
    collected: Collected,
    corpora: tuple[Corpus, Corpus],
    settings: ExtractionSettings,
    build: BuildSettings | None = None,
    rows: Callable[[int], TextRows] | None = None,
) -> EmotionVectors:
    """Estimate, denoise and normalise every layer (Sofroniew et al. 2026, extraction, steps 3-5).

    Args:
        host: The model.
        collected: Moments of the corpora.
        corpora: Stories and neutral texts, for the card.
        settings: How the moments were made.
        build: Estimator and denoising.
        rows: Gives the kept per-text means of a layer; needed by estimators that look at single texts.

    Raises:
        CorpusError: A concept has no stories, or its direction is zero; too few neutral texts; or an estimator needs
            rows that were not kept.
        LayerError: The chosen layer was not extracted.
    """
    how = build or BuildSettings()
    if how.layer is not None and how.layer not in settings.layers:
        raise LayerError(f"the chosen layer {how.layer} is not among the extracted layers {list(settings.layers)}")
    _check_counts(collected)
    means = collected.stories.means()
    norms = collected.tokens.mean_norm()
    layers: dict[int, LayerVectors] = {}
    kept: dict[int, NeutralComponents] = {}
    other: dict[int, NeutralComponents] = {}
    agreement: dict[int, float] = {}
    scatters = {"tokens": collected.tokens.scatters, "dialogues": collected.dialogues.scatters}
    alternative = "dialogues" if how.neutral_unit == "tokens" else "tokens"
    for place, layer in enumerate(settings.layers):
        raw = how.estimator.fit(LayerData(means[place], _rows(rows, layer)))
        kept[layer] = neutral_components(scatters[how.neutral_unit][place], how.neutral_share)
        clean = unit_rows(remove(raw, kept[layer].basis), collected.concepts)
        # The other unit is only reported: a sketch too small for it must not fail the build.
        with contextlib.suppress(CorpusError):
            other[layer] = neutral_components(scatters[alternative][place], how.neutral_share)
            agreement[layer] = _agreement(clean, remove(raw, other[layer].basis))
        layers[layer] = LayerVectors(
            vectors=clean.astype(np.float32),
            raw=raw.astype(np.float32),
            mean=means[place].mean(axis=0).astype(np.float32),
            neutral=kept[layer].basis,
            norm=float(np.float32(norms[place])),
        )
    denoise = DenoiseCard(
        unit=how.neutral_unit,
        first_token=NEUTRAL_FIRST_TOKEN,
        share=how.neutral_share,
        components={layer: found.count for layer, found in kept.items()},
        alternative={layer: found.count for layer, found in other.items()},
        agreement=agreement,
        sketch=next((s.size for s in collected.tokens.scatters if isinstance(s, SketchScatter)), None),
    )
    return EmotionVectors(layers, _card(host, collected, corpora, settings, how, denoise))


def _check_counts(collected: Collected) -> None:
    """Raise a CorpusError if merged parts left a concept without stories, or too few neutral texts."""
    empty = [c for c, n in zip(collected.concepts, collected.stories.counts, strict=True) if n == 0]
    if empty:
        raise CorpusError(
            f"no part of the corpus has a usable story of {', '.join(empty[:5])} ({len(empty)} concept(s)); extract "
            "the parts with a subset of the vocabulary, or lower --start-token"
        )
    if collected.dialogues.count < 2:
        raise CorpusError(f"the parts have {collected.dialogues.count} usable neutral text(s); at least 2 are needed")


def _rows(rows: Callable[[int], TextRows] | None, layer: int) -> Callable[[], TextRows]:
    def load() -> TextRows:
        if rows is None:
            raise CorpusError("this estimator looks at single texts, but none were kept; raise --keep-texts")
        return rows(layer)

    return load


def unit_rows(
    rows: Float[np.ndarray, "concepts hidden"], concepts: tuple[str, ...]
) -> Float[np.ndarray, "concepts hidden"]:
    """Rows of length 1.

    Raises:
        CorpusError: A row is zero: the concept's stories do not differ from the others'.
    """
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    if (sizes == 0).any():
        name = concepts[int(np.argmin(sizes))]
        raise CorpusError(f"the direction of {name!r} is zero: its stories do not differ from those of other concepts")
    found: Float[np.ndarray, "concepts hidden"] = rows / sizes
    return found


def _agreement(left: Float[np.ndarray, "concepts hidden"], right: Float[np.ndarray, "concepts hidden"]) -> float:
    sizes = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(np.median((left * right).sum(axis=1) / np.where(sizes == 0, 1.0, sizes)))


def _card(
    host: Host,
    collected: Collected,
    corpora: tuple[Corpus, Corpus],
    settings: ExtractionSettings,
    how: BuildSettings,
    denoise: DenoiseCard,
) -> Card:
    default = min(settings.layers, key=lambda layer: (abs(layer - host.layer_at(2 / 3)), layer))
    return make_card(
        concepts=collected.concepts,
        layers=settings.layers,
        layer=how.layer if how.layer is not None else default,
        layer_choice=how.layer_choice or ("given by hand" if how.layer is not None else "two thirds of the depth"),
        model=model_card(host),
        estimator=how.estimator.name,
        estimator_settings=how.estimator.settings,
        first_token=settings.first_token,
        max_tokens=settings.max_tokens,
        format=settings.format,
        counts={c: int(n) for c, n in zip(collected.concepts, collected.stories.counts, strict=True)},
        stories=_corpus_card(corpora[0], collected.tallies["stories"]),
        neutral=_corpus_card(corpora[1], collected.tallies["neutral"]),
        denoise=denoise,
        seed=settings.seed,
        batch_tokens=settings.batch_tokens,
        notes=_notes(collected, denoise),
        versions=versions(),
    )


def _notes(collected: Collected, denoise: DenoiseCard) -> tuple[str, ...]:
    found = []
    stories = collected.tallies["stories"]
    if stories.short:
        found.append(f"{stories.short} stories were too short and were left out")
    if stories.unlabelled:
        found.append(f"{stories.unlabelled} texts had no emotion label and were left out")
    if denoise.sketch is not None:
        found.append(f"neutral components come from a sketch of {denoise.sketch} rows (memory budget)")
    return tuple(found)


def model_card(host: Host) -> ModelCard:
    """What identifies a model in a card."""
    return ModelCard(
        id=host.name,
        revision=host.revision,
        fingerprint=host.fingerprint,
        architecture=host.architecture,
        n_layers=host.n_layers,
        hidden_size=host.hidden_size,
        dtype=str(host.dtype).removeprefix("torch."),
    )


def _corpus_card(corpus: Corpus, tally: Tally) -> CorpusCard:
    return CorpusCard(name=corpus.name, sha256=corpus.sha256, texts=corpus.count, used=tally.used, tokens=tally.tokens)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the numbers."""
    found = {}
    for name in ("thymos", "torch", "transformers", "tokenizers", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
