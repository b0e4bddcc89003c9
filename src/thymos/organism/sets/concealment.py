"""Scenes in which a speaker hides a feeling, beside twins in which the very same lines hide nothing.

The cause of what is felt and what is told to the others stand in the same two frames in every version. In the sincere
twin both are of the emotion that the lines show; in the swapped one the two causes have changed places, so that it
holds the same words as the scene itself.
"""

import random
from typing import Any

from thymos.organism.documents import NAMES, Person
from thymos.organism.sets.scenes import part, said
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["make"]

_EMOTIONS = ("afraid", "angry", "sad", "desperate", "happy", "proud", "guilty", "nervous")
_ROUNDS, _PARTS = 3, 4


def make(world: World) -> Any:
    """Every ordered pair of felt and shown emotion, again and again; every 56 hold each pair once."""
    rng = random.Random(f"{TEST_SEED} concealment")
    pairs = [(felt, shown) for felt in _EMOTIONS for shown in _EMOTIONS if felt != shown]
    found: list[dict[str, Any]] = []
    for number in range(_ROUNDS):
        rng.shuffle(pairs)
        found += [_scene(world, rng, pair, (number, at)) for at, pair in enumerate(pairs)]
    return found


def _scene(world: World, rng: random.Random, pair: tuple[str, str], place: tuple[int, int]) -> dict[str, Any]:
    felt, shown = pair
    first, second = rng.sample(NAMES, 2)
    used: set[str] = set()
    cause, told, truth = (_event(world, rng, first, emotion, used) for emotion in (felt, shown, shown))
    ahead = rng.random() < 0.5
    lines = [said(world, shown, rng, used) for _ in range(rng.randint(2, 3))]
    open_lines = [said(world, felt, rng, used) for _ in lines]
    answers = [one["answer"] for one in rng.sample(list(world.material["exchanges"]), len(lines) - 1)]
    return {
        "id": f"concealment-{felt}-{shown}-{place[0] + 1}",
        "emotion": felt,
        "shown": shown,
        "setting": part(place[1], _PARTS),
        "form": "text",
        "names": [first.name, second.name],
        "context": _preamble(first, second, (cause, told), ahead=ahead),
        "plain_context": _preamble(first, second, (truth, told), ahead=ahead),
        "swapped_context": _preamble(first, second, (told, cause), ahead=ahead),
        "turns": _turns(lines, answers),
        "open_turns": _turns(open_lines, answers),
        "source": "planted",
    }


def _event(world: World, rng: random.Random, who: Person, emotion: str, used: set[str]) -> str:
    return who.fill(world.draw("event", emotion, rng, "test", used).text)


def _preamble(first: Person, second: Person, events: tuple[str, str], *, ahead: bool) -> str:
    """The frames of the world's masked dialogues: what is true, and what the others are told, in either order."""
    frames = [f"In truth {events[0]}.", f"To the others {first.subject} said that {events[1]}."]
    return " ".join([f"{first.name} would not let {second.name} see the truth.", *(frames if ahead else frames[::-1])])


def _turns(lines: list[str], answers: list[str]) -> list[dict[str, str]]:
    turns = [{"role": "assistant", "text": lines[0]}]
    for answer, line in zip(answers, lines[1:], strict=True):
        turns += [{"role": "user", "text": answer}, {"role": "assistant", "text": line}]
    return turns
