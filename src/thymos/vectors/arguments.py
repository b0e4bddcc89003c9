"""Arguments of the wrong kind, said at the call: an AttributeError from deep inside helps nobody."""

from collections.abc import Mapping, Sequence

from thymos.errors import UsageError
from thymos.models import Host, Tokens
from thymos.vectors.concept_vector import ConceptVector
from thymos.vectors.emotion_vectors import EmotionVectors

__all__ = ["check_model_and_set", "check_source", "check_steering"]


def check_model_and_set(call: str, host: object, vectors: object) -> None:
    """Refuse anything but a model and a vector set, in this order.

    Raises:
        UsageError: Exchanged arguments, or one of another kind.
    """
    if isinstance(host, EmotionVectors) and isinstance(vectors, Host):
        raise UsageError(f"{call}: the model comes first and its vectors second; exchange the two arguments")
    _check_model(call, host)
    if not isinstance(vectors, EmotionVectors):
        raise UsageError(
            f"{call}: the second argument is {_seen(vectors)}, not a vector set; give what thymos.extract(...) or "
            "thymos.EmotionVectors.load(folder) returns"
        )


def check_source(call: str, source: object) -> None:
    """Refuse anything but a text, chat messages or tokens.

    Raises:
        UsageError: Something else.
    """
    chat = isinstance(source, Sequence) and all(isinstance(each, Mapping) for each in source)
    if not (isinstance(source, str | Tokens) or chat):
        raise UsageError(
            f"{call}: {_seen(source)} cannot be read; give a text, a list of messages such as "
            "{'role': 'user', 'content': '...'}, or tokens"
        )


def check_steering(call: str, host: object, vectors: Sequence[object]) -> None:
    """Refuse anything but a model and concept vectors.

    Raises:
        UsageError: Something else, for example the name of a concept.
    """
    _check_model(call, host)
    for vector in vectors:
        if not isinstance(vector, ConceptVector):
            name = vector if isinstance(vector, str) and vector.isprintable() and len(vector) < 40 else "calm"
            raise UsageError(
                f"{call}: {_seen(vector)} is not a concept vector; give for example vectors[{name!r}] * 0.05, where "
                "vectors is a vector set"
            )


def _check_model(call: str, host: object) -> None:
    if not isinstance(host, Host):
        raise UsageError(
            f"{call}: the first argument is {_seen(host)}, not a model; give what thymos.load(...) returns"
        )


def _seen(value: object) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown}" if len(shown) <= 40 else type(value).__name__
