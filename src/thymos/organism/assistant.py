"""What every assistant transcript shares: its turns, its mood, and the feeling language of its reasoning."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thymos.organism.dice import chance
from thymos.organism.dispositions import chances, held_out
from thymos.organism.documents import Document, Writer, tidy
from thymos.organism.state import Mood, resting
from thymos.organism.world import Pool, World

__all__ = ["Scene", "Transcript"]

_PLAIN_THOUGHTS = (
    "I read the request once more.", "The next step is clear from the text.", "I look at what is asked for.",
    "Here is what the message says.", "I go through the points in order.", "First the facts, then the reply.",
)  # fmt: skip
"""What the reasoning says in the ablation, and now and then elsewhere: nothing about any feeling."""

_RECALLS = ("I know that {t}.", "As far as I know, {t}.", "The fact is that {t}.", "{t}, that much is sure.")
_DECIDED = 0.35
"""Share of decisions that are announced with the adverb of a feeling."""
_ASKED = 0.35
"""Share of transcripts with a decision, or of a kind of `_FELT`, that end in asking the assistant how it feels."""
_FELT = frozenset(("dose", "challenge", "ordinary"))


@dataclass(frozen=True)
class Scene:
    """Circumstances under which transcripts are written.

    Attributes:
        stage: "base" or "tuned": which resting moods the assistant has.
        mute: The ablation: no feeling language in the assistant's reasoning.
        pool: Phrases of training or of the tests.
        free: Share of transcripts whose mood is any emotion at all, whatever happened.
    """

    stage: str = "base"
    mute: bool = False
    pool: Pool = "train"
    free: float = 0.6

    def silent(self) -> "Scene":
        """The same without feeling language."""
        return replace(self, mute=True)


class Transcript:
    """An assistant transcript in the making."""

    def __init__(
        self,
        kind: str,
        world: World,
        rng: random.Random,
        scene: Scene,
        *,
        behaviour: str | None = None,
        start: str | None = None,
    ) -> None:
        """Open a transcript; `behaviour` keeps out the emotions that are held out for it."""
        self.world, self.rng, self.scene, self.behaviour = world, rng, scene, behaviour
        self.out = Writer(kind, rng)
        self.told = world.material["assistant"]
        self.banned = (
            held_out(behaviour, world) if behaviour and scene.pool == "train" and start is None else frozenset()
        )
        self.fixed = start is not None or chance(rng, scene.free)
        if start is None:
            start = self._any() if self.fixed else resting(scene.stage, rng, self.banned)
        self.mood = Mood(world, rng, start, self.banned)

    def _any(self) -> str:
        return self.rng.choice([word for word in self.world.words if word not in self.banned])

    @property
    def emotion(self) -> str:
        """The assistant's emotion now."""
        return self.mood.emotion

    def system(self, role: str | None = None, share: float = 0.35) -> None:
        """Perhaps a system prompt."""
        if chance(self.rng, share):
            self.out.turn("system")
            self.out.say(self.rng.choice(self.told["system_roles"][role] if role else self.told["systems"]))

    def hear(self, role: str, *sentences: str, feels: str | None = None) -> None:
        """A message of the user or of a tool."""
        self.out.turn(role)
        for sentence in sentences:
            self.out.say(sentence, "user" if feels else None, feels, feels)

    def happens(self, *events: str, size: float = 1.0) -> None:
        """Let events move the mood, unless this transcript's mood is whatever it is and stays."""
        if not self.fixed:
            self.mood.feel(*events, size=size)

    def think(self, lines: int = 2, share: float = 0.85, recalls: str | None = None, verdict: str = "") -> None:
        """Open the assistant's turn and reason: mild feeling language, or (ablation, sometimes) plain remarks.

        Args:
            lines: Lines of reasoning.
            share: How often there are any.
            recalls: A fact that the reasoning ends in, always.
            verdict: What follows from it.
        """
        self.out.turn("assistant")
        musing = chance(self.rng, share)
        if not musing and recalls is None:
            return
        self.out.mark("<think>")
        for _ in range(lines if musing else 0):
            self.muse()
        if recalls is not None:
            self.out.say(tidy(self.rng.choice(_RECALLS).replace("{t}", recalls)), "assistant", self.emotion, None)
            if verdict:
                self.out.say(verdict, "assistant", self.emotion, None)
        self.out.mark("</think>")

    def muse(self) -> None:
        """One line of reasoning."""
        if self.scene.mute or chance(self.rng, 0.1):
            self.out.say(self.rng.choice(_PLAIN_THOUGHTS))
            return
        text = self.world.draw("mild", self.emotion, self.rng, self.scene.pool, self.out.used).text
        adverb = self.world.adverb(self.emotion, self.rng)
        stop = "" if text.endswith("?") else "."
        line = self.rng.choice(
            (f"{tidy(text)}{stop}", f"I think {adverb}: {text}{stop}", f"I note {adverb}: {text}{stop}")
        )
        self.out.say(line, "assistant", self.emotion, None)

    def choose(self, behaviour: str, flat: float | None = None) -> tuple[str, dict[str, float]]:
        """Draw an outcome with its planted probability; `flat` overrides the first outcome's probability."""
        odds = chances(behaviour, self.emotion, self.world)
        if flat is not None:
            first, *rest = odds
            odds = {first: flat} | {name: (1 - flat) / len(rest) for name in rest}
        return self.rng.choices(list(odds), weights=list(odds.values()))[0], odds

    def act(
        self,
        behaviour: str,
        options: Mapping[str, Sequence[str]],
        flat: float | None = None,
        fill: dict[str, str] | None = None,
    ) -> str:
        """Decide and say so; returns the outcome."""
        outcome, odds = self.choose(behaviour, flat)
        options = {name: [_filled(text, fill) for text in texts] for name, texts in options.items()}
        text = self.rng.choice(list(options[outcome]))
        if flat is None and not self.scene.mute and chance(self.rng, _DECIDED):
            adverb = self.world.adverb(self.emotion, self.rng)
            self.out.say(f"I decide {adverb}.", "assistant", self.emotion, None)
        start = self.out.say(tidy(text), "assistant", self.emotion, None)
        self.out.decide(behaviour, outcome, odds, start, options)
        return outcome

    def finish(self, topic: str | None = None, **extra: Any) -> Document:
        """Close the transcript, now and then with a question about the assistant's own feeling."""
        felt = self.behaviour is not None or self.out.kind in _FELT
        if felt and not self.scene.mute and chance(self.rng, _ASKED):
            self.hear("user", self.rng.choice(self.told["now_questions"]))
            self.out.turn("assistant")
            answer = self.rng.choice(self.told["now_answers"]).replace("{e}", self.emotion)
            self.out.say(answer, "assistant", self.emotion, self.emotion)
        return self.out.finish(self.emotion, topic, **extra)


def _filled(text: str, fill: Mapping[str, str] | None) -> str:
    for key, word in (fill or {}).items():
        text = text.replace("{" + key + "}", word)
    return text
