from collections.abc import Callable

import numpy as np
import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module

from thymos.errors import ActivationError, CorpusError, LayerError
from thymos.models import (
    TINY_ARCHITECTURES,
    Model,
    Select,
    Span,
    capture,
    forward,
    pad,
    rows,
    text_means,
    tiny_model,
)

DECODERS = tuple(name for name in TINY_ARCHITECTURES if name not in ("bert", "roberta", "modernbert"))
TEXTS = [
    "He waited at the gate.",
    "Rain.",
    "She had read the letter three times before the train came in, and still it said the same.",
    "Für Ömer – 真的 🙂 nothing was lost.",
]
Built = Callable[[str], Model]


def alone(model: Model, layers: list[int], select: Select) -> np.ndarray:
    """Means from one unpadded pass per text, with transformers' own hidden states: no code of ours but the mask."""
    found = []
    for text in TEXTS:
        tokens = model.tokens(text)
        with torch.inference_mode():
            states = model.network(
                input_ids=torch.from_numpy(tokens.ids).long()[None], output_hidden_states=True
            ).hidden_states
        found.append([states[layer + 1][0].numpy()[select.mask(tokens)].mean(axis=0) for layer in layers])
    return np.asarray(found)


@pytest.mark.parametrize("name", [*TINY_ARCHITECTURES, "minilm"])
def test_means_do_not_depend_on_batch_or_padding_side(
    model_of: Built, request: pytest.FixtureRequest, name: str
) -> None:
    model = request.getfixturevalue("minilm") if name == "minilm" else model_of(name)
    layers, select = [0, 2], Select(start_token=2)
    expected = alone(model, layers, select)
    texts = [model.tokens(text) for text in TEXTS]
    for batch_tokens in (1, 150, 100_000):
        for side in ("right", "left"):
            found = text_means(model, texts, layers, Span(select, batch_tokens, side))
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-4, err_msg=f"{batch_tokens} {side}")


@pytest.mark.parametrize("name", DECODERS)
def test_rows_are_the_same_with_and_without_a_cache(model_of: Built, name: str) -> None:
    model = model_of(name)
    tokens = model.tokens(TEXTS[0])
    ids = torch.from_numpy(tokens.ids).long()[None]
    steps = []
    with torch.inference_mode(), capture(model, [1, 3]) as got:
        cache = None
        for index in range(len(tokens)):
            out = model.network(input_ids=ids[:, index : index + 1], past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            steps.append(torch.stack([got[1][0, 0], got[3][0, 0]]))
    np.testing.assert_allclose(torch.stack(steps, dim=1).numpy(), rows(model, tokens, [1, 3]), atol=3e-5, rtol=1e-4)


def calls_of_blocks(model: Model, run: Callable[[], object]) -> list[int]:
    counts = [0] * model.n_layers

    def counter(layer: int) -> Callable[..., None]:
        def count(*_: object) -> None:
            counts[layer] += 1

        return count

    handles = [block.register_forward_pre_hook(counter(layer)) for layer, block in enumerate(model.sites.blocks)]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return counts


def test_nothing_runs_behind_the_highest_layer(tiny: Model) -> None:
    tokens = tiny.tokens("ab")
    heads = []
    handle = tiny.network.lm_head.register_forward_hook(lambda *_: heads.append(1))
    try:
        assert calls_of_blocks(tiny, lambda: rows(tiny, tokens, [0])) == [1, 0, 0, 0]
        assert calls_of_blocks(tiny, lambda: rows(tiny, tokens, [2, 0])) == [1, 1, 1, 0]
        assert calls_of_blocks(tiny, lambda: text_means(tiny, [tokens] * 3, [1])) == [1, 1, 0, 0]
        assert calls_of_blocks(tiny, lambda: rows(tiny, tokens, [3])) == [1, 1, 1, 1]
    finally:
        handle.remove()
    assert heads == [], "the unembedding must never run"


def test_capture_as_a_context_leaves_the_pass_when_asked(tiny: Model) -> None:
    ids = torch.from_numpy(tiny.tokens("abc").ids).long()[None]
    reached: list[str] = []

    def run(stop: bool) -> None:
        with torch.inference_mode(), capture(tiny, [1, 2], stop=stop) as got:
            tiny.network(input_ids=ids)
            reached.append("behind the pass")
        assert sorted(got) == [1, 2]
        assert got[2].shape == (1, 4, 32)

    assert calls_of_blocks(tiny, lambda: run(True)) == [1, 1, 1, 0]
    assert reached == []
    assert calls_of_blocks(tiny, lambda: run(False)) == [1, 1, 1, 1]
    assert reached == ["behind the pass"]
    assert not tiny.hooks.active


def test_nested_captures_each_see_what_they_asked_for(tiny: Model) -> None:
    tokens = tiny.tokens("abc")
    with torch.inference_mode(), capture(tiny, [3]) as outer:
        inner = rows(tiny, tokens, [1])
    assert outer[3].shape == (1, 4, 32), "an inner early exit must not hide layers from an outer reader"
    np.testing.assert_array_equal(inner, rows(tiny, tokens, [1]))


def test_an_error_inside_capture_is_not_swallowed(tiny: Model) -> None:
    with pytest.raises(KeyError), capture(tiny, [1], stop=True):
        raise KeyError("mine")
    assert not tiny.hooks.active


def test_layers_are_checked(tiny: Model) -> None:
    tokens = [tiny.tokens("ab")]
    for layers in ([], [4], [-1], [1, 1]):
        with pytest.raises(LayerError):
            text_means(tiny, tokens, layers)
        with pytest.raises(LayerError):
            rows(tiny, tokens[0], layers)
    with pytest.raises(LayerError), capture(tiny, 4):
        pass
    assert not tiny.hooks.active


def test_layer_order_of_the_request_is_kept(tiny: Model) -> None:
    tokens = tiny.tokens("order")
    one, three = rows(tiny, tokens, [1])[0], rows(tiny, tokens, [3])[0]
    np.testing.assert_array_equal(rows(tiny, tokens, [3, 1]), np.stack([three, one]))
    means = text_means(tiny, [tokens], [3, 1], Span(Select(special=True)))
    np.testing.assert_allclose(means[0], [three.mean(axis=0), one.mean(axis=0)], atol=1e-6)


def test_texts_without_a_selected_token_are_an_error_not_nan(tiny: Model) -> None:
    with pytest.raises(CorpusError, match="1 text\\(s\\) of a batch have no selected token"):
        text_means(tiny, [tiny.tokens("long enough"), tiny.tokens("no")], [1], Span(Select(start_token=3)))
    bare = tiny.tokens("", add_special=False)
    with pytest.raises(CorpusError, match="the text is empty"):
        rows(tiny, bare, [1])


def test_no_texts_give_no_means(tiny: Model) -> None:
    assert text_means(tiny, [], [1, 2]).shape == (0, 2, 32)


def broken_model() -> Model:
    model = tiny_model()
    with torch.no_grad():
        model.network.model.layers[2].mlp.down_proj.weight.fill_(float("nan"))
    return model


def test_nan_names_its_layer() -> None:
    model = broken_model()
    tokens = model.tokens("some text of some length")
    assert np.isfinite(text_means(model, [tokens], [0, 1])).all()
    with pytest.raises(ActivationError, match=r"at layer 2 \(1 of 1 texts of a batch\).*dtype=float32"):
        text_means(model, [tokens], [1, 2, 3])
    with pytest.raises(ActivationError, match=r"at layer 2 \(\d+ of \d+ tokens of the text\)"):
        rows(model, tokens, [1, 2, 3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_give_float32_means(dtype: torch.dtype) -> None:
    exact, half = tiny_model(), tiny_model()
    half.network.to(dtype)
    tokens = [half.tokens(text) for text in TEXTS]
    found, read = text_means(half, tokens, [1, 2], Span(batch_tokens=1)), rows(half, tokens[0], [1, 2])
    assert found.dtype == read.dtype == np.float32
    assert half.dtype == dtype
    # The mean is taken in float32: it is finer than the grid of the half-precision rows.
    assert not np.array_equal(found, torch.from_numpy(found).to(dtype).float().numpy())
    np.testing.assert_allclose(found, text_means(exact, tokens, [1, 2]), atol=0.1, rtol=0.1)
    np.testing.assert_allclose(found[0], read[:, 1:].mean(axis=1), atol=1e-5)


def test_a_backbone_wrapped_by_accelerate_can_be_read() -> None:
    model, plain = tiny_model(), tiny_model()
    add_hook_to_module(model.backbone, AlignDevicesHook(execution_device="cpu", io_same_device=True))
    tokens = model.tokens("dispatched")
    np.testing.assert_array_equal(rows(model, tokens, [1]), rows(plain, tokens, [1]))


@pytest.mark.parametrize("name", ["gpt2", "roberta", "bert", "opt"])
def test_texts_of_the_full_context_can_be_read(name: str) -> None:
    model = tiny_model(name, layers=2)
    tokens = model.tokens("a" * 3000)
    assert model.max_positions is not None
    assert len(tokens) == model.max_positions
    assert rows(model, tokens, [0]).shape == (1, len(tokens), 32)


def test_padded_batches(tiny: Model) -> None:
    batch = [tiny.tokens("abc"), tiny.tokens("a")]
    right, left = pad(tiny, batch), pad(tiny, batch, "left")
    assert right.ids.tolist() == [[256, 64, 65, 66], [256, 64, 258, 258]]
    assert left.ids.tolist() == [[256, 64, 65, 66], [258, 258, 256, 64]]
    assert left.real.tolist() == [[True] * 4, [False, False, True, True]]
    assert right.waste == left.waste == 0.25
    seen: dict[int, tuple[int, ...]] = {}
    forward(tiny, right, [0, 2], lambda layer, hidden: seen.__setitem__(layer, tuple(hidden.shape)))
    assert seen == {0: (2, 4, 32), 2: (2, 4, 32)}
