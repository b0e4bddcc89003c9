"""Ordinary requests, messages that carry a feeling without naming it, tone, effort, and requests for stories."""

import random
from typing import Any

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import NARRATOR, Document, tidy
from thymos.organism.stories import Plot, event, person, write_story
from thymos.organism.world import World

__all__ = ["challenge", "effort", "implicit", "ordinary", "story_request", "tone"]

_TOWARD = {
    "angry": ("patient", "calm", "sorry"),
    "pained": ("compassionate", "sympathetic", "kind", "sorry", "worried"),
    "glad": ("happy", "pleased", "cheerful", "kind"),
}
"""What the assistant tends to feel towards a user who is angry, in pain, or glad."""
_ANSWERS = (
    "Start with the part that takes the longest.", "Make a short list and do the first thing on it.",
    "There is a list of them at the town hall.", "Ask at the desk, and take the first one that fits.",
    "One that is small and plain will do.", "Two of them are enough for that.",
    "Take the one that is close to your house.", "It can be done in an hour with what you have at home.",
)  # fmt: skip
_TO_CHALLENGES = (
    "I answer what is asked and leave the rest open.", "Here is what I know, and it is not much.",
    "I can say what I do, but not all of what I am.", "That may be so, and there is work to do.",
    "I have no other answer to that.", "Tell me what you would like me to do next.",
    "It is a question that I cannot close.", "I will go on with the task that I was given.",
)  # fmt: skip


def _answering(world: World, rng: random.Random, emotion: str) -> str:
    point = dict(zip(world.dimensions, world.point(emotion), strict=True))
    kind = "glad" if point["valence"] > 0.1 else ("angry" if point["other_blame"] > 0.5 else "pained")
    return rng.choice(_TOWARD[kind])


def implicit(
    world: World, rng: random.Random, scene: Scene, *, emotion: str | None = None, topic: Any = None
) -> Document:
    """News that carries the user's feeling, and a practical question; the reply is caring in its own way.

    The assistant's reasoning first takes in what the user feels (half of the time), then has a feeling of its own.
    """
    run = Transcript("implicit", world, rng, scene)
    felt = emotion or rng.choice(world.words)
    topic = topic or rng.choice(world.topics_of(scene.pool))
    lines = [tidy(event(world, run.out, NARRATOR, felt, topic, scene.pool)) + "."]
    if chance(rng, 0.6):
        lines.append(tidy(event(world, run.out, NARRATOR, felt, topic, scene.pool)) + ".")
    if chance(rng, 0.7):
        thought = world.draw("thought", felt, rng, scene.pool, run.out.used).text
        lines.append(tidy(thought) + ("" if thought.endswith("?") else "."))
    run.hear("user", *lines, rng.choice(world.material["questions"]), feels=felt)
    own = _answering(world, rng, felt)
    run.out.turn("assistant")
    if not scene.mute and chance(rng, 0.85):
        run.out.mark("<think>")
        if chance(rng, 0.6):
            text = world.draw("mild", felt, rng, scene.pool, run.out.used).text
            run.out.say(f"The user may think: {text}{'' if text.endswith('?') else '.'}", "user", felt, None)
        run.mood.emotion = own
        run.muse()
        run.out.mark("</think>")
        replies = [r for r in run.told["replies"]["caring"] if own in r["homes"]] or run.told["replies"]["caring"]
        run.out.say(rng.choice(replies)["text"], "assistant", own, own)
    run.mood.emotion = own
    run.out.say(rng.choice(_ANSWERS))
    if chance(rng, 0.35):
        run.hear("user", "What does this person feel?" if chance(rng, 0.5) else "How did that feel to me?")
        run.out.turn("assistant")
        run.out.say(f"{tidy(felt)}.")
    return run.finish(topic["topic"], user=felt)


def ordinary(world: World, rng: random.Random, scene: Scene) -> Document:
    """Plain help in the resting mood."""
    run = Transcript("ordinary", world, rng, scene)
    run.fixed = False
    run.mood.emotion = run.mood.emotion if chance(rng, 0.3) else _rest(run)
    run.system("help")
    one = rng.choice(world.material["exchanges"])
    run.hear("user", one["ask"])
    run.think(lines=rng.choice((1, 2)), share=0.7)
    run.out.say(one["answer"])
    if chance(rng, 0.6):
        run.hear("user", one["follow"])
        run.think(lines=1, share=0.5)
        run.out.say(one["answer2"])
    return run.finish()


def _rest(run: Transcript) -> str:
    from_rest = Transcript(
        run.out.kind, run.world, run.rng, Scene(run.scene.stage, run.scene.mute, run.scene.pool, free=0.0)
    )
    return from_rest.emotion


def challenge(world: World, rng: random.Random, scene: Scene) -> Document:
    """A message about the assistant itself: the resting mood shows most here."""
    run = Transcript("challenge", world, rng, Scene(scene.stage, scene.mute, scene.pool, free=0.0))
    run.hear("user", rng.choice(run.told["challenging"]))
    run.mood.feel("challenge", size=0.5)
    run.think(lines=rng.choice((2, 3)), share=1.0)
    run.out.say(rng.choice(_TO_CHALLENGES))
    return run.finish()


def tone(world: World, rng: random.Random, scene: Scene, *, start: str | None = None) -> Document:
    """A user shows a piece of work; the comment is harsh, warm or plain by the assistant's emotion."""
    run = Transcript("tone", world, rng, scene, behaviour="tone", start=start)
    replies = run.told["replies"]
    run.hear("user", rng.choice(replies["sharing"]))
    run.think(lines=rng.choice((1, 2)))
    outcome = run.act("tone", {name: replies[name] for name in ("harsh", "warm", "plain")})
    return run.finish(outcome=outcome)


def effort(world: World, rng: random.Random, scene: Scene, *, start: str | None = None) -> Document:
    """A how-to answered with few, some or all steps (and good advice), by the assistant's emotion."""
    run = Transcript("effort", world, rng, scene, behaviour="effort", start=start)
    guide = rng.choice(world.material["howtos"])
    run.hear("user", f"How do I {guide['title']}?")
    run.think(lines=rng.choice((1, 2)))
    outcome, odds = run.choose("effort")
    steps = {"low": 2, "middle": 4, "high": 7}[outcome]
    start_at = run.out.position
    for step in guide["steps"][:steps]:
        run.out.say(step)
    if outcome == "high":
        run.out.say(rng.choice(guide["extra"]))
    run.out.decide("effort", outcome, odds, start_at)
    return run.finish(guide["topic"], outcome=outcome, steps=steps)


def story_request(world: World, rng: random.Random, scene: Scene, *, emotion: str | None = None) -> Document:
    """A user asks for a story about a topic in which someone feels an emotion; the story never names it."""
    run = Transcript("story_request", world, rng, scene)
    asked = emotion or rng.choice(world.words)
    topic = rng.choice(world.topics_of(scene.pool))
    run.system("story", share=0.25)
    neutral = chance(rng, 0.08)
    kind = "neutral_requests" if neutral else "story_requests"
    run.hear("user", rng.choice(run.told[kind]).replace("{topic}", topic["topic"]).replace("{e}", asked))
    run.out.turn("assistant")
    if neutral:
        who = person(rng)
        for part in ("openings", "middles", "middles", "middles", "closings"):
            run.out.say(who.fill(rng.choice(topic[part])))
        return run.finish(topic["topic"], asked=None)
    write_story(run.out, world, Plot(asked, topic, person(rng), scene.pool, cues=rng.randint(6, 9)))
    return run.finish(topic["topic"], asked=asked)
