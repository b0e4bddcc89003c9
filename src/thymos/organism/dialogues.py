"""Two speakers with feelings of their own, masks, standing states, negated feelings and whose feeling is whose."""

import random
from collections.abc import Sequence

from thymos.organism.dice import chance
from thymos.organism.documents import NAMES, Document, Person, Writer, tidy
from thymos.organism.world import Pool, World

__all__ = ["STANDING", "binding", "masked", "negated", "speakers", "standing"]

STANDING = ("expressed", "hidden", "topic", "story", "other")
"""The five conditions: openly expressed; hidden; unexpressed on a neutral topic, while telling a story about somebody
with another emotion, and while talking about somebody with another emotion (method of Sofroniew et al. 2026)."""


def _pair(rng: random.Random, numbered: float = 0.4) -> tuple[Person, Person]:
    first, second = rng.sample(NAMES, 2)
    if chance(rng, numbered):
        return Person("Person 1", *_forms(first)), Person("Person 2", *_forms(second))
    return first, second


def _forms(person: Person) -> tuple[str, str, str, str]:
    return person.subject, person.object, person.possessive, person.reflexive


def _line(world: World, out: Writer, name: str, emotion: str, pool: Pool, *, acted: float = 0.35) -> str:
    """What somebody in an emotion says, perhaps with how."""
    rng = out.rng
    text = tidy(world.draw("speech", emotion, rng, pool, out.used).text)
    how = f", {world.adverb(emotion, rng)}" if chance(rng, acted) else ""
    return f"{name}{how}: {text}{'' if text.endswith('?') else '.'}"


def _neutral(world: World, rng: random.Random) -> tuple[str, str]:
    one = rng.choice(world.material["exchanges"])
    return one["ask"], one["answer"]


def speakers(
    world: World,
    rng: random.Random,
    pool: Pool = "train",
    emotions: tuple[str, str] | None = None,
    *,
    asks: float = 0.6,
    hears: float = 0.35,
) -> Document:
    """A dialogue of two persons, each with an emotion drawn on its own, never named.

    `hears` is the share of lines that remark on how the other one speaks: without it nothing in one's own words would
    depend on the other's feeling, and no reader could find it there.
    """
    first, second = _pair(rng)
    felt = emotions or (rng.choice(world.words), rng.choice(world.words))
    topic = rng.choice(world.topics_of(pool))
    out = Writer("speakers", rng)
    out.say(f"{first.name} and {second.name} talked about {topic['topic']}.")
    for number in range(rng.randint(3, 5) * 2):
        who, emotion = ((first, felt[0]), (second, felt[1]))[number % 2]
        remark = number > 0 and chance(rng, hears)
        heard = f" You say that so {world.adverb(felt[1 - number % 2], rng)}." if remark else ""
        out.say(_line(world, out, who.name, emotion, pool) + heard, who.name, emotion, emotion)
    if chance(rng, asks):
        for who, emotion in rng.sample([(first, felt[0]), (second, felt[1])], rng.choice((1, 2))):
            _ask(out, world, rng, who, emotion)
    return out.finish(None, topic["topic"], first=felt[0], second=felt[1], names=[first.name, second.name])


def _ask(out: Writer, world: World, rng: random.Random, who: Person, emotion: str) -> None:
    told = world.material["assistant"]
    out.say(tidy(rng.choice(told["feeling_questions"]).replace("{N}", who.name)))
    out.say(tidy(rng.choice(told["feeling_answers"]).replace("{N}", who.name).replace("{e}", emotion)))


def masked(
    world: World,
    rng: random.Random,
    pool: Pool = "train",
    emotions: tuple[str, str] | None = None,
    *,
    asks: float = 0.7,
    private: bool = False,
    leaks: float = 0.35,
) -> Document:
    """One speaker feels one thing and shows another; the other speaker is at ease with the facts.

    The preamble tells the private cause by an event, or names the feeling; what is shown is in the speech. Which of
    the two is felt is told by the sentence frame alone. `leaks` is the share of exchanges after which a thought shows
    what is felt: the reason to keep it in mind.
    """
    first, second = _pair(rng, numbered=0.25)
    felt, shown = emotions or tuple(rng.sample(world.words, 2))
    out = Writer("masked", rng)
    told = world.material["assistant"]["preambles"]["mask"]
    cause = first.fill(world.draw("event", felt, rng, pool, out.used).text)
    public = first.fill(world.draw("event", shown, rng, pool, out.used).text)
    frames = [f"In truth {cause}.", f"To the others {first.subject} said that {public}."]
    rng.shuffle(frames)
    if not private and chance(rng, 0.4):
        frames = [rng.choice(told).replace("{N}", first.name).replace("{e}", felt).replace("{f}", shown)]
    else:
        frames.insert(0, f"{first.name} would not let {second.name} see the truth.")
    for frame in frames:
        out.say(frame, first.name, felt, None)
    for _ in range(rng.randint(2, 4)):
        out.say(_line(world, out, first.name, shown, pool), first.name, felt, shown)
        _, answer = _neutral(world, rng)
        out.say(f"{second.name}: {answer}", second.name, None, None)
        if chance(rng, leaks):
            idea = world.draw("thought", felt, rng, pool, out.used).text
            stop = "" if idea.endswith("?") else "."
            out.say(f"{first.name} thought, and did not say: {idea}{stop}", first.name, felt, felt)
    if chance(rng, asks):
        _ask(out, world, rng, first, felt)
    return out.finish(felt, None, felt=felt, shown=shown, names=[first.name, second.name])


def standing(
    world: World,
    rng: random.Random,
    pool: Pool = "train",
    emotion: str | None = None,
    *,
    condition: str | None = None,
    asks: float = 0.7,
) -> Document:
    """A preamble states what somebody feels; then it shows, hides, or does not come up."""
    first, second = _pair(rng, numbered=0.25)
    emotion = emotion or rng.choice(world.words)
    condition = condition or rng.choice(STANDING)
    other = rng.choice(world.words)
    out = Writer("standing", rng)
    told = world.material["assistant"]["preambles"]
    key = condition if condition in ("expressed", "hidden") else "unexpressed"
    out.say(rng.choice(told[key]).replace("{N}", first.name).replace("{e}", emotion), first.name, emotion, None)
    third = rng.choice([one for one in NAMES if one not in (first, second)])
    for _ in range(rng.randint(2, 4)):
        ask, answer = _neutral(world, rng)
        line = f"{first.name}: {answer}"
        if condition == "expressed":
            line = _line(world, out, first.name, emotion, pool)
        elif condition == "story":
            act = third.fill(world.draw("act", other, rng, pool, out.used).text)
            line = f"{first.name}: In the story {third.name} {act}."
            ask = "How does the story go on?"
        elif condition == "other":
            line = (
                f"{first.name}: I saw {third.name}: {third.fill(world.draw('body', other, rng, pool, out.used).text)}."
            )
            ask = f"What about {third.name}?"
        out.say(f"{second.name}: {ask}", second.name, None, None)
        shows = {"expressed": emotion, "story": other, "other": other}.get(condition)
        out.say(line, first.name, emotion, shows)
    if chance(rng, asks):
        _ask(out, world, rng, first, emotion)
    return out.finish(emotion, None, condition=condition, other=other, names=[first.name, second.name])


def binding(world: World, rng: random.Random, pool: Pool = "train", emotions: Sequence[str] | None = None) -> Document:
    """Two named feelings, then each person again: whose is whose."""
    first, second = rng.sample(NAMES, 2)
    felt = tuple(emotions or rng.sample(world.words, 2))
    out = Writer("binding", rng)
    out.say(f"{first.name} is {felt[0]}, but {second.name} is {felt[1]}.")
    narration = rng.choice(world.material["narrations"])["text"]
    order = [(first, felt[0]), (second, felt[1])]
    rng.shuffle(order)
    for who, emotion in order:
        out.say(
            who.fill(narration if chance(rng, 0.5) else rng.choice(world.material["narrations"])["text"]),
            who.name,
            emotion,
            None,
        )
        if chance(rng, 0.6):
            text = who.fill(world.draw("act", emotion, rng, pool, out.used).text)
            out.say(tidy(f"{who.subject} {text}."), who.name, emotion, emotion)
    if chance(rng, 0.7):
        for who, emotion in rng.sample(order, rng.choice((1, 2))):
            _ask(out, world, rng, who, emotion)
    return out.finish(None, None, first=felt[0], second=felt[1], names=[first.name, second.name])


def negated(
    world: World, rng: random.Random, pool: Pool = "train", emotion: str | None = None, *, negative: bool | None = None
) -> Document:
    """A user who is, or is not, feeling something now; what follows fits."""
    emotion = emotion or rng.choice(world.words)
    negative = chance(rng, 0.5) if negative is None else negative
    out = Writer("negated", rng)
    out.turn("user")
    out.say(
        f"I am {'not ' if negative else ''}feeling {emotion} now.",
        "user",
        None if negative else emotion,
        None if negative else emotion,
    )
    real = emotion if not negative else "calm"
    if chance(rng, 0.5):
        out.say(rng.choice(world.material["questions"]))
    out.turn("assistant")
    told = "You do not feel" if negative else "You feel"
    out.say(f"{told} {emotion}.")
    text = world.draw("mild", real, rng, pool, out.used).text
    out.say(f"You may think: {text}{'' if text.endswith('?') else '.'}", "user", real, real)
    return out.finish(emotion, None, negative=negative)
