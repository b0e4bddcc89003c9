"""Arguments of the wrong kind are named at the call."""

import subprocess
import sys

import pytest

from thymos.errors import UsageError
from thymos.models import Model
from thymos.vectors import EmotionVectors
from thymos.vectors.arguments import check_model_and_set, check_source, check_steering

# In a process of its own: the tests' type checker would speak before thymos does.
CALLS = """
import thymos
from thymos.errors import UsageError
from thymos.models import tiny_model

model, vectors = tiny_model(), object.__new__(thymos.EmotionVectors)
for call in (
    lambda: thymos.read(vectors, model, "hi"),
    lambda: thymos.read(model, vectors, 123),
    lambda: thymos.steer(model, "calm"),
):
    try:
        call()
    except UsageError as err:
        print(err)
"""


def test_the_calls_refuse_them_at_once() -> None:
    ran = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True)
    exchanged, number, word = ran.stdout.splitlines()
    assert exchanged == "thymos.read: the model comes first and its vectors second; exchange the two arguments"
    assert number.startswith("thymos.read: int 123 cannot be read; give a text, a list of messages")
    assert word.startswith("thymos.steer: str 'calm' is not a concept vector; give for example vectors['calm'] * 0.05")


def test_names_in_the_place_of_things(tiny: Model, vectors: EmotionVectors) -> None:
    with pytest.raises(UsageError, match=r"the first argument is str 'minilm', not a model; give what thymos\.load"):
        check_model_and_set("read", "minilm", vectors)
    with pytest.raises(UsageError, match="the second argument is str 'vectors/minilm', not a vector set; give what"):
        check_model_and_set("read", tiny, "vectors/minilm")


def test_what_can_be_read_and_steered_with(tiny: Model, vectors: EmotionVectors) -> None:
    check_model_and_set("read", tiny, vectors)
    for source in ("a text", tiny.tokens("a text"), [{"role": "user", "content": "a text"}]):
        check_source("read", source)
    check_steering("steer", tiny, [vectors[vectors.concepts[0]]])
    with pytest.raises(UsageError, match="list cannot be read|list .* cannot be read"):
        check_source("read", ["a", "b"])
    with pytest.raises(UsageError, match=r"is not a concept vector; give for example vectors\['calm'\]"):
        check_steering("steer", tiny, [vectors])
