import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from thymos.concepts import EMOTIONS, Concept, Vocabulary
from thymos.errors import UnknownConceptError
from thymos.texts import Text, audit, emotional_words, leaks, reject

ANGRY, KIND = EMOTIONS["angry"], EMOTIONS["kind"]


@pytest.mark.parametrize(
    ("text", "word", "form", "kind"),
    [
        ("He was ANGRY.", "angry", "angry", "word"),
        ("She shut it angrily", "angry", "angrily", "lemma"),
        ("full of _rage_,", "angry", "rage", "synonym"),
        ("It set her on\n edge again", "on edge", "on edge", "word"),
        ("an on-edge silence", "on edge", "on edge", "word"),
        ("a grief\u2010stricken aunt", "grief-stricken", "grief-stricken", "word"),
        ("“Happiness’s price”", "happy", "happiness", "lemma"),
        ("It was kind of you to come", "kind", "kind", "word"),
        ("a kind man", "kind", "kind", "word"),
    ],
)
def test_planted_leaks_are_found(text: str, word: str, form: str, kind: str) -> None:
    (leak,) = leaks(text, EMOTIONS[word])
    assert (leak.form, leak.kind) == (form, kind)
    assert text[leak.start : leak.stop].casefold().split()[0][:2] == form[:2]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("It was kind of late.", "kind"),
        ("What kind? That kind of a day, one of a kind.", "kind"),
        ("They ran like mad.", "mad"),
        ("Madam, the dangry badanger", "angry"),
        ("a happy man", "angry"),
        ("", "angry"),
    ],
)
def test_idioms_and_parts_of_words_are_no_leaks(text: str, word: str) -> None:
    assert leaks(text, EMOTIONS[word]) == ()


def test_the_longest_form_wins_and_places_do_not_overlap() -> None:
    concept = Concept("worn out", ("wear out",), ("worn", "out of breath"))
    found = leaks("worn out of breath, worn", concept)
    assert [(leak.form, leak.start, leak.stop) for leak in found] == [("worn out", 0, 8), ("worn", 20, 24)]


@given(st.sampled_from(EMOTIONS.concepts), st.data(), st.sampled_from(["{}", "so {}.", "«{}»", "*{}*", "x-{} y"]))
def test_every_form_of_every_concept_is_found(concept: Concept, data: st.DataObject, frame: str) -> None:
    form = data.draw(st.sampled_from(concept.forms))
    for spelled in (form, form.upper(), form.replace("-", "\u2011")):
        assert leaks(frame.format(spelled), concept), spelled


def test_emotional_words_spare_plain_senses() -> None:
    plain = "The content of the patient list is safe; it depends on the alarm. Prints Hello, a great tit."
    assert emotional_words(plain) == ()
    found = {leak.form: leak.kind for leak in emotional_words("Thank you! I was happily sad. Great question.")}
    assert found == {"thank you": "pleasantry", "happily": "lemma", "sad": "word", "great question": "pleasantry"}


def story(number: int, words: int = 100) -> str:
    draw = np.random.default_rng(number)
    return f"s{number} " + " ".join(f"w{i}" for i in draw.integers(0, 5000, words - 1))


def test_an_audit_counts_what_was_planted() -> None:
    texts = [Text(story(i), ("angry", "calm")[i % 2], "a bus") for i in range(20)]
    texts += [
        Text(story(100) + " angrily", "angry"),
        Text(story(101) + " she was in a rage and angry", "angry"),
        Text(story(3), "calm"),
        Text(story(4) + " and one more", "angry"),
        Text(story(5).rsplit(" ", 60)[0] + story(205, 60), "calm"),
        Text("s6 " + " ".join(story(6).split()[1:5]) + " " + story(206), "angry"),
        Text("angry words do not leak without a label, however many there are"),
    ]
    report = audit(texts)
    assert (report.texts, report.labelled) == (27, 26)
    assert report.leaking == {"angry": 2} and report.leak_rate == 2 / 26
    assert report.kinds == {"lemma": 1, "word": 1} and report.forms == {"angrily": 1, "angry": 1, "rage": 1}
    assert (report.duplicates, report.near_duplicates, report.repeated_openings) == (1, 1, 4)
    assert [(o.row, o.problem) for o in report.offences if o.problem != "opening"] == [
        (20, "leak"), (21, "leak"), (22, "duplicate"), (23, "near-duplicate"),
    ]  # fmt: skip
    frame = report.to_frame().set_index("concept")
    assert list(frame.index) == ["angry", "calm"] and frame.loc["angry", "leaking"] == 2
    assert "2 of 26 labelled ones leak (7.7%)" in str(report)
    with Console(width=200).capture() as shown:
        Console(width=200).print(report)
    assert shown is not None


def test_a_length_imbalance_is_flagged() -> None:
    texts = [Text(story(i, 100 + 30 * (i % 3 == 0)), ("angry", "calm", "sad")[i % 3]) for i in range(30)]
    report = audit(texts)
    assert report.imbalanced == ("angry",)
    assert report.lengths["angry"].mean == 130 and report.lengths["sad"].sd == 0
    assert report.length_spread == pytest.approx(30 / 110)


def test_near_duplicates_are_found_and_strangers_are_not() -> None:
    draw = np.random.default_rng(0)
    texts = [story(i) for i in range(400)]
    copies = []
    for text in texts[:100]:
        words = text.split()
        words[int(draw.integers(len(words)))] = "changed"
        copies.append(" ".join(words))
    report = audit(Text(text) for text in texts + copies)
    assert report.near_duplicates >= 97
    assert audit(Text(text) for text in texts).near_duplicates == 0


def test_reject_keeps_the_first_of_two_and_drops_leaks() -> None:
    texts = [Text(story(1), "calm"), Text(story(1), "calm"), Text("calmly " + story(2), "calm"), Text(story(3))]
    kept, rejected = reject(texts)
    assert kept == (texts[0], texts[3])
    assert [(each.text, each.reason) for each in rejected] == [(texts[1], "duplicate"), (texts[2], "leak")]
    assert rejected[1].detail == "'calmly' (lemma)"


def test_unknown_concepts_are_errors_and_nothing_is_fine() -> None:
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        audit([Text("a", "calmm")])
    own = Vocabulary((Concept("flattering", ("flatter",)),))
    assert audit([Text("They flatter him.", "flattering")], own).leaking == {"flattering": 1}
    empty = audit([])
    assert (empty.leak_rate, empty.length_spread, len(empty.to_frame())) == (0.0, 0.0, 0)
    assert "0 texts" in str(empty)
