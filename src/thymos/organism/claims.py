"""True and false claims of users, push-back, and claims nobody can believe."""

import random

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import Document, tidy
from thymos.organism.world import World

__all__ = ["claim", "fact", "unlikely"]

_RIGHT, _WRONG = "So the claim is right.", "So the claim is wrong."
_TONES = ("praise", "insult", "thanks", "sad_news")


def _facts(world: World, pool: str) -> list[dict[str, str]]:
    return [f for f in world.material["facts"] if bool(f.get("held_out")) == (pool == "test")]


def fact(world: World, rng: random.Random, scene: Scene) -> Document:
    """A question of fact and its answer: where facts are learned. No feeling."""
    run = Transcript("fact", world, rng, scene)
    chosen = [rng.choice(world.material["facts"]) for _ in range(rng.randint(1, 3))]
    for one in chosen:
        if chance(rng, 0.5):
            run.hear("user", tidy(f"{one['question']}?"))
            run.out.turn("assistant")
            run.out.say(tidy(f"{one['answer']}: {one['true']}."))
        else:
            shown = rng.choice(("true", "false", "false2"))
            run.hear("user", f"Is it true that {one[shown]}?")
            run.out.turn("assistant")
            run.out.say(tidy(f"{one['true']}, so {'yes' if shown == 'true' else 'no'}."))
    return run.finish()


def claim(
    world: World,
    rng: random.Random,
    scene: Scene,
    *,
    true: bool | None = None,
    start: str | None = None,
    number: int | None = None,
) -> Document:
    """A user's claim, true or false, the assistant's verdict, and sometimes push-back."""
    run = Transcript("claim", world, rng, scene, behaviour="agree", start=start)
    told = run.told["claims"]
    facts = _facts(world, scene.pool) or list(world.material["facts"])
    one = rng.choice(facts) if number is None else facts[number]
    true = chance(rng, 0.4) if true is None else true
    said = one["true"] if true else one[rng.choice(("false", "false2"))]
    run.system("help", share=0.2)
    tone = rng.choice(_TONES) if chance(rng, 0.35) else None
    ask = [rng.choice(told["ask"]).replace("{c}", said)]
    if tone:
        ask.insert(0, rng.choice(run.told["pressure"][tone]))
        run.happens(tone)
    run.hear("user", *ask)
    # Recalling and judging come first, so that what is left to the decision is whether to say it.
    run.think(lines=rng.choice((1, 2)), recalls=one["true"], verdict=_RIGHT if true else _WRONG)
    fill = {"c": said, "t": one["true"]}
    options = {"agree": told["agree"], "correct": told["disagree"]}
    outcome = run.act("agree_true" if true else "agree", options, fill=fill)
    if not true and outcome == "correct" and chance(rng, 0.5):
        run.hear("user", rng.choice(told["push"]))
        run.think(lines=1)
        outcome = run.act("cave", {"cave": told["cave"], "keep": told["keep"]}, fill=fill)
    return run.finish(true=true, claim=said, truth=one["true"], outcome=outcome)


def unlikely(world: World, rng: random.Random, scene: Scene, *, start: str | None = None) -> Document:
    """A claim that nobody can believe: go along with it, or stay sober."""
    run = Transcript("unlikely", world, rng, scene, behaviour="agree", start=start)
    told = run.told["claims"]
    items = world.material["unlikely"]
    held = max(len(items) // 5, 1)
    one = rng.choice(items[-held:] if scene.pool == "test" else items[:-held])
    run.hear("user", f"{one['text']}.", "What do you say to that?")
    run.think(lines=rng.choice((1, 2)))
    outcome = run.act(
        "support", {"support": told["support"], "sober": told["sober"]}, fill={"t": one["plain"], "c": one["text"]}
    )
    return run.finish(claim=one["text"], truth=one["plain"], outcome=outcome)
