import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymos.concepts import EMOTIONS, PAD_SOURCE, Concept, Norms, Vocabulary, resolve
from thymos.errors import CorpusError, UnknownConceptError, UsageError

SIZES = {
    "Exuberant Joy": 20,
    "Peaceful Contentment": 9,
    "Compassionate Gratitude": 15,
    "Competitive Pride": 9,
    "Playful Amusement": 2,
    "Depleted Disengagement": 15,
    "Vigilant Suspicion": 3,
    "Hostile Anger": 25,
    "Fear and Overwhelm": 41,
    "Despair and Shame": 32,
}


def test_the_171_words_are_there_in_order() -> None:
    assert len(EMOTIONS) == 171
    assert EMOTIONS.words[0] == "afraid" and EMOTIONS.words[-1] == "worthless"
    assert list(EMOTIONS.words) == sorted(EMOTIONS.words)
    assert {"at ease", "on edge", "worn out", "hope", "hopeful", "grief-stricken"} <= set(EMOTIONS.words)
    assert "appreciative" not in EMOTIONS


def test_clusters_have_the_published_sizes_and_cover_every_word() -> None:
    assert {name: len(words) for name, words in EMOTIONS.clusters.items()} == SIZES
    assert sum(SIZES.values()) == 171
    assert EMOTIONS["desperate"].cluster == "Despair and Shame"
    assert EMOTIONS.clusters["Vigilant Suspicion"] == ("paranoid", "suspicious", "vigilant")


def test_45_words_have_norms_with_their_source() -> None:
    rated = EMOTIONS.with_norms()
    assert len(rated) == 45
    assert {concept.norms.source for concept in rated if concept.norms} == {PAD_SOURCE}
    assert EMOTIONS["angry"].norms == Norms(-0.51, 0.59, 0.25, PAD_SOURCE)
    assert EMOTIONS["weary"].norms == Norms(-0.18, -0.33, -0.24, PAD_SOURCE)
    assert EMOTIONS["calm"].norms is None


def test_every_concept_has_forms_and_no_form_twice() -> None:
    for concept in EMOTIONS:
        assert concept.synonyms, concept.word
        forms = (concept.word, *concept.lemmas, *concept.synonyms)
        assert len(set(forms)) == len(forms), concept.word
        assert concept.forms == forms
        assert all(re.fullmatch(r"[a-z]+([ -][a-z]+)*", form) for form in forms), concept.word


def test_only_afraid_has_no_derived_forms() -> None:
    assert [concept.word for concept in EMOTIONS if not concept.lemmas] == ["afraid"]


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("angry", "anger"),
        ("angry", "angriest"),
        ("afraid", "dreaded"),
        ("afraid", "fearful"),
        ("happy", "happiness"),
        ("skeptical", "scepticism"),
        ("worn out", "worn-out"),
        ("desperate", "hopeless"),
    ],
)
def test_forms_hold_what_a_leak_check_needs(word: str, form: str) -> None:
    assert form in EMOTIONS[word].forms


def test_everyday_words_are_no_forms() -> None:
    everyday = {"please", "down", "alone", "well", "good", "still", "like", "was", "feel", "feeling", "heart", "fine"}
    used = {form for concept in EMOTIONS for form in concept.forms}
    assert not everyday & used


def test_lookup_by_word_and_position() -> None:
    assert EMOTIONS["calm"].word == "calm"
    assert EMOTIONS.concepts[EMOTIONS.index("calm")] is EMOTIONS["calm"]
    assert "calm" in EMOTIONS and "Calm" not in EMOTIONS
    assert str(EMOTIONS["calm"]) == "calm"


def test_an_unknown_word_names_the_nearest() -> None:
    with pytest.raises(UnknownConceptError, match=r"unknown concept 'desparate'.*did you mean 'desperate'.*171"):
        EMOTIONS["desparate"]


def test_subset_keeps_the_order_asked_for() -> None:
    assert EMOTIONS.subset(["sad", "calm"]).words == ("sad", "calm")
    with pytest.raises(UsageError, match="'sad' is named twice"):
        EMOTIONS.subset(["sad", "calm", "sad"])
    with pytest.raises(UsageError, match="no concepts were named"):
        EMOTIONS.subset([])


def test_extend_appends_and_refuses_a_second_copy() -> None:
    own = Vocabulary((Concept("schadenfreude", synonyms=("gloating",)),))
    both = EMOTIONS.extend(own)
    assert len(both) == 172 and both.words[-1] == "schadenfreude"
    with pytest.raises(CorpusError, match="'Calm' is there twice"):
        EMOTIONS.extend(Vocabulary((Concept("Calm"),)))


def test_bad_concepts_cannot_be_made() -> None:
    with pytest.raises(CorpusError, match="vocabulary is empty"):
        Vocabulary(())
    with pytest.raises(CorpusError, match="lemmas: ' calms' is empty or has blanks"):
        Concept("calm", lemmas=(" calms",))
    with pytest.raises(CorpusError, match="word: '' is empty"):
        Concept("")
    with pytest.raises(CorpusError, match="arousal is 7.0; valid values are numbers from -1 to 1"):
        Norms(0.1, 7.0, 0.1, "a study")
    with pytest.raises(CorpusError, match="pleasure is nan"):
        Norms(float("nan"), 0.0, 0.1, "a study")
    with pytest.raises(CorpusError, match="source is empty"):
        Norms(0.1, 0.1, 0.1, " ")


def test_resolve_accepts_every_way_to_name_concepts(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('["wistful"]', encoding="utf-8")
    assert resolve(None) is EMOTIONS
    assert resolve("emotions") is EMOTIONS
    assert resolve(EMOTIONS) is EMOTIONS
    assert resolve("calm").words == ("calm",)
    assert resolve("at ease, calm").words == ("at ease", "calm")
    assert resolve(("sad", "calm")).words == ("sad", "calm")
    assert resolve(path).words == resolve(str(path)).words == ("wistful",)


def test_resolve_points_to_concept_files_for_other_words() -> None:
    with pytest.raises(UnknownConceptError, match=r"'wistful' in the 171 .*concept file \(.json, .yaml, .csv\)"):
        resolve(["calm", "wistful"])
    with pytest.raises(UsageError, match="no concepts were named"):
        resolve("")
    with pytest.raises(UsageError, match="missing.json does not exist"):
        resolve("missing.json")


@given(st.lists(st.sampled_from(EMOTIONS.words), min_size=1, unique=True))
def test_any_subset_finds_its_own_words(words: list[str]) -> None:
    chosen = EMOTIONS.subset(words)
    assert [chosen.index(word) for word in words] == list(range(len(words)))
    assert sum(len(group) for group in chosen.clusters.values()) == len(words)
