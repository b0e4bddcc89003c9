"""From a model folder to a report, command by command, on a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runner import CONCEPTS, Ran, Run

from thymos.vectors import EmotionVectors


def test_extract_states_its_cost_and_says_where_everything_is(extracted: Ran, vectors: Path) -> None:
    assert set(extracted.json) == {
        *("vectors run model concepts layers layer layer_choice estimate seconds marks quality notes").split()
    }
    assert extracted.json["vectors"] == str(vectors)
    assert extracted.json["concepts"] == CONCEPTS
    assert extracted.json["layers"] == [0, 1, 2]
    assert set(extracted.json["estimate"]) == {
        *("texts tokens seconds scatter_bytes sketched spool_bytes written_tokens writing_seconds").split()
    }
    assert {mark["verdict"] for mark in extracted.json["marks"]} <= {"met", "missed", "reported"}
    assert "Estimate" in extracted.err and "stories: 40 of 40" in extracted.err


def test_extract_keeps_the_layer_it_chose_and_the_figures(extracted: Ran, vectors: Path) -> None:
    kept = EmotionVectors.load(vectors)
    assert kept.layer == extracted.json["layer"]
    assert kept.card.quality == extracted.json["quality"]
    assert sorted(path.name for path in vectors.iterdir()) == ["README.md", "card.json", "vectors.safetensors"]


def test_quiet_and_unvalidated_says_nothing_on_standard_error(others: Path) -> None:
    assert EmotionVectors.load(others).card.quality == {}


def test_card(thymos: Run, vectors: Path) -> None:
    assert thymos("card", vectors, "--json").json == json.loads((vectors / "card.json").read_text(encoding="utf-8"))
    assert thymos("card", vectors, "--readme").out == (vectors / "README.md").read_text(encoding="utf-8")
    shown = thymos("card", vectors)
    assert shown.code == 0
    assert "recall_top1_nested" in shown.out and "difference_of_means" in shown.out


def test_validate(thymos: Run, vectors: Path, model: Path) -> None:
    ran = thymos("validate", vectors, model, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("vectors model layer marks quality saved".split())
    figures = EmotionVectors.load(vectors).card.quality["figures"]
    assert ran.json["quality"]["figures"]["recall_top1"] == figures["recall_top1"]
    assert "validating" in ran.err


def test_validate_can_store_its_figures_afterwards(thymos: Run, others: Path, other: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    EmotionVectors.load(others).save(copy)
    ran = thymos("validate", copy, other, "--run", f"{others}.run", "--save", "--json")
    assert ran.code == 0, ran.err
    assert EmotionVectors.load(copy).card.quality == ran.json["quality"]
    assert "Top-1 recall on unseen topics" in thymos("validate", copy, other, "--run", f"{others}.run").out


def test_geometry(thymos: Run, vectors: Path) -> None:
    ran = thymos("geometry", vectors, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == {
        *"vectors layer concepts explained clusterings layer_similarity marks nearest farthest umap".split(),
        *"rated_concepts pleasure arousal".split(),
    }
    assert ran.json["marks"] and ran.json["rated_concepts"] == 9
    assert ran.json["nearest"][0]["cosine"] > 0 > ran.json["farthest"][0]["cosine"]


@pytest.mark.parametrize("words", [["The train is late."], ["-"]])
def test_read_a_text(thymos: Run, vectors: Path, model: Path, words: list[str]) -> None:
    ran = thymos("read", model, vectors, *words, "--json", "--quiet", stdin="The train is late.")
    assert ran.code == 0 and not ran.err
    keys = "known model unit reference centred layer layers concepts token_ids tokens special roles scores top by_turn"
    assert set(ran.json) == set(keys.split())
    assert np.shape(ran.json["scores"]) == (19, 1, 10)
    assert "".join(ran.json["tokens"][1:]) == "The train is late."


def test_read_shows_the_text_with_its_top_concepts(thymos: Run, vectors: Path, model: Path) -> None:
    ran = thymos("read", model, vectors, "The train is late.")
    assert "The train is late." in ran.out and "Top concepts" in ran.out


def test_read_a_chat_turn_by_turn(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    chat, page = tmp_path / "chat.json", tmp_path / "chat.html"
    messages = [{"role": "user", "content": "My keys are gone."}, {"role": "assistant", "content": "Let us look."}]
    chat.write_text(json.dumps({"messages": messages}), encoding="utf-8")
    ran = thymos(
        "read", model, vectors, "--chat", chat, "--layers", "all", "--concept", "calm", "--html", page, "--json"
    )
    assert ran.code == 0, ran.err
    assert ran.json["layers"] == [0, 1, 2] and ran.json["concepts"] == ["calm"]
    assert [turn["role"] for turn in ran.json["by_turn"]] == ["user", "assistant"]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Turns" in thymos("read", model, vectors, "--chat", chat).out


def test_read_a_file_row_by_row(thymos: Run, vectors: Path, model: Path, stories_file: Path) -> None:
    ran = thymos("read", model, vectors, "--file", stories_file, "--json")
    assert set(ran.json) == set("model file unit layer known texts".split())
    assert len(ran.json["texts"]) == 40
    assert set(ran.json["texts"][0]) == set("index text emotion topic tokens top mean".split())
    shown = thymos("read", model, vectors, "--file", stories_file).out
    assert "Highest mean cosine" in shown and "raw cosines of different concepts do not compare" in shown


def test_a_reading_says_how_far_to_trust_it(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    figure = {"value": 0.34, "low": 0.28, "high": 0.4, "n": 288, "chance": 1 / 24, "p": 0.001, "p_by": "refitted"}
    EmotionVectors.load(vectors).with_card(quality={"figures": {"recall_top1": figure}}).save(tmp_path / "v")
    told, raw = "the top concept is right in 34% of held-out texts", "raw cosines of different concepts"
    plain = thymos("read", model, tmp_path / "v", "The train is late.").out
    assert told in plain and raw in plain
    twins = thymos("read", model, tmp_path / "v", "The train is late.", "--calibrate-on", "twins")
    assert twins.code == 0, twins.err
    assert told in twins.out and raw not in twins.out and "neutral twins" in twins.out
    card = thymos("card", tmp_path / "v").out
    assert "[0.280, 0.400]" in card and "0.001 (refitted)" in card and "288" in card


def test_read_against_a_reference_set(
    thymos: Run, vectors: Path, model: Path, neutral_file: Path, tmp_path: Path
) -> None:
    reference, text = tmp_path / "reference.safetensors", tmp_path / "text.txt"
    text.write_text("The train is late.", encoding="utf-8")
    making = ["--calibrate-on", neutral_file, "--save-reference", reference]
    made = thymos("read", model, vectors, *making, "--concept", "calm", "--centred", "--json")
    assert made.code == 0, made.err
    assert set(made.json) == set("reference name tokens texts".split())
    # What the reference was made with is taken over: it can be compared with nothing else.
    ran = thymos("read", model, vectors, "--file", text, "--reference", reference, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["unit"], ran.json["reference"], ran.json["centred"]) == ("z", "neutral", True)
    assert ran.json["concepts"] == ["calm"]


def test_steer(thymos: Run, vectors: Path, model: Path) -> None:
    words = ["steer", model, vectors, "Hello.", "--vector", "0.5*calm - 0.2*angry", "--max-new-tokens", 6]
    ran = thymos(*words, "--json", "--seed", 3)
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("model prompt recipe layers where dose seed unsteered steered plan".split())
    assert ran.json["recipe"] == "0.5*calm - 0.2*angry"
    kept = EmotionVectors.load(vectors)
    calm, angry = (kept.directions()[kept.index(concept)] for concept in ("calm", "angry"))
    length = float(np.linalg.norm(0.5 * calm - 0.2 * angry))
    assert ran.json["dose"]["total"] == pytest.approx(length, rel=1e-5)
    assert set(ran.json["steered"]) == set("text tokens finish".split())
    shown = thymos(*words)
    assert "unsteered" in shown.out and "total" in shown.out


def test_a_bare_concept_is_warned_of(thymos: Run, vectors: Path, model: Path) -> None:
    ran = thymos("steer", model, vectors, "Hello.", "--vector", "calm", "--max-new-tokens", 2)
    assert ran.code == 0
    assert "note: 1*calm adds 1 of the residual norm" in ran.err or "note: calm adds 1 of the residual" in ran.err
    assert "Try 0.05*calm, and --plan to measure" in ran.err
    assert "adds" not in thymos("steer", model, vectors, "Hello.", "--vector", "0.05*calm", "--max-new-tokens", 2).err


def test_a_zero_recipe_changes_nothing(thymos: Run, vectors: Path, model: Path) -> None:
    words = ["--vector", "calm - calm", "--layers", "all", "--raw", "--max-new-tokens", 8]
    ran = thymos("steer", model, vectors, "Once", *words, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["steered"] == ran.json["unsteered"]
    assert ran.json["dose"] == {"per_layer": {"0": 0.0, "1": 0.0, "2": 0.0}, "total": 0.0}


def test_steer_plans_doses(thymos: Run, vectors: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thymos.cli.jobs.steering._NEUTRAL_TEXTS", 2)
    ran = thymos("steer", model, vectors, "--vector", "calm", "--plan", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["steered"] is None
    assert set(ran.json["plan"]) == set("limit coherent points".split())
    strengths = [point["strength"] for point in ran.json["plan"]["points"]]
    assert strengths == sorted(strengths) and 0.0 in strengths


@pytest.mark.parametrize(("name", "extra"), [("calm.gguf", ["--concept", "calm"]), ("all.npz", []), ("all.pt", [])])
def test_export(thymos: Run, vectors: Path, tmp_path: Path, name: str, extra: list[str]) -> None:
    ran = thymos("export", vectors, "--out", tmp_path / name, *extra, "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {
        "out": str(tmp_path / name),
        "format": name.split(".")[1],
        "concept": extra[1] if extra else None,
        "bytes": (tmp_path / name).stat().st_size,
    }


def test_report(thymos: Run, vectors: Path, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ran = thymos("report", vectors, model, "--out", page, "--text", "The train is late.", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("report vectors model marks".split())
    text = page.read_text(encoding="utf-8")
    assert all(heading in text for heading in ("Validation", "Geometry", "Readings of new text"))


def test_report_without_a_run_folder_says_what_is_missing(
    thymos: Run, vectors: Path, model: Path, tmp_path: Path
) -> None:
    EmotionVectors.load(vectors).save(tmp_path / "alone")
    ran = thymos("report", tmp_path / "alone", model, "--out", tmp_path / "r.html", "--no-readings")
    assert ran.code == 0, ran.err
    assert "so the report has no validation" in ran.err


def test_compare_sets_of_one_model(thymos: Run, vectors: Path) -> None:
    ran = thymos("compare", vectors, vectors, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == set("first second same_model shared similarity layer cosines".split())
    assert ran.json["same_model"] is True
    assert ran.json["similarity"]["pearson"] == pytest.approx(1.0)
    assert set(ran.json["cosines"]) == set(CONCEPTS)
    assert all(value == pytest.approx(1.0) for value in ran.json["cosines"].values())


def test_compare_sets_of_two_models(thymos: Run, vectors: Path, others: Path) -> None:
    ran = thymos("compare", vectors, others, "--json")
    assert ran.json["same_model"] is False and ran.json["cosines"] is None
    assert "Geometry over 10 shared concepts" in thymos("compare", vectors, others).out


def test_only_the_concepts_named_are_extracted(thymos: Run, model: Path, texts: list[object], tmp_path: Path) -> None:
    words = ["--concepts", "calm,sad", "--layers", "2/3", "--no-validate", "--yes", "--json", "--quiet"]
    ran = thymos("extract", model, *texts, "--out", tmp_path / "v", *words)
    assert ran.code == 0, ran.err
    assert ran.json["concepts"] == ["calm", "sad"] and ran.json["layers"] == [1]


def test_probes_and_the_shipped_battery(thymos: Run, model: Path, neutral_file: Path, tmp_path: Path) -> None:
    words = ["--concepts", "calm,sad", "--estimator", "probes", "--neutral-unit", "dialogues", "--max-tokens", 60]
    named = ["--stories", "battery", "--neutral", neutral_file, "--layers", "1", "--no-validate", "--yes"]
    ran = thymos("extract", model, *named, *words, "--out", tmp_path / "v", "--json")
    assert ran.code == 0, ran.err
    assert "--start-token 20 uses more of each" in ran.err
    card = EmotionVectors.load(tmp_path / "v").card
    assert card.estimator == "logistic_probes" and card.denoise.unit == "dialogues"
    assert card.stories.texts == 24 and "battery" in card.stories.name
