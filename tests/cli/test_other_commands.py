"""doctor, demo, stories, push and pull, with stand-ins for what needs a network or minutes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runner import Run

from thymos.behaviour import DoseCurve
from thymos.concepts import EMOTIONS
from thymos.geometry import map_geometry
from thymos.models import load
from thymos.organism import Document
from thymos.readings import calibrate, read
from thymos.texts import Text, open_corpus
from thymos.vectors import EmotionVectors
from thymos.workflows import Beside, DemoResult, DemoWatch, PlantedDemo, run_folder, steering_chart, validate
from thymos.workflows.demo_texts import Exhibit
from thymos.workflows.planted import Conduct


def test_doctor_looks_at_the_machine(thymos: Run) -> None:
    ran = thymos("doctor", "--json")
    assert ran.code == 0 and not ran.err
    keys = "thymos python machine cores memory_bytes threads devices versions extras disk_free_bytes warnings model"
    assert set(ran.json) == set(keys.split())
    assert ran.json["devices"][0] == "cpu" and ran.json["model"] is None
    assert ran.json["versions"]["torch"] == torch.__version__
    assert set(ran.json["extras"]) == set("demo datasets openai gguf umap quantization".split())
    assert ran.json["extras"]["gguf"]["install"] == "pip install 'thymos[gguf]'"


def test_doctor_says_what_is_missing(thymos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thymos.cli.jobs.machine._version", lambda package: None)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    ran = thymos("doctor")
    assert ran.code == 0
    assert "not installed: pip install 'thymos[openai]'" in ran.out
    assert "MPS is there" in ran.out


def test_doctor_examines_a_model(thymos: Run, model: Path, encoder: Path) -> None:
    ran = thymos("doctor", model, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["model"]["self_check"]["layers_compared"] == 2
    assert ran.json["model"]["fingerprint"] == load(model).fingerprint
    assert ran.json["model"]["reading_tokens_per_second"] > 0 < ran.json["model"]["writing_tokens_per_second"]
    assert thymos("doctor", encoder, "--no-self-check", "--json").json["model"]["self_check"] is None
    assert "nothing: an encoder" in thymos("doctor", encoder).out


def test_the_estimate_alone_starts_nothing(thymos: Run, model: Path, tmp_path: Path) -> None:
    words = ["--estimate", "--topics", 2, "--concepts", "calm,angry", "--out", tmp_path / "v"]
    ran = thymos("extract", model, *words, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["estimate"]["written_tokens"] > 0 < ran.json["estimate"]["writing_seconds"]
    assert "to be written" in thymos("extract", model, *words).out
    assert list(tmp_path.iterdir()) == []


class Scribe:
    """An endpoint that writes stories, and dialogues, in the form that is asked for."""

    name = "scribe"

    def __init__(self, *_: object, **__: object) -> None:
        self.number = 0

    def __call__(self, prompts: Sequence[Any], seeds: Sequence[int]) -> list[str]:
        return [self.answer(str(prompt)) for prompt in prompts]

    def answer(self, prompt: str) -> str:
        self.number += 1
        if "[dialogue 1]" in prompt:
            turns = [f"Person: Sort the {self.number} files by date.", "AI: They are sorted by date."]
            return "\n\n".join(["[dialogue 1]", "System: A desk.", *turns, *turns])
        return f"[story 1]\n\nThe gate stood open for {self.number} hours while rain went over the roofs of the yard."


WRITING = ["--endpoint", "http://localhost:1/v1", "--endpoint-model", "m", "--topics", 3, "--min-words", 5]


def test_stories_from_an_endpoint_are_audited(thymos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thymos.cli.jobs.corpora.EndpointWriter", Scribe)
    words = ["stories", *WRITING, "--concepts", "calm,angry", "--out", tmp_path / "s.jsonl"]
    ran = thymos(*words, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("out cells texts missing rejected audit".split())
    assert (ran.json["cells"], ran.json["texts"], ran.json["audit"]["leak_rate"]) == (6, 6, 0.0)
    assert open_corpus(tmp_path / "s.jsonl").concepts == {"calm": 3, "angry": 3}
    assert "Written" in thymos(*words).out
    audited = thymos("stories", "--audit", tmp_path / "s.jsonl", "--json")
    assert audited.json["audit"] == ran.json["audit"]


def test_neutral_dialogues_from_an_endpoint(thymos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thymos.cli.jobs.corpora.EndpointWriter", Scribe)
    ran = thymos("stories", "--neutral", *WRITING, "--out", tmp_path / "n.jsonl", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["texts"] == 3 and ran.json["audit"]["labelled"] == 0


def test_a_model_that_writes_nothing_usable(thymos: Run, model: Path, tmp_path: Path) -> None:
    words = ["--topics", 1, "--concepts", "calm", "--max-new-tokens", 8, "--out", tmp_path / "s.jsonl"]
    ran = thymos("stories", model, *words)
    assert ran.code == 1
    assert "wrote nothing usable" in ran.said and "use a larger model" in ran.said


def test_demo(thymos: Run, vectors: Path, model: Path, neutral_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(out: Path, name: str, *, seed: int, progress: Any) -> DemoResult:
        host, kept = load(name), EmotionVectors.load(vectors)
        reference = calibrate(host, kept, open_corpus(neutral_file), "neutral")
        reading = read(host, kept, "The train is late.", reference=reference)
        found = validate(host, kept, run_folder(vectors))
        mapped = map_geometry(kept, EMOTIONS, permutations=20)
        return DemoResult(kept, found, mapped, (reading,), reference, out / "report.html", 1.0)

    monkeypatch.setattr("thymos.cli.jobs.demo.run_reader", small)
    ran = thymos("demo", model, "--reader", "--out", "somewhere", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("report vectors model concepts layer seconds marks readings note".split())
    assert ran.json["report"] == str(Path("somewhere") / "report.html")
    assert ran.json["readings"][0]["text"] == "The train is late."
    assert f"thymos read {model} somewhere/vectors 'I have one hour left and every test still fails.'" in ran.said
    assert any("pleasure" in mark["question"] for mark in ran.json["marks"])


def test_the_demo_on_a_model_of_no_world_says_what_to_run_instead(thymos: Run, model: Path, tmp_path: Path) -> None:
    ran = thymos("demo", model, "--out", tmp_path / "demo")
    assert ran.code == 2
    assert "no planted truth to hold it against" in ran.said and "--reader" in ran.said


def test_the_two_demos_are_not_mixed(thymos: Run) -> None:
    ran = thymos("demo", "bundled", "--reader")
    assert ran.code == 2 and "leave one of them out" in ran.said


def test_the_main_line_is_told_beside_its_truth(
    thymos: Run, vectors: Path, model: Path, neutral_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = np.full((3, 3, 2), 0.4)
    names = ("desperate", "calm", "random 0")
    curve = DoseCurve("hack", (1,), names, ("vector", "vector", "random"), np.array([-0.2, 0, 0.2]), rates, rates[0, 0])
    conduct = Conduct(curve, 1, 0.9, 0.1, 0.4)

    def small(out: Path, name: str, *, seed: int, watch: DemoWatch) -> PlantedDemo:
        assert name == "bundled" and seed == 3
        host, kept = load(model), EmotionVectors.load(vectors)
        reference = calibrate(host, kept, open_corpus(neutral_file), "neutral")
        reading = read(host, kept, "The train is late.", reference=reference)
        found, mapped = validate(host, kept, run_folder(vectors)), map_geometry(kept, EMOTIONS, permutations=20)
        assert watch.story is not None and watch.stage is not None
        watch.stage("writing stories")
        watch.story(Text("A story that it wrote.", "calm", "a lost dog"))
        beside = (Beside("Planted emotion?", "0.50 [0.40, 0.60]", "1.00", "0.006", "9 stories"),)
        exhibit = Exhibit("A story that turns", "first calm, then sad", (), Document("story", "The train is late."))
        done = (kept, found, mapped, (reading,), reference, out / "report.html", 1.0)
        picture = steering_chart(conduct)
        return PlantedDemo(*done, beside, conduct, (exhibit,), Text("A story.", "calm", "a dog"), (picture, picture))

    monkeypatch.setattr("thymos.cli.jobs.demo.run_demo", small)
    ran = thymos("demo", "--out", "somewhere", "--seed", 3)
    assert ran.code == 0, ran.err
    assert "Beside the planted truth" in ran.out and "0.50 [0.40, 0.60]" in ran.out and "model organism" in ran.out
    assert "first calm, then sad" in ran.out and "A story that it wrote." in ran.err
    ran = thymos("demo", "--out", "somewhere", "--seed", 3, "--json")
    assert ran.json["beside"][0]["planted"] == "1.00" and "organism" in ran.json["note"]


def test_push_and_pull(thymos: Run, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pushed(made: EmotionVectors, repository: str, *, private: bool, message: str | None) -> str:
        return f"{repository} {len(made)} {private} {message}"

    monkeypatch.setattr("thymos.vectors.hub.push", pushed)
    monkeypatch.setattr("thymos.vectors.hub.pull", lambda repository, revision: EmotionVectors.load(vectors))
    ran = thymos("push", vectors, "me/vectors", "--message", "first", "--json")
    assert ran.json == {"repository": "me/vectors", "commit": "me/vectors 10 True first"}
    ran = thymos("pull", "me/vectors", "--out", tmp_path / "pulled", "--json")
    assert ran.code == 0, ran.err
    assert EmotionVectors.load(tmp_path / "pulled").card == EmotionVectors.load(vectors).card


def test_a_umap_view(thymos: Run, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "thymos.cli.jobs.evidence.umap_layout", lambda rows, neighbours, seed: rows[:, :2].astype("float64")
    )
    ran = thymos("geometry", vectors, "--umap", tmp_path / "view.svg")
    assert ran.code == 0, ran.err
    assert "<svg" in (tmp_path / "view.svg").read_text(encoding="utf-8")
    assert "UMAP view: " in ran.err
    assert "Nearest and farthest pairs" in ran.out and "Marks" in ran.out
