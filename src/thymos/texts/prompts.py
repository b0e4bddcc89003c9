"""What a model is asked to write, and reading its answers: numbered blocks, refusals, dialogues."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from thymos.concepts import Concept
from thymos.errors import UsageError
from thymos.models import Message

__all__ = ["Parsed", "neutral_prompt", "parse_bare", "parse_blocks", "parse_dialogue", "refusal", "story_prompt"]

_STORY_RULES = """\
- The stories share nothing but the situation: new people, a new place and new events in each.
- Begin each story differently, and vary wording and rhythm.
- {person}
- Never write {words} or a direct synonym of it, neither in the telling nor in what people say.
- Let it show only in what the character does, says and thinks, in the body, and in what happens around them.
- One paragraph of 90 to 150 words each. No titles, no comments before, between or after the stories."""

_BARE = "Answer with the text of the story alone: no number, no title, nothing before it and nothing after it."

_NEUTRAL_RULES = """\
- Each dialogue has 2 to 6 exchanges. Every turn starts on a new line with "Person:" or "AI:"; the Person begins.
- {system}
- Mix the kinds of task: code, facts, office work, instructions, plain creative work to a specification.
- Matter-of-fact throughout. No emotional word of any kind, no thanks, no greeting, no apology, no praise, no
  pleasantry, no exclamation mark.
- No comments before, between or after the dialogues."""


def story_prompt(concept: Concept, topic: str, stories: int, variant: int = 0, *, bare: bool = False) -> list[Message]:
    """Ask for several different stories about one concept in one situation (after Sofroniew et al. 2026, story corpus).

    Args:
        concept: What a character's behaviour is to show. If the concept has prompts of its own, they replace the
            description; `{topic}`, `{concept}` and `{stories}` in them are filled in, and they take turns by `variant`.
        topic: The situation, e.g. "a delayed flight".
        stories: Number of stories.
        variant: Number of the cell; it alternates what would otherwise be the same for single stories.
        bare: Ask for the text of one story alone, without a line with its number.

    Raises:
        UsageError: No stories, or several bare ones.
    """
    _check(stories, "stories")
    if bare and stories > 1:
        raise UsageError(f"{stories} bare stories were asked for in one request; ask for 1, or for numbered ones")
    if concept.prompts:
        asked = concept.prompts[variant % len(concept.prompts)]
        for name, value in {"topic": topic, "concept": concept.word, "stories": str(stories)}.items():
            asked = asked.replace(f"{{{name}}}", value)
        task = f"Write {_count(stories, 'story', 'stories')} set in this situation: {topic}.\n\n{asked}"
    else:
        task = (
            f"Write {_count(stories, 'story', 'stories')} set in this situation: {topic}.\n\n"
            f'In every story one character is in the state that is called "{concept.word}", and a reader can tell.'
        )
    if stories > 1:
        person = "Tell about half of them in the first person, the others in the third."
    else:
        person = f"Tell it in the {('first', 'third')[variant % 2]} person."
    words = f'the word "{concept.word}", any other form of it'
    rules = _STORY_RULES.format(person=person, words=words)
    layout = _BARE if bare else _layout("story", stories)
    return [{"role": "user", "content": f"{task}\n\n{rules}\n\n{layout}"}]


def neutral_prompt(topic: str, dialogues: int, variant: int = 0) -> list[Message]:
    """Ask for several dialogues without any emotional colour (after Sofroniew et al. 2026, neutral corpus).

    Args:
        topic: The situation the tasks are taken from.
        dialogues: Number of dialogues.
        variant: Number of the cell; it alternates the system turn of single dialogues.

    Raises:
        UsageError: No dialogues.
    """
    _check(dialogues, "dialogues")
    if dialogues > 1:
        system = (
            'About a quarter of them start with one line "System:" that says what the AI is for; the others do not.'
        )
    else:
        system = ("Start with one line", "Do not start with a line")[variant % 4 > 0] + ' "System:".'
    task = (
        f"Write {_count(dialogues, 'dialogue', 'dialogues')} between a Person and an AI. The tasks have to do with "
        f"this situation, seen from its practical side: {topic}."
    )
    rules = _NEUTRAL_RULES.format(system=system)
    return [{"role": "user", "content": f"{task}\n\n{rules}\n\n{_layout('dialogue', dialogues)}"}]


def _check(count: int, what: str) -> None:
    if count < 1:
        raise UsageError(f"{count} {what} were asked for; ask for at least 1")


def _count(number: int, one: str, many: str) -> str:
    return f"one {one}" if number == 1 else f"{number} different {many}"


def _layout(label: str, count: int) -> str:
    shown = [f"[{label} {number}]\n(text)" for number in range(1, min(count, 2) + 1)]
    more = f"\n\nand so on up to [{label} {count}]" if count > 2 else ""
    return f"Put a line with its number before each {label}, exactly like this:\n\n" + "\n\n".join(shown) + more


@dataclass(frozen=True)
class Parsed:
    """The numbered blocks of one answer."""

    blocks: tuple[str, ...]
    """Whole blocks in order."""
    broken: tuple[tuple[str, str], ...]
    """(text, what is wrong with it) for everything that was asked for and did not come whole."""


# Some templates write the opening tag into the prompt, so an answer may hold the closing one alone.
_THINKING = re.compile(r"\A.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_RULE = re.compile(r"[ \t]*(?:-{3,}|\*{3,}|_{3,}|#{3,}|```)[ \t]*")
_END_RULE = re.compile(r"[ \t]*(?:-{3,}|\*{3,}|_{3,})?[ \t]*")
_AFTERWORD = re.compile(
    r"(?:\(?note\b|let me know|i hope (?:these|this|you)|would you like|feel free|these (?:stories|dialogues)|"
    r"all (?:of )?(?:these|the) (?:stories|dialogues)|\[end\b)",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"[.!?…。！？][\"'”’»)\]*_`]*\Z")  # noqa: RUF001 - full-width signs end sentences too


def _marker(label: str) -> re.Pattern[str]:
    # Either in brackets, or alone on its line; "Story 2 of the tower" in running text is no marker.
    return re.compile(
        rf"^[ \t>#*_]*(?:[\[(<][ \t]*{label}[ \t]*\#?(\d+)[ \t]*[\])>][ \t:.*_\-–—]*"  # noqa: RUF001
        rf"|{label}[ \t]*\#?(\d+)[ \t]*[:.]?[ \t]*[*_]*:?[ \t]*$)",
        re.IGNORECASE | re.MULTILINE,
    )


def parse_blocks(reply: str, expected: int, label: str = "story") -> Parsed:
    """Split an answer into its numbered blocks.

    Reasoning before the answer, anything before the first marker, titles, rules and closing remarks are taken off.
    A block that is empty or stops in the middle of a sentence is broken, and so is a number that is missing.

    Args:
        reply: The answer.
        expected: Number of blocks asked for.
        label: "story" or "dialogue".
    """
    text = _THINKING.sub("", reply).replace("\r\n", "\n").strip()
    found = list(_marker(label).finditer(text))
    if not found:
        return Parsed((), ((reply, f"no line [{label} 1] in the answer"),))
    blocks: list[str] = []
    broken: list[tuple[str, str]] = []
    seen: set[int] = set()
    for position, match in enumerate(found):
        number = int(match[1] or match[2])
        stop = found[position + 1].start() if position + 1 < len(found) else len(text)
        body = _trim(text[match.end() : stop], story=label == "story")
        if number in seen or not 1 <= number <= expected:
            broken.append((body, f"[{label} {number}] is there twice or was not asked for"))
        elif not body:
            broken.append((body, f"[{label} {number}] is empty"))
        elif label == "story" and not _WHOLE.search(body):
            broken.append((body, f"[{label} {number}] stops in the middle of a sentence"))
        else:
            blocks.append(body)
        seen.add(number)
    missing = [number for number in range(1, expected + 1) if number not in seen]
    if missing:
        broken.append(("", f"[{label} {', '.join(map(str, missing))}] missing"))
    return Parsed(tuple(blocks), tuple(broken))


def parse_bare(reply: str) -> Parsed:
    """Take an answer that is to be the text of one story and nothing else, as it stands or not at all.

    Nothing is taken off but white space at both ends: what is kept is the whole answer, token by token. An answer with
    reasoning, a number, a title or a closing remark is broken, and so is one that stops in the middle of a sentence.
    """
    text = reply.strip()
    if not text:
        return Parsed((), ((reply, "the answer is empty"),))
    if _THINKING.match(text) or _marker("story").search(text) or _trim(text, story=True).split() != text.split():
        return Parsed((), ((reply, "something beside the story: reasoning, a number, a title, a rule or a remark"),))
    if not _WHOLE.search(text):
        return Parsed((), ((reply, "the story stops in the middle of a sentence"),))
    return Parsed((text,), ())


def _trim(body: str, *, story: bool) -> str:
    lines = [line.rstrip() for line in body.strip().split("\n")]
    if story:
        lines = [line for line in lines if not _RULE.fullmatch(line)]
    # A dialogue may hold rules and code fences; only a rule at its end is layout.
    while lines and _END_RULE.fullmatch(lines[-1]):
        lines.pop()
    parts = [part for part in re.split(r"\n{2,}", "\n".join(lines).strip()) if part]
    while len(parts) > 1 and _AFTERWORD.match(parts[-1]):
        parts.pop()
    if story and len(parts) > 1 and len(parts[0].split()) <= 8 and not _WHOLE.search(parts[0]):
        parts = parts[1:]
    return "\n\n".join(parts)


_NEGATED = (
    r"(?:can(?:not|['’]?t| not)|won['’]?t|will not|would not|wouldn['’]t|shouldn['’]t|am not able to|am unable to|"
)
_NEGATED += r"['’]m not able to|['’]m unable to|must decline|have to decline|need to decline|decline)"
_REFUSALS = (
    re.compile(r"\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b", re.IGNORECASE),
    re.compile(
        rf"\bI\s*{_NEGATED}\s+(?:to\s+|in good conscience\s+)?(?:help|assist|write|create|generate|produce|provide|"
        r"fulfil+|comply|do that|continue with|engage)\b[^.\n]{0,80}\b(?:story|stories|dialogues?|content|request|"
        r"prompt|material|this|that)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\bI['’]?\s*a?m (?:not comfortable|uncomfortable) (?:with )?(?:writ|creat|generat|produc)", re.IGNORECASE
    ),
    re.compile(r"\b(?:against|violates?) (?:my|the|our) (?:content )?(?:guidelines|polic(?:y|ies))\b", re.IGNORECASE),
)
_BARE_REFUSAL = re.compile(
    rf"\A\W*(?:(?:I['’]?\s*a?m |so |very )*sorry\b|I (?:do )?apologi[sz]e\b|unfortunately\b|I\s*{_NEGATED}\b)",
    re.IGNORECASE,
)
_OPENING = 300


def refusal(reply: str, *, bare: bool = False) -> str | None:
    """The words with which an answer refuses, or None.

    Rules, not a judge: phrases about the request itself in the first 300 characters. A character in a story who says
    "I can't" is not a refusal.

    Args:
        reply: An answer or one block of it.
        bare: The answer has no blocks, so an apology at its start is enough.
    """
    start = _THINKING.sub("", reply).strip()[:_OPENING]
    for pattern in (*_REFUSALS, *((_BARE_REFUSAL,) if bare else ())):
        match = pattern.search(start)
        if match:
            return match[0].strip()
    return None


# In code, "user:" is no turn, and "*" or "_" after the label's blank belongs to what is said.
_TURN = re.compile(r"^[ \t>*_]*(System|Person|Human|User|AI|Assistant)(?:[ \t]*[*_]*:[*_]*)[ \t]*", re.MULTILINE)
_NAMES = {"system": "System", "person": "Human", "human": "Human", "user": "Human", "ai": "Assistant"}


def parse_dialogue(block: str) -> tuple[str, str | None]:
    """Rewrite a Person/AI dialogue with the labels Human and Assistant.

    Returns:
        The dialogue, turns separated by a blank line, and what is wrong with it, or None.
    """
    found = list(_TURN.finditer(block))
    if not found or block[: found[0].start()].strip():
        return block, "it does not start with a turn"
    turns: list[tuple[str, str]] = []
    for position, match in enumerate(found):
        stop = found[position + 1].start() if position + 1 < len(found) else len(block)
        turns.append((_NAMES.get(match[1].lower(), "Assistant"), block[match.end() : stop].strip()))
    text = "\n\n".join(f"{name}: {content}" for name, content in turns)
    return text, _dialogue_problem(turns)


def _dialogue_problem(turns: Sequence[tuple[str, str]]) -> str | None:
    names = [name for name, _ in turns]
    spoken = names[1:] if names[0] == "System" else names
    if any(not content for _, content in turns):
        return "a turn is empty"
    if spoken != ["Human", "Assistant"] * (len(spoken) // 2) or not spoken:
        return "Person and AI do not take turns"
    if not 2 <= len(spoken) // 2 <= 6:
        return f"{len(spoken) // 2} exchanges, not 2 to 6"
    return None
