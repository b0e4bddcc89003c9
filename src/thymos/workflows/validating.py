"""`validate`: what is known about the quality of a vector set."""

from collections.abc import Sequence
from pathlib import Path

from thymos.concepts import Vocabulary, resolve
from thymos.models import Host
from thymos.validation import Validation, ValidationSettings, validate_vectors
from thymos.vectors import EmotionVectors, TextMeans

__all__ = ["validate"]


def validate(
    host: Host,
    vectors: EmotionVectors,
    run: Path,
    *,
    concepts: str | Path | Sequence[str] | Vocabulary | None = None,
    settings: ValidationSettings | None = None,
) -> Validation:
    """Validate a vector set on the per-text means its extraction kept.

    Args:
        host: The model, for the logit lens.
        vectors: The set.
        run: The run folder of its extraction.
        concepts: Word forms for the logit lens.
        settings: Folds, seeds, resamples.

    Raises:
        ArtifactError: The run folder holds no means, or those of other layers.
    """
    vectors.check_model(host)
    means = TextMeans(run, vectors.layers, vectors.concepts, vectors.card.model.hidden_size)
    return validate_vectors(means, vectors, host=host, vocabulary=resolve(concepts), settings=settings)
