"""Bare stories: one whole answer each, or nothing."""

import pytest

from thymos.concepts import EMOTIONS
from thymos.errors import UsageError
from thymos.texts import StoryPlan
from thymos.texts.prompts import parse_bare, story_prompt

STORY = "The kettle sang. Nobody looked up."


def test_a_bare_story_is_the_whole_answer_or_nothing() -> None:
    assert parse_bare(f"\n {STORY}\n\n").blocks == (STORY,)
    assert parse_bare(f"{STORY}\n\n{STORY}").blocks == (f"{STORY}\n\n{STORY}",)
    beside = [
        f"[story 1]\n{STORY}",
        f"<think>Hm.</think>\n{STORY}",
        f"The Kettle\n\n{STORY}",
        f"{STORY}\n\n---",
        f"{STORY}\n\nLet me know if you want another one.",
    ]
    for reply in beside:
        parsed = parse_bare(reply)
        assert parsed.blocks == ()
        assert parsed.broken[0][1].startswith("something beside the story")
    assert parse_bare("The kettle sang and").broken[0][1] == "the story stops in the middle of a sentence"
    assert parse_bare(" \n").broken[0][1] == "the answer is empty"


def test_bare_stories_are_asked_for_one_by_one() -> None:
    asked = story_prompt(EMOTIONS["calm"], "a bus", 1, bare=True)[0]["content"]
    assert "[story" not in asked
    assert "the story alone" in asked
    with pytest.raises(UsageError, match="2 bare stories"):
        story_prompt(EMOTIONS["calm"], "a bus", 2, bare=True)
    with pytest.raises(UsageError, match="set per_request=1"):
        StoryPlan(per_cell=2, bare=True)
