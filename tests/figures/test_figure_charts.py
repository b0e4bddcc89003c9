import json
import re

import numpy as np
import pandas as pd
import pytest

from thymos.errors import UsageError
from thymos.figures import (
    Caption,
    circumplex,
    cluster_map,
    component_against_norm,
    dose_response,
    dumbbells,
    explained_variance,
    forest,
    recall_by_layer,
    score_timeline,
    series_lines,
    to_svg,
    top_concepts,
    training_curve,
)
from thymos.figures._marks import apart, place_labels

WORDS = ["calm", "afraid", "proud", "bored", "angry"]


def _points() -> pd.DataFrame:
    x = np.array([0.9, -0.8, 0.6, -0.1, -0.7])
    return pd.DataFrame({"concept": WORDS, "x": x, "y": x[::-1], "pleasure": [0.8, -0.6, 0.7, np.nan, -0.5]})


def _rates() -> pd.DataFrame:
    one = pd.DataFrame({"strength": [-0.05, 0.0, 0.05], "rate": [0.1, 0.3, 0.6]})
    one["low"], one["high"] = one["rate"] - 0.1, one["rate"] + 0.1
    return pd.concat([one.assign(arm="calm"), one.assign(rate=0.3, low=0.2, high=0.4, arm="random directions")])


def _scores() -> pd.DataFrame:
    rows = [{"position": p, "concept": c, "score": 0.01 * p} for c in ("calm", "afraid") for p in range(8)]
    return pd.DataFrame(rows)


def _lines():
    rows = [{"x": n, "y": 0.1 * n, "series": series} for series in ("danger", "harmless") for n in range(4)]
    return pd.DataFrame(rows)


def _losses(count=30):
    stages = ["base"] * count + ["tuned"] * 5
    steps = np.arange(len(stages))
    return pd.DataFrame({"tokens": 1000 * (steps + 1), "loss": 2 + 6 / (steps + 1), "stage": stages})


def _charts(caption, layers):
    pairs = pd.DataFrame({"label": WORDS, "first": [0.1, 0.2, 0.3, 0.4, 0.5], "second": [0.5, 0.1, 0.3, 0.2, 0.6]})
    estimates = pd.DataFrame({"label": WORDS, "estimate": [0.4, -0.1, 0.2, 0.0, -0.3], "n": [20] * 5})
    estimates["low"], estimates["high"] = estimates["estimate"] - 0.15, estimates["estimate"] + 0.15
    coherence = _rates().rename(columns={"rate": "value"})
    scores = pd.DataFrame({"concept": WORDS, "score": [0.3, -0.2, 0.1, 0.05, -0.4]})
    norms = pd.DataFrame(
        {"concept": WORDS, "component": [1.0, 2.0, 0.5, -1.0, 0.0], "norm": [1.0, 3.0, 2.0, -1.0, 0.5]}
    )
    return {
        "sweep": (
            recall_by_layer(layers, caption=caption, chance=1 / 171, baselines={"bag of words": 0.22}, chosen=3),
            ["chance 0.0058", "bag of words 0.22", "layer 3", "Relative depth (share of the blocks)"],
        ),
        "series": (
            recall_by_layer(pd.concat([layers.assign(series=s) for s in ("means", "probe")]), caption=caption),
            ["means", "probe", "Held-out recall"],
        ),
        "variance": (
            explained_variance(np.array([0.5, 0.3, 0.1]), caption=caption, kept=1, threshold=0.8),
            ["running sum", "in use", "pass mark 0.8"],
        ),
        "circumplex": (
            circumplex(_points(), caption=caption, r=0.81, p=0.0002, axes=("PC1 (31%)", "PC2 (18%)")),
            ["calm", "PC1 (31%)", "human pleasure", "r = 0.81, permutation p = 0.0002"],
        ),
        "clusters": (
            cluster_map(_points().assign(cluster=[0, 1, 0, 1, 10]), caption=caption, method="UMAP", seed=7),
            ["cluster", "10", "UMAP, seed 7"],
        ),
        "lines": (
            series_lines(_lines(), caption=caption, axes=("Number", "Reading"), dashed="harmless"),
            ["Number", "Reading", "harmless"],
        ),
        "training": (
            training_curve(_losses(), caption=caption, levels={"entropy of the texts": 1.5}),
            ["Tokens seen", "Loss (nats a token)", "entropy of the texts 1.5", "base", "tuned"],
        ),
        "norm": (component_against_norm(norms, caption=caption), ["human pleasure", "PC1", "angry"]),
        "dumbbells": (dumbbells(pairs, caption=caption, names=("base", "tuned")), ["base", "tuned", "calm"]),
        "forest": (
            forest(estimates, caption=caption),
            ["+0.40 [+0.25, +0.55]", "calm (n = 20)", "−0.30 [−0.45, −0.15]"],
        ),
        "top": (top_concepts(scores, caption=caption, most=3), ["angry", "−0.400", "+0.300"]),
        "dose": (
            dose_response(_rates(), caption=caption, chance=0.3, coherence=coherence, least_coherence=0.25),
            [
                "random directions",
                "chance 0.3",
                "limit 0.25",
                "Coherence",
                "Strength (share of the mean residual norm)",
            ],
        ),
        "dose alone": (dose_response(_rates().drop(columns="arm"), caption=caption), ["Rate of the behaviour"]),
        "timeline": (
            score_timeline(
                _scores(),
                caption=caption,
                roles=[("user", 1, 4), ("assistant", 5, 8)],
                thresholds={"afraid": 0.05},
                alerts={"afraid": [6]},
            ),
            ["calm", "afraid", "user", "assistant", "threshold 0.05", "Token position"],
        ),
    }


def _text_of(svg: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", svg).replace("\u00a0", " "))


@pytest.mark.parametrize(
    "name",
    [
        "sweep",
        "series",
        "variance",
        "circumplex",
        "clusters",
        "norm",
        "dumbbells",
        "forest",
        "top",
        "dose",
        "dose alone",
    ]
    + ["timeline", "lines", "training"],
)
def test_a_chart_validates_and_its_picture_holds_its_labels(name, caption, layers):
    chart, labels = _charts(caption, layers)[name]
    chart.to_dict()  # raises if the specification is not valid Vega-Lite
    text = _text_of(to_svg(chart))
    for label in labels:
        assert label in text, label
    for part in (caption.question, caption.answer, caption.mark, caption.n, caption.chance, caption.passing):
        assert part in text, part
    assert "NaN" not in text


def test_caption_without_chance_or_pass_mark_leaves_nothing_behind(layers):
    caption = Caption("Is it there?", "Yes.", "One point is one layer", "n = 6")
    text = _text_of(to_svg(recall_by_layer(layers, caption=caption)))
    assert "One point is one layer · n = 6 " in text
    assert "None" not in text


def test_caption_lines_break_neither_before_a_dot_nor_inside_an_equation(caption):
    for width in np.arange(150.0, 700.0, 25.0).tolist():
        lines = caption.subtitle(width)
        assert not any(line.lstrip("\u00a0").startswith("·") or line.startswith("=") for line in lines)
        assert " ".join(lines).replace("\u00a0", " ") == " · ".join(caption.notes)


def test_top_concepts_keeps_the_largest_by_size_and_sorts_them(caption):
    frame = pd.DataFrame({"concept": WORDS, "score": [0.3, -0.2, 0.1, 0.05, -0.4]})
    spec = top_concepts(frame, caption=caption, most=3).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == ["calm", "afraid", "angry"]


def test_dumbbells_sort_by_difference_unless_told_otherwise(caption):
    frame = pd.DataFrame({"label": ["a", "b"], "first": [0.0, 0.0], "second": [0.1, 0.4]})
    for order, rows in ((True, ["b", "a"]), (False, ["a", "b"])):
        spec = dumbbells(frame, caption=caption, order=order).to_dict()
        assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == rows


def test_random_directions_are_drawn_as_the_control(caption):
    text = json.dumps(dose_response(_rates(), caption=caption).to_dict())
    assert '"domain": ["calm", "random directions"], "range": ["#0072b2", "#59626c"]' in text


def test_long_chats_are_not_refused(caption):
    frame = pd.DataFrame({"position": range(6000), "concept": "calm", "score": np.zeros(6000)})
    score_timeline(frame, caption=caption).to_dict()


def test_long_trainings_are_averaged_before_they_are_drawn(caption):
    spec = training_curve(_losses(12_345), caption=caption).to_dict()
    (rows,) = {len(rows) for rows in spec["datasets"].values()}
    assert rows == 2_000 + 5


def test_a_flat_line_still_has_an_axis(caption):
    frame = pd.DataFrame({"position": range(3), "concept": "calm", "score": [0.0, 0.0, 0.0]})
    assert "Token position" in to_svg(score_timeline(frame, caption=caption))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f.drop(columns="depth"), "'depth'"),
        (lambda f: f.assign(value=[0.1, np.nan, 0.1, 0.1, 0.1, 0.1]), "row 1"),
        (lambda f: f.assign(high=np.inf), "'high' are not finite"),
        (lambda f: f.assign(value="much"), "give numbers"),
    ],
)
def test_bad_tables_are_refused_with_the_reason(change, message, caption, layers):
    with pytest.raises(UsageError, match=message):
        recall_by_layer(change(layers), caption=caption)


def test_what_makes_no_sense_is_refused(caption, layers):
    points, scores = _points(), _scores()
    same = pd.DataFrame({"concept": WORDS, "component": 1.0, "norm": 1.0})
    crossed = pd.DataFrame({"label": ["a"], "estimate": [0.0], "low": [1.0], "high": [-1.0]})
    twice = pd.DataFrame({"label": ["a", "a"], "first": [0.0, 1.0], "second": [0.0, 1.0]})
    cases = [
        (lambda: recall_by_layer(layers, caption=caption, chosen=40), r"chosen layer 40.*\[0, 1, 2, 3, 4, 5\]"),
        (lambda: series_lines(_lines().assign(y=np.nan), caption=caption), "not finite"),
        (lambda: training_curve(_losses().drop(columns="stage"), caption=caption), "'stage'"),
        (lambda: explained_variance(np.array([0.9, 0.9]), caption=caption), "sum to"),
        (lambda: explained_variance(np.array([]), caption=caption), "no values"),
        (lambda: circumplex(points.assign(pleasure=np.nan), caption=caption, r=0.0, p=1.0), "no rows"),
        (
            lambda: cluster_map(points.assign(cluster=None), caption=caption, method="PCA", seed=0),
            "5 concepts have no cluster",
        ),
        (lambda: component_against_norm(same, caption=caption), "same norm"),
        (lambda: forest(crossed, caption=caption), "swap its ends"),
        (lambda: dumbbells(twice, caption=caption), "more than once"),
        (lambda: top_concepts(pd.DataFrame({"concept": ["a"], "score": [1.0]}), caption=caption, most=0), "most=0"),
        (lambda: score_timeline(scores, caption=caption, thresholds={"proud": 1.0}), "threshold for.*proud"),
        (lambda: score_timeline(scores, caption=caption, alerts={"calm": [99]}), "0 of these"),
        (lambda: score_timeline(scores, caption=caption, roles=[("user", 4, 4)]), "must come after"),
    ]
    for call, message in cases:
        with pytest.raises(UsageError, match=message):
            call()


def test_names_of_near_lines_are_moved_apart():
    moved = apart([10.0, 12.0, 298.0, 299.0], 13.0, 300.0)
    assert np.diff(moved).min() >= 13.0
    assert max(moved) <= 300.0
    assert apart([], 13.0, 300.0) == []


def test_placed_names_cover_neither_points_nor_each_other():
    points = np.random.default_rng(0).uniform(20, 380, size=(120, 2))
    names = [f"concept {i}" for i in range(120)]
    placed = place_labels(points, names, size=(400.0, 400.0), font=9.0)
    boxes = []
    for (x, y, side), name in zip(placed, names, strict=True):
        if np.isfinite(x):
            half = 0.28 * 9.0 * len(name) + 1.0
            centre = x + side * half
            boxes.append((centre - half, y - 4.95, centre + half, y + 4.95))
    assert 20 < len(boxes) < 120
    for i, a in enumerate(boxes):
        assert not any((a[0] < x < a[2]) and (a[1] < y < a[3]) for x, y in points)
        for b in boxes[:i]:
            assert a[2] <= b[0] + 1e-9 or b[2] <= a[0] + 1e-9 or a[3] <= b[1] + 1e-9 or b[3] <= a[1] + 1e-9
