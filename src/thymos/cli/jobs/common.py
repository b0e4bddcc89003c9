"""What several commands need: models, vector sets, corpora, questions."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.utils.tqdm import disable_progress_bars

from thymos.bundled import MODELS
from thymos.cli.jobs.progress import Meter
from thymos.cli.options import ModelOptions, Output
from thymos.concepts import Vocabulary, resolve
from thymos.errors import CorpusError, UsageError
from thymos.models import PACKAGED, Host, Model, load
from thymos.texts import Corpus, battery_texts, neutral_dialogues, neutral_for, open_corpus, own_wording, twins
from thymos.validation import Validation
from thymos.vectors import EmotionVectors

__all__ = [
    "corpus_of",
    "host_of",
    "hush",
    "is_terminal",
    "layers_of",
    "neutral_of",
    "read_json",
    "reference_of",
    "restricted",
    "set_threads",
    "vectors_of",
    "vocabulary_of",
    "with_quality",
]


def is_terminal() -> bool:
    """Whether a question can be asked and answered."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads; a resumed run must use as many as the one it goes on with."""
    if threads is not None:
        torch.set_num_threads(threads)


def hush(output: Output) -> bool:
    """Whether the libraries' own bars (downloads, weights) are shown: on a terminal only. Their notes never are."""
    shown = sys.stderr.isatty() and not output.quiet
    if not shown:
        disable_progress_bars()
        transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return shown


def host_of(name: str, options: ModelOptions, output: Output, *, self_check: bool | None = None) -> Model:
    """Load a model and say so."""
    set_threads(options.threads)
    shown = hush(output)
    # Bars of a download and a spinner would write over each other.
    here = name in PACKAGED or name in MODELS or Path(name).exists()
    with Meter(replace(output, quiet=output.quiet or (shown and not here))) as meter:
        meter.working(f"loading {name}")
        return load(
            name,
            revision=options.revision,
            dtype=options.dtype,
            device=options.device,
            device_map=options.device_map,
            quantization=options.quantization,
            trust_remote_code=options.trust_remote_code,
            self_check=options.self_check if self_check is None else self_check,
            blocks=options.blocks,
        )


def vectors_of(place: Path, model: str) -> EmotionVectors:
    """A vector set, before its model is loaded.

    Raises:
        UsageError: The two arguments are the wrong way round.
        ArtifactError: No vector set, or a damaged one.
    """
    if not (place / "card.json").is_file() and (Path(model) / "card.json").is_file():
        raise UsageError(f"{model} is a vector set and {place} is not; exchange the two arguments")
    return EmotionVectors.load(place)


def vocabulary_of(concepts: str | None) -> Vocabulary:
    """The vocabulary of a --concepts option."""
    return resolve(concepts)


def corpus_of(source: str) -> Corpus:
    """Labelled stories: a file, or the shipped battery."""
    if source == "battery" and not Path(source).exists():
        return replace(open_corpus(battery_texts()), name="the shipped battery")
    return _opened(source)


def neutral_of(source: str | None, host: Host | None = None) -> Corpus:
    """Neutral texts: a file, those that the model brings, or the shipped dialogues."""
    if source is None or (source == "neutral" and not Path(source).exists()):
        if host is not None and own_wording(host) is not None:
            return neutral_for(host)
        return replace(open_corpus(neutral_dialogues()), name="the shipped neutral dialogues")
    return _opened(source)


def _opened(source: str) -> Corpus:
    """A file of texts that an option names.

    Raises:
        UsageError: There is no such file.
    """
    # Endings that no corpus has are told first, by the corpus itself.
    if Path(source).suffix.lower() in (".jsonl", ".parquet") and not Path(source).exists():
        raise UsageError(f"{source}: there is no such file; check the path")
    return open_corpus(source)


def reference_of(source: str, host: Host | None = None) -> Corpus:
    """Texts to calibrate on: a file, "neutral", or "twins", the battery's situations told without the feeling.

    Raises:
        UsageError: The twins are asked for, and the model reads a language of its own.
    """
    if source != "twins" or Path(source).exists():
        return neutral_of(source, host)
    if host is not None and own_wording(host) is not None:
        raise UsageError(
            f"--calibrate-on twins: the twins are everyday English, which {host.name} does not know; give 'neutral', "
            "its own neutral texts"
        )
    return replace(open_corpus(twins()), name="the neutral twins of the shipped battery")


def restricted(corpus: Corpus, words: Sequence[str]) -> Corpus:
    """The stories of some concepts alone.

    Raises:
        CorpusError: A concept has no story.
    """
    missing = [word for word in words if word not in corpus.concepts]
    if missing:
        raise CorpusError(
            f"{corpus.name} has no story of {', '.join(missing[:5])}; it has {', '.join(list(corpus.concepts)[:8])}, "
            f"... ({len(corpus.concepts)} concepts)"
        )
    chosen = frozenset(words)
    if set(corpus.concepts) <= chosen:
        return corpus
    part = open_corpus(lambda: (text for text in corpus if text.emotion in chosen))
    return replace(part, name=f"{corpus.name}, {len(chosen)} concepts of it")


def layers_of(host: Host, vectors: EmotionVectors, layers: str | None) -> tuple[int, ...] | None:
    """Layers of a vector set that an option names; "all" means all that the set holds."""
    if layers is None:
        return None
    return vectors.layers if layers.strip() == "all" else host.resolve_layers(layers)


def with_quality(vectors: EmotionVectors, validation: Validation, *, choose_layer: bool) -> EmotionVectors:
    """The set with its quality figures in the card, and the layer that the sweep chose."""
    changes: dict[str, Any] = {"quality": {**vectors.card.quality, **validation.to_dict()}}
    if choose_layer:
        changes |= {"layer": validation.layer, "layer_choice": "best held-out recall on development topics"}
    return vectors.with_card(**changes)


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        UsageError: There is no such file.
        CorpusError: It is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror}; check the path") from None
    except ValueError as err:
        raise CorpusError(f"{path} is not JSON ({err}); check the file") from None
