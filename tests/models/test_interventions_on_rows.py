from collections.abc import Callable

import numpy as np
import pytest
import torch

from thymos.errors import ActivationError, LayerError, UsageError
from thymos.models import Add, Cap, Model, ProjectOut, Select, capture, intervene, rows, tiny_model
from thymos.models.intervene import Intervention

TEXT = "Nothing was said about the letter."
LAYER = 1


def unit(model: Model, seed: int) -> np.ndarray:
    direction = np.random.default_rng(seed).normal(size=model.hidden_size)
    return (direction / np.linalg.norm(direction)).astype(np.float32)


def steered(model: Model, *interventions: Intervention, layer: int = LAYER) -> np.ndarray:
    with intervene(model, *interventions):
        return rows(model, model.tokens(TEXT), [layer])[0]


def add(direction: np.ndarray, strength: float, norm: float = 8.0, **options: Select) -> Add:
    return Add({LAYER: direction}, strength, {LAYER: norm}, **options)


def test_add_moves_the_projection_by_strength_times_norm(tiny: Model) -> None:
    v, plain = unit(tiny, 0), steered(tiny)
    for strength in (0.05, 0.5, -0.3):
        moved = steered(tiny, add(v, strength))
        np.testing.assert_allclose(moved @ v - plain @ v, strength * 8.0, atol=2e-5)
        across = (moved - plain) - np.outer((moved - plain) @ v, v)
        np.testing.assert_allclose(across, 0, atol=2e-5)


def test_opposite_signs_move_projections_apart(tiny: Model) -> None:
    v, plain = unit(tiny, 0), steered(tiny)
    up, down = steered(tiny, add(v, 0.2)) @ v, steered(tiny, add(v, -0.2)) @ v
    np.testing.assert_allclose(up - plain @ v, -(down - plain @ v), atol=2e-5)
    assert (up > down).all()


def test_project_out_leaves_nothing_along_any_of_the_directions(tiny: Model) -> None:
    given = np.stack([unit(tiny, 1) * 3, unit(tiny, 2), unit(tiny, 1) + unit(tiny, 2)]).astype(np.float32)
    plain, out = steered(tiny), steered(tiny, ProjectOut({LAYER: given}))
    assert np.abs(plain @ given.T).max() > 0.5
    np.testing.assert_allclose(out @ given.T, 0, atol=1e-5)
    basis = np.linalg.qr(given[:2].T)[0]
    np.testing.assert_allclose(out, plain - plain @ basis @ basis.T, atol=1e-5)


def test_projecting_out_a_zero_direction_changes_nothing(tiny: Model) -> None:
    np.testing.assert_array_equal(steered(tiny, ProjectOut({LAYER: np.zeros((1, 32), np.float32)})), steered(tiny))


def test_cap_takes_off_the_excess_and_leaves_the_rest_alone(tiny: Model) -> None:
    v, plain = unit(tiny, 4), steered(tiny)
    before = plain @ v
    ceiling = float(np.median(before))
    capped = steered(tiny, Cap({LAYER: v * 2.5}, {LAYER: ceiling}))
    over = before > ceiling + 1e-6
    assert 0 < over.sum() < len(before)
    np.testing.assert_allclose(capped[over] @ v, ceiling, atol=1e-5)
    np.testing.assert_array_equal(capped[~over], plain[~over])
    np.testing.assert_allclose(capped[over], plain[over] - np.outer(before[over] - ceiling, v), atol=1e-5)
    with pytest.raises(UsageError, match="cannot cap along a zero direction"):
        steered(tiny, Cap({LAYER: v * 0}, {LAYER: 1.0}))


def test_interventions_compose_in_the_order_given(tiny: Model) -> None:
    v = unit(tiny, 5)
    out, push = ProjectOut({LAYER: v[None]}), add(v, 0.5)
    np.testing.assert_allclose(steered(tiny, out, push) @ v, 4.0, atol=1e-5)
    np.testing.assert_allclose(steered(tiny, push, out) @ v, 0.0, atol=1e-5)


def test_nested_contexts_compose_and_unwind(tiny: Model) -> None:
    v, w, plain = unit(tiny, 5), unit(tiny, 6), steered(tiny)
    with intervene(tiny, add(v, 0.5)):
        outer = steered(tiny)
        both = steered(tiny, add(w, 0.25))
        np.testing.assert_array_equal(steered(tiny), outer)
    np.testing.assert_allclose(both - plain, np.tile(4.0 * v + 2.0 * w, (len(plain), 1)), atol=2e-5)
    np.testing.assert_array_equal(steered(tiny), plain)
    same = add(v, 0.5)
    with intervene(tiny, same), intervene(tiny, same):
        np.testing.assert_allclose(steered(tiny) @ v - plain @ v, 8.0, atol=2e-5)
    assert not tiny.hooks.active


def test_several_layers_are_each_steered(tiny: Model) -> None:
    v = unit(tiny, 7)
    both = Add({0: v, 2: v}, 0.5, {0: 2.0, 2: 6.0})
    first = steered(tiny, both, layer=0) - steered(tiny, layer=0)
    np.testing.assert_allclose(first @ v, 1.0, atol=1e-5)
    only_first = Add({0: v}, 0.5, {0: 2.0})
    second = steered(tiny, both, layer=2) - steered(tiny, only_first, layer=2)
    np.testing.assert_allclose(second @ v, 3.0, atol=1e-4)


def test_the_zero_vector_and_the_zero_dose_are_bit_identical(tiny: Model) -> None:
    v, plain = unit(tiny, 8), steered(tiny, layer=3)
    for nothing in (add(v, 0.0), add(v * 0, 1.0), Cap({LAYER: v}, {LAYER: 1e9})):
        np.testing.assert_array_equal(steered(tiny, nothing, layer=3), plain)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_hidden_states_of_transformers_show_the_steered_stream(first: str) -> None:
    model = tiny_model(seed=5)
    v = unit(model, 9)
    ids = torch.from_numpy(model.tokens(TEXT).ids).long()[None]

    def states() -> np.ndarray:
        with torch.inference_mode():
            return model.network(input_ids=ids, output_hidden_states=True).hidden_states[LAYER + 1][0].numpy()

    plain = states() if first == "theirs" else rows(model, model.tokens(TEXT), [LAYER])[0]
    with intervene(model, add(v, 0.5)), capture(model, [LAYER]) as got:
        seen = states()
    np.testing.assert_allclose(seen - plain, np.tile(4.0 * v, (len(plain), 1)), atol=1e-5)
    np.testing.assert_array_equal(got[LAYER][0].numpy(), seen)
    np.testing.assert_allclose(states(), plain, atol=1e-6)


def test_reading_and_steering_share_the_hook_in_either_order(tiny: Model) -> None:
    v, plain = unit(tiny, 9), steered(tiny)
    ids = torch.from_numpy(tiny.tokens(TEXT).ids).long()[None]
    with torch.inference_mode(), capture(tiny, [LAYER]) as got, intervene(tiny, add(v, 0.5)):
        tiny.network(input_ids=ids)
    np.testing.assert_allclose(got[LAYER][0].numpy() @ v - plain @ v, 4.0, atol=2e-5)


@pytest.mark.parametrize(
    ("select", "chosen"),
    [
        (Select(where="prompt", special=True), range(35)),
        (Select(where="generated", special=True), []),
        (Select(where="reply", special=True), [34]),
        (Select(positions=(0, 3, 400), special=True), [0, 3]),
    ],
)
def test_selections_that_need_no_prompt_in_a_plain_pass(tiny: Model, select: Select, chosen: range) -> None:
    v, plain = unit(tiny, 10), steered(tiny)
    moved = (steered(tiny, add(v, 0.5, select=select)) - plain) @ v
    expected = np.zeros(35)
    expected[list(chosen)] = 4.0
    np.testing.assert_allclose(moved, expected, atol=2e-5)


def test_prompts_can_be_given_for_selections_that_need_them(tiny: Model) -> None:
    v, plain, tokens = unit(tiny, 10), steered(tiny), tiny.tokens(TEXT)
    for select in (Select(start_token=20), Select(chars=((8, 11), (18, 20)))):
        with intervene(tiny, add(v, 0.5, select=select), prompts=[tokens]):
            moved = rows(tiny, tokens, [LAYER])[0]
        np.testing.assert_allclose((moved - plain) @ v, 4.0 * select.mask(tokens), atol=2e-5)


def test_unselected_rows_are_bit_identical(tiny: Model) -> None:
    plain = steered(tiny)
    moved = steered(tiny, add(unit(tiny, 1), 0.7, select=Select(positions=(5,), special=True)))
    np.testing.assert_array_equal(np.delete(moved, 5, axis=0), np.delete(plain, 5, axis=0))


Make = Callable[[Model], Intervention]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: Add({9: unit(m, 0)}, 1.0, {9: 1.0}), LayerError, "layer 9 does not exist.*layers 0 to 3"),
        (lambda m: Add({1: unit(m, 0)}, 1.0, {2: 1.0}), LayerError, r"no residual norm .* layer 1; .* \[2\]"),
        (lambda m: Cap({1: unit(m, 0)}, {}), LayerError, "no ceiling is given for layer 1"),
        (lambda m: Add({1: np.ones(7, np.float32)}, 1.0, {1: 1.0}), UsageError, "has 7 components.*hidden size 32"),
        (lambda m: Add({1: unit(m, 0)}, float("nan"), {1: 1.0}), ActivationError, "holds NaN or infinity"),
        (lambda m: Add({1: unit(m, 0)}, 1.0, {1: 1.0}, Select()), UsageError, "needs the fed prompts"),
        (lambda m: Add({1: unit(m, 0)}, 1.0, {1: 1.0}, Select(roles=("user",))), UsageError, "needs the fed prompts"),
    ],
)
def test_interventions_that_make_no_sense(tiny: Model, make: Make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), intervene(tiny, make(tiny)):
        pass
    assert not tiny.hooks.active


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_edits_keep_the_dtype_and_project_in_float32(dtype: torch.dtype) -> None:
    model = tiny_model()
    model.network.to(dtype)
    v = unit(model, 11)
    plain = steered(model)
    out = steered(model, ProjectOut({LAYER: v[None]}))
    # What is left is the rounding of the rows themselves, not of the direction.
    rounding = np.linalg.norm(plain, axis=1) * float(torch.finfo(dtype).eps)
    assert (np.abs(out @ v) <= rounding).all()
    moved = steered(model, add(v, 0.5))
    np.testing.assert_allclose((moved - plain) @ v, 4.0, atol=0.05)
    np.testing.assert_array_equal(steered(model, add(v, 0.0)), plain)


def test_edits_follow_the_rows_not_the_parameters() -> None:
    model = tiny_model()
    v = unit(model, 12)
    plain = steered(model)
    # A quantized block: its first parameter holds packed integers.
    packed = torch.nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
    model.sites.blocks[LAYER].register_parameter("packed", packed)
    np.testing.assert_allclose((steered(model, add(v, 0.5)) - plain) @ v, 4.0, atol=2e-5)
    np.testing.assert_allclose(steered(model, ProjectOut({LAYER: v[None]})) @ v, 0.0, atol=1e-5)
    np.testing.assert_allclose(steered(model, Cap({LAYER: v}, {LAYER: -50.0})) @ v, -50.0, atol=1e-4)
