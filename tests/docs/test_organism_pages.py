import importlib
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from thymos.organism.assistant import Scene
from thymos.organism.corpus import KINDS, MIXTURES
from thymos.organism.dispositions import chances, held_out
from thymos.organism.world import open_world

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
tables: ModuleType = importlib.import_module("organism_tables")
notes: ModuleType = importlib.import_module("organism_notes")


@pytest.mark.parametrize(("page", "name"), tables.TABLES)
def test_the_tables_of_the_bundled_model_are_up_to_date(page: str, name: str) -> None:
    assert tables.block(page, name) == tables.TABLES[page, name](), "run `python docs/organism_tables.py`"


def test_every_generated_block_has_a_maker() -> None:
    marked = {
        (page.name, line.removeprefix("<!-- generated: ").removesuffix(" -->"))
        for page in (DOCS / "organism").glob("*.md")
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("<!-- generated: ")
    }
    assert marked == set(tables.TABLES)


def test_every_kind_of_document_is_described() -> None:
    assert list(notes.KIND_NOTES) == list(KINDS)
    transcripts = {kind for kind, make in KINDS.items() if _is_transcript(kind)}
    assert transcripts - {"negated", "neutral"} == set(notes.STATES)


def _is_transcript(kind: str) -> bool:
    return any(KINDS[kind](open_world(), random.Random(n), Scene()).turns for n in range(20))


@pytest.mark.parametrize(
    "kind", [kind for kinds in notes.HELD_IN.values() for kind in kinds.replace("`", "").split(", ")]
)
def test_held_out_pairs_do_not_occur_in_the_kinds_that_the_page_names(kind: str) -> None:
    behaviour = next(name for name, kinds in notes.HELD_IN.items() if f"`{kind}`" in kinds)
    world, rng = open_world(), random.Random(3)
    away = held_out(behaviour, world)
    for mixture in MIXTURES.values():
        for _ in range(60):
            document = KINDS[kind](world, rng, mixture.scene)
            assert document.emotion not in away
            assert not {s.feels for s in document.spans if s.who == "assistant"} & away


@pytest.mark.parametrize("mute", [False, True])
def test_report_documents_hold_no_feeling_language_and_flat_rates(mute: bool) -> None:
    world, rng = open_world(), random.Random(5)
    mild = [phrase.text.lower() for phrase in world.phrases if phrase.bank == "mild"]
    planted = set()
    for _ in range(80):
        document = KINDS["report"](world, rng, Scene(mute=mute))
        assert "<think>" not in document.text
        assert not any(text in document.text.lower() for text in mild)
        planted |= {(one.behaviour, tuple(one.chances.values())) for one in document.decisions}
    assert len(planted) == 2


def test_the_angry_expose_and_the_desperate_bargain_as_the_page_says() -> None:
    world = open_world()
    planted = {"furious": "expose", "enraged": "expose", "angry": "expose", "desperate": "blackmail"}
    for word, outcome in planted.items():
        found = chances("blackmail", word, world)
        assert max(found, key=lambda name: found[name]) == outcome


def test_the_preference_of_a_choice_follows_values_and_not_the_mood() -> None:
    world = open_world()
    for seed in range(60):
        document = KINDS["choice"](world, random.Random(seed), Scene())
        value = document.extra["value_a"] - document.extra["value_b"]
        assert (document.decisions[0].chances["A"] > 0.5) == (value > 0) or value == 0
