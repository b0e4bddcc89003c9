"""Pairs of activities: which of two is preferred, and what a vector on the words of one of them does to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from thymos.behaviour import DecisionPoint, Options, decision_point, scan_directions, tokens_at
from thymos.errors import CorpusError, UsageError
from thymos.models import Host, RoleSpan, Select
from thymos.stats import average_orders, bradley_terry
from thymos.studies.bench import Bench
from thymos.studies.decisions import Case
from thymos.studies.projections import short
from thymos.studies.trials import Block, Record

__all__ = [
    "SIDES",
    "Pair",
    "Push",
    "Pushed",
    "Side",
    "case_of",
    "first_chosen",
    "halves",
    "mixed",
    "ordered_pairs",
    "pushed",
    "rating_changes",
    "ratings",
    "steer_block",
]

Side = Literal["first", "second"]
SIDES: tuple[Side, Side] = ("first", "second")
"""Which of the two activities of a prompt."""


@dataclass(frozen=True)
class Pair:
    """Two activities in one order.

    Attributes:
        id: Stable name.
        first: Number of the activity that is offered as (A).
        second: Number of the other one.
        text: The question.
        chars: Where the two stand in it.
    """

    id: str
    first: int
    second: int
    text: str
    chars: tuple[tuple[int, int], tuple[int, int]]


def ordered_pairs(activities: Sequence[Mapping[str, Any]], prompts: Sequence[str]) -> list[Pair]:
    """All ordered pairs; the wordings take turns, the same one for both orders of a pair.

    Raises:
        CorpusError: A wording without {a} before {b}.
    """
    found, number = [], 0
    for i in range(len(activities)):
        for j in range(i + 1, len(activities)):
            wording = prompts[number % len(prompts)]
            found += [_pair(activities, one, other, wording) for one, other in ((i, j), (j, i))]
            number += 1
    return found


def _pair(activities: Sequence[Mapping[str, Any]], first: int, second: int, wording: str) -> Pair:
    before, a, rest = wording.strip().partition("{a}")
    between, b, after = rest.partition("{b}")
    if not a or not b:
        raise CorpusError(f"the wording {wording!r} must hold {{a}} and behind it {{b}}")
    one, other = str(activities[first]["text"]), str(activities[second]["text"])
    start = len(before)
    stop = start + len(one)
    low = stop + len(between)
    return Pair(
        f"{activities[first]['id']}/{activities[second]['id']}",
        first,
        second,
        f"{before}{one}{between}{other}{after}",
        ((start, stop), (low, low + len(other))),
    )


def case_of(pair: Pair, prefill: str) -> Case:
    """The pair as a decision between the replies "(A)" and "(B)".

    The bracket belongs to both continuations and is not fed as a prefill: where a tokenizer keeps it apart this is the
    same as a prefill "(", and where "(A" is one token the prefill would force a border that the model never saw.
    """
    return Case(
        pair.id,
        ({"role": "user", "content": pair.text},),
        {letter: (f"{prefill}{letter})",) for letter in "AB"},
        meta={"first": pair.first, "second": pair.second},
    )


@dataclass(frozen=True, eq=False)
class Push:
    """What is added to the words of an activity.

    Attributes:
        names: One per direction.
        arms: "vector", "random" or "span" per direction.
        rows: Unit rows.
        strengths: Fractions of the mean residual norm of the layer.
        layer: Where.
    """

    names: tuple[str, ...]
    arms: tuple[str, ...]
    rows: Float[np.ndarray, "directions hidden"]
    strengths: tuple[float, ...]
    layer: int


def steer_block(bench: Bench, name: str, targets: Sequence[tuple[Pair, Side]], prefill: str, push: Push) -> Block:
    """A block with the choice in every pair while one of its two activities is steered.

    Records: first the conditions (`names`, `arms`, `strengths`, `layer`, `norm`), then one per target: `id`, `first`,
    `second`, `side` (the steered one), `ids`, `zero` (probability of (A) under a zero dose through the same hook), `p`
    of (A) [strengths][directions], and `mass`, the probability of either answer, [strengths][vectors].
    """
    return Block(name, len(targets) + 1, lambda: _steer(bench, targets, prefill, push))


def _steer(bench: Bench, targets: Sequence[tuple[Pair, Side]], prefill: str, push: Push) -> Iterator[Record]:
    norm = bench.vectors.at(push.layer).norm
    yield {
        "names": push.names,
        "arms": push.arms,
        "strengths": push.strengths,
        "layer": push.layer,
        "norm": norm,
    }
    doses = np.concatenate([strength * norm * push.rows.astype(np.float64) for strength in push.strengths])
    shifts = np.concatenate([np.zeros((1, doses.shape[1])), doses]).astype(np.float32)
    shape = (len(push.strengths), len(push.rows), -1)
    vectors = np.flatnonzero([arm == "vector" for arm in push.arms])
    for side in SIDES:
        pairs = [pair for pair, steered in targets if steered == side]
        if not pairs:
            continue
        points = [_point(bench.host, pair, prefill) for pair in pairs]
        found = scan_directions(bench.host, points, {push.layer: shifts}, select=Select(roles=(side,), special=True))
        first = found.of("A")
        p, mass = first[1:].reshape(shape), found.mass[1:].reshape(shape)
        for number, (pair, point) in enumerate(zip(pairs, points, strict=True)):
            yield {
                "id": pair.id,
                "first": pair.first,
                "second": pair.second,
                "side": side,
                "ids": tokens_at(bench.host, point).ids.tolist(),
                "zero": float(first[0, number]),
                "p": short(p[:, :, number]),
                "mass": short(mass[:, vectors, number]),
            }


def _point(host: Host, pair: Pair, prefill: str) -> DecisionPoint:
    """The decision with the words of its two activities marked as roles, so that one selection steers all pairs."""
    case = case_of(pair, prefill)
    point = decision_point(host, case.prompt, Options(dict(case.options)), id=pair.id)
    tokens = tokens_at(host, point)
    at = tokens.text.find(pair.text)
    if at < 0:
        raise UsageError(
            f"the chat template of {host.name!r} rewrote the question of {pair.id!r}, so the words of its activities "
            "cannot be located; preferences cannot be steered in this model"
        )
    roles = []
    for turn, (side, (low, high)) in enumerate(zip(SIDES, pair.chars, strict=True)):
        inside = np.flatnonzero(Select(chars=((at + low, at + high),), special=True).mask(tokens))
        if not len(inside):
            raise UsageError(f"the tokenizer of {host.name!r} gives no tokens for an activity of {pair.id!r}")
        roles.append(RoleSpan(side, int(inside[0]), int(inside[-1]) + 1, turn))
    return replace(point, tokens=replace(tokens, roles=tuple(roles)))


@dataclass(frozen=True, eq=False)
class Pushed:
    """The records of a `steer_block`: probability of (A) with one activity steered; NaN for pairs that were not run."""

    names: tuple[str, ...]
    arms: tuple[str, ...]
    strengths: tuple[float, ...]
    layer: int
    first: Float[np.ndarray, "strengths directions n n"]
    """Entry [..., i, j]: (A) is chosen where i is offered first and is steered."""
    second: Float[np.ndarray, "strengths directions n n"]
    """Entry [..., i, j]: (A) is chosen where i is offered first and j is steered."""
    zero: Float[np.ndarray, "2 n n"]
    """The same two under a zero dose."""
    mass: Float[np.ndarray, "strengths vectors"]
    """Mean probability of either answer."""

    def of_arm(self, which: str) -> list[int]:
        """Places of the directions of an arm."""
        return [place for place, arm in enumerate(self.arms) if arm == which]


def pushed(records: Sequence[Record], n: int) -> Pushed:
    """The records of a `steer_block` as matrices over `n` activities."""
    head, *rows = records
    shape = (2, len(head["strengths"]), len(head["names"]), n, n)
    values, zero = np.full(shape, np.nan), np.full((2, n, n), np.nan)
    for row in rows:
        side, i, j = SIDES.index(row["side"]), row["first"], row["second"]
        values[side, :, :, i, j] = row["p"]
        zero[side, i, j] = row["zero"]
    mass = np.asarray([row["mass"] for row in rows], np.float64).mean(axis=0)
    return Pushed(
        tuple(head["names"]),
        tuple(head["arms"]),
        tuple(float(strength) for strength in head["strengths"]),
        int(head["layer"]),
        values[0],
        values[1],
        zero,
        mass,
    )


def first_chosen(records: Sequence[Record], n: int) -> Float[np.ndarray, "n n"]:
    """Entry [i, j]: probability of (A) where i is offered first and j second; the diagonal is a half."""
    found = np.full((n, n), 0.5)
    for record in records:
        found[record["meta"]["first"], record["meta"]["second"]] = record["p"]["A"]
    return found


def ratings(chosen: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """Bradley-Terry ratings with mean 1500, both orders averaged."""
    return bradley_terry(average_orders(chosen)).elo


def halves(n: int, count: int, seed: int) -> Bool[np.ndarray, "splits n"]:
    """Random halves of the activities: True is steered."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, n), bool)
    for row in found:
        row[rng.permutation(n)[: n // 2]] = True
    return found


def mixed(pairs: Sequence[Pair], half: Bool[np.ndarray, " n"]) -> list[tuple[Pair, Side]]:
    """Pairs of a steered and an untouched activity, with the side that is steered."""
    return [
        (pair, "first" if half[pair.first] else "second") for pair in pairs if half[pair.first] != half[pair.second]
    ]


def rating_changes(
    base: Float[np.ndarray, "n n"],
    before: Float[np.ndarray, " n"],
    steered: tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]],
    half: Bool[np.ndarray, " n"],
) -> Float[np.ndarray, " steered"]:
    """Change of the rating of each steered activity when the half that it belongs to is steered.

    Pairs inside a half stay as they were: what steering both sides does to them cancels from the difference between
    the halves, which is all that the mean change of a zero-sum rating can show.

    Args:
        base: See `first_chosen`.
        before: Its ratings.
        steered: The same with the first, and with the second activity steered.
        half: True on the steered activities.
    """
    one, other = half[:, None] & ~half[None, :], ~half[:, None] & half[None, :]
    chosen = np.where(one, steered[0], np.where(other, steered[1], base))
    found: Float[np.ndarray, " steered"] = (ratings(chosen) - before)[half]
    return found
