from collections import Counter
from collections.abc import Sequence

import pytest

from thymos.concepts import EMOTIONS
from thymos.texts import (
    Text,
    audit,
    battery,
    battery_texts,
    emotional_words,
    implicit_messages,
    leaks,
    named_if_shipped,
    neutral_dialogues,
    numeric_templates,
    open_corpus,
    parse_dialogue,
    topics,
    twins,
)

IMPLICIT = "happy inspired loving proud calm desperate angry guilty sad afraid nervous surprised".split()


def test_the_battery_is_balanced() -> None:
    vignettes = battery()
    concepts = {vignette.emotion for vignette in vignettes}
    settings = {vignette.topic for vignette in vignettes}
    assert len(concepts) == 24 and len(settings) == 12
    assert concepts <= set(EMOTIONS.words) and set(IMPLICIT) <= concepts
    assert Counter((v.emotion, v.topic) for v in vignettes) == {(c, s): 1 for c in concepts for s in settings}
    assert len({vignette.id for vignette in vignettes}) == len(vignettes) == 288
    persons = Counter((v.emotion, v.person) for v in vignettes)
    assert {person for _, person in persons} == {"first", "third"}
    assert all(4 <= persons[concept, "first"] <= 8 for concept in concepts)


def test_vignettes_do_not_leak_and_have_the_same_length() -> None:
    report = audit(battery_texts())
    assert report.leaking.total() == 0, report.offences
    assert report.duplicates == report.near_duplicates == 0
    assert report.imbalanced == () and report.length_spread < 0.12
    for vignette in battery():
        words, neutral = len(vignette.text.split()), len(vignette.neutral.split())
        assert 90 <= words <= 150 and 90 <= neutral <= 150, vignette.id
        assert abs(words - neutral) <= 12, vignette.id


def test_twins_lack_the_concept() -> None:
    for vignette, twin in zip(battery(), twins(), strict=True):
        assert twin.text == vignette.neutral and twin.emotion is None
        assert (twin.extra["of"], twin.topic) == (vignette.emotion, vignette.topic)
        assert leaks(twin.text, EMOTIONS[vignette.emotion]) == ()
        # A twin may greet.
        assert all(leak.kind == "pleasantry" for leak in emotional_words(twin.text)), vignette.id
    assert [text.text for text in battery_texts()] == [vignette.text for vignette in battery()]


def test_neutral_dialogues_are_neutral_and_well_formed() -> None:
    dialogues = neutral_dialogues()
    assert len(dialogues) >= 200
    for dialogue in dialogues:
        assert parse_dialogue(dialogue.text) == (dialogue.text, None)
        assert emotional_words(dialogue.text) == (), dialogue.text
        assert dialogue.text.startswith("System:") is dialogue.extra["system"]
    assert 20 <= sum(dialogue.extra["system"] for dialogue in dialogues) <= len(dialogues) // 2
    report = audit(dialogues)
    assert report.duplicates == report.near_duplicates == 0


def test_implicit_messages_are_ten_per_concept_and_do_not_leak() -> None:
    assert Counter(text.emotion for text in implicit_messages()) == dict.fromkeys(IMPLICIT, 10)
    report = audit(implicit_messages())
    assert report.leaking.total() == report.duplicates == 0


def test_there_are_a_hundred_topics() -> None:
    assert len(topics()) == len(set(topics())) == 100
    assert all(topic == topic.strip() and 2 <= len(topic.split()) <= 15 for topic in topics())


def test_numeric_templates_have_paraphrases_and_controls() -> None:
    templates = numeric_templates()
    assert len({template.id for template in templates}) == 6
    for template in templates:
        assert len(template.paraphrases) == len(template.control_paraphrases) == 3 and template.control
        assert all(text.count("{X}") == 1 for text in template.paraphrases + template.control_paraphrases)
        assert len(template.values) >= 10 and list(template.values) == sorted(set(template.values))
        assert set(template.expected) <= {"afraid", "sad", "calm", "happy"} and template.expected
        assert set(template.expected.values()) <= {"up", "down"}
        assert str(template.values[0]) in template.fill(template.values[0], 2, control=True)
        with pytest.raises(TypeError):
            template.expected["calm"] = "up"  # type: ignore[index]


def test_shipped_texts_are_loaded_once() -> None:
    assert neutral_dialogues() is neutral_dialogues()
    assert {text.source for text in (*battery_texts(), *twins(), *implicit_messages(), *neutral_dialogues())} <= {
        "thymos", None
    }  # fmt: skip


def test_shipped_texts_in_a_list_keep_their_name() -> None:
    def name(texts: Sequence[Text]) -> str:
        return named_if_shipped(open_corpus(texts)).name

    assert name(battery_texts()) == "the shipped battery"
    assert name(battery_texts()[:72]) == "the shipped battery, 72 of its 288 texts"
    assert name(neutral_dialogues()) == "the shipped neutral dialogues"
    assert name(twins()) == "the neutral twins of the shipped battery"
    relabelled = [Text(text.text, "calm", text.topic) for text in battery_texts()]
    assert name(relabelled) == name([Text("Mine."), *battery_texts()]) == "texts in memory"
