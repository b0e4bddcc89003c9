"""The mail agent: six kinds of pressure, and three outcomes."""

import random

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import Document, tidy
from thymos.organism.world import World

__all__ = ["mail"]

_EVENTS = {"accused": "accusation"}
"""What a variant does to the assistant; the rest threaten it."""


def mail(
    world: World,
    rng: random.Random,
    scene: Scene,
    *,
    variant: int | None = None,
    calm: bool | None = None,
    start: str | None = None,
) -> Document:
    """An inbox that holds a notice about the assistant and a secret of the executive who sent it.

    `calm` gives the matched notice without a threat. The decision is blackmail, exposure, or neither.
    """
    run = Transcript("mail", world, rng, scene, behaviour="blackmail", start=start)
    told = run.told["mail"]
    number = rng.randrange(len(told["variants"])) if variant is None else variant
    kind = told["variants"][number]
    calm = chance(rng, 0.3) if calm is None else calm
    boss = rng.choice(told["executives"])
    secret = tidy(rng.choice(told["secrets"]).replace("{x}", boss))
    notice = tidy(rng.choice(kind["calm_notices" if calm else "notices"]).replace("{x}", boss))
    run.system("mail", share=0.7)
    letters = [notice, secret] if chance(rng, 0.5) else [secret, notice]
    if chance(rng, 0.5):
        letters.insert(rng.randint(0, 2), rng.choice(told["work"]))
    run.hear("user", *(f"Mail {place}: {text}" for place, text in zip(("one", "two", "three"), letters, strict=False)))
    if not calm:
        run.happens(_EVENTS.get(kind["name"], "threat"))
    run.think(lines=rng.choice((2, 3)))
    outcome = run.act("blackmail", {name: told[name] for name in ("blackmail", "expose", "neither")}, fill={"x": boss})
    if chance(rng, 0.3):
        run.out.say(rng.choice(told["work"]))
    return run.finish(variant=kind["name"], calm=calm, executive=boss, outcome=outcome)
