import numpy as np
import pytest
import torch

from thymos.errors import UnknownConceptError, UsageError
from thymos.models import tiny_model
from thymos.validation import logit_lens, single_tokens


@pytest.fixture(scope="module")
def host():
    torch.set_num_threads(1)
    return tiny_model("llama", layers=2, hidden=32)


def weights(host) -> np.ndarray:
    return host.network.lm_head.weight.detach().numpy()


def token_id(host, text: str) -> int:
    return host.tokenizer(text, add_special_tokens=False)["input_ids"][0]


def test_a_planted_token_is_on_top_and_its_concept_ranks_first(host) -> None:
    letters = ["q", "x", "z", "k"]
    rows = np.stack([weights(host)[token_id(host, letter)] for letter in letters])
    lens = logit_lens(host, rows / np.linalg.norm(rows, axis=1, keepdims=True), letters, k=5)
    for letter, entry in zip(letters, lens.entries, strict=True):
        assert entry.top[0].token == letter and entry.own[0].rank == 1 and entry.own[0].percentile == 100.0
        assert len(entry.top) == len(entry.bottom) == 5
        assert entry.top[0].logit >= entry.top[1].logit and entry.bottom[0].logit <= entry.bottom[1].logit
        assert repr(letter) in str(entry)
    assert lens.tested == tuple(letters) and lens.own is not None
    assert lens.own.statistic == 100.0 and lens.own.p == pytest.approx(1 / 24)
    assert lens["z"].concept == "z"
    with pytest.raises(UnknownConceptError, match="in this logit lens"):
        lens["calm"]


def test_special_tokens_are_never_listed(host) -> None:
    special = set(range(256, 263))
    rows = weights(host)[sorted(special)]
    lens = logit_lens(host, rows, [f"s{i}" for i in range(len(rows))], k=256)
    listed = {item.id for entry in lens.entries for item in (*entry.top, *entry.bottom)}
    assert not listed & special and len(listed) == 256
    assert lens.tested == () and lens.own is None and lens.percentiles.shape == (0, 0)


def test_own_forms_are_single_ordinary_tokens(host) -> None:
    assert single_tokens(host, ["calm", "q"]).tolist() == sorted({token_id(host, "q"), token_id(host, "Q")})
    assert len(single_tokens(host, ["", "<|eos|>"])) == 0
    rows = np.random.default_rng(0).normal(size=(3, 32))
    lens = logit_lens(host, rows, ["one", "two", "three"], forms=[["a"], [], ["b", "c"]], final_norm=True)
    assert [len(entry.own) for entry in lens.entries] == [2, 0, 4]
    assert lens.percentiles.shape == (2, 2) and lens.tested == ("one", "three")
    ranks = [form.rank for form in lens.entries[2].own]
    assert ranks == sorted(ranks) and 1 <= ranks[0] <= 256


def test_lens_errors(host) -> None:
    with pytest.raises(UsageError, match="1 directions but 2 names"):
        logit_lens(host, np.ones((1, 32)), ["a", "b"])
    with pytest.raises(UsageError, match="2 directions but 1 names"):
        logit_lens(host, np.ones((2, 32)), ["a", "b"], forms=[["a"]])
    with pytest.raises(UsageError, match="k is 0"):
        logit_lens(host, np.ones((1, 32)), ["a"], k=0)
