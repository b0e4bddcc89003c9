from pathlib import Path

import numpy as np
import pytest

from thymos.models import Model
from thymos.studies import Bench, analyse_log, run_study
from thymos.studies.geometry import Geometry, GeometrySettings
from thymos.studies.shapes import coordinates, cosines_of, r_between, residual, shape_record, shuffled_p
from thymos.vectors import EmotionVectors

SMALL = GeometrySettings(layers=3, clusters=2, permutations=50, draws=3)


def _rows(seed: int, n: int = 8, hidden: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, hidden))


def test_angles_survive_the_log() -> None:
    rows = _rows(0)
    record = shape_record(rows, layer=1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    made = coordinates(cosines_of(record, 8))
    assert made @ made.T == pytest.approx(unit @ unit.T, abs=1e-5)


def test_what_another_matrix_explains_is_taken_out() -> None:
    one, other = (cosines_of(shape_record(_rows(seed)), 8) for seed in (1, 2))
    blend = 0.5 * one + 0.5 * other
    assert r_between(one, blend) > 0.5
    assert abs(r_between(one, residual(blend, [one]))) < 1e-9
    assert r_between(residual(other, [one]), residual(blend, [one])) == pytest.approx(1.0)


def test_shuffled_names_are_the_null() -> None:
    one, other = (cosines_of(shape_record(_rows(seed, 12)), 12) for seed in (3, 4))
    assert shuffled_p(one, one, 99, 0) == pytest.approx(0.01)
    assert shuffled_p(one, other, 99, 0) > 0.01


def test_the_whole_path_runs_and_a_log_gives_the_same(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    log = tmp_path / "geometry.jsonl"
    result = run_study(Geometry(), Bench(tiny, vectors), SMALL, log=log)
    assert "axes against human norms" in result.findings.refusals[0]
    assert result["share of variance of PC1"].value > 0
    assert not any(one.reached for one in result.estimates if one.primary)
    assert analyse_log(log, {"geometry": Geometry()}).to_dict() == result.to_dict()
