"""Ctrl-C, readers that go away, and runs that go on."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_runner import Run

from thymos.cli.failures import Interrupted, resumable
from thymos.cli.jobs.progress import Meter
from thymos.cli.options import Output
from thymos.texts import Text, open_corpus, write_texts
from thymos.vectors import Progress, Tally


def start(*words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "thymos.cli", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_interrupted_extraction_says_how_to_go_on_and_ends_with_the_same_bits(
    thymos: Run, model: Path, stories_file: Path, neutral_file: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many.jsonl"
    write_texts(many, [Text(t.text, t.emotion, t.topic) for _ in range(5) for t in open_corpus(stories_file)])
    words = ["--stories", many, "--neutral", neutral_file, "--start-token", 20, "--batch-tokens", 128, "--threads", 1]
    tail = ["--no-validate", "--yes"]
    with start("extract", model, *words, *tail, "--out", tmp_path / "v") as running:
        assert running.stderr is not None
        seen = iter(running.stderr.readline, "")
        assert any(line.startswith("stories: ") for line in seen)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(60) == 130
    assert rest.splitlines()[-1].startswith("interrupted; ")
    assert "--resume to go on" in rest and "Traceback" not in rest
    assert not (tmp_path / "v").exists()
    ran = thymos("extract", model, *words, *tail, "--out", tmp_path / "v", "--resume")
    assert ran.code == 0, ran.err
    assert thymos("extract", model, *words, *tail, "--out", tmp_path / "whole").code == 0
    made, whole = ((tmp_path / name / "vectors.safetensors").read_bytes() for name in ("v", "whole"))
    assert made == whole


def test_writing_that_was_interrupted_at_once_says_so(
    thymos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writer(*_: object, **__: object) -> object:
        def answer(prompts: Sequence[object], seeds: Sequence[int]) -> list[str]:
            raise KeyboardInterrupt

        return answer

    monkeypatch.setattr("thymos.cli.jobs.corpora.EndpointWriter", writer)
    words = ["--endpoint", "http://x", "--endpoint-model", "m", "--topics", 1, "--concepts", "calm"]
    ran = thymos("stories", *words, "--out", tmp_path / "s.jsonl")
    assert ran.code == 130
    assert ran.said == "interrupted; nothing was written yet; run the same command again to start afresh"


def test_what_is_kept_is_only_said_where_it_is(tmp_path: Path) -> None:
    def told(kept: Path) -> str:
        with pytest.raises(Interrupted) as seen, resumable("it is kept; go on", kept):
            raise KeyboardInterrupt
        return str(seen.value)

    assert told(tmp_path / "s.jsonl") == "nothing was written yet; run the same command again to start afresh"
    (tmp_path / "s.jsonl").write_text("{}\n", encoding="utf-8")
    assert told(tmp_path / "s.jsonl") == "it is kept; go on"


def test_ctrl_c_elsewhere_is_one_line(thymos: Run, vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thymos.cli.jobs.sharing.pairs", interrupted)
    ran = thymos("card", vectors)
    assert (ran.code, ran.err) == (130, "interrupted\n")


@pytest.mark.parametrize("option", ["--json", "--quiet"])
def test_a_reader_that_went_away_is_no_complaint(vectors: Path, option: str) -> None:
    with start("card", vectors, option) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(60) == 1


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with meter_on(monkeypatch, terminal=True) as told:
        told(progress("stories", 10, 40, 1.0))
        told(progress("stories", 30, 40, 3.0))
        told(progress("neutral", 5, 5, 1.0))
        told.working("validating")
    shown = capsys.readouterr()
    assert not shown.out
    assert "30/40" in shown.err and "10 texts/s, 1 s left" in shown.err
    assert "neutral" in shown.err and "validating" in shown.err


def test_elsewhere_a_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with meter_on(monkeypatch, terminal=False) as told:
        # A resumed run: the first thousand were done by another process and say nothing about the rate.
        for number in range(1000, 2001, 10):
            told(progress("stories", number, 2000, (number - 1000) / 10 + 0.1))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["stories: 1000 of 2000", "stories: 2000 of 2000, 10 texts/s"]


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with meter_on(monkeypatch, terminal=True, quiet=True) as told:
        told(progress("stories", 10, 40, 1.0))
        told.working("validating")
    assert capsys.readouterr() == ("", "")


def progress(stage: str, done: int, total: int, seconds: float) -> Progress:
    return Progress(stage, done, total, Tally(), seconds)


def meter_on(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, quiet: bool = False) -> Meter:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "120")
    return Meter(Output(quiet=quiet))
