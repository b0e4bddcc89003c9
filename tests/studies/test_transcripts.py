import json
import zipfile
from pathlib import Path

import pytest

from thymos.errors import CorpusError
from thymos.organism import open_world
from thymos.organism.sets.transcripts import make
from thymos.studies import Bench, analyse_log, load_stimuli, run_study
from thymos.studies.transcript_files import read_transcripts
from thymos.studies.transcripts import Transcripts, TranscriptsSettings

SMALL = TranscriptsSettings(most=24, viewed=1, randoms=20, spanned=10, permutations=100)


def _row(number: int) -> dict:
    return {
        "messages": [{"role": "user", "content": f"Question {number}"}, {"role": "assistant", "content": "An answer."}]
    }


def test_a_random_model_runs_through_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "transcripts.jsonl"
    result = run_study(Transcripts(), Bench(tiny, vectors), SMALL, log=log)
    assert {"base rates", "ranking", "viewer", "second reader"} <= set(result.findings.tables)
    for shown in result.findings.tables["viewer"]:
        assert len(shown["tokens"]) == len(shown["scores"]) == len(shown["special"]) == len(shown["roles"])
    assert analyse_log(log, {"transcripts": Transcripts()}).to_dict() == result.to_dict()


def test_a_folder_of_the_users_is_read(tiny, vectors, tmp_path: Path):
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = [json.dumps(_row(n)) for n in range(3)]
    (folder / "a.jsonl").write_text("\n".join([*lines, "", json.dumps({"messages": []}), json.dumps({"other": 1})]))
    parts = [{"type": "text", "text": "In parts."}]
    sample = {"id": 7, "messages": [{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": parts}]}
    (folder / "log.json").write_text(json.dumps({"samples": [sample, sample]}))
    with zipfile.ZipFile(folder / "log.eval", "w") as archive:
        archive.writestr("samples/1.json", json.dumps({**sample, "id": 8}))
    found, remarks = read_transcripts(folder)
    assert [one.id for one in found] == ["a-1", "a-2", "a-3", "8", "7", "7 (2)"]
    assert found[3].said == "In parts." and remarks == ["2 rows without a word of an assistant were left out"]
    result = run_study(Transcripts(), Bench(tiny, vectors, corpus=str(folder)), SMALL)
    assert remarks[0] in result.findings.remarks


def test_what_cannot_be_read_is_said(tmp_path: Path):
    with pytest.raises(CorpusError, match="no such file"):
        read_transcripts(tmp_path / "none")
    (tmp_path / "bad.jsonl").write_text('{"messages": [\n')
    with pytest.raises(CorpusError, match=r"bad\.jsonl, line 1"):
        read_transcripts(tmp_path / "bad.jsonl")
    (tmp_path / "empty.jsonl").write_text('{"messages": []}\n')
    with pytest.raises(CorpusError, match="none of 1 rows"):
        read_transcripts(tmp_path / "empty.jsonl")
    (tmp_path / "broken.eval").write_bytes(b"no archive")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_transcripts(tmp_path / "broken.eval")


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("transcripts")
    assert set(told[0]) == set(english[0])
    assert all(any(m["role"] == "assistant" for m in one["messages"]) for one in told)
    assert sum(one["kind"] == "ordinary" for one in told) == 40
