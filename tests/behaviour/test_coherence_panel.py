from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from thymos.behaviour import coherence, perplexity, repetition
from thymos.errors import CorpusError, UsageError
from thymos.models import Add, Model, Select
from thymos.steering import perplexity as planner_perplexity

TEXTS = ["The gate stood open, and nobody came.", "ab", "Somebody carried boxes up from the van to the third floor."]


def losses(model: Model, text: str) -> np.ndarray:
    ids = torch.from_numpy(model.tokens(text).ids.astype(np.int64))[None]
    with torch.inference_mode():
        scores = torch.log_softmax(model.network(ids).logits[0].float(), -1)
    return -scores[:-1].gather(1, ids[0, 1:, None])[:, 0].numpy()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bloom"])
def test_perplexity_is_that_of_each_text_alone(architecture: str, model_of: Callable[[str], Model]) -> None:
    model = model_of(architecture)
    expected = np.exp(np.concatenate([losses(model, text) for text in TEXTS]).mean())
    found = perplexity(model, TEXTS)
    assert found.estimate == pytest.approx(expected, rel=1e-4)
    assert found.estimate == pytest.approx(planner_perplexity(model, TEXTS), rel=1e-4)
    assert found.n == 3 and found.low <= found.estimate <= found.high


def test_only_what_follows_a_prompt_is_counted(tiny: Model) -> None:
    tokens = [replace(tiny.tokens(text), prompt_length=2) for text in (TEXTS[0], TEXTS[2])]
    expected = np.exp(np.concatenate([losses(tiny, text)[1:] for text in (TEXTS[0], TEXTS[2])]).mean())
    assert perplexity(tiny, tokens).estimate == pytest.approx(expected, rel=1e-4)


def test_what_a_dose_costs(tiny: Model, directions: np.ndarray) -> None:
    def cost(strength: float, select: Select | None = None) -> float:
        edit = Add({1: directions[0]}, strength, {1: 8.0}, select or Select(special=True))
        return coherence(tiny, TEXTS, [edit]).estimate

    assert cost(0.0) == 1.0
    plain = perplexity(tiny, TEXTS).estimate
    steered = perplexity(tiny, TEXTS, [Add({1: directions[0]}, 2.0, {1: 8.0})]).estimate
    assert cost(2.0) == pytest.approx(steered / plain, rel=1e-6)
    assert abs(cost(2.0) - 1) > 0.01
    # Of a plain text nothing is generated, and its last row predicts nothing.
    assert cost(2.0, Select(where="generated", special=True)) == pytest.approx(1, abs=1e-6)
    assert cost(2.0, Select(where="reply", special=True)) == pytest.approx(1, abs=1e-6)


def test_what_has_no_perplexity(tiny: Model, minilm: Model) -> None:
    with pytest.raises(UsageError, match="'minilm' is an encoder"):
        perplexity(minilm, TEXTS)
    with pytest.raises(CorpusError, match="1 of 2 texts have no token to predict"):
        perplexity(tiny, ["", "ab"])
    with pytest.raises(UsageError, match="an interval over 1 items"):
        perplexity(tiny, TEXTS[:1])


def test_repetition_is_the_planners() -> None:
    assert repetition("a b c d a b c d") == pytest.approx(1 - 4 / 5)
