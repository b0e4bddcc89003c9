from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from thymos.errors import SelfCheckError, UnknownArchitectureError, UsageError
from thymos.models import (
    LAYOUTS,
    TINY_ARCHITECTURES,
    Add,
    Model,
    Sampling,
    byte_tokenizer,
    capture,
    intervene,
    rows,
    self_check,
    tiny_model,
    tiny_network,
)
from thymos.models.layout import find_sites

ENCODERS = tuple(name for name in TINY_ARCHITECTURES if LAYOUTS[name].kind == "encoder")
DECODERS = tuple(name for name in TINY_ARCHITECTURES if name not in ENCODERS)
TEXT = "The letter came late, but it came."
Built = Callable[[str], Model]


def hook_count(model: Model) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.network.modules())


def logits_of(model: Model) -> torch.Tensor:
    ids = torch.from_numpy(model.tokens(TEXT).ids).long().unsqueeze(0)
    with torch.inference_mode():
        return model.network(input_ids=ids).logits


def push(model: Model, strength: float, layers: tuple[int, ...] = (1,)) -> Add:
    direction = np.random.default_rng(3).normal(size=model.hidden_size)
    unit = (direction / np.linalg.norm(direction)).astype(np.float32)
    return Add(dict.fromkeys(layers, unit), strength, dict.fromkeys(layers, 10.0))


@pytest.mark.parametrize("name", TINY_ARCHITECTURES)
def test_self_check_compares_every_layer_that_transformers_reports_unnormed(model_of: Built, name: str) -> None:
    model = model_of(name)
    checked = self_check(model)
    assert checked.layers_compared == model.n_layers - 1 == 3
    assert checked.edits_checked == (0, 2, 3)
    assert model.kind == LAYOUTS[name].kind


@pytest.mark.parametrize("name", TINY_ARCHITECTURES)
def test_layer_l_is_hidden_state_l_plus_one(model_of: Built, name: str) -> None:
    model = model_of(name)
    ids = torch.from_numpy(model.tokens(TEXT).ids).long().unsqueeze(0)
    with torch.inference_mode(), capture(model, "all") as got:
        states = model.network(input_ids=ids, output_hidden_states=True).hidden_states
    assert sorted(got) == [0, 1, 2, 3]
    for layer in range(3):
        torch.testing.assert_close(got[layer], states[layer + 1], rtol=0, atol=1e-6)
        assert not torch.allclose(got[layer], states[layer], atol=1e-3), "an off-by-one would pass"
    norm = model.sites.final_norm
    with torch.inference_mode():
        last = got[3] if norm is None else norm(got[3])
    torch.testing.assert_close(last, states[4], rtol=1e-5, atol=1e-5)
    read = rows(model, model.tokens(TEXT), [0, 3])
    np.testing.assert_allclose(read[1], got[3][0].numpy(), atol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_steering_changes_logits_and_is_taken_back(model_of: Built, name: str) -> None:
    model = model_of(name)
    before, hooks = logits_of(model), hook_count(model)
    with intervene(model, push(model, 0.0, (0, 1, 2, 3))):
        assert torch.equal(logits_of(model), before), "the zero dose must be bit-identical"
    with pytest.raises(KeyError, match="in the middle"), intervene(model, push(model, 0.5)):
        steered = logits_of(model)
        assert (steered - before).abs().max() > 1e-4
        raise KeyError("in the middle")
    assert hook_count(model) == hooks
    assert not model.hooks.active
    assert torch.equal(logits_of(model), before)


@pytest.mark.parametrize("name", DECODERS)
def test_generation_follows_the_argmax_of_full_forward_passes(model_of: Built, name: str) -> None:
    model = model_of(name)
    texts = ["ab", "a longer prompt"]
    for prompt, made in zip(texts, model.generate(texts, Sampling(max_new_tokens=5)), strict=True):
        ids = [int(token) for token in model.tokens(prompt).ids]
        for token in made.new_ids:
            with torch.inference_mode():
                best = int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            assert token == best
            ids.append(token)
        assert made.tokens.ids.tolist() == ids


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_are_read_and_nothing_else(model_of: Built, name: str) -> None:
    model = model_of(name)
    with pytest.raises(UsageError, match="is an encoder: it is read, not steered"), intervene(model, push(model, 0.5)):
        pass
    with pytest.raises(UsageError, match="is an encoder and cannot generate"):
        model.generate(["ab"])
    with pytest.raises(UsageError, match="no unembedding"):
        model.unembed(torch.zeros(1, model.hidden_size))


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - set(TINY_ARCHITECTURES)))
def test_the_rest_of_the_layout_table_leads_to_blocks_and_norms(name: str) -> None:
    layout = LAYOUTS[name]
    config = CONFIG_MAPPING[name]()
    config.get_text_config().num_hidden_layers = 2
    with torch.device("meta"):
        network = (AutoModel if layout.kind == "encoder" else AutoModelForCausalLM).from_config(config)
    sites = find_sites(network, name)
    assert len(sites.blocks) == 2
    assert sites.kind == layout.kind
    assert (sites.final_norm is not None) == (layout.final_norm is not None)
    assert (sites.unembedding is not None) == (layout.kind == "decoder")


def wrap(network: torch.nn.Module, blocks: str | None = None) -> Model:
    return Model.wrap(network, byte_tokenizer(), name="odd", blocks=blocks)


def test_an_unknown_architecture_names_the_block_lists_it_saw() -> None:
    network = tiny_network("llama")
    network.config.model_type = "llamma"
    with pytest.raises(UnknownArchitectureError) as seen:
        wrap(network)
    message = str(seen.value)
    assert "'llamma' is not in the layout table; did you mean 'llama'" in message
    assert "blocks='model.layers'" in message
    assert "\n" not in message
    by_hand = wrap(network, "model.layers")
    assert by_hand.kind == "decoder"
    assert self_check(by_hand).layers_compared == 3
    expected = rows(tiny_model("llama"), by_hand.tokens(TEXT), [2])
    np.testing.assert_array_equal(rows(by_hand, by_hand.tokens(TEXT), [2]), expected)


@pytest.mark.parametrize("path", ["model.nowhere", "model", "model.layers.0", "model.embed_tokens"])
def test_a_wrong_block_path_lists_the_right_ones(path: str) -> None:
    with pytest.raises(UnknownArchitectureError, match="lists of blocks in it: model.layers; pass one of them"):
        wrap(tiny_network("llama"), path)


def odd_lists(network: torch.nn.Module) -> dict[str, list[torch.nn.Module]]:
    layers = list(network.model.layers)
    return {
        "attention modules": [block.self_attn for block in layers],
        "feed-forward modules": [block.mlp for block in layers],
        "reversed": layers[::-1],
        "shifted": [*layers[1:], layers[0]],
        "too few": layers[:3],
        "never run": list(tiny_network("llama", seed=1).model.layers),
    }


@pytest.mark.parametrize(
    "wrong", ["attention modules", "feed-forward modules", "reversed", "shifted", "too few", "never run"]
)
def test_self_check_refuses_a_wrong_site(wrong: str) -> None:
    network = tiny_network("llama")
    network.odd = torch.nn.ModuleList(odd_lists(network)[wrong])
    with pytest.raises(SelfCheckError) as seen:
        self_check(wrap(network, "odd"))
    assert "odd" in str(seen.value)
    assert "\n" not in str(seen.value)


def test_self_check_refuses_a_hook_that_does_not_reach_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    monkeypatch.setattr(model.network.lm_head, "forward", lambda hidden: torch.zeros(*hidden.shape[:2], 263))
    with pytest.raises(SelfCheckError, match="did not change the output"):
        self_check(model)


def test_unknown_tiny_architecture() -> None:
    with pytest.raises(UsageError, match="did you mean 'qwen3'"):
        tiny_network("qwen_3")
