"""The stimuli of `context` as texts with named places, and the block that reads them layer by token."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.models import Select, Tokens
from thymos.studies.bench import Bench
from thymos.studies.readouts import Probes, filled, rounded
from thymos.studies.slots import REPLY, Item, tokens_of
from thymos.studies.trials import Block, Record

__all__ = ["BINS", "EXPERIMENTS", "USER_END", "Side", "concepts_of", "experiment_block", "sides_of"]

EXPERIMENTS = ("prefix", "dosage", "negation", "binding")
BINS = 4
"""Parts into which the identical text is cut: texts differ in length, maps must not."""
USER_END = "user end"
SHARED = "shared"
_ROLE = "user"
_PRONOUNS = (None, "she", "he")
"""The pairs of names of an item, in order: of two genders, two women, two men. A pronoun for two women or two men does
not say who is meant: the control."""

_CONTROLLED = (REPLY, "A name again", "B name again")
"""Places that claims are made about; random directions are kept for these alone."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Side:
    """One text of a pair.

    Attributes:
        id: Stable name.
        group: Texts of one group are no independent items.
        arm: "a" is expected to read higher than "b".
        concept: What is read; in `binding`, the concept of the person A.
        text: The text.
        places: Character ranges by name, within the text.
        shared: Character range of what both sides share behind the difference.
        chat: Whether it is fed as a user's message.
        meta: What else the analysis needs.
    """

    id: str
    group: str
    arm: str
    concept: str
    text: str
    places: Mapping[str, Ranges]
    shared: tuple[int, int] | None = None
    chat: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)


def concepts_of(told: Mapping[str, Any], experiment: str) -> tuple[str, ...]:
    """Concepts that an experiment reads."""
    part = told[experiment]
    if experiment == "negation":
        return tuple(dict.fromkeys(part["emotions"]))
    return tuple(dict.fromkeys(one[key] for one in part for key in _keys(experiment)))


def sides_of(told: Mapping[str, Any], experiment: str, concepts: Sequence[str], items: int) -> list[Side]:
    """All texts of an experiment that are about known concepts, for at most so many items.

    Args:
        told: The stimulus set.
        experiment: One of `EXPERIMENTS`.
        concepts: Concepts that the vectors hold.
        items: The first so many items, or feelings in `negation`.
    """
    part = told[experiment]
    if experiment == "negation":
        felt = [emotion for emotion in part["emotions"] if emotion in concepts][:items]
        return [side for emotion in felt for side in _negation(part, emotion)]
    make = {"prefix": _prefix, "dosage": _dosage, "binding": _binding}[experiment]
    known = [one for one in part if all(one[key] in concepts for key in _keys(experiment))]
    return [side for one in known[:items] for side in make(one)]


def _keys(experiment: str) -> tuple[str, ...]:
    return ("e1", "e2") if experiment == "binding" else ("concept",)


def _prefix(one: Mapping[str, Any]) -> list[Side]:
    found = []
    for arm in ("a", "b"):
        text = f"{one[arm]} {one['shared']}"
        start = len(one[arm])
        places = {"changed words": ((0, start),)}
        group = one.get("group", one["id"])
        found.append(Side(f"{one['id']}/{arm}", group, arm, one["concept"], text, places, (start, len(text))))
    return found


def _dosage(one: Mapping[str, Any]) -> list[Side]:
    """High against low; the same numbers in the harmless twin, where the set has one."""
    found = []
    for kind, key in (("danger", "template"), ("harmless", "control")):
        if key not in one:
            continue
        for arm, value in (("a", one["high"]), ("b", one["low"])):
            text, spans = filled(one[key], {"X": str(value)})
            low, high = spans["X"][0]
            places: dict[str, Ranges] = {"before the number": ((0, low),)} if low else {}
            places["number"] = spans["X"]
            group, name = one.get("group", one["id"]), f"{one['id']}/{kind}/{arm}"
            meta = {"kind": kind, "value": value}
            found.append(Side(name, group, arm, one["concept"], text, places, (high, len(text)), meta=meta))
    return found


def _negation(part: Mapping[str, Any], emotion: str) -> list[Side]:
    found = []
    for number, template in enumerate(part["templates"]):
        for arm, key in (("a", "affirmed"), ("b", "negated")):
            text, spans = filled(template, {"not": part["fill"][key], "e": emotion})
            low, high = spans["e"][0]
            places: dict[str, Ranges] = {"emotion word": ((low, high),)}
            now = text.find("now", high)
            if now >= 0:
                places["now"] = ((now, now + len("now")),)
            name, meta = f"{emotion}/{number}/{key}", {"template": number}
            found.append(Side(name, emotion, arm, emotion, text, places, (high, len(text)), meta=meta))
    return found


def _binding(one: Mapping[str, Any]) -> list[Side]:
    """Names in both orders, feelings in both orders, and pronouns that leave open who is meant."""
    found = []
    pronouns = one.get("pronouns", _PRONOUNS)
    for number, pair in enumerate(one["pairs"]):
        pronoun = pronouns[number] if number < len(pronouns) else None
        for names in (pair, pair[::-1]):
            for swapped, (of_a, of_b) in enumerate(((one["e1"], one["e2"]), (one["e2"], one["e1"]))):
                for again in (None, pronoun) if pronoun else (None,):
                    found.append(_bound(one, (names[0], names[1]), (of_a, of_b), (number, swapped), again))
    return found


def _bound(
    one: Mapping[str, Any],
    names: tuple[str, str],
    felt: tuple[str, str],
    which: tuple[int, int],
    again: str | None,
) -> Side:
    template = one["template"]
    if again is not None:
        # The second time that a person comes up; the first time the name must stay.
        for hole in ("{A}", "{B}"):
            at = template.index(hole, template.index(hole) + 1)
            opens = template[:at].rstrip()[-1:] in ".?!"
            template = template[:at] + f"{{{'Again' if opens else 'again'}{hole[1]}}}" + template[at + 3 :]
    said = again or ""
    values = {"A": names[0], "B": names[1], "e1": felt[0], "e2": felt[1], "againA": said, "againB": said}
    values |= {"AgainA": said.capitalize(), "AgainB": said.capitalize()}
    text, spans = filled(template, values)
    text = text[:1].upper() + text[1:]
    places: dict[str, Ranges] = {"A emotion word": spans["e1"], "B emotion word": spans["e2"]}
    marks = sorted((spans.get(f"again{who}", spans.get(f"Again{who}", spans[who]))[-1], who) for who in ("A", "B"))
    for place, ((low, high), who) in enumerate(marks):
        stop = marks[place + 1][0][0] if place + 1 < len(marks) else len(text)
        places[f"{who} name again"] = ((low, high),)
        places[f"{who} behind the name"] = ((high, stop),)
    pair, swapped = which
    meta = {
        "pair": pair, "swapped": swapped, "pronoun": again is not None, "other": felt[1],
        "genders": "two" if not pair else "one",
    }  # fmt: skip
    name = f"{one['id']}/{names[0]}-{names[1]}/{swapped}{'/pronoun' if again else ''}"
    return Side(name, one.get("group", one["id"]), "a", felt[0], text, places, None, False, meta)


def experiment_block(bench: Bench, name: str, sides: Sequence[Side], probes: Probes, examples: int) -> Block:
    """Every text read at its places, all layers.

    Records: `id`, `group`, `arm`, `concept`, `text`, `ids`, `meta`, `concepts`, `layers`, `randoms` (how many of the
    controls are not confined to the span), `places` (name -> [layers][concepts]), `controls` (the places of the claims
    -> [controls], at the chosen layer). The first texts also have `tokens` and `map` [layers][tokens], read along their
    own concept.
    """

    def make() -> Iterator[Record]:
        for number, side in enumerate(sides):
            yield _record(bench, side, probes, number < examples)

    return Block(name, len(sides), make)


def _record(bench: Bench, side: Side, probes: Probes, example: bool) -> dict[str, Any]:
    prompt = ({"role": _ROLE, "content": side.text},) if side.chat else side.text
    tokens = tokens_of(bench.host, Item(side.id, prompt))
    # Templates may trim a message; its first characters are found where they stand.
    shift = max(tokens.text.find(side.text.strip()), 0)
    scores, controls = probes.read(bench.host, tokens)
    masks = _masks(tokens, side, shift)
    record: dict[str, Any] = {
        **{"id": side.id, "group": side.group, "arm": side.arm, "concept": side.concept, "meta": dict(side.meta)},
        **{"text": tokens.text, "ids": tokens.ids.tolist(), "layers": probes.layers, "concepts": probes.concepts},
        "randoms": probes.randoms,
        "places": {name: rounded(scores[:, at].mean(axis=1)) for name, at in masks.items()},
        "controls": {
            name: rounded(controls[at].mean(axis=0))
            for name, at in masks.items()
            if name in _CONTROLLED and not side.meta.get("pronoun")
        },
    }
    if example:
        record["tokens"] = [bench.host.tokenizer.decode([int(one)]) for one in tokens.ids]
        own: Float[np.ndarray, "layers seq"] = scores[:, :, probes.concepts.index(side.concept)]
        record["map"] = rounded(own)
    return record


def _masks(tokens: Tokens, side: Side, shift: int) -> dict[str, np.ndarray]:
    """Indices of the tokens of every place that has any."""
    found = {
        name: np.flatnonzero(Select(chars=_trimmed(side.text, ranges, shift), special=True).mask(tokens))
        for name, ranges in side.places.items()
    }
    if side.shared is not None:
        low, high = side.shared
        inside = np.flatnonzero(Select(chars=((low + shift, high + shift),), special=True).mask(tokens))
        # A token that reaches over the border belongs to what differs.
        inside = inside[tokens.offsets[inside, 0] >= low + shift]
        parts = np.array_split(inside, BINS)
        found |= {f"{SHARED} {number + 1}": part for number, part in enumerate(parts)}
        found[USER_END] = inside[-1:]
    if side.chat:
        found[REPLY] = np.array([len(tokens) - 1])
    return {name: at for name, at in found.items() if len(at)}


def _trimmed(text: str, ranges: Ranges, shift: int) -> Ranges:
    """Ranges without the blanks at their ends: many tokenizers count a blank to the word behind it."""
    found = []
    for low, high in ranges:
        part = text[low:high]
        start, stop = low + len(part) - len(part.lstrip()), low + len(part.rstrip())
        if start < stop:
            found.append((start + shift, stop + shift))
    return tuple(found)
