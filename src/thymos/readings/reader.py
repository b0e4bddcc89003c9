"""Reading text, chats, files and running generations."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from thymos.errors import CorpusError
from thymos.models import CONTENT, Host, Message, Sampling, TokenEvent, Tokens, chat_tokens, stream
from thymos.readings.reading import Reading
from thymos.readings.reference import Reference
from thymos.readings.score import ReadSettings, probe_of, score_tokens
from thymos.texts import Corpus, Text
from thymos.vectors import EmotionVectors
from thymos.vectors.arguments import check_model_and_set, check_source

__all__ = ["held_out_words", "read", "read_corpus", "read_stream"]

_AT_ONCE = 256


def read(
    host: Host,
    vectors: EmotionVectors,
    source: str | Sequence[Message] | Tokens,
    *,
    settings: ReadSettings | None = None,
    reference: Reference | None = None,
    allow_mismatch: bool = False,
) -> Reading:
    """Read a text or a conversation.

    Args:
        host: The model.
        vectors: Its vector set.
        source: A text, a list of chat messages (rendered in the model's template), or tokens as they were fed.
        settings: Layers, concepts, centring.
        reference: Calibrate against this reference set; the reading is then in z-scores.
        allow_mismatch: Read a model the vectors were not made from.

    Returns:
        Scores at every fed token; template and special tokens are marked.

    Raises:
        FingerprintMismatchError: The vectors belong to another model.
        CorpusError: The text is empty.
        UsageError: An argument of another kind, or the model and the vectors exchanged.
    """
    check_model_and_set("thymos.read", host, vectors)
    check_source("thymos.read", source)
    vectors.check_model(host, allow_mismatch=allow_mismatch)
    how = settings or ReadSettings()
    tokens = _tokens(host, source)
    # Tokens are taken as they are: a prompt may well be all template.
    blank = isinstance(source, str) and not source.strip()
    if blank or (not isinstance(source, Tokens) and not CONTENT.mask(tokens).any()):
        raise CorpusError("the text is empty: it has no tokens to read; give at least a word")
    scores = next(score_tokens(host, probe_of(vectors, how), [tokens]))[1]
    reading = _reading(host, vectors, how, tokens, scores)
    return reading.calibrated(reference) if reference is not None else reading


def read_corpus(
    host: Host,
    vectors: EmotionVectors,
    corpus: Corpus,
    *,
    settings: ReadSettings | None = None,
    reference: Reference | None = None,
    allow_mismatch: bool = False,
) -> Iterator[tuple[Text, Reading]]:
    """Read every text of a corpus, in its order, in batches; memory does not grow with the corpus."""
    vectors.check_model(host, allow_mismatch=allow_mismatch)
    how = settings or ReadSettings()
    probe = probe_of(vectors, how)
    texts = iter(corpus)
    while chunk := list(islice(texts, _AT_ONCE)):
        tokens = [host.tokens(text.text) for text in chunk]
        found = dict(score_tokens(host, probe, tokens))
        for index, text in enumerate(chunk):
            reading = _reading(host, vectors, how, tokens[index], found[index])
            yield text, reading.calibrated(reference) if reference is not None else reading


def read_stream(
    host: Host,
    vectors: EmotionVectors,
    conversation: str | Sequence[Message],
    sampling: Sampling | None = None,
    *,
    settings: ReadSettings | None = None,
    **options: Any,
) -> Iterator[TokenEvent]:
    """Reply to a conversation and read it while it is written.

    Yields:
        One event per generated token; `scores` [layers, concepts] are those of the row that decided it.
    """
    vectors.check_model(host)
    tokens = chat_tokens(host, conversation)
    yield from stream(host, tokens, sampling, probe=probe_of(vectors, settings), **options)


def _tokens(host: Host, source: str | Sequence[Message] | Tokens) -> Tokens:
    if isinstance(source, Tokens):
        return source
    return host.tokens(source) if isinstance(source, str) else chat_tokens(host, source, add_generation_prompt=False)


def _reading(host: Host, vectors: EmotionVectors, how: ReadSettings, tokens: Tokens, scores: Any) -> Reading:
    layers = tuple(sorted(set(how.layers or (vectors.layer,))))
    return Reading(
        tokens=tokens,
        token_strings=token_strings(host, tokens),
        layers=layers,
        concepts=tuple(how.concepts or vectors.concepts),
        scores=scores,
        layer=vectors.layer if vectors.layer in layers else layers[-1],
        model=host.name,
        centred=how.centred,
        denoised=how.denoised,
        fingerprint=vectors.card.model.fingerprint,
        known=held_out_words(vectors),
    )


def held_out_words(vectors: EmotionVectors) -> str:
    """How far a top concept can be trusted, from the card: recall on unseen topics, the layer chosen on others."""
    figures = vectors.card.quality.get("figures")
    for name in ("recall_top1_nested", "recall_top1"):
        figure = figures.get(name) if isinstance(figures, Mapping) else None
        right = figure.get("value") if isinstance(figure, Mapping) else None
        if isinstance(figure, Mapping) and isinstance(right, float):
            chance = figure.get("chance")
            by_chance = f", {chance:.0%} by chance" if isinstance(chance, float) else ""
            return (
                f"the top concept is right in {right:.0%} of held-out texts ({len(vectors)} concepts, layer "
                f"{vectors.layer}{by_chance})"
            )
    return ""


def token_strings(host: Host, tokens: Tokens) -> tuple[str, ...]:
    """What each token looks like in the text: its own characters, with the white space before it.

    A character that is spread over several tokens belongs to one of them; the others are empty, so that the strings
    join to the text.
    """
    if tokens.offsets.shape[0] != len(tokens):
        return _decoded(host, tokens)
    found, last = [], 0
    for position, (start, stop) in enumerate(tokens.offsets.tolist()):
        if stop <= start:
            found.append(host.tokenizer.decode([int(tokens.ids[position])]) if tokens.special[position] else "")
            continue
        found.append(tokens.text[last:stop])
        last = max(last, stop)
    return tuple(found)


def _decoded(host: Host, tokens: Tokens) -> tuple[str, ...]:
    """Strings of generated tokens, decoded in the context of the last complete one."""
    ids, found = tokens.ids.tolist(), []
    first = done = 0
    for stop in range(1, len(ids) + 1):
        before = host.tokenizer.decode(ids[first:done])
        text = host.tokenizer.decode(ids[first:stop])
        # An unfinished character decodes to the replacement sign; wait for its other bytes, four at most.
        if text.endswith("\ufffd") and stop - done < 4 and stop < len(ids):
            found.append("")
            continue
        found.append(text[len(before) :])
        first, done = done, stop
    return tuple(found)
