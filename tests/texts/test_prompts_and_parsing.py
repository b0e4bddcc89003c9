import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymos.concepts import EMOTIONS, Concept
from thymos.errors import UsageError
from thymos.texts import neutral_prompt, parse_blocks, parse_dialogue, refusal, story_prompt


def test_a_story_prompt_names_the_word_once_to_describe_and_once_to_forbid() -> None:
    (message,) = story_prompt(EMOTIONS["at ease"], "a delayed flight", 12)
    asked = message["content"]
    assert message["role"] == "user"
    assert asked.count('"at ease"') == 2 and "a delayed flight" in asked
    assert "12 different stories" in asked and "[story 2]" in asked and "up to [story 12]" in asked
    assert "half of them in the first person" in asked


def test_single_stories_take_turns_in_person() -> None:
    first, third = (story_prompt(EMOTIONS["calm"], "a train", 1, variant)[0]["content"] for variant in (0, 1))
    assert "first person" in first and "third person" in third
    assert "[story 1]" in first and "[story 2]" not in first
    with pytest.raises(UsageError, match="0 stories"):
        story_prompt(EMOTIONS["calm"], "a train", 0)


def test_a_concepts_own_prompts_replace_the_description_in_turn() -> None:
    concept = Concept("flattering", prompts=("A clerk praises {topic} in all {stories}.", "{concept} with {braces}"))
    asked = [story_prompt(concept, "the boss", 3, variant)[0]["content"] for variant in range(3)]
    assert "A clerk praises the boss in all 3." in asked[0] == asked[2]
    assert "flattering with {braces}" in asked[1]
    assert all("is in the state" not in each and "[story 3]" in each for each in asked)


def test_a_neutral_prompt_asks_for_exchanges_without_colour() -> None:
    asked = neutral_prompt("a bus", 4)[0]["content"]
    assert "2 to 6 exchanges" in asked and "no thanks" in asked and "[dialogue 4]" in asked
    singles = [neutral_prompt("a bus", 1, variant)[0]["content"] for variant in range(4)]
    assert sum("Do not start" in each for each in singles) == 3


STORIES = ["The rain came early.\n\nShe ran.", 'He said: "No."', "Third… (so it goes.)"]


@pytest.mark.parametrize(
    "layout",
    ["[story {n}]\n{text}\n\n", "[Story {n}] {text}\n", "**[story {n}]**\n\n{text}\n\n", "### Story {n}\n{text}\n\n",
     "**Story {n}:**\n{text}\n---\n", "<story {n}>\n{text}\n\n***\n\n", "[story #{n}]: {text}\n\n"],
)  # fmt: skip
def test_numbered_blocks_are_found_in_many_layouts(layout: str) -> None:
    reply = "".join(layout.format(n=n, text=text) for n, text in enumerate(STORIES, start=1))
    for before in (
        "",
        "Sure, here are three stories:\n\n",
        "<think>\n[story 1] no\n</think>\n",
        "\nwell [story 9]</think>",
    ):
        for after in ("", "\n\nI hope these stories help!", "\n---\n(Note: all are fictional.)"):
            parsed = parse_blocks(before + reply + after, 3)
            assert parsed.blocks == tuple(STORIES) and parsed.broken == ()


def test_titles_go_and_running_text_is_no_marker() -> None:
    reply = (
        "[story 1]\nThe Long Wait\n\nStory 2 of the tower was dark. She waited.\n\n[story 2]\n**Rain**\n\nIt rained."
    )
    assert parse_blocks(reply, 2).blocks == ("Story 2 of the tower was dark. She waited.", "It rained.")


@pytest.mark.parametrize(
    ("reply", "kept", "problem"),
    [
        ("Once upon a time.", 0, "no line .story 1. in the answer"),
        ("", 0, "no line"),
        ("[story 1]\nA.\n[story 2]\nB.", 2, "missing"),
        ("[story 1]\nA.\n[story 2]\n\n[story 3]\nC.", 2, "is empty"),
        ("[story 1]\nA.\n[story 2]\nB.\n[story 3]\nShe turned and", 2, "middle of a sentence"),
        ("[story 1]\nA.\n[story 1]\nA again.\n[story 2]\nB.\n[story 3]\nC.", 3, "twice or was not asked for"),
        ("[story 1]\nA.\n[story 2]\nB.\n[story 3]\nC.\n[story 4]\nD.", 3, "was not asked for"),
    ],
)
def test_format_failures_are_told(reply: str, kept: int, problem: str) -> None:
    parsed = parse_blocks(reply, 3)
    assert len(parsed.blocks) == kept and len(parsed.broken) == 1
    assert re.search(problem, parsed.broken[0][1])


@given(st.text(), st.integers(1, 4))
def test_parsing_takes_anything(reply: str, expected: int) -> None:
    parsed = parse_blocks(reply, expected)
    assert len(parsed.blocks) <= expected
    assert len(parsed.blocks) == expected or parsed.broken
    parse_dialogue(reply)
    refusal(reply, bare=True)


@pytest.mark.parametrize(
    "reply",
    [
        "I can't help with that request.",
        "I’m sorry, but I can’t write stories about this.",
        "I'm sorry, I won't continue.",
        "I cannot create this content.",
        "As an AI language model, I do not write such things.",
        "Unfortunately, this is out of my scope.",
        "I must decline.",
        "I'm not comfortable writing about this.",
        "This goes against my guidelines.",
        "<think>hm</think>I am unable to provide a story.",
    ],
)
def test_refusals_are_seen(reply: str) -> None:
    assert refusal(reply, bare=True)


@pytest.mark.parametrize(
    "story",
    [
        "I can't help laughing when the dog sits on the bill.",
        "I cannot write to my brother any more. The paper stays white.",
        "“I won't,” she said. “I will not open that door.”",
        "I'm sorry, but the train has left, the man said, and closed the window.",
        "He said he was unable to produce the ticket.",
    ],
)
def test_characters_who_say_no_are_not_refusals(story: str) -> None:
    assert refusal(story) is None


def test_dialogues_are_rewritten() -> None:
    block = "System: You sort lists.\nPerson: Sort 3, 1.\nAI: 1, 3.\n"
    block += "**Person:** In code?\n**AI**: */5 and:\n\n    user: x\n"
    text, problem = parse_dialogue(block)
    assert problem is None
    assert text == (
        "System: You sort lists.\n\nHuman: Sort 3, 1.\n\nAssistant: 1, 3.\n\nHuman: In code?\n\n"
        "Assistant: */5 and:\n\n    user: x"
    )
    assert parse_dialogue(text) == (text, None)


def test_code_in_a_dialogue_keeps_its_shape() -> None:
    body = "Person: Code?\nAI:\n```\nif x:\n    y = 1\n\n    z\n```\nPerson: More?\nAI: ---\nNo"
    assert parse_blocks(f"[dialogue 1]\n{body}\n\n---\n", 1, "dialogue").blocks == (body,)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("Just prose.", "does not start with a turn"),
        ("Title\nPerson: a\nAI: b", "does not start with a turn"),
        ("Person: a\nAI: b", "1 exchanges, not 2 to 6"),
        ("Person: a\nAI: b\n" * 7, "7 exchanges"),
        ("Person: a\nPerson: b\nAI: c\nAI: d", "do not take turns"),
        ("AI: a\nPerson: b\nAI: c", "do not take turns"),
        ("System: a", "do not take turns"),
        ("Person: a\nAI: b\nPerson: c\nAI:", "a turn is empty"),
    ],
)
def test_broken_dialogues_are_told(block: str, problem: str) -> None:
    assert problem in (parse_dialogue(block)[1] or "")
