"""The benchmarks run end to end on a toy network and their tables have every row and mark; no time is asserted."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from benchmarks.subject import FULL, LONGEST, SHORTEST, TINY, Shape, network, random_texts, tokenizer  # noqa: E402
from benchmarks.timing import Mark, Ratio, Timed, timed_from, verdict  # noqa: E402

from benchmarks import capture, corpus, memory, peers  # noqa: E402 - found through the path above


@pytest.fixture(autouse=True)
def no_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "HOME", tmp_path / "none")


def test_capture_and_generation_tables_have_every_row_and_mark(tmp_path, capsys):
    out = tmp_path / "capture.json"
    report = capture.main(["--tiny", "--pairs", "2", "--threads", "1", "--out", str(out)])
    assert len(report.sheets) == 4
    marks = {row[0]: row[7] for sheet in report.sheets for row in sheet.rows}
    assert marks["thymos capture, one layer at 2/3, early exit"] == "<= 0.62"
    assert marks["thymos, all layers into story moments"] == "<= 1.05"
    assert marks["thymos, 171 readings per token"] == "<= 1.02"
    assert marks["thymos, one vector added"] == "within A/A"
    assert {"A/A control: bare against bare", "transformers output_hidden_states"} <= marks.keys()
    missing = {row[0] for sheet in report.sheets for row in sheet.rows if row[2] == "not installed"}
    assert missing == {peer.name for peer in peers.PEERS}
    differences = [row["difference"] for row in report.data["capture"] if row["difference"] is not None]
    assert len(differences) == 2 * 4 and max(differences) < 1e-5
    stored = json.loads(out.read_text())
    assert stored["command"].startswith("python -m benchmarks.capture --tiny")
    assert {"machine", "environments", "data", "tables"} <= stored.keys()
    assert "torch" in stored["environments"]["thymos"]
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("reading", [[], ["--full", "--pairs", "1"]])
def test_corpus_tables_have_every_loop_and_mark(tmp_path, reading):
    out = tmp_path / "corpus.json"
    arguments = ["--tiny", "--texts", "48", "--subset", "24", "--threads", "1", "--out", str(out), *reading]
    report = corpus.main(arguments)
    loops, marks, account = report.sheets
    assert [row[1:3] for row in loops.rows[:4]] == [
        ("unsorted", "4"),
        ("unsorted", "8"),
        ("length-sorted", "4"),
        ("length-sorted", "8"),
    ]
    assert [row[1] for row in loops.rows[4:]] == ["not installed", "not installed"]
    assert [row[3] for row in marks.rows] == ["1.50", "1.00", "0.90"]
    assert all(row["difference"] < 1e-5 for row in report.data["corpus"][0]["rows"])
    assert ("All 48 texts" in loops.note) == bool(reading)
    assert len(account.rows) == 10
    assert json.loads(out.read_text())["settings"]["texts"] == 48


@pytest.mark.slow
def test_memory_table_compares_fresh_processes(tmp_path):
    out = tmp_path / "memory.json"
    report = memory.main(["--sizes", "12", "24", "--repeats", "1", "--out", str(out)])
    assert report is not None
    found = json.loads(out.read_text())["data"]["memory"]
    assert [runs[0]["used"] for runs in found.values()] == [12, 24]
    assert [row[4] for row in report.sheets[0].rows] == ["", "", "< 5%"]


def test_the_subject_is_the_one_described():
    built = network(TINY)
    counted = sum(p.numel() for name, p in built.model.layers.named_parameters() if p.ndim == 2)
    assert TINY.parameters() == counted
    assert Shape.like(built.config) == TINY
    assert (FULL.layers, FULL.hidden, FULL.heads, FULL.kv_heads, FULL.ffn, FULL.vocab) == (12, 512, 8, 4, 1376, 8000)
    texts, coder = random_texts(TINY, 20), tokenizer(TINY)
    lengths = [len(ids) for ids in coder(texts)["input_ids"]]
    assert lengths == [len(text.split()) + 1 for text in texts]
    assert min(lengths) >= SHORTEST and max(lengths) <= LONGEST
    assert random_texts(TINY, 20) == texts


def test_verdicts():
    def row(values: list[float], mark: Mark | None = None) -> Timed:
        ratio = Ratio.of([1.0] * len(values), values)
        return Timed("x", "here", "1 x 1", 1, len(values), 1.0, ratio, ratio, mark)

    control = row([0.98, 1.0, 1.02])
    assert verdict(row([0.60, 0.61, 0.70], Mark(0.62)), control) == "yes"
    assert verdict(row([0.60, 0.63, 0.70], Mark(0.62)), control) == "NO"
    assert verdict(row([1.01, 1.01, 1.03], Mark()), control) == "yes"
    assert verdict(row([1.10, 1.11, 1.12], Mark()), control) == "NO"
    assert verdict(control, control) == ""
    assert timed_from(json.loads(json.dumps(row([0.6, 0.7], Mark(0.62)).as_row()))) == row([0.6, 0.7], Mark(0.62))


def test_unknown_peers_are_named():
    with pytest.raises(SystemExit, match="unknown peer 'nsight'; valid: nnsight"):
        peers.peer_named("nsight")
