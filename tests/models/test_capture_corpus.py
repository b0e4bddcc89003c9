"""The streaming form of capture."""

import numpy as np
import pytest

from thymos.models import CapturedBatch, Select, Span, capture_corpus, rows, tiny_model


@pytest.fixture(scope="module")
def host():
    return tiny_model("llama", layers=3)


TEXTS = ["a", "bb cc", "ddd ee ff gg", "", "h" * 40, "ij kl"]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("shard", [1, 2, 100])
def test_every_text_comes_once_and_equals_reading_it_alone(host, side, shard):
    seen: dict[int, np.ndarray] = {}
    span = Span(Select(), batch_tokens=64, padding_side=side)
    for batch in capture_corpus(host, iter(TEXTS), [0, 2], span, shard_texts=shard):
        assert isinstance(batch, CapturedBatch)
        assert sorted(batch.hidden) == [0, 2]
        taken = batch.rows(2).float().numpy()
        counts = batch.selected.sum(axis=1)
        for index, part in zip(batch.indices, np.split(taken, np.cumsum(counts)[:-1]), strict=True):
            assert index not in seen
            seen[index] = part
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]  # the empty text is fed as BOS alone and selects nothing
    for index, text in enumerate(TEXTS):
        tokens = host.tokens(text)
        alone = rows(host, tokens, [2])[0][Select().mask(tokens)]
        np.testing.assert_allclose(seen[index], alone, atol=2e-5)


def test_the_corpus_is_read_lazily(host):
    read = []

    def texts():
        for number in range(10):
            read.append(number)
            yield f"text {number}"

    stream = capture_corpus(host, texts(), 0, shard_texts=3)
    next(stream)
    assert len(read) <= 3
