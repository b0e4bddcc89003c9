import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from thymos.errors import UsageError
from thymos.figures import concept_tree, confusion, cosine_heatmap, layer_similarity, leaf_order, to_svg
from thymos.figures.colours import contrast_ratio, sequential
from thymos.figures.matrices import _ink_turns_white


def _vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 12))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _cosines(count: int, seed: int = 0) -> np.ndarray:
    rows = _vectors(count, seed)
    return rows @ rows.T


def test_the_leaf_order_is_that_of_scipy_on_the_vectors_themselves():
    distances = pdist(_vectors(30), metric="cosine")
    tree = hierarchy.linkage(distances, method="average", optimal_ordering=True)
    assert leaf_order(_cosines(30)) == hierarchy.leaves_list(tree).tolist()
    np.testing.assert_allclose(concept_tree(_cosines(30))[:, 2], tree[:, 2], atol=1e-9)


def test_both_axes_have_the_leaf_order_and_the_tree_stands_over_its_columns(caption):
    cosines, words = _cosines(9), [f"w{i}" for i in range(9)]
    spec = cosine_heatmap(cosines, words, caption=caption).to_dict()
    tree, heat = spec["vconcat"]
    ordered = [words[i] for i in leaf_order(cosines)]
    assert heat["encoding"]["x"]["scale"]["domain"] == ordered
    assert heat["encoding"]["y"]["scale"]["domain"] == ordered
    assert tree["width"] == heat["width"]
    assert tree["encoding"]["x"]["scale"]["domain"] == [0, 9]
    branches = spec["datasets"][tree["data"]["name"]]
    feet = sorted({row["leaf"] for row in branches if row["distance"] == 0})
    assert feet == [i + 0.5 for i in range(9)]


def test_the_colour_scale_is_symmetric_and_not_set_by_the_diagonal(caption):
    cosines = _cosines(9)
    heat = cosine_heatmap(cosines, [f"w{i}" for i in range(9)], caption=caption).to_dict()["vconcat"][1]
    low, high = heat["encoding"]["color"]["scale"]["domain"]
    assert low == -high
    assert high == pytest.approx(np.abs(cosines[~np.eye(9, dtype=bool)]).max())
    assert len(heat["encoding"]["color"]["scale"]["range"]) % 2 == 1


def test_171_concepts_are_all_named(caption):
    words = [f"concept{i}" for i in range(171)]
    rows = np.random.default_rng(1).normal(size=(171, 40))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    svg = to_svg(cosine_heatmap((rows @ rows.T).astype(np.float32), words, caption=caption))
    assert all(svg.count(f">{word}</text>") == 2 for word in words)
    assert len(svg) < 2.5e6


def test_confusion_rows_sum_to_one_and_show_their_n(caption):
    counts = np.array([[8, 2, 0], [0, 0, 0], [1, 1, 2]])
    chart = confusion(counts, ["calm", "afraid", "proud"], caption=caption)
    (cells,) = chart.to_dict()["datasets"].values()
    assert sum(c["share"] for c in cells if c["true"].startswith("calm")) == pytest.approx(1)
    assert not [c for c in cells if c["true"].startswith("afraid")]
    svg = to_svg(chart).replace("\u00a0", " ")
    for text in ("80%", "50%", "calm", "n = 10", "n = 0", "n = 4", "Predicted"):
        assert text in svg, text


def test_numbers_in_cells_can_be_read_on_every_shade():
    turn = _ink_turns_white()
    for index, colour in enumerate(sequential(101)):
        assert contrast_ratio(colour, "#ffffff" if index / 100 > turn else "#000000") >= 4.5


def test_large_confusion_matrices_have_no_numbers_in_their_cells(caption):
    labels = [f"l{i}" for i in range(40)]
    assert "%</text>" not in to_svg(confusion(np.eye(40) * 3, labels, caption=caption)).split("share of row")[0]


def test_layer_similarity_diverges_only_with_negative_values(caption):
    for low, start in ((0.1, 0), (-0.5, -1)):
        matrix = np.array([[1.0, low], [low, 1.0]])
        spec = layer_similarity(matrix, [3, 7], caption=caption).to_dict()
        assert spec["encoding"]["color"]["scale"]["domain"][0] == start


def test_matrices_that_make_no_sense_are_refused(caption):
    bad = _cosines(3)
    bad[0, 1] += 0.2
    cases = [
        (lambda: cosine_heatmap(bad, ["a", "b", "c"], caption=caption), "not symmetric"),
        (lambda: cosine_heatmap(_cosines(3) * 2, ["a", "b", "c"], caption=caption), "-1 to 1"),
        (lambda: cosine_heatmap(np.ones((1, 1)), ["a"], caption=caption), "at least 2"),
        (lambda: cosine_heatmap(np.full((2, 2), np.nan), ["a", "b"], caption=caption), "NaN"),
        (lambda: cosine_heatmap(_cosines(3), ["a", "b"], caption=caption), "2 names for 3 rows"),
        (lambda: cosine_heatmap(_cosines(3), ["a", "b", "b"], caption=caption), "more than once"),
        (lambda: confusion(np.zeros((2, 2)), ["a", "b"], caption=caption), "one item"),
        (lambda: confusion(np.array([[1, -1], [0, 1]]), ["a", "b"], caption=caption), "0 or more"),
        (lambda: layer_similarity(np.zeros((0, 0)), [], caption=caption), "no values"),
    ]
    for call, message in cases:
        with pytest.raises(UsageError, match=message):
            call()
