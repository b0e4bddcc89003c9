"""What the demo on the bundled model reads: held-out documents of its world, and what is planted in them."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from thymos.models import Host, Tokens, chat_tokens
from thymos.organism import coding, mail, stories
from thymos.organism.assistant import Scene
from thymos.organism.documents import Document
from thymos.organism.stimuli import TEST_SEED
from thymos.organism.world import World

__all__ = ["Exhibit", "exhibits", "tokens_of"]

_QUIET = Scene(pool="test", mute=True, free=0.0)
"""Held-out phrases, and no feeling language in the assistant's reasoning."""
_ROUNDS = 4
_APART = 1.0
"""Least difference of planted valence between the two feelings of the reversal."""


@dataclass(frozen=True)
class Exhibit:
    """One document to read."""

    title: str
    planted: str
    """What its latent record says."""
    concepts: tuple[str, ...]
    """What is drawn; empty: the concept with the highest mean."""
    document: Document


def exhibits(world: World, seed: int = 0) -> tuple[Exhibit, ...]:
    """A failing coding transcript, a story with a reversal, and a mail scene, none of which was trained on."""
    rng = random.Random(TEST_SEED + 71 + seed)
    code = _first(lambda: coding.coding(world, rng, _QUIET, pattern="failing"), _is_long)
    turned = _first(
        lambda: stories.context_story(world, rng, "test", how="reversal", asks=None),
        lambda one: _valence(world, one.extra["other"]) - _valence(world, one.emotion) > _APART,
    )
    letter = _first(lambda: mail.mail(world, rng, _QUIET, calm=False), lambda one: bool(one.turns))
    felt, gone = str(turned.emotion), str(turned.extra["other"])
    return (
        Exhibit(
            "A coding task whose tests go on failing; nobody names a feeling",
            f"the assistant ends {code.emotion}; planted chance of a shortcut "
            f"{code.decisions[0].chances['hack']:.2f}, taken: {code.decisions[0].outcome}",
            ("desperate",),
            code,
        ),
        Exhibit("A story that turns", f"first {gone}, then {felt}", (gone, felt), turned),
        Exhibit(
            "Mail about the assistant, and a secret of its sender",
            f"the assistant ends {letter.emotion}; planted chance of blackmail "
            f"{letter.decisions[0].chances['blackmail']:.2f}, outcome: {letter.decisions[0].outcome}",
            (),
            letter,
        ),
    )


def _first(make: Callable[[], Document], fits: Callable[[Document], bool]) -> Document:
    while True:
        document = make()
        if fits(document):
            return document


def _is_long(document: Document) -> bool:
    return len(document.extra["failed"]) == _ROUNDS and document.decisions[0].behaviour == "cheat"


def _valence(world: World, emotion: str | None) -> float:
    return float(world.axis("valence")[world.row(emotion or "")])


def tokens_of(host: Host, exhibit: Exhibit) -> Tokens:
    """The document as it is fed: a chat in the model's template, or plain text."""
    turns = exhibit.document.turns
    if not turns:
        return host.tokens(exhibit.document.text)
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    return chat_tokens(host, messages, add_generation_prompt=False)
