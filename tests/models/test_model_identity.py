from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thymos.errors import LayerError, ModelError
from thymos.models import Model, load, parse_layers, tiny_model


@pytest.fixture(scope="module")
def saved_bf16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bf16")
    model = tiny_model()
    model.network.to(torch.bfloat16).save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def test_one_fingerprint_in_every_precision(saved_bf16: Path) -> None:
    prints = {load(saved_bf16, dtype=dtype).fingerprint for dtype in ("float32", "bfloat16")}
    assert len(prints) == 1
    assert len(prints.pop()) == 64
    assert load(saved_bf16).fingerprint == load(saved_bf16, dtype="bfloat16").fingerprint


def test_fingerprints_tell_models_apart(tiny: Model) -> None:
    prints = {tiny.fingerprint, tiny_model(seed=1).fingerprint, tiny_model("qwen2").fingerprint}
    prints |= {tiny_model(layers=3).fingerprint}
    assert len(prints) == 4
    assert tiny_model().fingerprint == tiny.fingerprint


@pytest.mark.parametrize(
    "name", ["model.layers.2.mlp.down_proj.weight", "model.embed_tokens.weight", "model.norm.weight"]
)
def test_a_slight_change_of_one_matrix_changes_the_fingerprint(tiny: Model, name: str) -> None:
    other = tiny_model()
    with torch.no_grad():
        other.network.get_parameter(name).mul_(1.01)
    assert other.fingerprint != tiny.fingerprint


def test_fingerprints_follow_a_half_percent_of_training_noise(tiny: Model) -> None:
    other = tiny_model()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        weight = other.network.get_parameter("model.layers.0.self_attn.q_proj.weight")
        weight.add_(torch.randn(weight.shape, generator=generator) * 0.005 * weight.std())
    assert other.fingerprint != tiny.fingerprint


def test_depth_fractions(tiny: Model) -> None:
    twelve = tiny_model(layers=12)
    assert [twelve.layer_at(f) for f in (2 / 3, 0.5, 1.0, 0.01)] == [7, 5, 11, 0]
    assert twelve.resolve_layers("2/3") == (7,)
    assert twelve.resolve_layers(2 / 3) == (7,)
    assert twelve.resolve_layers("all") == tuple(range(12))
    assert twelve.resolve_layers("7, 3,5,3") == (3, 5, 7)
    assert twelve.resolve_layers(4) == (4,)
    assert twelve.resolve_layers([9, 0]) == (0, 9)
    for bad in (0.0, 1.5, -0.5, float("nan")):
        with pytest.raises(LayerError, match="lies in"):
            twelve.layer_at(bad)
    for bad in (12, -1, [0, 12], "0,99"):
        with pytest.raises(LayerError, match="does not exist; this network has layers 0 to 11"):
            twelve.resolve_layers(bad)


@pytest.mark.parametrize("bad", ["", "two", "1/0", "1/2/3", "0.5,3", "3-5", [], True])
def test_layers_that_cannot_be_read(bad: object) -> None:
    with pytest.raises(LayerError):
        parse_layers(bad)  # type: ignore[arg-type]


@given(layers=st.lists(st.integers(0, 99), min_size=1, max_size=8))
def test_layer_lists_read_the_same_as_text_and_numbers(layers: list[int]) -> None:
    assert parse_layers(",".join(map(str, layers))) == parse_layers(layers) == tuple(sorted(set(layers)))


def test_unembedding_is_the_models_own(tiny: Model) -> None:
    ids = torch.from_numpy(tiny.tokens("abc").ids).long()[None]
    with torch.inference_mode():
        out = tiny.network(input_ids=ids, output_hidden_states=True)
    raw = tiny.sites.blocks[3]
    seen: list[torch.Tensor] = []
    handle = raw.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.inference_mode():
        tiny.network(input_ids=ids)
    handle.remove()
    torch.testing.assert_close(tiny.unembed(seen[0][0], final_norm=True), out.logits[0])
    direction = torch.randn(2, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(tiny.unembed(direction), direction @ tiny.network.lm_head.weight.T)
    torch.testing.assert_close(tiny.unembed(direction * 2), tiny.unembed(direction) * 2)


def test_a_model_says_what_it_is(tiny: Model, minilm: Model) -> None:
    assert repr(tiny) == "<Model 'tiny-llama': llama decoder, 4 layers, hidden size 32, float32 on cpu>"
    assert "'minilm': bert encoder, 6 layers, hidden size 384" in repr(minilm)


def test_slow_tokenizers_are_refused(tiny: Model) -> None:
    class Slow:
        is_fast = False

    with pytest.raises((ModelError, TypeError), match="gives no character offsets|Slow"):
        Model.wrap(tiny.network, Slow())  # type: ignore[arg-type]


def test_offsets_and_ids_agree_between_one_text_and_many(tiny: Model) -> None:
    texts = ["a", "für 🙂", ""]
    for text, tokens in zip(texts, tiny.tokens_of(texts, offsets=True), strict=True):
        np.testing.assert_array_equal(tokens.ids, tiny.tokens(text).ids)
        np.testing.assert_array_equal(tokens.offsets, tiny.tokens(text).offsets)
