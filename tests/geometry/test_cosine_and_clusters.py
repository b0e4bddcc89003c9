import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import blobs, rotation

from thymos.errors import UsageError
from thymos.geometry import cosine_matrix, kmeans, linkage_order, linkage_tree, nearest

GROUPS = [f"group {i}" for i in range(4) for _ in range(6)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_cosines_ignore_rotation_and_length_and_follow_row_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(7, 5))
    cosines = cosine_matrix(rows)
    assert np.array_equal(cosines, cosines.T) and np.all(np.diag(cosines) == 1.0) and np.abs(cosines).max() <= 1.0
    stretched = (rows * rng.uniform(0.1, 10, size=(7, 1))) @ rotation(5, seed)
    np.testing.assert_allclose(cosine_matrix(stretched), cosines, atol=1e-12)
    order = rng.permutation(7)
    np.testing.assert_allclose(cosine_matrix(rows[order]), cosines[np.ix_(order, order)], atol=1e-12)


def test_linkage_puts_groups_side_by_side() -> None:
    rows = blobs().astype(np.float32)
    mixed = np.random.default_rng(0).permutation(len(rows))
    order = linkage_order(rows[mixed])
    groups = np.repeat(np.arange(4), 6)[mixed][order]
    assert np.sum(np.diff(groups) != 0) == 3 and sorted(order) == list(range(24))
    assert linkage_tree(rows).shape == (23, 4)
    near = nearest(rows, 7, 5)
    assert {row for row, _ in near} == {6, 8, 9, 10, 11} and near[0][1] >= near[-1][1]


def test_unusable_vectors_are_named() -> None:
    rows = np.ones((3, 2))
    rows[1] = 0
    with pytest.raises(UsageError, match="1 of 3 vectors are zero or hold NaN or infinity, the first is row 1"):
        cosine_matrix(rows)
    rows[1] = np.nan
    with pytest.raises(UsageError, match="row 1"):
        linkage_order(rows)
    with pytest.raises(UsageError, match="1 vectors are too few"):
        cosine_matrix(np.ones((1, 4)))


def test_kmeans_recovers_planted_groups() -> None:
    found = kmeans(blobs(), [2, 4, 7], groups=GROUPS, permutations=99)
    right = found[1]
    assert right.k == 4 and right.rand == 1.0 and right.p == pytest.approx(0.01) and right.compared == 24
    np.testing.assert_array_equal(right.labels, np.repeat(np.arange(4), 6))
    assert right.silhouette == max(c.silhouette for c in found)
    assert right.members([str(i) for i in range(24)])[0] == ["0", "1", "2", "3", "4", "5"]
    assert found[0].inertia > right.inertia > found[2].inertia
    assert right.seed_agreement > found[2].seed_agreement - 1e-9


def test_kmeans_against_unrelated_groups_is_chance() -> None:
    p, rands = [], []
    for seed in range(20):
        rows = np.random.default_rng(seed).normal(size=(24, 10))
        got = kmeans(rows, [3, 4], groups=GROUPS, seeds=3, permutations=49, seed=seed)
        rands.append(got[1].rand)
        p.append(got[1].p)
    assert abs(np.mean(rands)) < 0.08
    assert np.mean(np.array(p) <= 0.1) <= 0.3


def test_kmeans_ignores_rotation_and_length() -> None:
    rows = blobs(noise=0.05)
    one, other = (kmeans(r, [4])[0] for r in (rows, 3.0 * rows @ rotation(20, 1)))
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.inertia == pytest.approx(other.inertia) and one.rand is None and one.p is None


def test_concepts_without_a_group_are_left_out_of_the_comparison() -> None:
    groups: list[str | None] = list(GROUPS)
    groups[3] = groups[20] = None
    got = kmeans(blobs(), [4], groups=groups, permutations=19)[0]
    assert got.compared == 22 and got.rand == 1.0


def test_kmeans_errors() -> None:
    rows = blobs()
    with pytest.raises(UsageError, match="k is 24; valid values are 2 to 23 for 24 concepts"):
        kmeans(rows, [4, 24])
    with pytest.raises(UsageError, match="nothing to run"):
        kmeans(rows, [])
    with pytest.raises(UsageError, match="2 groups for 24 vectors"):
        kmeans(rows, [4], groups=["a", "b"])
    with pytest.raises(UsageError, match=r"1 given group\(s\)"):
        kmeans(rows, [4], groups=["a"] * 24)
    with pytest.raises(UsageError, match="permutations is 0"):
        kmeans(rows, [4], groups=GROUPS, permutations=0)
