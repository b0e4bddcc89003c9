"""The algebra of concept vectors, what it says of itself, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thymos.errors import FingerprintMismatchError, LayerError, UnknownConceptError, UsageError
from thymos.vectors import ConceptVector, EmotionVectors

HIDDEN = 8
FACTORS = st.floats(-100, 100).filter(lambda factor: factor == 0 or abs(factor) > 1e-3)
EXAMPLES = settings(max_examples=60, deadline=None)


def vector(seed: int, name: str = "calm", layers: tuple[int, ...] = (1, 2, 4)) -> ConceptVector:
    draw = np.random.default_rng(seed)
    values = {layer: draw.normal(size=HIDDEN).astype(np.float32) for layer in layers}
    return ConceptVector(values, {layer: 2.0 + layer for layer in layers}, layers[1], name, "f" * 64)


def assert_same(left: ConceptVector, right: ConceptVector, tolerance: float = 1e-5) -> None:
    assert left.layers == right.layers
    assert left.norms == right.norms
    for layer in left.layers:
        np.testing.assert_allclose(left.values[layer], right.values[layer], atol=tolerance)


@EXAMPLES
@given(st.integers(0, 999), FACTORS, FACTORS)
def test_a_vector_space(seed: int, left: float, right: float) -> None:
    a, b, c = vector(seed), vector(seed + 1), vector(seed + 2)
    assert_same(a + b, b + a)
    assert_same((a + b) + c, a + (b + c))
    assert_same(left * a + right * a, (left + right) * a, 1e-3)
    assert_same(left * (a + b), left * a + left * b, 1e-3)
    assert_same(-a, a * -1)
    assert_same(a / 4, 0.25 * a)
    for zero in (a - a, 0 * a, b + a - b - a):
        assert all(np.abs(value).max() < 1e-5 for value in zero.values.values())
    assert all(not value.any() for value in (a - a).values.values())
    assert (left * a).values[2].dtype == np.float32


@EXAMPLES
@given(st.integers(0, 999))
def test_without_and_along_decompose(seed: int) -> None:
    a, b = vector(seed), vector(seed + 1)
    rest, part = a.without(b), a.along(b)
    assert_same(rest + part, a)
    for layer in a.layers:
        size = np.linalg.norm(b.values[layer])
        assert abs(rest.values[layer] @ b.values[layer]) / size < 1e-4
        cosine = part.values[layer] @ b.values[layer] / np.linalg.norm(part.values[layer]) / size
        assert abs(cosine) == pytest.approx(1, abs=1e-3)
    assert_same(rest.without(b), rest)
    assert_same(a.without(0 * b), a)


@EXAMPLES
@given(st.integers(0, 999))
def test_contrast_is_a_unit_difference_of_directions(seed: int) -> None:
    """Lengths do not matter, and the two sides are mirror images."""
    a, b = vector(seed), vector(seed + 1)
    found = a.contrast(b)
    assert_same(found, (5 * a).contrast(0.1 * b))
    assert_same(found, -b.contrast(a))
    for layer in a.layers:
        assert np.linalg.norm(found.values[layer]) == pytest.approx(1, abs=1e-5)
    assert found.cosine(a) == pytest.approx(-found.cosine(b), abs=1e-4)
    assert found.recipe == "contrast(calm, calm)"


def test_cosine_and_strength() -> None:
    a, b = vector(1), vector(2)
    truth = a.values[2] @ b.values[2] / np.linalg.norm(a.values[2]) / np.linalg.norm(b.values[2])
    assert a.cosine(b) == pytest.approx(float(truth), abs=1e-6)
    assert a.cosine(a, layer=4) == pytest.approx(1)
    assert a.cosine(0 * b) == 0
    assert (0.05 * a.unit()).strength == pytest.approx(0.05)
    with pytest.raises(LayerError, match=r"both known at \[1, 2, 4\], not at 3"):
        a.cosine(b, layer=3)


def test_recipes_say_how_a_vector_was_made() -> None:
    calm, angry, sad = vector(1, "calm"), vector(2, "angry"), vector(3, "sad")
    assert (0.05 * calm - 0.02 * angry).recipe == "0.05*calm - 0.02*angry"
    assert (calm - (angry + sad)).recipe == "calm - (angry + sad)"
    assert (2 * (calm + angry)).recipe == "2*(calm + angry)"
    assert (calm.without(angry + sad)).recipe == "calm without (angry + sad)"
    assert (-calm).recipe == "-1*calm"
    assert calm.along(sad).unit().recipe == "unit(calm along sad)"
    assert (calm / 4).recipe == "0.25*calm"


def test_layers_that_only_one_side_has_are_left_out() -> None:
    a, b = vector(1, layers=(1, 2, 4)), vector(2, layers=(0, 1, 4))
    found = a + b
    assert found.layers == (1, 4)
    assert set(found.norms) == {1, 4}
    assert found.layer == 1
    with pytest.raises(LayerError, match="share none"):
        a + vector(3, layers=(7, 8))


def test_naming_layers() -> None:
    """`at` names the layers that are steered; sums keep what they share of them."""
    a = vector(1)
    assert a.steered == (2,)
    assert a.at(4, 1).steered == (1, 4)
    assert a.at(4, 1).layer == 4
    assert a.at(1, 2).layer == 2
    assert (a.at(1, 4) + vector(2, layers=(4, 5))).steered == (4,)
    with pytest.raises(LayerError, match=r"calm is not known at layer\(s\) \[3\]; it is known at \[1, 2, 4\]"):
        a.at(3)
    with pytest.raises(LayerError):
        a.at()


@pytest.mark.parametrize("combine", ["__add__", "__sub__", "without", "along", "contrast", "cosine"])
def test_vectors_of_two_models_are_refused(combine: str) -> None:
    a, b = vector(1, "calm"), replace(vector(2, "angry"), fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatchError, match=r"ffffffffffff and .* 000000000000; .*no common space"):
        getattr(a, combine)(b)


def test_nonsense_is_refused() -> None:
    a = vector(1)
    for factor in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="finite"):
            a * factor
    with pytest.raises(UsageError, match="divided by zero"):
        a / 0
    with pytest.raises(UsageError, match=r"calm - calm is zero, so it has no direction"):
        (a - a).unit()
    with pytest.raises(UsageError, match="no direction"):
        a.contrast(a)


def test_indexing_a_set(vectors: EmotionVectors) -> None:
    calm = vectors["calm"]
    assert calm.recipe == "calm"
    assert calm.layers == vectors.layers
    assert calm.layer == vectors.layer
    assert calm.norms == {layer: vectors.at(layer).norm for layer in vectors.layers}
    assert calm.strength == pytest.approx(1, abs=1e-6)
    assert "calm" in vectors
    assert "clam" not in vectors
    assert list(vectors) == list(vectors.concepts)
    with pytest.raises(UnknownConceptError, match="unknown concept 'clam' in this vector set; did you mean 'calm'"):
        vectors["clam"]
    with pytest.raises(LayerError, match="layer 9 is not in this vector set; it holds 0-3"):
        vectors.at(9)
