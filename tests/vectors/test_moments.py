"""Moments add up: in any batches, in any order, in any parts."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thymos.errors import ArtifactError, CorpusError, UsageError
from thymos.vectors import ConceptMoments, RowMoments, neutral_components, remove, scatter_bytes, sketch_size
from thymos.vectors.moments import ExactScatter, SketchScatter

LAYERS, HIDDEN, CONCEPTS = 2, 6, 3
SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5)
EXAMPLES = settings(max_examples=40, deadline=None)


def rows_of(sizes: Sequence[int], seed: int, shift: float) -> list[list[torch.Tensor]]:
    """Per part: one tensor [n, hidden] per layer, off the origin and of unequal spread."""
    draw = np.random.default_rng(seed)
    spread = draw.uniform(0.1, 10.0, HIDDEN)
    return [
        [
            torch.from_numpy((shift + spread * draw.normal(size=(size, HIDDEN))).astype(np.float32))
            for _ in range(LAYERS)
        ]
        for size in sizes
    ]


def moments_of(rows: Sequence[torch.Tensor], sketch: int | None = None) -> RowMoments:
    found = RowMoments.empty(LAYERS, HIDDEN, sketch=sketch)
    found.add(rows)
    return found


def assert_close(left: RowMoments, right: RowMoments, tolerance: float) -> None:
    assert left.count == right.count
    np.testing.assert_allclose(left.norm_sum, right.norm_sum, rtol=tolerance)
    scale = max(np.abs(right.mean).max(), 1e-12)
    np.testing.assert_allclose(left.mean, right.mean, atol=tolerance * scale)
    for mine, theirs in zip(left.scatters, right.scatters, strict=True):
        size = max(theirs.trace, 1e-12)
        assert abs(mine.trace - theirs.trace) <= tolerance * size
        assert float((mine.matrix() - theirs.matrix()).abs().max()) <= tolerance * size


@EXAMPLES
@given(SIZES, st.integers(0, 2**16), st.sampled_from([0.0, 3.0, 50.0]))
def test_merging_is_commutative_and_associative(sizes: list[int], seed: int, shift: float) -> None:
    parts = [moments_of(rows) for rows in rows_of([*sizes, 4, 3], seed, shift)]
    a, b, c = parts[0], parts[-1], parts[-2]
    assert_close(a.merge(b), b.merge(a), 1e-9)
    assert_close(a.merge(b).merge(c), a.merge(b.merge(c)), 1e-9)
    forward, backward = parts[0], parts[-1]
    for left, right in zip(parts[1:], parts[-2::-1], strict=True):
        forward, backward = forward.merge(left), backward.merge(right)
    assert_close(forward, backward, 1e-9)


@EXAMPLES
@given(SIZES, st.integers(0, 2**16), st.sampled_from([0.0, 3.0, 50.0]))
def test_any_batches_equal_numpy(sizes: list[int], seed: int, shift: float) -> None:
    parts = rows_of([*sizes, 5], seed, shift)
    found = RowMoments.empty(LAYERS, HIDDEN)
    for rows in parts:
        found.add(rows)
    merged = moments_of(parts[0])
    for rows in parts[1:]:
        merged = merged.merge(moments_of(rows))
    for layer in range(LAYERS):
        everything = torch.cat([rows[layer] for rows in parts]).double().numpy()
        n = len(everything)
        truth = np.cov(everything.T, bias=True) * n
        assert found.count == merged.count == n
        for moments in (found, merged):
            np.testing.assert_allclose(moments.mean[layer], everything.mean(axis=0), atol=1e-5 * (1 + shift))
            np.testing.assert_allclose(
                moments.scatters[layer].matrix().numpy(), truth, atol=2e-5 * max(np.trace(truth), 1e-9)
            )
            assert moments.scatters[layer].trace == pytest.approx(np.trace(truth), rel=2e-5)
            norm = np.linalg.norm(everything, axis=1).mean()
            assert moments.mean_norm()[layer] == pytest.approx(norm, rel=1e-6)


def test_a_large_offset_does_not_swallow_the_scatter() -> None:
    """One-pass sums of squares in float32 would lose everything here: mean 3000, spread 1."""
    draw = np.random.default_rng(0)
    rows = (3000 + draw.normal(size=(4000, HIDDEN))).astype(np.float32)
    found = RowMoments.empty(1, HIDDEN)
    for start in range(0, 4000, 37):
        found.add([torch.from_numpy(rows[start : start + 37])])
    truth = np.cov(rows.astype(np.float64).T, bias=True) * 4000
    np.testing.assert_allclose(found.scatters[0].matrix().numpy(), truth, atol=1e-3 * np.trace(truth))


@EXAMPLES
@given(SIZES, st.integers(0, 2**16), st.sampled_from([None, 4]))
def test_state_round_trip_is_exact(sizes: list[int], seed: int, sketch: int | None) -> None:
    found = RowMoments.empty(LAYERS, HIDDEN, sketch=sketch)
    parts = rows_of(sizes, seed, 1.0)
    for rows in parts:
        found.add(rows)
    again = RowMoments.from_state(found.state())
    for moments in (found, again):
        moments.add(parts[0])
    left, right = found.state(), again.state()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)


def concept_moments(seed: int, texts: int) -> ConceptMoments:
    draw = np.random.default_rng(seed)
    found = ConceptMoments.empty(LAYERS, CONCEPTS, HIDDEN)
    means = draw.normal(size=(texts, LAYERS, HIDDEN)).astype(np.float32)
    found.add(means, draw.integers(0, CONCEPTS, texts))
    return found


@EXAMPLES
@given(st.integers(0, 2**16), st.integers(0, 20), st.integers(1, 20))
def test_concept_moments_merge(seed: int, first: int, second: int) -> None:
    a, b, c = concept_moments(seed, first), concept_moments(seed + 1, second), concept_moments(seed + 2, 3)
    for left, right in ((a.merge(b), b.merge(a)), (a.merge(b).merge(c), a.merge(b.merge(c)))):
        np.testing.assert_array_equal(left.counts, right.counts)
        np.testing.assert_allclose(left.sums, right.sums, rtol=1e-9, atol=1e-12)
    again = ConceptMoments.from_state(a.state())
    np.testing.assert_array_equal(again.sums, a.sums)
    np.testing.assert_array_equal(again.counts, a.counts)


def test_concept_means_are_means_of_texts() -> None:
    draw = np.random.default_rng(3)
    means, labels = draw.normal(size=(30, LAYERS, HIDDEN)).astype(np.float32), draw.integers(0, 2, 30)
    found = ConceptMoments.empty(LAYERS, CONCEPTS, HIDDEN)
    for start in range(0, 30, 7):
        found.add(means[start : start + 7], labels[start : start + 7])
    for concept in range(2):
        truth = means[labels == concept].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(found.means()[:, concept], truth, rtol=1e-12)
    assert np.isnan(found.means()[:, 2]).all()


def test_moments_of_other_shapes_are_refused() -> None:
    with pytest.raises(ArtifactError, match=r"shape \(2, 6\) and \(3, 6\) cannot be merged; .*same model, layers"):
        RowMoments.empty(2, 6).merge(RowMoments.empty(3, 6))
    with pytest.raises(ArtifactError, match="cannot be merged"):
        ConceptMoments.empty(2, 3, 6).merge(ConceptMoments.empty(2, 4, 6))


def spectral_error(sketch: SketchScatter, truth: np.ndarray) -> float:
    return float(np.linalg.norm(truth - sketch.matrix().numpy(), 2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 12), st.floats(0.0, 3.0))
def test_sketch_error_bound(seed: int, size: int, decay: float) -> None:
    """The spectral error of Frequent Directions is at most trace / size, in any batches; the trace is exact."""
    draw = np.random.default_rng(seed)
    rows = (draw.normal(size=(150, 24)) * np.arange(1, 25) ** -decay).astype(np.float32)
    truth = rows.astype(np.float64).T @ rows.astype(np.float64)
    sketch = SketchScatter(24, size)
    start = 0
    while start < len(rows):
        taken = int(draw.integers(1, 40))
        sketch.add(torch.from_numpy(rows[start : start + taken]))
        start += taken
    assert sketch.rows().shape[0] <= 2 * size
    assert sketch.trace == pytest.approx(np.trace(truth), rel=1e-6)
    assert spectral_error(sketch, truth) <= np.trace(truth) / size * (1 + 1e-4)


@pytest.mark.parametrize("kinds", [(8, 8), (None, 8), (8, None)])
def test_merged_sketches_keep_trace_and_bound(kinds: tuple[int | None, int | None]) -> None:
    """A sketch on either side makes a sketch: an exact matrix would claim more than is known."""
    draw = np.random.default_rng(5)
    rows = torch.from_numpy((draw.normal(size=(400, 30)) * np.linspace(3, 0.1, 30) + 2).astype(np.float32))
    parts = []
    for kind, chunk in zip(kinds, (rows[:150], rows[150:]), strict=True):
        part = RowMoments.empty(1, 30, sketch=kind)
        part.add([chunk])
        parts.append(part)
    merged = parts[0].merge(parts[1])
    truth = np.cov(rows.double().numpy().T, bias=True) * 400
    assert isinstance(merged.scatters[0], SketchScatter)
    assert merged.scatters[0].trace == pytest.approx(np.trace(truth), rel=1e-5)
    assert spectral_error(merged.scatters[0], truth) <= 2 * np.trace(truth) / 8


def test_components_of_a_planted_spectrum() -> None:
    """Three directions hold 70%, two hold 49%: half of the variance takes three."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    values = np.array([30, 19, 21 - 1e-9, *[30 / 7] * 7])
    scatter = ExactScatter(10)
    scatter.add_matrix(torch.from_numpy((basis * values) @ basis.T), float(values.sum()))
    found = neutral_components(scatter, 0.5)
    assert found.count == 2  # 30 + 21 = 51
    assert found.share == pytest.approx(0.51)
    assert neutral_components(scatter, 0.52).count == 3
    assert neutral_components(scatter, 0.0).count == 0
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(2), atol=1e-6)
    rows = np.random.default_rng(1).normal(size=(4, 10))
    clean = remove(rows, found.basis)
    np.testing.assert_allclose(clean @ found.basis.T, 0, atol=1e-6)
    np.testing.assert_allclose(clean @ basis[:, 3:], rows @ basis[:, 3:], atol=1e-6)


def test_a_share_that_is_reached_exactly() -> None:
    scatter = ExactScatter(4)
    scatter.add_matrix(torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.5], dtype=torch.float64)), 4.0)
    assert neutral_components(scatter, 0.5).count == 1


def test_components_from_a_sketch_hold_the_share() -> None:
    draw = np.random.default_rng(2)
    rows = torch.from_numpy((draw.normal(size=(500, 32)) * 0.7 ** np.arange(32)).astype(np.float32))
    exact, sketch = ExactScatter(32), SketchScatter(32, 16)
    for scatter in (exact, sketch):
        scatter.add(rows - rows.mean(dim=0))
    left, right = neutral_components(exact), neutral_components(sketch)
    assert left.count == right.count
    overlap = np.linalg.svd(left.basis @ right.basis.T, compute_uv=False)
    assert overlap.min() > 0.99


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5])
def test_impossible_shares(share: float) -> None:
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\), got .*removes 0.5"):
        neutral_components(ExactScatter(3), share)


def test_scatters_without_variance_and_small_sketches() -> None:
    with pytest.raises(CorpusError, match="do not vary; give at least two different neutral texts"):
        neutral_components(ExactScatter(3), 0.5)
    sketch = SketchScatter(64, 2)
    sketch.add(torch.randn(500, 64, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(CorpusError, match=r"holds only \d+% of the neutral variance.*--memory-budget"):
        neutral_components(sketch, 0.9)


def test_memory_budget() -> None:
    assert scatter_bytes(10, 100) == 2 * 10 * 100 * 100 * 8
    assert sketch_size(10, 100, scatter_bytes(10, 100)) is None
    size = sketch_size(60, 8192, 2**30)
    assert size is not None
    assert 64 <= size <= 1024
    assert 2 * 60 * 2 * size * 8192 * 4 <= 2**30
