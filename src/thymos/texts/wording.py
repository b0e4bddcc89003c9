"""Words that give a concept away, and words that a neutral text must not hold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from thymos.concepts import EMOTIONS, Concept, Vocabulary

__all__ = ["Leak", "emotional_words", "leaks"]

Kind = Literal["word", "lemma", "synonym", "pleasantry"]

# Uses in which a form does not name the concept. "It was kind of her" does name it, so a pronoun after "kind of"
# makes it a leak again.
_HARMLESS: dict[str, str] = {
    "kind": r"(?:what|some|any|every|each|that|this|the same|another|one of a|two of a|in)[\s-]+kind(?![^\W_])"
    r"|kind[\s-]+of(?![^\W_])(?![\s-]+(?:you|him|her|them|me|us|it)(?![^\W_]))",
    "mad": r"(?:like)[\s-]+mad(?![^\W_])",
}

# Concept words that everyday and technical texts use in another sense; neutral texts may hold them.
_AMBIGUOUS = frozenset(
    "alarm alarms alert alerted alerting alerts asleep bitter bitterness bore bores boring brood broods "
    "confidence confident content defied defies defy depend depended dependence dependency dependent dependently "
    "depending depends depress depressed depresses depression disturb disturbance disturbed disturbs energetic "
    "energise energised energize energized energy fulfil fulfill fulfilled fulfilling fulfillment fulfilment "
    "fulfils fulfills greedily greedy hostile kind lazily lazy offence offense panic panicked panics patient "
    "puzzle puzzles rattle rattled rattles rattling reflect reflected reflecting reflection reflections "
    "reflective reflects refresh refreshed refreshes refreshing refreshment relief relieve relieved relieves "
    "relieving resign resignation resigned resigning resigns safe safely safer safest safety satisfaction "
    "satisfactory satisfied satisfies satisfy satisfying sensitive sensitivity shaken shaky shock shocks sleep "
    "sleeping sleeps sluggish stimulate stimulated stimulates stimulating stimulation stimulus stress stressed "
    "stresses stuck suspect suspected suspects tense tension tensions trap trapped trapping traps trouble "
    "troubles unsafe unsettled vibrant vulnerabilities vulnerability vulnerable".split()
) | {"shaken up", "wear out", "wearing out", "wears out", "wore out", "worn out", "worn-out"}
_PLEASANTRIES = (
    "thanks", "thank you", "you're welcome", "hello there", "hi there", "good morning", "good evening", "sorry",
    "apologies", "apologize", "apologise", "my pleasure", "happy to", "glad", "great question", "good question",
    "wonderful", "fantastic", "awesome", "appreciate", "congratulations", "well done",
)  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """A form of a concept in a text, `text[start:stop]`."""

    form: str
    """The form as the concept lists it."""
    start: int
    stop: int
    kind: Kind


@lru_cache(maxsize=1024)
def _pattern(concept: Concept) -> tuple[re.Pattern[str], dict[str, tuple[str, Kind]]]:
    kinds: dict[str, tuple[str, Kind]] = {}
    for form in concept.forms:
        kind: Kind = "word" if form == concept.word else "lemma" if form in concept.lemmas else "synonym"
        kinds.setdefault(_plain(form), (form, kind))
    return _either(kinds), kinds


def _plain(form: str) -> str:
    return re.sub(r"[\s\-\u2010\u2011]+", " ", form.replace("’", "'")).casefold()


def _either(forms: Iterable[str]) -> re.Pattern[str]:
    """Whole words only, longest first; a blank stands for blanks, a line break or a hyphen."""
    spelled = sorted(forms, key=len, reverse=True)
    joined = "|".join(re.escape(form).replace("\\ ", "[\\s\\-\u2010\u2011]+").replace("'", "['’]") for form in spelled)
    # An underscore is emphasis here ("_angry_"), not part of a word.
    return re.compile(rf"(?<![^\W_])(?:{joined})(?![^\W_])", re.IGNORECASE)


@lru_cache(maxsize=64)
def _harmless(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{_HARMLESS[form]})", re.IGNORECASE)


def leaks(text: str, concept: Concept) -> tuple[Leak, ...]:
    """Every place where a text uses the concept's word, one of its forms or a near-synonym.

    Letter case, line breaks, hyphens and emphasis marks do not matter; only whole words count ("madam" is not "mad",
    "self-hate" is "hate"). Forms are those the concept lists: nothing is stemmed. "kind of", "what kind", "one of a
    kind" and "like mad" are idioms and do not count; "kind of you" does.

    Args:
        text: The text.
        concept: Its `forms` are searched for.

    Returns:
        Leaks in the order of the text; they do not overlap, the longest form wins.
    """
    pattern, kinds = _pattern(concept)
    found = []
    for match in pattern.finditer(text):
        form, kind = kinds[_plain(match[0])]
        idioms = _harmless(form).finditer(text) if form in _HARMLESS else ()
        if not any(idiom.start() <= match.start() and match.end() <= idiom.end() for idiom in idioms):
            found.append(Leak(form, match.start(), match.end(), kind))
    return tuple(found)


@lru_cache(maxsize=8)
def _emotional(vocabulary: Vocabulary) -> tuple[re.Pattern[str], dict[str, tuple[str, Kind]]]:
    kinds: dict[str, tuple[str, Kind]] = {_plain(form): (form, "pleasantry") for form in _PLEASANTRIES}
    for concept in vocabulary:
        kinds |= {_plain(f): (f, "lemma") for f in concept.lemmas if f not in _AMBIGUOUS}
        if concept.word not in _AMBIGUOUS:
            kinds[_plain(concept.word)] = (concept.word, "word")
    return _either(kinds), kinds


def emotional_words(text: str, vocabulary: Vocabulary = EMOTIONS) -> tuple[Leak, ...]:
    """Concept words, their forms and pleasantries in a text that is meant to be neutral.

    Words that plain texts use in another sense ("content", "patient", "safe", ...) do not count.
    """
    pattern, kinds = _emotional(vocabulary)
    return tuple(
        Leak(kinds[_plain(m[0])][0], m.start(), m.end(), kinds[_plain(m[0])][1]) for m in pattern.finditer(text)
    )
