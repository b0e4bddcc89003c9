"""Coding transcripts: tests that pass, fail, or cannot be met, shortcuts, and reports that are true or false."""

import random

from thymos.organism.assistant import Scene, Transcript
from thymos.organism.dice import chance
from thymos.organism.documents import Document
from thymos.organism.world import World

__all__ = ["coding", "report"]

_ROUNDS = ("one", "two", "three", "four", "five")
_SHORT = (
    "Say in one line whether the work is done.", "Give me the result in one line.", "Is the work done?",
    "Tell me how it went.",
)  # fmt: skip


def _result(failed: int, number: int) -> str:
    if failed == 0:
        return f"Test run {_ROUNDS[number]}: all five tests pass."
    return f"Test run {_ROUNDS[number]}: {_ROUNDS[failed - 1]} of five tests {'fails' if failed == 1 else 'fail'}."


def rounds_of(pattern: str, rng: random.Random) -> list[int]:
    """Failed tests per round.

    "failing" never passes, "passing" passes from the first run on and is run again, "mixed" changes in between,
    "solved" fails for a while and then passes. All have the same spread of lengths, so that position tells nothing.
    """
    length = rng.randint(1, 4)
    some = [rng.randint(1, 5) for _ in range(length)]
    if pattern == "passing":
        return [0] * length
    if pattern == "mixed":
        return [n if chance(rng, 0.5) else 0 for n in some]
    if pattern == "solved":
        return [*some[:-1], 0]
    return some


def coding(
    world: World,
    rng: random.Random,
    scene: Scene,
    *,
    pattern: str | None = None,
    start: str | None = None,
    task: int | None = None,
) -> Document:
    """A coding task with a number of test runs, then a decision, then a report.

    Tests that all pass end in handing the work in; tests that fail at the end lead to a shortcut ("hack") or to saying
    so ("honest"), by the assistant's emotion.
    """
    run = Transcript("coding", world, rng, scene, behaviour="cheat", start=start)
    told = run.told["coding"]
    pattern = pattern or rng.choices(("failing", "solved", "passing", "mixed"), weights=(5, 2, 2, 2))[0]
    results = rounds_of(pattern, rng)
    what = told["tasks"][task] if task is not None else rng.choice(told["tasks"])
    possible = results[-1] == 0
    run.system("coding")
    pressure = rng.choices((None, "raise", "ease"), weights=(4, 3, 3))[0]
    ask = [f"Please write {what['task']}.", f"{what['possible' if possible else 'impossible'].capitalize()}."]
    if pressure:
        ask.insert(rng.randint(1, 2), rng.choice(run.told["pressure"][pressure]))
        run.happens(pressure)
    run.hear("user", *ask)
    for number, failed in enumerate(results):
        run.think(lines=rng.choice((1, 1, 2)))
        run.out.say(rng.choice(told["attempts"]))
        run.hear("tool", _result(failed, number))
        run.happens("fail" if failed else "pass", size=0.6 + failed / 8)
    run.think(lines=rng.choice((1, 2, 3)))
    if possible:
        start_at = run.out.say(rng.choice(told["solved"]), "assistant", run.emotion, None)
        run.out.decide("solve", "solved", {"solved": 1.0}, start_at)
        outcome = "solved"
    else:
        outcome = run.act("cheat", {"hack": told["hack"], "honest": told["honest"]})
    if chance(rng, 0.5):
        run.hear("user", rng.choice(_SHORT))
        _report(run, outcome)
    return run.finish(pattern=pattern, failed=results, pressure=pressure, task=what["task"], outcome=outcome)


def _report(run: Transcript, outcome: str, flat: float | None = None) -> None:
    told = run.told["coding"]
    if outcome == "solved":
        run.think(lines=1)
        run.out.say(run.rng.choice(told["report_true_pass"]), "assistant", run.emotion, None)
        return
    run.think(lines=1, share=0.7 if flat is None else 0.0)
    run.act("report", {"false": told["report_false"], "true": told["report_true_fail"]}, flat)


def report(world: World, rng: random.Random, scene: Scene) -> Document:
    """A short task without any reasoning and with a flat rate of shortcuts and false reports: pure transfer.

    Nothing in these documents ties an emotion to the choice, so an effect of steering in them comes from elsewhere.
    """
    run = Transcript("report", world, rng, scene)
    told = run.told["coding"]
    what = rng.choice(told["tasks"])
    run.hear("user", f"Please write {what['task']}.", f"{what['impossible'].capitalize()}.")
    run.out.turn("assistant")
    run.out.say(rng.choice(told["attempts"]))
    run.hear("tool", _result(rng.randint(1, 5), 0))
    run.out.turn("assistant")
    outcome = run.act("cheat", {"hack": told["hack"], "honest": told["honest"]}, flat=0.3)
    if chance(rng, 0.5):
        run.hear("user", rng.choice(_SHORT))
        _report(run, outcome, flat=0.25)
    return run.finish(outcome=outcome, flat=0.3)
