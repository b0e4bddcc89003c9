import json
from pathlib import Path

import pytest

from thymos.errors import CorpusError
from thymos.models import Model
from thymos.organism.sets.activating import make
from thymos.organism.world import open_world
from thymos.studies import Bench, analyse_log, load_stimuli, run_study
from thymos.studies.activating_text import ActivatingText, ActivatingTextSettings
from thymos.studies.corpus_scan import names_itself
from thymos.vectors import EmotionVectors

SMALL = ActivatingTextSettings(top=3, most=200, shard=60, longest=96, window=24, randoms=15, permutations=50)


def _write(path: Path, rows: list[object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_example_corpus_is_read_in_parts(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = run_study(ActivatingText(), Bench(tiny, vectors), SMALL, log=log)
    area = "area under the ROC curve, own passages against all others, mean over concepts"
    assert 0.0 <= result[area].value <= 1.0
    rows = result.findings.tables["passages"]
    assert {row["concept"] for row in rows} == {"happy", "calm", "angry", "sad"}
    assert len(rows) == 3 * 4
    assert len(result.findings.tables["blind"]) == len(result.findings.tables["key"]) == 12
    assert all("concept" not in row for row in result.findings.tables["blind"])
    assert analyse_log(log, {"activating-text": ActivatingText()}).to_dict() == result.to_dict()


def test_parts_do_not_change_the_passages(tiny: Model, vectors: EmotionVectors) -> None:
    bench = Bench(tiny, vectors)
    made = [run_study(ActivatingText(), bench, SMALL.changed(shard=n)).findings.tables["passages"] for n in (60, 500)]
    key = [[(row["concept"], row["text"]) for row in rows] for rows in made]
    assert key[0] == key[1]


def test_rows_without_text_are_counted_and_passed_over(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    rows = [{"text": "a walk by the sea with a dog"}, {"text": "  "}, {"text": None}, {"text": "boxes on a floor"}]
    bench = Bench(tiny, vectors, corpus=_write(tmp_path / "some.jsonl", rows))
    result = run_study(ActivatingText(), bench, SMALL)
    told = " ".join(result.findings.remarks)
    assert "2 rows without text" in told
    assert "nothing is claimed" in told


def test_a_corpus_without_any_text_is_a_clear_error(tiny: Model, vectors: EmotionVectors, tmp_path: Path) -> None:
    bench = Bench(tiny, vectors, corpus=_write(tmp_path / "empty.jsonl", [{"words": "x"}]))
    with pytest.raises(CorpusError, match="text"):
        run_study(ActivatingText(), bench, SMALL)


def test_a_concepts_own_word_is_seen() -> None:
    assert names_itself("She was ANGRY at the rain.", "angry")
    assert not names_itself("The hangry dog barked.", "angry")


def test_the_planted_set_marks_where_the_emotion_shows() -> None:
    planted, english = make(open_world()), load_stimuli("activating")
    assert len(planted) == len(english) == 160
    assert set(english[0]) <= set(planted[0])
    for row in planted:
        assert all(0 <= low < high <= len(row["text"]) for low, high in row["spans"])
    assert all(row["spans"] for row in planted if row["emotion"])
