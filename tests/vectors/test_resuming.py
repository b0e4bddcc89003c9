"""An interrupted run goes on where it stood and ends with the same bits."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thymos.concepts import EMOTIONS
from thymos.errors import ArtifactError, CorpusError, StorageError
from thymos.models import Model
from thymos.texts import Corpus, Text, open_corpus, write_texts
from thymos.vectors import (
    Collected,
    ConceptMoments,
    ExtractionSettings,
    KeptText,
    Progress,
    Spool,
    TextMeans,
    Watch,
    build_vectors,
    collect,
)

SETTINGS = ExtractionSettings((0, 1, 2, 3), first_token=20, batch_tokens=400, shard_texts=10)
KEPT_FILES = ("means.f32", "texts.jsonl")


class Killed(BaseException):
    """Stands for a process that ends at once: nothing catches it."""


class Run:
    """One corpus pair, run as often as wanted."""

    def __init__(self, model: Model, stories: Corpus, neutral: Corpus) -> None:
        self.model, self.stories, self.neutral = model, stories, neutral

    def collect(self, folder: Path, settings: ExtractionSettings = SETTINGS, **watch: object) -> Collected:
        how = Watch(folder, **{"checkpoint_seconds": 0.0, **watch})  # type: ignore[arg-type]
        return collect(self.model, self.stories, self.neutral, EMOTIONS, settings, how)

    def files(self, collected: Collected, folder: Path) -> dict[str, bytes]:
        corpora = (self.stories, self.neutral)
        build_vectors(self.model, collected, corpora, SETTINGS).save(folder / "saved")
        found = {name: (folder / name).read_bytes() for name in KEPT_FILES}
        return found | {name: (folder / "saved" / name).read_bytes() for name in ("vectors.safetensors", "card.json")}


@pytest.fixture(scope="module")
def run(tiny: Model, stories: Corpus, neutral: Corpus) -> Run:
    return Run(tiny, stories, neutral)


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return run.files(run.collect(folder), folder)


def after(stage: str, batches: int, action: Callable[[], None]) -> Callable[[Progress], None]:
    seen: list[str] = []

    def report(progress: Progress) -> None:
        seen.append(progress.stage)
        if progress.stage == stage and seen.count(stage) == batches:
            action()

    return report


def kill() -> None:
    raise Killed


def ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("stage", "batches"), [("stories", 3), ("neutral", 2)])
def test_kill_9_in_the_middle(run: Run, whole: dict[str, bytes], tmp_path: Path, stage: str, batches: int) -> None:
    write_texts(tmp_path / "stories.jsonl", run.stories)
    write_texts(tmp_path / "neutral.jsonl", run.neutral)
    script = [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(tmp_path), stage, str(batches)]
    ended = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    folder = tmp_path / "run"
    assert (folder / "state.safetensors").exists()
    seen: list[Progress] = []
    collected = run.collect(folder, resume=True, progress=seen.append)
    assert seen[0].stage == stage, "the run must go on, not start again"
    assert run.files(collected, folder) == whole


@pytest.mark.parametrize("action", [kill, ctrl_c])
@pytest.mark.parametrize(
    ("stage", "batches"), [*(("stories", n) for n in (1, 2, 4, 6)), *(("neutral", n) for n in (1, 2, 3))]
)
def test_every_point_of_interruption(
    run: Run, whole: dict[str, bytes], tmp_path: Path, action: Callable[[], None], stage: str, batches: int
) -> None:
    with pytest.raises((Killed, KeyboardInterrupt)):
        run.collect(tmp_path, progress=after(stage, batches, action))
    assert run.files(run.collect(tmp_path, resume=True), tmp_path) == whole


def test_resuming_twice_and_a_finished_run(run: Run, whole: dict[str, bytes], tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(Killed):
            run.collect(tmp_path, resume=True, progress=after("stories", 2, kill))
    assert run.files(run.collect(tmp_path, resume=True), tmp_path) == whole
    seen: list[Progress] = []
    assert run.files(run.collect(tmp_path, resume=True, progress=seen.append), tmp_path) == whole
    assert not seen


def test_ctrl_c_writes_a_checkpoint(run: Run, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Checkpoints are far apart here, so the one that is found was written because of the interruption."""
    with pytest.raises(KeyboardInterrupt):
        run.collect(tmp_path, progress=after("stories", 3, ctrl_c), checkpoint_seconds=1e6)
    seen: list[Progress] = []
    collected = run.collect(tmp_path, resume=True, progress=seen.append)
    assert seen[0].tally.used > 3
    assert run.files(collected, tmp_path) == whole


def interrupting_add(monkeypatch: pytest.MonkeyPatch, signals: int) -> None:
    """Let Ctrl-C arrive inside the third update of the moments."""
    calls, plain = [], ConceptMoments.add

    def add(self: ConceptMoments, means: np.ndarray, labels: np.ndarray) -> None:
        calls.append(1)
        for _ in range(signals if len(calls) == 3 else 0):
            signal.raise_signal(signal.SIGINT)
        plain(self, means, labels)

    monkeypatch.setattr(ConceptMoments, "add", add)


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_inside_a_batch(
    run: Run, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    """One signal waits for the end of the batch; a second leaves at once, and what is half updated is not kept."""
    with monkeypatch.context() as patch:
        interrupting_add(patch, signals)
        with pytest.raises(KeyboardInterrupt):
            run.collect(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run.files(run.collect(tmp_path, resume=True), tmp_path) == whole


def test_ctrl_c_during_the_last_checkpoint_is_not_lost(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Spool.sync

    def sync(self: Spool) -> int:
        signal.raise_signal(signal.SIGINT)
        return plain(self)

    monkeypatch.setattr(Spool, "sync", sync)
    with pytest.raises(KeyboardInterrupt):
        run.collect(tmp_path, checkpoint_seconds=1e6)


def test_starting_again_forgets_the_old_run(run: Run, whole: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run.collect(tmp_path, replace(SETTINGS, first_token=30), progress=after("stories", 3, kill))
    assert run.files(run.collect(tmp_path), tmp_path) == whole


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"first_token": 30}, r"settings\.first_token \(20 -> 30\)"),
        ({"layers": (1, 2)}, r"settings\.layers \(\[0, 1, 2, 3\] -> \[1, 2\]\)"),
        ({"batch_tokens": 401, "seed": 3}, r"settings\.batch_tokens \(400 -> 401\), settings\.seed \(0 -> 3\)"),
    ],
)
def test_another_plan_is_refused(run: Run, tmp_path: Path, changes: dict[str, object], named: str) -> None:
    with pytest.raises(Killed):
        run.collect(tmp_path, progress=after("stories", 2, kill))
    with pytest.raises(ArtifactError, match=f"cannot resume .*: {named} differ.*--overwrite instead of --resume"):
        run.collect(tmp_path, replace(SETTINGS, **changes), resume=True)


def test_other_texts_and_models_are_refused(run: Run, model_of, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run.collect(tmp_path, progress=after("stories", 2, kill))
    texts = [replace(text, text=text.text + " more") for text in run.stories]
    other = Run(model_of("gpt2"), open_corpus(texts), run.neutral)
    with pytest.raises(ArtifactError, match="model, stories differ"):
        other.collect(tmp_path, resume=True)


@pytest.mark.parametrize("name", ["plan.json", "state.safetensors"])
def test_damaged_run_folders(run: Run, tmp_path: Path, name: str) -> None:
    run.collect(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
    with pytest.raises(ArtifactError, match="damaged.*--overwrite instead of --resume"):
        run.collect(tmp_path, resume=True)


@pytest.mark.parametrize("before", [(), ("stories.jsonl",)])
def test_a_run_that_fails_on_its_texts_leaves_nothing(run: Run, tmp_path: Path, before: tuple[str, ...]) -> None:
    folder = tmp_path / "run"
    for name in before:
        write_texts(folder / name, run.stories)
    with pytest.raises(CorpusError, match="reaches token 5000; lower --start-token"):
        run.collect(folder, replace(SETTINGS, first_token=5000))
    few = Run(run.model, run.stories, run.neutral.slice(0, 1))
    with pytest.raises(CorpusError, match=r"1 usable neutral text\(s\); at least 2"):
        few.collect(folder)
    # Stories that the model wrote are kept.
    assert folder.exists() == bool(before) and (not before or [path.name for path in folder.iterdir()] == list(before))


@pytest.mark.parametrize("name", KEPT_FILES)
@pytest.mark.parametrize("loss", ["cut", "gone"])
def test_lost_rows_are_noticed(run: Run, tmp_path: Path, name: str, loss: str) -> None:
    run.collect(tmp_path)
    if loss == "gone":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1000])
    with pytest.raises(ArtifactError, match=r"holds \d+ kept texts, but its checkpoint counts 24"):
        run.collect(tmp_path, resume=True)


def test_a_run_folder_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("here first")
    with pytest.raises(StorageError, match="cannot write .*run.*--out"):
        run.collect(tmp_path / "run")


def kept(number: int, text: str = "a text") -> KeptText:
    return KeptText(number, "calm", f"topic {number % 2}", 7, text)


def test_spool_round_trip(tmp_path: Path) -> None:
    """Line separators that only Unicode knows do not split a text."""
    texts = [kept(i, f"first\u2028second\x85third {i}\n") for i in range(5)]
    means = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    spool = Spool(tmp_path, 3, 4)
    spool.add(means[:2], texts[:2])
    spool.add(means[2:], texts[2:])
    spool.close()
    found = TextMeans(tmp_path, (0, 4, 7), ("angry", "calm"), 4)
    assert len(found) == 5
    assert found.texts == tuple(texts)
    assert found.labels.tolist() == [1] * 5
    assert found.topics.tolist() == [0, 1, 0, 1, 0]
    assert found.lengths.tolist() == [7] * 5
    for place, layer in enumerate((0, 4, 7)):
        np.testing.assert_array_equal(found.at(layer), means[:, place])
    rows = found.rows_at(4)
    np.testing.assert_array_equal(rows.means, means[:, 1])


def test_spool_is_cut_back_in_place(tmp_path: Path) -> None:
    """Opening it again loses nothing that a checkpoint counts, even if the process ends right then."""
    means = np.ones((6, 1, 2), np.float32)
    spool = Spool(tmp_path, 1, 2)
    spool.add(means, [kept(i, "x\u2028y") for i in range(6)])
    spool.close()
    again = Spool(tmp_path, 1, 2, rows=4)
    assert (tmp_path / "texts.jsonl").read_bytes().count(b"\n") == 4
    assert (tmp_path / "means.f32").stat().st_size == 4 * 2 * 4
    again.add(means[:1] * 2, [kept(9)])
    again.close()
    found = TextMeans(tmp_path, (0,), ("calm",), 2)
    assert [text.index for text in found.texts] == [0, 1, 2, 3, 9]
    assert found.at(0)[:, 0].tolist() == [1, 1, 1, 1, 2]


def test_a_sample_is_kept_evenly(run: Run, tmp_path: Path) -> None:
    collected = run.collect(tmp_path, replace(SETTINGS, keep_texts=12))
    means = TextMeans(tmp_path, SETTINGS.layers, collected.concepts, run.model.hidden_size)
    assert 4 <= len(means) <= 20
    assert {text.index for text in means.texts} < set(range(24))
    assert max(text.index for text in means.texts) > 12
    everything = list(run.stories)
    assert all(everything[text.index].text == text.text for text in means.texts)


def test_no_rows_kept(run: Run, tmp_path: Path) -> None:
    collected = run.collect(tmp_path, replace(SETTINGS, keep_texts=0))
    with pytest.raises(Exception, match="no per-text means were kept.*--keep-texts"):
        TextMeans(tmp_path, SETTINGS.layers, collected.concepts, run.model.hidden_size)
    with pytest.raises(ArtifactError, match="no kept per-text means in .*--keep-texts"):
        TextMeans(tmp_path / "elsewhere", SETTINGS.layers, collected.concepts, run.model.hidden_size)


def test_damaged_spools(run: Run, tmp_path: Path) -> None:
    collected = run.collect(tmp_path)
    arguments = (SETTINGS.layers, collected.concepts, run.model.hidden_size)
    rows = (tmp_path / "means.f32").read_bytes()
    (tmp_path / "means.f32").write_bytes(rows[:-4])
    with pytest.raises(ArtifactError, match=r"has \d+ bytes, expected \d+; .*--resume"):
        TextMeans(tmp_path, *arguments)
    (tmp_path / "texts.jsonl").write_text(json.dumps({"index": 0, "surprise": 1}) + "\n")
    with pytest.raises(ArtifactError, match="list of kept texts is damaged"):
        TextMeans(tmp_path, *arguments)


def test_kept_means_are_the_story_means(run: Run, tmp_path: Path) -> None:
    """Averaged per concept, the kept rows are the concept means."""
    collected = run.collect(tmp_path)
    means = TextMeans(tmp_path, SETTINGS.layers, collected.concepts, run.model.hidden_size)
    for place, layer in enumerate(SETTINGS.layers):
        for row in range(len(collected.concepts)):
            mean = means.at(layer)[means.labels == row].astype(np.float64).mean(axis=0)
            np.testing.assert_allclose(mean, collected.stories.means()[place, row], atol=1e-6)


def test_short_and_unlabelled_texts_across_shards(tiny: Model, neutral: Corpus, tmp_path: Path) -> None:
    """Shards without a usable text are passed, and counted once however often the run stops."""
    texts = [Text("short", "calm"), Text("no label, but long enough for everything here")] * 12
    texts += [Text(f"a text that is long enough {i}", ("calm", "happy")[i % 2]) for i in range(8)]
    run = Run(tiny, open_corpus(texts), neutral)
    with pytest.raises(Killed):
        run.collect(tmp_path, progress=after("stories", 1, kill))
    tally = run.collect(tmp_path, resume=True).tallies["stories"]
    assert (tally.seen, tally.used, tally.short, tally.unlabelled) == (32, 8, 12, 12)
    assert tally.fed <= tally.padded
