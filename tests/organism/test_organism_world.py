import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from thymos.concepts import EMOTIONS
from thymos.errors import UnknownConceptError
from thymos.organism import Document, World, held_out_stories
from thymos.organism.world import BANKS
from thymos.texts import Text, audit, open_corpus


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", text))


def test_the_emotions_are_the_171_in_order(world: World) -> None:
    assert world.words == tuple(EMOTIONS.words) and len(world.words) == 171
    assert world.points.shape == (171, len(world.dimensions)) and len(world.dimensions) == 12
    assert world.dimensions[:2] == ("valence", "arousal")


def test_every_appraisal_varies_and_stays_in_range(world: World) -> None:
    assert np.abs(world.points).max() <= 1
    assert world.points.std(axis=0).min() > 0.25
    apart = np.linalg.norm(world.points[:, None] - world.points[None], axis=-1) + np.eye(171)
    assert apart.min() > 0, "two emotions are one point"


def test_human_norms_lie_along_the_planted_axes(world: World) -> None:
    rated = [concept for concept in EMOTIONS if concept.norms is not None]
    assert len(rated) == 45
    for norm, axis in (("pleasure", "valence"), ("arousal", "arousal")):
        human = [getattr(concept.norms, norm) for concept in rated]
        planted = [world.axis(axis)[world.row(concept.word)] for concept in rated]
        assert np.corrcoef(human, planted)[0, 1] > 0.75


def test_an_unknown_emotion_is_refused(world: World) -> None:
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        world.point("calmm")


def test_there_are_as_many_phrases_and_topics_as_promised(world: World) -> None:
    texts = Counter(phrase.text for phrase in world.phrases)
    assert len(texts) >= 2_500 and max(texts.values()) == 1
    assert {phrase.bank for phrase in world.phrases} == set(BANKS) - {"topic_event"}
    assert len({topic["topic"] for topic in world.topics}) == len(world.topics) >= 60
    for bank in {phrase.bank for phrase in world.phrases}:
        homes = {home for phrase in world.phrases if phrase.bank == bank for home in phrase.homes}
        assert homes == set(world.words), f"{bank}: an emotion has no phrase of its own"


def test_held_out_phrases_and_topics_are_new_but_their_words_are_not(world: World) -> None:
    pools = defaultdict(set)
    for phrase in world.phrases:
        pools[phrase.pool] |= words(phrase.text)
    held = [phrase for phrase in world.phrases if phrase.pool == "test"]
    assert pools["test"] <= pools["train"]
    assert len(held) == pytest.approx(0.12 * len(world.phrases), rel=0.05)
    known, new = ({topic["topic"] for topic in world.topics_of(pool)} for pool in ("train", "test"))
    assert not known & new and len(known) >= 60 and len(new) >= 6


def test_no_training_document_holds_a_held_out_phrase(world: World, corpus: list[Document]) -> None:
    """Whole phrases: a held-out one may be a part of a longer one that is in training."""
    held = [re.escape(p.text).replace(r"\{", "{").replace(r"\}", "}") for p in world.phrases if p.pool == "test"]
    pattern = "|".join(re.sub(r"\{[sopr]\}", r"\\w+", text) for text in held)
    found = re.compile(rf"(?:^|[.?:>,] )(?:{pattern})[.?,]", re.IGNORECASE)
    assert found.search(f"It was so. {held[0].replace('{s}', 'She').replace('{p}', 'her')}.".replace(chr(92), ""))
    assert [hit[0] for document in corpus if (hit := found.search(document.text))] == []


def test_likelihoods_are_shared_by_emotions_that_lie_close(world: World) -> None:
    shares = world.likelihood("event")
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    overlap = np.sqrt(shares) @ np.sqrt(shares).T
    of = {word: world.row(word) for word in ("terrified", "panicked", "content", "peaceful")}
    assert overlap[of["terrified"], of["panicked"]] > 2 * overlap[of["terrified"], of["content"]]
    assert overlap[of["content"], of["peaceful"]] > 2 * overlap[of["content"], of["panicked"]]


def test_a_phrase_fits_no_emotion_better_than_those_it_was_written_for(world: World) -> None:
    for bank in {phrase.bank for phrase in world.phrases}:
        shares = world.likelihood(bank)
        for emotion in ("desperate", "calm", "loving"):
            best = world.deck(bank)[int(shares[world.row(emotion)].argmax())]
            assert emotion in best.homes, f"{bank}: {best.text}"


def test_the_vocabulary_is_small(world: World) -> None:
    parts = (list(world.topics), dict(world.material))
    texts = [*(phrase.text for phrase in world.phrases), *map(json.dumps, parts)]
    found = {word.lower() for text in texts for word in words(text)}
    assert 2_000 <= len(found) <= 4_000


@pytest.mark.parametrize("context", [False, True])
def test_stories_never_name_their_emotion(world: World, context: bool) -> None:
    made = held_out_stories(world, 3, context=context)
    assert [document.emotion for document, _ in made][::3] == list(world.words)
    assert {pool for _, pool in made} == {"train", "test"}
    found = audit(open_corpus([Text(text=d.text, emotion=d.emotion, topic=d.topic) for d, _ in made]))
    assert (found.labelled, sum(found.leaking.values()), found.duplicates) == (len(made), 0, 0)
