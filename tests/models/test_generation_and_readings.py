"""Generation in padded batches against unpadded, uncached passes with plain torch hooks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from thymos.errors import LayerError, UsageError
from thymos.models import (
    LAYOUTS,
    TINY_ARCHITECTURES,
    Add,
    Cap,
    Generation,
    Model,
    Probe,
    ProjectOut,
    Sampling,
    Select,
    Tokens,
    byte_tokenizer,
    chat_tokens,
    generate,
    intervene,
    rows,
    self_check,
    tiny_model,
)
from thymos.models.intervene import Intervention

DECODERS = tuple(name for name in TINY_ARCHITECTURES if LAYOUTS[name].kind == "decoder")
GREEDY = Sampling(max_new_tokens=6)
Built = Callable[[str], Model]


def unit(model: Model, seed: int, n: int = 1) -> np.ndarray:
    directions = np.random.default_rng(seed).normal(size=(n, model.hidden_size))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)


def probe_of(model: Model) -> Probe:
    return Probe({1: unit(model, 20, 3), 3: unit(model, 21, 3)})


def conversations(model: Model) -> list[Tokens]:
    long = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because it is."},
        {"role": "user", "content": "Tell me more about the sea."},
    ]
    return [chat_tokens(model, "Hi."), chat_tokens(model, long), chat_tokens(model, "What now, then?")]


def reference(model: Model, tokens: Tokens, mask: np.ndarray, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and rows of layers 1 and 3 of one unpadded, uncached pass, steered at layer 1 by a plain torch hook."""
    chosen = torch.from_numpy(mask).unsqueeze(-1)
    kept: dict[int, torch.Tensor] = {}

    def edit(module: object, args: object, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden = torch.where(chosen, hidden + torch.from_numpy(delta), hidden)
        kept[1] = hidden
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def keep(module: object, args: object, output: Any) -> None:
        kept[3] = output[0] if isinstance(output, tuple) else output

    handles = [
        model.sites.blocks[1].register_forward_hook(edit),
        model.sites.blocks[3].register_forward_hook(keep),
    ]
    try:
        with torch.inference_mode():
            ids = torch.from_numpy(tokens.ids[:-1]).long()[None]
            logits = model.network(input_ids=ids, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return logits.numpy(), torch.stack([kept[1][0], kept[3][0]]).numpy()


def cosines(read: np.ndarray, probe: Probe) -> np.ndarray:
    scores = [
        stream @ probe.directions[layer].T / np.linalg.norm(stream, axis=1, keepdims=True)
        for layer, stream in zip(probe.layers, read, strict=True)
    ]
    return np.stack(scores, axis=1)


SELECTS = {
    "everywhere": Select(special=True),
    "content": Select(),
    "prompt": Select(where="prompt", special=True),
    "generated": Select(where="generated", special=True),
    "reply": Select(where="reply"),
    "reply, all tokens": Select(where="reply", special=True),
    "positions": Select(positions=(1, 5, 14, 30), special=True),
    "user": Select(roles=("user",)),
    "assistant": Select(roles=("assistant",)),
    "content of the prompt": Select(where="prompt"),
    "from the 6th token": Select(start_token=6),
    "from the 5th of the assistant": Select(roles=("assistant",), start_token=5),
}


def check_against_reference(model: Model, made: Generation, probe: Probe, mask: np.ndarray, delta: np.ndarray) -> None:
    logits, read = reference(model, made.tokens, mask, delta)
    prompt = made.tokens.prompt_length
    assert prompt is not None
    assert logits[prompt - 1 :].argmax(axis=1).tolist() == list(made.new_ids)
    assert made.scores is not None
    np.testing.assert_allclose(made.scores, cosines(read, probe), atol=1e-4)


@pytest.mark.parametrize("where", SELECTS)
def test_steering_in_a_left_padded_batch_is_steering_each_row_alone(tiny: Model, where: str) -> None:
    select, probe, v = SELECTS[where], probe_of(tiny), unit(tiny, 30)[0]
    push = Add({1: v}, 0.8, {1: 10.0}, select)
    prompts = conversations(tiny)
    assert len({len(tokens) for tokens in prompts}) == 3
    batch = generate(tiny, prompts, GREEDY, interventions=[push], probe=probe)
    for prompt, made in zip(prompts, batch, strict=True):
        fed = Select.mask(select, made.tokens)[:-1]
        assert not made.tokens.special[len(prompt) :].any(), "choose other seeds: generated template tokens"
        check_against_reference(tiny, made, probe, fed, v * 8.0)
        (single,) = generate(tiny, [prompt], GREEDY, interventions=[push], probe=probe)
        assert single.new_ids == made.new_ids
        assert single.scores is not None
        assert made.scores is not None
        np.testing.assert_allclose(single.scores, made.scores, atol=1e-5)


def test_the_selections_differ(tiny: Model) -> None:
    """Guards the test above: each selection must leave its own trace in the readings."""
    probe, v, prompts = probe_of(tiny), unit(tiny, 30)[0], conversations(tiny)
    traces = set()
    for select in SELECTS.values():
        made = generate(tiny, prompts, GREEDY, interventions=[Add({1: v}, 0.8, {1: 10.0}, select)], probe=probe)
        traces.add(tuple(np.concatenate([g.scores[:, 0, 0] for g in made if g.scores is not None]).round(3).tolist()))
    assert len(traces) >= len(SELECTS) - 1


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("where", ["generated", "from the 6th token"])
def test_positions_hold_in_every_architecture(model_of: Built, name: str, where: str) -> None:
    model = model_of(name)
    select, probe, v = SELECTS[where], probe_of(model), unit(model, 30)[0]
    push = Add({1: v}, 0.5, {1: 10.0}, select)
    prompts: Sequence[str] = ["ab", "a longer prompt"]
    for made in model.generate(prompts, GREEDY, interventions=[push], probe=probe):
        prompt = made.tokens.prompt_length
        assert prompt is not None
        # While it is steered, every generated token counts as content.
        content = replace(made.tokens, special=made.tokens.special & (np.arange(len(made.tokens)) < prompt))
        check_against_reference(model, made, probe, select.mask(content)[:-1], v * 5.0)


def test_a_character_range_of_a_prompt_can_be_steered(tiny: Model) -> None:
    v, probe = unit(tiny, 31)[0], probe_of(tiny)
    text = "How does it feel to watch the tide?"
    low = text.index("watch the tide")
    select = Select(chars=((low, low + 14),))
    prompt = tiny.tokens(text)
    (made,) = generate(tiny, [prompt], GREEDY, interventions=[Add({1: v}, 0.5, {1: 10.0}, select)], probe=probe)
    mask = np.zeros(len(made.tokens) - 1, bool)
    mask[: len(prompt)] = select.mask(prompt)
    assert mask.sum() == 14
    check_against_reference(tiny, made, probe, mask, v * 5.0)


def test_readings_while_generating_equal_readings_afterwards(tiny: Model) -> None:
    centred = {1: unit(tiny, 40)[0] * 2, 3: unit(tiny, 41)[0]}
    for probe in (probe_of(tiny), Probe(probe_of(tiny).directions, centred)):
        for interventions in ([], [Add({1: unit(tiny, 30)[0]}, 0.5, {1: 10.0}), ProjectOut({2: unit(tiny, 42, 2)})]):
            for made in generate(tiny, conversations(tiny), GREEDY, interventions=interventions, probe=probe):
                with intervene(tiny, *interventions):
                    read = rows(tiny, made.tokens, probe.layers)[:, :-1]
                if probe.centres is not None:
                    read = read - np.stack([probe.centres[layer] for layer in probe.layers])[:, None]
                assert made.scores is not None
                assert made.scores.shape == (len(made.tokens) - 1, 2, 3)
                np.testing.assert_allclose(made.scores, cosines(read, probe), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_readings_are_taken_in_float32(dtype: torch.dtype) -> None:
    model = tiny_model()
    with torch.no_grad():
        # Rows so long that the sum of their squares leaves the range of float16, as in wide real models.
        model.network.model.embed_tokens.weight.mul_(2000.0)
    model.network.to(dtype)
    probe = probe_of(model)
    (made,) = model.generate(["wide"], Sampling(max_new_tokens=1), probe=probe)
    read = rows(model, model.tokens("wide"), probe.layers)
    assert np.linalg.norm(read, axis=2).max() > 1000
    assert made.scores is not None
    np.testing.assert_allclose(made.scores, cosines(read, probe), atol=1e-4)


def test_nothing_times_a_vector_is_the_baseline_bit_for_bit(tiny: Model) -> None:
    v, prompts = unit(tiny, 50)[0], conversations(tiny)
    seen: list[list[torch.Tensor]] = []
    handle = tiny.network.lm_head.register_forward_hook(lambda module, args, out: seen[-1].append(out.clone()))
    nothing: list[list[Intervention]] = [
        [],
        [Add({1: v, 2: v}, 0.0, {1: 10.0, 2: 10.0})],
        [Add({1: v}, 0.0, {1: 10.0}, Select(where="generated"))],
        [Cap({3: v}, {3: 1e9})],
    ]
    try:
        ids = []
        for interventions in nothing:
            seen.append([])
            ids.append([made.new_ids for made in generate(tiny, prompts, GREEDY, interventions=interventions)])
    finally:
        handle.remove()
    assert all(other == ids[0] for other in ids)
    for logits in seen[1:]:
        assert len(logits) == len(seen[0]) == 6
        assert all(torch.equal(one, two) for one, two in zip(logits, seen[0], strict=True))


def test_steering_during_generation_is_taken_back(tiny: Model) -> None:
    before = [made.new_ids for made in tiny.generate(["abc"], GREEDY)]
    push = Add({1: unit(tiny, 51)[0]}, 3.0, {1: 10.0})
    assert [made.new_ids for made in tiny.generate(["abc"], GREEDY, interventions=[push])] != before

    def fail(_: object) -> None:
        raise KeyError("from the caller")

    with pytest.raises(KeyError):
        generate(tiny, ["abc"], GREEDY, interventions=[push], probe=probe_of(tiny), on_token=fail)
    assert not tiny.hooks.active
    assert [made.new_ids for made in tiny.generate(["abc"], GREEDY)] == before


@pytest.mark.parametrize("name", ["llama", "gpt2", "jamba", "gemma2"])
def test_greedy_is_the_generate_of_transformers(model_of: Built, name: str) -> None:
    model = model_of(name)
    tokens = model.tokens("once upon")
    with torch.inference_mode():
        expected = model.network.generate(
            input_ids=torch.from_numpy(tokens.ids).long()[None], max_new_tokens=10, do_sample=False
        )[0, len(tokens) :]
    (made,) = model.generate(["once upon"], Sampling(max_new_tokens=10))
    assert made.new_ids == tuple(expected.tolist())


def test_defaults_of_a_checkpoint_do_not_leak_into_decoding() -> None:
    model = tiny_model()
    (plain,) = model.generate(["hello there"], Sampling(max_new_tokens=12))
    config = model.network.generation_config
    config.repetition_penalty, config.suppress_tokens, config.min_new_tokens = 1.9, [plain.new_ids[0]], 30
    config.do_sample, config.temperature, config.top_k = True, 5.0, 3
    (again,) = model.generate(["hello there"], Sampling(max_new_tokens=12))
    assert again.new_ids == plain.new_ids
    assert model.network.generation_config is config


def test_sampling_does_not_depend_on_the_batch(tiny: Model) -> None:
    how = Sampling(max_new_tokens=12, temperature=0.9, top_p=0.95, top_k=100, seed=7)
    (alone,) = generate(tiny, ["the tide"], how)
    batch = generate(tiny, ["the tide", "a much longer prompt than that", "x"], how)
    assert batch[0].new_ids == alone.new_ids
    assert generate(tiny, ["the tide", "other", "x"], how)[2].new_ids == batch[2].new_ids


def test_rows_draw_from_streams_of_their_own(tiny: Model) -> None:
    how = Sampling(max_new_tokens=12, temperature=1.0, seed=3)
    same = [made.new_ids for made in generate(tiny, ["abc"] * 4, how)]
    assert len(set(same)) == 4
    assert [made.new_ids for made in generate(tiny, ["abc"] * 4, how)] == same
    other = Sampling(max_new_tokens=12, temperature=1.0, seed=4)
    assert generate(tiny, ["abc"], other)[0].new_ids != same[0]


def test_samples_follow_the_distribution(tiny: Model) -> None:
    how = Sampling(max_new_tokens=1, temperature=0.7, top_k=4)
    ids = torch.from_numpy(tiny.tokens("z").ids).long()[None]
    with torch.inference_mode():
        best = torch.topk(tiny.network(input_ids=ids).logits[0, -1], 4)
    share = torch.softmax(best.values / 0.7, dim=0).numpy()
    drawn = [made.new_ids[0] for made in generate(tiny, ["z"] * 3000, how)]
    counts = np.asarray([drawn.count(int(token)) for token in best.indices])
    assert counts.sum() == 3000, "top_k must leave nothing else"
    expected = share * 3000
    assert ((counts - expected) ** 2 / expected).sum() < 16.3, "chi-square with 3 degrees of freedom, p < .001"


def test_repetition_penalty_does_not_see_padding() -> None:
    model = tiny_model()
    model.tokenizer.pad_token = None  # then the end token pads, as in Llama 3
    assert model.pad_id == 257
    how = Sampling(max_new_tokens=8, repetition_penalty=1.7)
    with torch.no_grad():
        # Make the end token likely enough for its penalty to matter.
        best = model.network.lm_head.weight[model.generate(["ab"], how)[0].new_ids[0]]
        model.network.lm_head.weight[257] = best * 1.01
    (alone,) = generate(model, ["ab"], how)
    assert alone.finish == "stop"
    assert generate(model, ["ab", "a longer prompt"], how)[0].new_ids == alone.new_ids


def test_repetition_penalty_changes_text(tiny: Model) -> None:
    how = Sampling(max_new_tokens=20, repetition_penalty=5.0)
    (plain,), (penalized,) = generate(tiny, ["aaaa"], Sampling(max_new_tokens=20)), generate(tiny, ["aaaa"], how)
    assert len(set(penalized.new_ids)) > len(set(plain.new_ids))


def test_settings_and_prompts_are_checked(tiny: Model) -> None:
    for bad in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}):
        with pytest.raises(UsageError):
            Sampling(**bad)
    empty = tiny.tokens("", add_special=False)
    for prompts in ([], [empty], ["ab", empty]):
        with pytest.raises(UsageError, match="a prompt has no tokens"):
            generate(tiny, prompts)


def test_probes_are_checked(tiny: Model) -> None:
    with pytest.raises(LayerError, match="layer 9 does not exist"):
        generate(tiny, ["a"], GREEDY, probe=Probe({9: unit(tiny, 0)}))
    with pytest.raises(UsageError, match="has 8 components"):
        generate(tiny, ["a"], GREEDY, probe=Probe({1: np.ones((2, 8), np.float32)}))
    with pytest.raises(LayerError, match="no centre is given for layer 1"):
        generate(tiny, ["a"], GREEDY, probe=Probe({1: unit(tiny, 0)}, {2: unit(tiny, 0)[0]}))


def test_chat_returns_the_reply_with_its_role_span(tiny: Model) -> None:
    made = tiny.chat("Hi.", Sampling(max_new_tokens=4))
    assert len(made.new_ids) == 4
    assert made.finish == "length"
    assert made.tokens.roles[-1].role == "assistant"
    assert made.tokens.prompt_length == len(chat_tokens(tiny, "Hi."))
    assert made.text == tiny.tokenizer.decode(list(made.new_ids), skip_special_tokens=True)


def test_a_long_lived_context_starts_every_call_anew(tiny: Model) -> None:
    v, probe = unit(tiny, 30)[0], probe_of(tiny)
    push = Add({1: v}, 0.8, {1: 10.0}, SELECTS["generated"])
    with intervene(tiny, push):
        for prompt in ("a longer prompt than the next", "ab", "and a third one"):
            (inside,) = generate(tiny, [prompt], GREEDY, probe=probe)
            assert inside.tokens.prompt_length is not None
            mask = np.arange(len(inside.tokens) - 1) >= inside.tokens.prompt_length
            check_against_reference(tiny, inside, probe, mask, v * 8.0)


def multimodal() -> Model:
    """A Gemma 3 with eyes: its backbone hands reworked masks to the module that owns the blocks."""
    text = CONFIG_MAPPING["gemma3_text"](
        vocab_size=270,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=64,
        query_pre_attn_scalar=8,
        pad_token_id=258,
    )
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = CONFIG_MAPPING["gemma3"](
        text_config=text.to_dict(),
        vision_config={**vision, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=1,
        image_token_index=263,
        boi_token_index=264,
        eoi_token_index=265,
    )
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    network.generation_config.eos_token_id = 257
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.15)
    return Model.wrap(network, byte_tokenizer(), name="tiny-gemma3")


def test_positions_hold_where_the_blocks_are_below_the_backbone() -> None:
    model = multimodal()
    assert self_check(model).layers_compared == 3
    select, probe, v = SELECTS["positions"], probe_of(model), unit(model, 30)[0]
    push = Add({1: v}, 0.5, {1: 10.0}, select)
    for made in model.generate(["ab", "a longer prompt"], GREEDY, interventions=[push], probe=probe):
        check_against_reference(model, made, probe, select.mask(made.tokens)[:-1], v * 5.0)
