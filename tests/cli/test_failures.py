"""Bad input: one line on standard error, no traceback, and the exit code that goes with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_runner import Run

from thymos.models import tiny_model
from thymos.vectors import EmotionVectors


def fails(ran: Any, code: int, *told: str) -> None:
    assert ran.code == code, ran.err
    assert not ran.out
    assert ran.said.startswith("error: ")
    assert "Traceback" not in ran.err
    for words in told:
        assert words in ran.said


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    return tmp_path / "empty.jsonl"


def test_texts_that_are_missing_or_empty(thymos: Run, model: Path, tmp_path: Path, empty: Path) -> None:
    start = ["extract", model, "--out", tmp_path / "v", "--yes", "--stories"]
    fails(thymos(*start, tmp_path / "no.jsonl"), 2, "no.jsonl", "there is no such file; check the path")
    fails(thymos(*start, empty), 1, "empty")
    fails(thymos(*start, tmp_path / "stories.doc"), 1, "valid endings of corpora are")
    fails(thymos("stories", "--audit", empty), 1, "empty")
    assert not (tmp_path / "v").exists()


def test_texts_are_looked_at_before_the_model(thymos: Run, tmp_path: Path) -> None:
    ran = thymos("extract", tmp_path / "no-model", "--out", tmp_path / "v", "--stories", "no.jsonl")
    fails(ran, 2, "no.jsonl")
    assert "loading" not in ran.err


def test_one_story_and_short_stories(thymos: Run, model: Path, neutral_file: Path, tmp_path: Path) -> None:
    one, short = tmp_path / "one.jsonl", tmp_path / "short.jsonl"
    rows = [{"text": "The gate was open.", "emotion": "calm"}] * 2
    one.write_text(json.dumps(rows[0]) + "\n", encoding="utf-8")
    short.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    start = ["extract", model, "--neutral", neutral_file, "--out", tmp_path / "v", "--yes", "--stories"]
    fails(thymos(*start, one), 1, "fewer than 2 stories: 'calm' (1)")
    fails(thymos(*start, short), 1, "reaches token 50", "lower --start-token")
    # What failed on its texts is not in the way of the corrected command.
    assert not (tmp_path / "v.run").exists()
    ran = thymos(*start, short, "--start-token", 3, "--no-validate")
    assert "interrupted run" not in ran.said and "is zero" in ran.said, ran.err


def test_unknown_concepts(thymos: Run, vectors: Path, model: Path, stories_file: Path, tmp_path: Path) -> None:
    fails(thymos("read", model, vectors, "x", "--concept", "clam"), 2, "did you mean 'calm'?", "this vector set")
    fails(thymos("steer", model, vectors, "x", "--vector", "clam"), 2, "did you mean 'calm'?")
    fails(thymos("export", vectors, "--out", tmp_path / "x.gguf", "--concept", "clam"), 2, "did you mean 'calm'?")
    start = ["extract", model, "--stories", stories_file, "--out", tmp_path / "v", "--concepts"]
    fails(thymos(*start, "clam"), 2, "did you mean 'calm'?")
    fails(thymos(*start, "calm,terrified"), 1, "has no story of terrified")
    fails(thymos(*start, tmp_path / "no.json"), 2, "does not exist")


def test_pickle_is_never_read(thymos: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "vectors.pt").write_bytes(b"\x80\x04.")
    fails(thymos("card", tmp_path / "v"), 1, "vectors.pt is pickle, which can run code and is never read")
    fails(thymos("card", tmp_path / "v" / "vectors.pt"), 1, "pickle is never read")
    (tmp_path / "v" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    fails(thymos("doctor", tmp_path / "v"), 1)


def test_a_damaged_vector_set(thymos: Run, vectors: Path, tmp_path: Path) -> None:
    EmotionVectors.load(vectors).save(tmp_path / "v")
    path = tmp_path / "v" / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    fails(thymos("card", tmp_path / "v"), 1, "damaged")


def test_a_card_cannot_write_to_the_terminal(thymos: Run, vectors: Path, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07[red]x[/red]"
    EmotionVectors.load(vectors).with_card(notes=(evil,), layer_choice=evil).save(tmp_path / "v")
    ran = thymos("card", tmp_path / "v")
    assert ran.code == 0
    assert "\x1b" not in ran.out and "\x07" not in ran.out
    assert "[red]x[/red]" in ran.out


@pytest.mark.parametrize("words", ["read {m} {v} hello", "steer {m} {v} hello --vector calm", "validate {v} {m}"])
def test_vectors_of_another_model(thymos: Run, vectors: Path, other: Path, words: str) -> None:
    line = [word.format(m=other, v=vectors) for word in words.split()]
    fails(thymos(*line), 1, "weight fingerprint", "--allow-mismatch")


def test_a_mismatch_that_is_meant(thymos: Run, vectors: Path, other: Path) -> None:
    assert thymos("read", other, vectors, "hello", "--allow-mismatch", "--json").code == 0


def test_arguments_the_wrong_way_round(thymos: Run, vectors: Path, model: Path) -> None:
    fails(thymos("read", vectors, model, "hello"), 2, "exchange the two arguments")
    fails(thymos("validate", model, vectors), 2, "exchange the two arguments")


def test_models_that_cannot_do_it(thymos: Run, vectors: Path, encoder: Path, model: Path, tmp_path: Path) -> None:
    fails(thymos("extract", encoder, "--out", tmp_path / "v", "--yes"), 2, "--stories battery --start-token 20")
    fails(thymos("stories", encoder, "--out", tmp_path / "s.jsonl"), 2, "is an encoder and cannot write")
    fails(thymos("steer", encoder, vectors, "hello", "--vector", "calm"), 2, "it can be read, not steered")
    fails(thymos("doctor", tmp_path), 1, "holds no config.json")
    fails(thymos("doctor", model, "--dtype", "float8"), 2, "unknown dtype 'float8'")
    fails(thymos("doctor", model, "--device", "cpu", "--device-map", "auto"), 2, "give one of them")


def test_layers_that_are_not_there(
    thymos: Run, vectors: Path, model: Path, texts: list[object], tmp_path: Path
) -> None:
    fails(thymos("read", model, vectors, "hello", "--layers", "9"), 2, "9")
    fails(thymos("extract", model, *texts, "--layers", "deep", "--out", tmp_path / "v", "--yes"), 2, "'deep'")


def test_nobody_can_be_asked(thymos: Run, model: Path, texts: list[object], tmp_path: Path) -> None:
    ran = thymos("extract", model, *texts, "--out", tmp_path / "v")
    fails(ran, 2, "this is not a terminal", "give --yes to start")
    assert "Estimate" in ran.err
    assert not (tmp_path / "v").exists() and not (tmp_path / "v.run").exists()


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_the_question_is_asked(
    thymos: Run,
    model: Path,
    texts: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    monkeypatch.setattr("thymos.cli.jobs.extraction.is_terminal", lambda: True)
    ran = thymos("extract", model, *texts, "--out", tmp_path / "v", "--no-validate", "--json", stdin=answer)
    assert ran.code == code
    assert (tmp_path / "v" / "card.json").exists() == (code == 0)
    assert ("nothing was started" in ran.err) == (code == 1)
    assert not ran.out or ran.json["marks"] == []


def test_what_is_at_out_is_not_written_over(
    thymos: Run, model: Path, texts: list[object], vectors: Path, tmp_path: Path
) -> None:
    start = ["extract", model, *texts, "--no-validate", "--yes", "--quiet", "--out", tmp_path / "v"]
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "thesis.txt").write_text("mine", encoding="utf-8")
    fails(thymos(*start), 2, "is not empty and not a vector set", "--overwrite")
    assert thymos(*start, "--overwrite").code == 0
    assert (tmp_path / "v" / "thesis.txt").read_text(encoding="utf-8") == "mine"
    made = (tmp_path / "v" / "card.json").stat().st_mtime_ns
    fails(thymos(*start), 2, "holds a vector set", "name another folder, or give --overwrite to replace it")
    assert (tmp_path / "v" / "card.json").stat().st_mtime_ns == made
    assert thymos(*start, "--overwrite").code == 0, "a vector set is replaced"
    fails(thymos(*start, "--overwrite", "--resume"), 2, "give one of them")
    (tmp_path / "v" / "card.json").unlink()
    (tmp_path / "v" / "vectors.safetensors").unlink()
    (tmp_path / "v" / "README.md").unlink()
    (tmp_path / "v" / "thesis.txt").unlink()
    fails(thymos(*start), 2, "holds an interrupted run", "--resume", "--overwrite")
    assert thymos(*start, "--resume").code == 0
    fails(thymos("extract", model, "--out", tmp_path / "v" / "card.json"), 2, "is a file; name a folder")


def test_a_run_that_was_another_cannot_be_gone_on_with(
    thymos: Run, model: Path, texts: list[object], tmp_path: Path
) -> None:
    start = ["extract", model, *texts, "--no-validate", "--yes", "--out", tmp_path / "v"]
    assert thymos(*start).code == 0
    told = "start afresh with --overwrite instead of --resume"
    fails(thymos(*start, "--resume", "--layers", "1"), 1, "cannot resume", "layers", told)


def test_figures_without_a_run_folder(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    EmotionVectors.load(vectors).save(tmp_path / "v")
    fails(thymos("validate", tmp_path / "v", model), 1, "no run folder at", "--run")
    fails(thymos("report", vectors, model, "--run", tmp_path / "no", "--out", tmp_path / "r.html"), 1, "no run folder")


def test_sets_that_cannot_be_compared(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    fails(thymos("compare", vectors, model), 2, "is a model; compare takes vector sets", "thymos extract")
    fails(thymos("compare", vectors, tmp_path / "no"), 1, "no vector set at")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("read {m} {v}", "what is to be read?"),
        ("read {m} {v} a --chat c.json", "give one thing to read"),
        ("read {m} {v} a --reference r --calibrate-on neutral", "give one"),
        ("read {m} {v} a --save-reference r", "give both"),
        ("read {m} {v} --file f.jsonl --html h.html", "--html shows one text"),
        ("read {m} {v} --file no.txt", "cannot be read: No such file"),
        ("read {m} {v} --file no.jsonl", "no.jsonl cannot be read: there is no such file"),
        ("read {m} {v} --file x.md", "valid endings are .txt (one text), .jsonl and .parquet"),
        ("read {m} {v} --chat no.json", "cannot be read: No such file"),
        ("steer {m} {v} hello", "which direction?"),
        ("steer {m} {v} --vector calm", "give a PROMPT"),
        ("steer {m} {v} hello --vector calm --top-p 2", "0 < top_p <= 1"),
        ("stories", "where to?"),
        ("stories --out s.jsonl", "who writes?"),
        ("stories {m} --out s.jsonl --endpoint http://x", "who writes?"),
        ("stories --out s.jsonl --endpoint http://x", "--endpoint-model"),
        ("stories {m} --audit s.jsonl", "writes nothing"),
        ("export {v} --out x.bin", "unknown export format 'bin'"),
        ("export {v} --out x.gguf", "--concept"),
        ("card {v} --readme --json", "give one of them"),
        ("pull a/b --out {v}", "exists; name another folder"),
    ],
)
def test_options_that_make_no_sense(thymos: Run, vectors: Path, model: Path, words: str, told: str) -> None:
    fails(thymos(*[word.format(m=model, v=vectors) for word in words.split()]), 2, told)


def test_a_mistyped_model_is_one_line(thymos: Run, vectors: Path) -> None:
    ran = thymos("read", "minilmm", vectors, "hello", "--quiet")
    fails(ran, 1, "there is no model 'minilmm' in a package; did you mean 'minilm'?")
    assert len(ran.err.splitlines()) == 1


def test_a_width_that_is_another(thymos: Run, vectors: Path, place: Path) -> None:
    narrow = tiny_model(layers=2)
    narrow.network.save_pretrained(place / "narrow")
    narrow.tokenizer.save_pretrained(place / "narrow")
    fails(thymos("read", place / "narrow", vectors, "hello"), 1, "has hidden size 32 and 2 layers; extract vectors")


def test_an_empty_text(thymos: Run, vectors: Path, model: Path) -> None:
    fails(thymos("read", model, vectors, ""), 1, "the text is empty")


def test_nothing_to_read(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    fails(thymos("read", model, vectors, "-", stdin=" \n"), 1, "standard input is empty")
    (tmp_path / "c.json").write_text('["hello"]', encoding="utf-8")
    fails(thymos("read", model, vectors, "--chat", tmp_path / "c.json"), 1, "holds no list of messages")
    (tmp_path / "c.json").write_text("{", encoding="utf-8")
    fails(thymos("read", model, vectors, "--chat", tmp_path / "c.json"), 1, "is not JSON")


def test_an_unexpected_exception_is_one_line_too(thymos: Run, vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("thymos.cli.jobs.sharing.pairs", breaks)
    ran = thymos("card", vectors)
    fails(ran, 1, "RuntimeError: first line second line; run with --debug for the traceback")
    assert len(ran.err.splitlines()) == 1
    shown = thymos("--debug", "card", vectors)
    assert shown.code == 1 and "Traceback" in shown.err


def test_a_full_disk(thymos: Run, vectors: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    fails(thymos("export", vectors, "--out", tmp_path / "x.npz"), 1, "no space left while writing")
    assert list(tmp_path.iterdir()) == []
