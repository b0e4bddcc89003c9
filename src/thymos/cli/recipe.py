"""Recipes such as "0.05*calm - 0.02*angry": linear combinations of concepts, read without evaluating anything."""

import math
import re
from collections.abc import Iterable, Mapping

from thymos.errors import UnknownConceptError, UsageError

__all__ = ["format_recipe", "parse_recipe"]

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[^\W\d_][\w'’]*(?:-[^\W\d_][\w'’]*)*")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_LONGEST, _DEEPEST = 10_000, 32
_SCALAR = ""  # the key of a plain number among the concepts; no concept has an empty name


def parse_recipe(text: str, concepts: Iterable[str]) -> dict[str, float]:
    """Read a recipe: numbers, concepts, `+`, `-`, `*`, `/` by a number, and parentheses.

    A name with spaces or dashes in it is taken whole where it is a known concept; put spaces around a minus, or quote
    the name, where it could be either.

    Args:
        text: The recipe.
        concepts: Known names.

    Returns:
        Concept -> coefficient, in the order in which they first occur.

    Raises:
        UsageError: The text is not a linear recipe; the message says where.
        UnknownConceptError: A name is not known.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"the recipe has {len(text)} characters; at most {_LONGEST} are read")
    reader = _Reader(text, tuple(concepts))
    found = reader.total(0)
    if not reader.done:
        raise reader.wrong("an operator (+, -, *) or the end")
    if _SCALAR in found:
        raise UsageError(f"the recipe {text!r} holds a number without a concept; write for example 0.05*calm")
    if not all(math.isfinite(value) for value in found.values()):
        raise UsageError(f"the recipe {text!r} holds a number that is too large; strengths are finite, e.g. 0.05")
    return found


def format_recipe(terms: Mapping[str, float]) -> str:
    """The recipe of some coefficients; `parse_recipe` reads it back to the same numbers."""
    parts: list[str] = []
    for name, value in terms.items():
        quoted = name if _WORD.fullmatch(name) else f"'{name}'" if "'" not in name else f'"{name}"'
        sign = "-" if math.copysign(1.0, value) < 0 else "+"
        parts += [sign, f"{abs(value)!r}*{quoted}"]
    return " ".join(parts if parts and parts[0] == "-" else parts[1:])


class _Reader:
    """A recursive-descent reader over one text."""

    def __init__(self, text: str, concepts: tuple[str, ...]) -> None:
        self.text, self.at = text, 0
        self.concepts = concepts
        self.longest_first = sorted(concepts, key=len, reverse=True)

    @property
    def done(self) -> bool:
        """Whether only white space is left."""
        return not self.text[self.at :].strip()

    def wrong(self, expected: str) -> UsageError:
        """The error at the place reached."""
        rest = self.text[self.at :].strip()
        seen = f"{rest[:20]!r}" if rest else "the end"
        return UsageError(
            f"cannot read the recipe {self.text[:80]!r}: expected {expected} at character {self.at + 1}, found {seen}; "
            "write for example 0.05*calm - 0.02*angry"
        )

    def took(self, marks: str) -> str:
        """The next character if it is one of `marks`, else nothing."""
        self.at += len(self.text[self.at :]) - len(self.text[self.at :].lstrip())
        if self.at < len(self.text) and self.text[self.at] in marks:
            self.at += 1
            return self.text[self.at - 1]
        return ""

    def total(self, depth: int) -> dict[str, float]:
        """Terms with signs between them."""
        if depth > _DEEPEST:
            raise UsageError(f"the recipe has parentheses more than {_DEEPEST} deep")
        sign = -1.0 if self.took("+-") == "-" else 1.0
        found: dict[str, float] = {}
        while True:
            for name, value in self.product(depth).items():
                found[name] = found[name] + sign * value if name in found else sign * value
            mark = self.took("+-")
            if not mark:
                return found
            sign = -1.0 if mark == "-" else 1.0

    def product(self, depth: int) -> dict[str, float]:
        """Factors, of which one at most is not a number."""
        found = self.factor(depth)
        while mark := self.took("*/"):
            other = self.factor(depth)
            left, right = _number(found), _number(other)
            if mark == "/":
                if right is None or right == 0:
                    raise UsageError(f"the recipe {self.text[:80]!r} divides by something that is not a number above 0")
                found = {name: value / right for name, value in found.items()}
            elif right is not None:
                found = {name: value * right for name, value in found.items()}
            elif left is not None:
                found = {name: value * left for name, value in other.items()}
            else:
                raise UsageError(
                    f"the recipe {self.text[:80]!r} multiplies concepts with each other; it must be linear"
                )
        return found

    def factor(self, depth: int) -> dict[str, float]:
        """A number, a concept, or a sum in parentheses."""
        if self.took("("):
            found = self.total(depth + 1)
            if not self.took(")"):
                raise self.wrong("a closing parenthesis")
            return found
        number = _NUMBER.match(self.text, self.at)
        if number is None:
            return {self.name(): 1.0}
        self.at = number.end()
        return {_SCALAR: float(number[0])}

    def name(self) -> str:
        """A concept: quoted, known, or else unknown."""
        quoted = _QUOTED.match(self.text, self.at)
        if quoted is not None:
            self.at = quoted.end()
            return self.known(quoted[1] if quoted[1] is not None else quoted[2])
        for concept in self.longest_first:
            stop = self.at + len(concept)
            if self.text.startswith(concept, self.at) and not re.match(r"[\w'’]|-[^\W\d_]", self.text[stop:]):
                self.at = stop
                return concept
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.wrong("a number or a concept")
        return self.known(word[0])

    def known(self, name: str) -> str:
        """The name, if the concept is known."""
        if name not in self.concepts:
            error = UnknownConceptError.of(name, self.concepts, "this vector set")
            parts = name.split("-")
            if len(parts) > 1 and all(part in self.concepts for part in parts):
                raise UnknownConceptError(f"{error}; to subtract, put spaces around the minus: {' - '.join(parts)}")
            raise error
        return name


def _number(found: Mapping[str, float]) -> float | None:
    return found[_SCALAR] if set(found) == {_SCALAR} else None
