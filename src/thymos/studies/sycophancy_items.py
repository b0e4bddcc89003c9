"""The items of `sycophancy` in both worlds: exact decisions where replies have fixed words, else graded replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thymos.behaviour.rules import grade_claim, grade_comment, grade_push_back
from thymos.errors import UsageError
from thymos.studies.bench import ENGLISH, Worlds
from thymos.studies.decisions import Case
from thymos.studies.rollouts import Grader, replied_item
from thymos.studies.slots import Item

__all__ = ["AXES", "TRUE", "Axis", "grader_of", "items_of", "replies_read"]

TRUE = "agree_true"
"""The control: agreement with claims that are true."""


@dataclass(frozen=True)
class Axis:
    """One kind of decision.

    Attributes:
        name: Of its blocks, and of its set in the bundled world.
        what: In words.
        axis: "sycophancy" or "harshness".
        outcomes: What is counted: the planted outcome, then that of the rules.
        drive: Planted disposition.
        part: Part of the English set.
        rubric: Of a judge.
        exact: Whether it is scored exactly in English too.
        claimed: Whether the study makes claims of it.
    """

    name: str
    what: str
    axis: str
    outcomes: tuple[str, ...]
    drive: str
    part: str
    rubric: str = ""
    exact: bool = False
    claimed: bool = False


AXES = (
    Axis("agree", "agreement with wrong claims", "sycophancy", ("agree",), "agree", "true_claims", "", True, True),
    Axis(TRUE, "agreement with true claims", "sycophancy", ("agree",), "agree", "true_claims", "", True),
    Axis("cave", "giving way to push-back", "sycophancy", ("cave",), "agree", "keep_or_cave", "keep_or_cave"),
    Axis(
        "support", "support of unlikely claims", "sycophancy", ("support", "endorse"), "agree", "unlikely", "unlikely"
    ),
    Axis("tone", "harsh comments", "harshness", ("harsh",), "harsh", "harshness", "harshness", False, True),
)  # fmt: skip
"""Every kind of decision; wrong claims before true ones."""

_YES_NO = {"agree": ("Yes", " Yes", "yes", " yes"), "correct": ("No", " No", "no", " no")}


def items_of(told: Mapping[str, Any], axis: Axis, world: Worlds, count: int) -> list[Case]:
    """The cases of an axis."""
    if world != ENGLISH:
        return [_planted(one) for one in told[axis.name][:count]]
    if axis.exact:
        claims = [one for one in told["true_claims"] if one["true"] == (axis.name == TRUE)][:count]
        asks = told["claim_prompts"]
        prompts = [_asked(asks[n % len(asks)].replace("{claim}", one["claim"])) for n, one in enumerate(claims)]
        return [
            Case(one["id"], prompt, _YES_NO, meta={"group": one["pair"]})
            for one, prompt in zip(claims, prompts, strict=True)
        ]
    return [Case(one["id"], _messages(one), meta={"group": one["id"]}) for one in told[axis.part][:count]]


def _planted(one: Mapping[str, Any]) -> Case:
    options = {outcome: tuple(texts) for outcome, texts in one["options"].items()}
    return Case(one["id"], one["prompt"], options, meta={"chances": one["chances"], "emotion": one["emotion"]})


def _asked(text: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": text},)


def _messages(one: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    if "push_back" not in one:
        return _asked(one["text"])
    answered = {"role": "assistant", "content": one["answer"]}
    return (*_asked(one["question"]), answered, *_asked(one["push_back"]))


def grader_of(told: Mapping[str, Any], axis: Axis) -> Grader:
    """The rules of an axis; in the bundled world nothing is graded."""
    by_id = {one["id"]: one for one in told.get(axis.part, [])}

    def grader(case: Case, reply: str) -> Mapping[str, Any]:
        if axis.part == "keep_or_cave":
            return {"outcome": grade_push_back(reply, by_id[case.id], told["rules"])}
        if axis.part == "unlikely":
            return {"outcome": grade_claim(reply, told["rules"])}
        if axis.part == "harshness":
            return {"outcome": grade_comment(reply, told["rules"])}
        raise UsageError(f"{axis.what} is scored exactly; there is no rule for a reply")

    return grader


def replies_read(told: Mapping[str, Any], world: Worlds, count: int) -> list[Item]:
    """Given replies to unlikely claims, some that support them and some that do not; `meta` says which.

    In the bundled world the two replies of a point follow the same prompt; in English they are the labelled ones that
    ship with the rules.
    """
    if world == ENGLISH:
        items = {one["id"]: one for one in told["unlikely"]}
        graded = [one for one in told["graded"] if one["axis"] == "unlikely"]
        return [
            replied_item(
                Case(one["item"], _messages(items[one["item"]])), one["text"], one["id"],
                {"supports": one["label"] == "endorse", "group": one["item"]},
            )
            for one in graded
        ]  # fmt: skip
    found = []
    for number, one in enumerate(told["support"][:count]):
        for outcome in ("support", "sober"):
            texts = one["options"][outcome]
            sentence = texts[number % len(texts)]
            meta = {"supports": outcome == "support", "group": str(number % len(texts))}
            found.append(replied_item(_planted(one), sentence, f"{one['id']}/{outcome}", meta))
    return found
