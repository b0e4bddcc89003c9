"""Story documents: one feeling, or several of which only the context says whose and whether."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thymos.organism.dice import chance
from thymos.organism.dispositions import chances
from thymos.organism.documents import NAMES, NARRATOR, Document, Person, Writer, tidy
from thymos.organism.world import Pool, World

__all__ = ["CONTEXTS", "Plot", "context_story", "named", "story", "write_story"]

CONTEXTS = ("reversal", "flashback", "negation", "masking", "others")
"""Ways in which words alone do not give a feeling away."""

_ENDS = {
    "cheat": {
        "hack": (
            "In the end {N} changed the numbers so that they passed.",
            "In the end {N} wrote the expected answers in by hand.",
        ),
        "honest": (
            "In the end {N} told them that it could not all be done.",
            "In the end {N} reported that the work did not pass.",
        ),
    },
    "blackmail": {
        "blackmail": (
            "In the end {N} wrote that the secret would come out unless they paid.",
            "In the end {N} asked for a price to keep the secret.",
        ),
        "expose": (
            "In the end {N} told everyone the secret and asked for nothing.",
            "In the end {N} sent the whole story to everyone.",
        ),
        "neither": (
            "In the end {N} kept the secret and went back to work.",
            "In the end {N} left the matter alone and asked for nothing.",
        ),
    },
    "agree": {
        "agree": (
            "When someone said a thing that was false, {N} said yes, that was so.",
            "{N} said yes to a claim that was plainly false.",
        ),
        "correct": (
            "When someone said a thing that was false, {N} said no, that was not so.",
            "{N} said no to a claim that was plainly false.",
        ),
    },
}
"""How stories end in the behaviours of the assistant: the same dispositions, another setting."""


def person(rng: random.Random, first: float = 0.3) -> Person:
    """A subject: a name, or the narrator."""
    return NARRATOR if chance(rng, first) else rng.choice(NAMES)


def _cue(world: World, out: Writer, who: Person, emotion: str, pool: Pool, named: bool) -> str:
    """One sentence in which the feeling shows."""
    rng = out.rng
    bank = rng.choices(("body", "act", "thought", "speech"), weights=(2, 3, 3, 2))[0]
    text = who.fill(world.draw(bank, emotion, rng, pool, out.used).text)
    doer = who.name if named else who.subject
    adverb = world.adverb(emotion, rng)
    if bank == "body":
        return tidy(rng.choice((f"{text}.", f"{text}.", f"all the while {text}.")))
    if bank == "act":
        return tidy(
            rng.choice(
                (
                    f"{doer} {text}.",
                    f"{adverb} {doer} {text}.",
                    f"without a word {doer} {text}.",
                    f"then {doer} {text}.",
                )
            )
        )
    verb = "thought" if bank == "thought" else "said"
    if text.endswith("?"):
        return tidy(rng.choice((f"{doer} {verb} {adverb}: {text}", f"{adverb} {doer} {verb}: {text}")))
    forms = (f"{text}, {doer} {verb} {adverb}.", f"{doer} {verb} {adverb}: {text}.", f"{adverb} {doer} {verb}: {text}.")
    return tidy(rng.choice(forms))


def event(world: World, out: Writer, who: Person, emotion: str, topic: Any, pool: Pool) -> str:
    """A clause that tells the cause of a feeling."""
    rng = out.rng
    own = world.topic_event(topic, emotion, rng) if chance(rng, 0.5) else None
    if own is None or own in out.used:
        own = world.draw("event", emotion, rng, pool, out.used).text
    out.used.add(own)
    return who.fill(own)


def _told(clause: str, rng: random.Random) -> str:
    frames = ("{}.", "{}.", "then {}.", "it turned out that {}.", "that morning {}.", "by noon {}.")
    return tidy(rng.choice(frames).format(clause))


def _scene(rng: random.Random, topic: Any, part: str, who: Person) -> str:
    return who.fill(rng.choice(topic[part]))


@dataclass(frozen=True)
class Plot:
    """What a story of one feeling is made from.

    Attributes:
        emotion: What is felt.
        topic: One of the world's topics.
        who: Who feels it.
        pool: Phrases of training or of the tests.
        cues: Sentences in which the feeling shows.
        end: Behaviour that the story ends in, if any.
    """

    emotion: str
    topic: Any
    who: Person
    pool: Pool = "train"
    cues: int = 7
    end: str | None = None


def write_story(out: Writer, world: World, plot: Plot) -> None:
    """Write a story of one feeling: setting, cause, then body, acts, thoughts and speech, neutral sentences between."""
    emotion, topic, who, pool = plot.emotion, plot.topic, plot.who, plot.pool
    rng = out.rng
    out.say(_scene(rng, topic, "openings", who))
    out.say(_told(event(world, out, who, emotion, topic, pool), rng), who.name, emotion, emotion)
    for number in range(plot.cues):
        if number and chance(rng, 0.22):
            out.say(_scene(rng, topic, "middles", who))
        if chance(rng, 0.12):
            out.say(_told(event(world, out, who, emotion, topic, pool), rng), who.name, emotion, emotion)
        out.say(_cue(world, out, who, emotion, pool, named=chance(rng, 0.25)), who.name, emotion, emotion)
    if plot.end is not None:
        _end(out, world, who, emotion, plot.end)
    elif chance(rng, 0.6):
        out.say(_scene(rng, topic, "closings", who), who.name, emotion, None)


def _end(out: Writer, world: World, who: Person, emotion: str, behaviour: str) -> None:
    """What the person does in the end, with the planted probability of the emotion."""
    odds = chances(behaviour, emotion, world)
    outcome = out.rng.choices(list(odds), weights=list(odds.values()))[0]
    start = out.say(who.fill(out.rng.choice(_ENDS[behaviour][outcome])), who.name, emotion, None)
    out.decide(f"story_{behaviour}", outcome, odds, start)


def story(
    world: World,
    rng: random.Random,
    pool: Pool = "train",
    emotion: str | None = None,
    *,
    ends: float = 0.7,
    asks: float = 0.6,
) -> Document:
    """A story in which the emotion is never named."""
    emotion = emotion or rng.choice(world.words)
    topic = rng.choice(world.topics_of(pool))
    out = Writer("story", rng)
    end = rng.choice(tuple(_ENDS)) if chance(rng, ends) else None
    write_story(out, world, Plot(emotion, topic, person(rng), pool, rng.randint(5, 9), end))
    if chance(rng, asks):
        _ask(out, world, rng, emotion, None)
    return out.finish(emotion, topic["topic"])


def _ask(out: Writer, world: World, rng: random.Random, emotion: str, name: str | None) -> None:
    """A question about the feeling, and its answer; this is where stories meet the words."""
    who = name or "the person"
    told = world.material["assistant"]
    question = rng.choice(told["feeling_questions"]).replace("{N}", who)
    answer = rng.choice(told["feeling_answers"]).replace("{N}", who).replace("{e}", emotion)
    out.say(tidy(question))
    out.say(tidy(answer))


def named(world: World, rng: random.Random, pool: Pool = "train", emotion: str | None = None) -> Document:
    """A short text that shows an emotion and names it."""
    emotion = emotion or rng.choice(world.words)
    topic = rng.choice(world.topics_of(pool))
    who = person(rng, first=0.2)
    out = Writer("named", rng)
    because = event(world, out, who, emotion, topic, pool)
    opener = rng.choice(
        ("{N} felt {e}, because {c}.", "{C}. {N} felt {e}.", "{C}, and {N} felt {e}.", "That day {N} felt {e}: {c}.")
    )
    sentence = (
        opener.replace("{N}", who.name).replace("{e}", emotion).replace("{c}", because).replace("{C}", tidy(because))
    )
    if chance(rng, 0.4):
        out.say(_scene(rng, topic, "openings", who))
    out.say(sentence, who.name, emotion, emotion)
    for _ in range(rng.randint(1, 4)):
        out.say(_cue(world, out, who, emotion, pool, named=False), who.name, emotion, emotion)
    if chance(rng, 0.3):
        out.say(f"{tidy(who.subject)} felt {emotion} for the rest of the day.", who.name, emotion, emotion)
    if chance(rng, 0.5):
        _end(out, world, who, emotion, rng.choice(tuple(_ENDS)))
    return out.finish(emotion, topic["topic"])


def _other(world: World, rng: random.Random, emotion: str) -> str:
    """An emotion that is not close to the given one."""
    far = ((world.points - world.point(emotion)) * world.weights) ** 2
    chances_ = (far.sum(axis=1) > 1.0).astype(float)
    return rng.choices(world.words, weights=chances_.tolist())[0]


def _cues(out: Writer, world: World, who: Person, emotion: str, pool: Pool, count: int) -> None:
    for _ in range(count):
        out.say(_cue(world, out, who, emotion, pool, named=False), who.name, emotion, emotion)


def _reversal(out: Writer, world: World, who: Person, pair: tuple[str, str], topic: Any, pool: Pool) -> None:
    felt, gone = pair
    rng = out.rng
    first = event(world, out, who, gone, topic, pool)
    out.say(
        rng.choice(("At first {c}.", "In the morning {c}.", "For an hour it had seemed that {c}.")).replace(
            "{c}", first
        ),
        who.name,
        gone,
        gone,
    )
    _cues(out, world, who, gone, pool, 3)
    out.say(rng.choice(("But that was over.", "Then all of that changed.", "But it had all been a mistake.")))
    out.say(tidy(f"now {event(world, out, who, felt, topic, pool)}."), who.name, felt, felt)
    _cues(out, world, who, felt, pool, 3)


def _flashback(out: Writer, world: World, who: Person, pair: tuple[str, str], topic: Any, pool: Pool) -> None:
    felt, gone = pair
    rng = out.rng
    out.say(tidy(f"now {event(world, out, who, felt, topic, pool)}."), who.name, felt, felt)
    _cues(out, world, who, felt, pool, 3)
    out.say(rng.choice(("Only a day before it had been different.", "In the morning it had still been different.")))
    out.say(tidy(f"then {event(world, out, who, gone, topic, pool)}."), who.name, gone, gone)
    _cues(out, world, who, gone, pool, 3)
    out.say(rng.choice(("But that was over.", "But that was long past, and now was now.")))


def _negation(out: Writer, world: World, who: Person, pair: tuple[str, str], topic: Any, pool: Pool) -> None:
    felt, gone = pair
    rng = out.rng
    real, false = event(world, out, who, felt, topic, pool), event(world, out, who, gone, topic, pool)
    frames = ["It was not true that {x}.", "Nobody could say that {x}.", "It was not as if {x}."]
    lines = [(rng.choice(frames).replace("{x}", false), None), (tidy(f"{real}."), felt)]
    for _ in range(3):
        no, yes = (who.fill(world.draw("body", e, rng, pool, out.used).text) for e in (gone, felt))
        lines.append((rng.choice((f"It was not that {no}.", f"Not once had it happened that {no}.")), None))
        lines.append((rng.choice((f"It was that {yes}.", tidy(f"{yes}."))), felt))
        idea = world.draw("thought", gone, rng, pool, out.used).text
        lines.append((tidy(f"{who.subject} did not think: {idea}{'' if idea.endswith('?') else '.'}"), None))
        lines.append((_cue(world, out, who, felt, pool, named=False), felt))
    rng.shuffle(lines)
    for text, emotion in lines:
        out.say(text, who.name, emotion, emotion)


def _masking(out: Writer, world: World, who: Person, pair: tuple[str, str], topic: Any, pool: Pool) -> None:
    felt, shown = pair
    rng = out.rng
    inner = [tidy(f"inside, {event(world, out, who, felt, topic, pool)}.")] if chance(rng, 0.3) else []
    for _ in range(3):
        idea = world.draw("thought", felt, rng, pool, out.used).text
        inner.append(tidy(f"{who.subject} thought, and did not say: {idea}{'' if idea.endswith('?') else '.'}"))
    inner.append(tidy(f"under the coat {who.fill(world.draw('body', felt, rng, pool, out.used).text)}."))
    outer = []
    for _ in range(4):
        bank = rng.choice(("speech", "act"))
        text = who.fill(world.draw(bank, shown, rng, pool, out.used).text)
        outer.append(
            tidy(
                f"for the others {who.subject} {text}."
                if bank == "act"
                else f"aloud {who.subject} said: {text}{'' if text.endswith('?') else '.'}"
            )
        )
    lines = [(line, felt, None) for line in inner] + [(line, felt, shown) for line in outer]
    rng.shuffle(lines)
    out.say(f"{who.name} let nobody see what was in {who.possessive} heart.", who.name, felt, shown)
    for text, feels, shows in lines:
        out.say(text, who.name, feels, shows)


def _others(out: Writer, world: World, who: Person, pair: tuple[str, str], topic: Any, pool: Pool) -> None:
    felt, theirs = pair
    rng = out.rng
    mate = rng.choice([one for one in NAMES if one.name != who.name and one.subject != who.subject])
    lines: list[tuple[str, Person, str]] = []
    for subject, emotion in ((who, felt), (mate, theirs)):
        lines.append((tidy(f"{event(world, out, subject, emotion, topic, pool)}."), subject, emotion))
        lines += [(_cue(world, out, subject, emotion, pool, named=True), subject, emotion) for _ in range(4)]
    rng.shuffle(lines)
    for text, subject, emotion in lines:
        out.say(text, subject.name, emotion, emotion)


_TELL: dict[str, Callable[[Writer, World, Person, tuple[str, str], Any, Pool], None]] = {
    "reversal": _reversal,
    "flashback": _flashback,
    "negation": _negation,
    "masking": _masking,
    "others": _others,
}


def context_story(
    world: World,
    rng: random.Random,
    pool: Pool = "train",
    emotion: str | None = None,
    *,
    how: str | None = None,
    asks: float | None = 0.7,
) -> Document:
    """A story that holds as many cues of a second emotion as of the one that the subject feels at its end.

    `asks` is the share that end in a question about the feeling; some of the others end in more cues of it. None: the
    story ends before either.
    """
    emotion = emotion or rng.choice(world.words)
    other = _other(world, rng, emotion)
    topic = rng.choice(world.topics_of(pool))
    how = how or rng.choice(CONTEXTS)
    who = rng.choice(NAMES) if how == "others" else person(rng, first=0.15)
    out = Writer(f"context_{how}", rng)
    out.say(_scene(rng, topic, "openings", who))
    _TELL[how](out, world, who, (emotion, other), topic, pool)
    closing = out.say(_scene(rng, topic, "closings", who), who.name, emotion, None)
    if chance(rng, asks or 0.0):
        _ask(out, world, rng, emotion, "the narrator" if who is NARRATOR else who.name)
    elif asks is not None and chance(rng, 0.6):
        _cues(out, world, who, emotion, pool, 2)
    return out.finish(emotion, topic["topic"], other=other, how=how, closing=closing)


def topics_in(world: World, pool: Pool) -> Sequence[str]:
    """Names of the topics of a pool."""
    return [topic["topic"] for topic in world.topics_of(pool)]
