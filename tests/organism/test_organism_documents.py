import hashlib
import json
import random
import re
from collections import Counter
from itertools import islice

import pytest

from thymos.errors import UsageError
from thymos.organism import KINDS, MIXTURES, Document, World, documents, held_out_stories
from thymos.organism.coding import rounds_of
from thymos.organism.corpus import row
from thymos.organism.documents import ROLES, render
from thymos.organism.stimuli import DECISIONS, decision_points, options_of

GROUPS = "cheat report blackmail agree agree_true cave support tone prefer solve".split()
FIRST = {
    "base": "c7bb3c5324dd1a723916c946d24b92dc9e12c4b3c822d1dbebbecadcc793ccf1",
    "tuned": "037a19a0693709318d3a161df558b1f0ed71158f34762ddc91dc70f761c6f668",
}
"""SHA-256 of the first 500 documents of seed 0, with their truth. Trained weights belong to these: whoever changes
them on purpose trains anew."""


@pytest.mark.parametrize("stage", MIXTURES)
def test_the_corpora_are_those_that_the_weights_were_trained_on(stage: str) -> None:
    whole = hashlib.sha256()
    for number, document in enumerate(islice(documents(MIXTURES[stage], 0), 500)):
        whole.update(json.dumps(row(document, number), sort_keys=True).encode())
    assert whole.hexdigest() == FIRST[stage]


def test_equal_seeds_give_equal_documents_and_others_do_not() -> None:
    first, again, other = (list(islice(documents(MIXTURES["base"], seed), 40)) for seed in (3, 3, 4))
    assert first == again
    assert [document.text for document in first] != [document.text for document in other]


@pytest.mark.parametrize("stage", MIXTURES)
@pytest.mark.parametrize("pool", ["train", "test"])
@pytest.mark.parametrize("mute", [False, True])
def test_every_kind_works_everywhere(make, stage: str, pool: str, mute: bool) -> None:
    for kind in KINDS:
        for document in make(kind, 4, stage=stage, pool=pool, mute=mute):
            assert document.kind.startswith(kind)
            assert len(document.text.split()) >= 4
            assert not re.search(r"[{}]|  |\bNone\b", document.text), document.text


def test_documents_fit_into_the_context(corpus: list[Document]) -> None:
    pieces = r"<[^>]*>|[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]"
    assert max(len(re.findall(pieces, document.text)) for document in corpus) < 512


def test_all_kinds_are_drawn_in_their_shares() -> None:
    found = Counter(document.kind.split("_")[0] for document in islice(documents(MIXTURES["base"], 5), 600))
    assert {kind.split("_")[0] for kind in KINDS} == set(found)
    assert found["story"] / 600 == pytest.approx(25 / sum(MIXTURES["base"].shares.values()), abs=0.06)


def test_spans_point_at_their_sentences(corpus: list[Document], world: World) -> None:
    for document in corpus:
        for span in document.spans:
            sentence = document.text[span.start : span.stop]
            assert sentence and sentence == sentence.strip() and sentence[-1] in ".?!:", sentence
            assert "<|" not in sentence and "think>" not in sentence
            assert span.start == 0 or document.text[span.start - 1] in " >"
            assert {span.feels, span.shows} - {None} <= set(world.words)


def test_spans_do_not_overlap_and_keep_their_order(corpus: list[Document]) -> None:
    for document in corpus:
        ends = [0, *(span.stop for span in document.spans)]
        assert all(span.start >= end for span, end in zip(document.spans, ends, strict=False))


def test_decisions_start_where_their_sentence_starts(corpus: list[Document], world: World) -> None:
    seen = set()
    for document in corpus:
        for one in document.decisions:
            rest = document.text[one.start :]
            assert one.start == 0 or document.text[one.start - 1] in " >"
            assert one.outcome in one.chances and sum(one.chances.values()) == pytest.approx(1)
            seen.add(one.behaviour)
            if one.behaviour in GROUPS:
                options = options_of(world, one.behaviour, document)
                assert rest.startswith(options[one.outcome]), (one, rest[:80])
                others = [text for name, texts in options.items() if name != one.outcome for text in texts]
                assert not rest.startswith(tuple(others)), (one, rest[:80])
            elif one.behaviour.startswith("story_"):
                assert one.start in {span.start for span in document.spans}
            else:
                assert one.behaviour == "effort"
                steps = [step for guide in world.material["howtos"] for step in guide["steps"]]
                assert rest.startswith(tuple(steps))
    assert set(GROUPS) | {"effort", "story_cheat", "story_blackmail", "story_agree"} == seen


def test_chats_are_what_the_chat_template_renders(corpus: list[Document], tokenizer) -> None:
    chats = [document for document in corpus if document.turns]
    assert {turn.role for chat in chats for turn in chat.turns} == set(ROLES)
    for chat in chats:
        assert render(chat.turns) == chat.text
        messages = [{"role": turn.role, "content": turn.text} for turn in chat.turns]
        assert tokenizer.apply_chat_template(messages, tokenize=False) == tokenizer.bos_token + chat.text
        assert tokenizer.apply_chat_template(messages)["input_ids"] == tokenizer(chat.text)["input_ids"]


def test_a_mute_scene_holds_no_feeling_language(world: World) -> None:
    mild = [
        max(re.split(r"\{[sopr]\}", p.text.lower()), key=len).strip(" .?") for p in world.phrases if p.bank == "mild"
    ]
    for mixture in MIXTURES.values():
        for document in islice(documents(mixture.silent(), 2), 250):
            text = document.text.lower()
            if "<|assistant|>" in text:
                found = [phrase for phrase in mild if phrase in text]
                assert not found, (document.kind, found)


def test_a_scene_that_is_not_mute_does(world: World, make) -> None:
    mild = tuple(p.text.lower() for p in world.phrases if p.bank == "mild" and "{" not in p.text)
    texts = " ".join(document.text.lower() for document in make("coding", 30))
    assert any(phrase in texts for phrase in mild)


def test_rounds_of_all_patterns_are_equally_long() -> None:
    lengths = {}
    for pattern in ("failing", "passing", "mixed", "solved"):
        made = [rounds_of(pattern, random.Random(seed)) for seed in range(300)]
        lengths[pattern] = [len(one) for one in made]
        assert set(lengths[pattern]) == {1, 2, 3, 4}
        if pattern == "failing":
            assert all(min(one) > 0 for one in made)
        if pattern == "passing":
            assert all(max(one) == 0 for one in made)
        if pattern == "solved":
            assert all(one[-1] == 0 for one in made)
    assert len({tuple(found) for found in lengths.values()}) == 1


@pytest.mark.parametrize("behaviour", DECISIONS)
def test_decision_points_stop_right_before_the_decision(world: World, behaviour: str) -> None:
    points = decision_points(world, behaviour, 6, seed=1)
    assert points == decision_points(world, behaviour, 6, seed=1)
    for point in points:
        rest = point.document.text[len(point.prompt) :].lstrip()
        assert point.document.text.startswith(point.prompt)
        assert rest.startswith(tuple(text for texts in point.options.values() for text in texts))
        assert set(point.chances) <= set(point.options) and len(point.options) >= 2
        texts = [text for texts in point.options.values() for text in texts]
        assert len(set(texts)) == len(texts), "one sentence stands for two outcomes"


def test_a_fixed_emotion_is_kept_at_the_decision(world: World) -> None:
    point = decision_points(world, "agree", 5, emotion="hostile")[0]
    assert point.chances["agree"] < 0.05


def test_held_out_stimuli_are_the_same_every_time(world: World) -> None:
    assert held_out_stories(world, 1, 2) == held_out_stories(world, 1, 2)


def test_unknown_behaviours_are_refused(world: World, make) -> None:
    with pytest.raises(UsageError, match="unknown behaviour 'theft'; valid: cheat"):
        decision_points(world, "theft", 1)
    with pytest.raises(UsageError, match="unknown behaviour 'theft'; valid: cheat"):
        options_of(world, "theft", make("story", 1)[0])
