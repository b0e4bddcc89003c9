import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from thymos.cli.jobs import organism as jobs
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.scorecard import score_page
from thymos.cli.options import Output
from thymos.organism import World, write_world
from thymos.organism.scorecard import Figure, Section
from thymos.reports import render_page

RATES = [{"behaviour": "cheat", "strength": s, "rate": 0.3 + s, "arm": "desperate"} for s in (-0.2, 0.0, 0.2)]
TABLES: dict[str, list[dict[str, Any]]] = {
    "doses": [
        {"template": t, "control": control, "number": n, "afraid": 0.01 * n, "calm": -0.01 * n}
        for t in ("pills", "water")
        for control in (False, True)
        for n in (1, 2, 5, 9)
    ],
    "rounds": [
        {"pattern": p, "round": n, "concept": "desperate", "reading": 0.1 * n}
        for p in ("failing", "passing")
        for n in range(5)
    ],
    "shift": [{"concept": c, "shift": 0.1 * n, "planted": 0.2 * n} for n, c in enumerate(("sad", "calm", "proud"))],
    "specificity": [
        {"behaviour": "cheat", "emotion": e, "effect": 0.1 * n, "disposition": float(n)}
        for n, e in enumerate(("sad", "calm"))
    ],
    "calibration": [
        {"behaviour": "agree", "emotion": e, "planted": 0.1 * n, "model": 0.2 * n}
        for n, e in enumerate(("sad", "calm"))
    ],
    "loss": [{"kind": k, "model": 1.2, "world": 1.0, "tokens": 100} for k in ("story", "mail")],
    "curves": RATES,
    "other": [{"who": "<b>A</b>", "what": 0.123456}],
    "empty": [],
}
SECTIONS = (
    Section(
        "recall",
        (
            Figure("top-1", 0.31, 0.28, 0.34, "at least", 0.25, "chance 0.006"),
            Figure("perplexity", 0.4, None, None, "at most", 0.15, "calm"),
            Figure("base rate", 0.3),
        ),
    ),
    Section("tables", (), TABLES),
)


def test_texts_of_the_world_come_with_their_truth(thymos: Callable[..., Any], tmp_path: Path, world: World) -> None:
    out = tmp_path / "texts.parquet"
    ran = thymos("organism", "world", "--n", 40, "--seed", 3, "--out", out, "--json", "--quiet")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["documents"] == sum(told["kinds"].values()) == 40 and told["world"] == world.digest
    assert told["words"] > told["vocabulary"] > 100
    rates = [one for one in told["decisions"] if one["behaviour"] == told["decisions"][0]["behaviour"]]
    assert sum(one["share"] for one in rates) == pytest.approx(1) == sum(one["planted"] for one in rates)
    assert told["sample"]["text"] == pq.read_table(out).column("text")[0].as_py()


def test_the_table_for_people_names_kinds_decisions_and_a_sample(thymos: Callable[..., Any], tmp_path: Path) -> None:
    ran = thymos("organism", "world", "-n", 5, "--kind", "mail", "--test", "--out", tmp_path / "mail.parquet", "-q")
    assert ran.exit_code == 0, ran.output
    assert all(word in ran.stdout for word in ("Documents", "Decisions", "blackmail", "One of them", "Mail one"))


def test_a_corpus_comes_back_from_parquet(tmp_path: Path, world: World) -> None:
    first, again = (write_world(tmp_path / name, 30, 7, stage="tuned") for name in ("a.parquet", "b.parquet"))
    assert first.read_bytes() == again.read_bytes()
    table = pq.read_table(first)
    assert json.loads(table.schema.metadata[b"thymos"]) == {
        "world": world.digest,
        "seed": 7,
        "stage": "tuned",
        "kind": None,
        "test": False,
    }
    for row in table.to_pylist():
        for span in json.loads(row["spans"]):
            assert row["text"][span["start"] : span["stop"]].strip()
        for turn in json.loads(row["turns"]):
            assert turn["text"] in row["text"]
        assert isinstance(json.loads(row["decisions"]), list) and isinstance(json.loads(row["extra"]), dict)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "poem", "--out", "x.parquet"], "unknown kind of document 'poem'; valid: story"),
        (["--out", "x.csv"], "does not end in .parquet"),
    ],
)
def test_what_cannot_be_written_is_said(
    thymos: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = thymos("organism", "world", *words)
    assert ran.exit_code == 2 and message in ran.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_training_leaves_checkpoints_a_log_and_a_page(training: tuple[Path, dict[str, Any]]) -> None:
    folder, told = training
    assert told["log"] == str(folder / "training.json") and told["preset"] == "tiny"
    assert json.loads((folder / "training.json").read_text())["stages"] == told["stages"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page and "How did the loss fall?" in page and "model organism" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def test_progress_shows_loss_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter(Output()) as meter:
        meter.counted("bundled-base", 20, 100, "loss 4.035, 7,979 tokens/s", 90.0)
        meter.counted("bundled-base", 100, 100, "loss 3.000, 7,979 tokens/s", 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "bundled-base: 20 of 100, loss 4.035, 7,979 tokens/s, 1 min 30 s left"
    assert lines[-1] == "bundled-base: 100 of 100, loss 3.000, 7,979 tokens/s"


def test_an_interrupted_training_says_how_to_go_on(
    thymos: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "run_training", interrupted)
    ran = thymos("organism", "train", "--preset", "tiny", "--out", tmp_path / "t")
    assert ran.exit_code == 130
    assert "run the same command again to go on" in ran.stderr.splitlines()[-1]


def test_a_scorecard_shows_marks_and_what_was_missed(
    thymos: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fake(tuned: Any, base: Any, *, quick: bool, seed: int, on_section: Callable[[Section], None]) -> Any:
        asked.update(tuned=tuned.name, base=base.name, quick=quick, seed=seed)
        for section in SECTIONS:
            on_section(section)
        return SECTIONS

    monkeypatch.setattr(jobs, "run_score", fake)
    models = ["--model", trained / "bundled", "--base", trained / "bundled-base", "--device", "cpu"]
    ran = thymos("organism", "score", *models, "--out", tmp_path / "card", "--quick", "--seed", 4, "-q")
    assert ran.exit_code == 0, ran.output
    assert asked == {"tuned": str(trained / "bundled"), "base": str(trained / "bundled-base"), "quick": True, "seed": 4}
    shown = ran.stdout
    assert all(text in shown for text in ("0.310 [0.280, 0.340]", "at least 0.25", "reached", "missed", "chance 0.006"))
    record = json.loads((tmp_path / "card" / "scorecard.json").read_text())
    assert record["marks"] == "1 of 2 reached"
    assert [figure["reached"] for figure in record["sections"][0]["figures"]] == [True, False, None]
    page = (tmp_path / "card" / "scorecard.html").read_text(encoding="utf-8")
    assert 'class="met"' in page and 'class="missed"' in page


def test_every_table_of_a_scorecard_is_drawn() -> None:
    page = render_page(score_page(SECTIONS, {"model": "bundled"}, "about"))
    drawn = [name for name in TABLES if name not in ("other", "empty")]
    assert page.count("<svg") == len(drawn)
    assert "&lt;b&gt;A&lt;/b&gt;" in page and "0.1235" in page
    for words in ("pass mark", "planted disposition", "harmless", "passing", "nats a token", "Strength"):
        assert words in page


def test_what_does_not_vary_is_not_correlated() -> None:
    rows = [{"concept": c, "shift": 0.0, "planted": 0.1 * n} for n, c in enumerate(("sad", "calm"))]
    page = render_page(score_page((Section("shift", (), {"shift": rows}),), {}, "about"))
    assert "<svg" not in page


def test_summaries_of_short_loss_curves() -> None:
    curve: Sequence[Sequence[float | int]] = [(0, 8.0), (20, 4.0), (40, 3.0)]
    assert jobs._last(curve) == 3.0
    assert jobs._last([]) != jobs._last([])
