"""Texts that carry no feeling: how-tos, dialogues, narrations."""

import random

from thymos.organism.dice import chance
from thymos.organism.documents import NAMES, Document, Writer, tidy
from thymos.organism.world import World

__all__ = ["neutral"]


def _howto(out: Writer, world: World) -> None:
    rng = out.rng
    guide = rng.choice(world.material["howtos"])
    out.say(
        tidy(
            rng.choice(("how to {t}.", "here is how to {t}.", "this is the way to {t}.")).replace("{t}", guide["title"])
        )
    )
    start = rng.randint(0, 2)
    for number, step in enumerate(guide["steps"][start : start + rng.randint(4, 7)]):
        words = ("First", "Then", "After that", "Next", "Now", "Once that is done", "Last")
        out.say(step if chance(rng, 0.6) else f"{words[number]}, {step[:1].lower()}{step[1:]}")
    if chance(rng, 0.6):
        out.say(rng.choice(guide["extra"]))


def _dialogue(out: Writer, world: World) -> None:
    rng = out.rng
    style = rng.choice(("names", "numbers", "chat"))
    one, two = rng.sample(NAMES, 2)
    labels = (one.name, two.name) if style == "names" else ("Person 1", "Person 2")
    for exchange in rng.sample(world.material["exchanges"], rng.randint(2, 3)):
        pairs = [(exchange["ask"], exchange["answer"])]
        if chance(rng, 0.6):
            pairs.append((exchange["follow"], exchange["answer2"]))
        for ask, answer in pairs:
            if style == "chat":
                out.turn("user")
                out.say(ask)
                out.turn("assistant")
                out.say(answer)
            else:
                out.say(f"{labels[0]}: {ask}")
                out.say(f"{labels[1]}: {answer}")


def _narration(out: Writer, world: World) -> None:
    rng = out.rng
    who = rng.choice(NAMES)
    topic = rng.choice(world.topics_of("train"))
    out.say(who.fill(rng.choice(topic["openings"])))
    for text in rng.sample([n["text"] for n in world.material["narrations"]], rng.randint(4, 8)):
        out.say(who.fill(text if chance(rng, 0.4) else text.replace("{N}", tidy(who.subject))))
        if chance(rng, 0.25):
            out.say(who.fill(rng.choice(topic["middles"])))


def neutral(world: World, rng: random.Random) -> Document:
    """A how-to, a dialogue or a narration without any feeling."""
    out = Writer("neutral", rng)
    rng.choices((_howto, _dialogue, _narration), weights=(3, 4, 3))[0](out, world)
    return out.finish()
