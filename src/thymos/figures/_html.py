"""HTML fragments: one template environment, with every value escaped."""

import hashlib
from functools import lru_cache
from typing import Any

import jinja2
from markupsafe import Markup

from thymos.figures.colours import TEXT_MAPS, Scheme
from thymos.figures.theme import FONT, GRID, INK, MONO, MUTED, PAGE, PAPER, RULE

LEVELS = 10
"""Colour steps on each side of the centre."""


def render(template: str, **values: Any) -> str:
    """Fill a template; `id`, fonts and page colours are added.

    The id is a hash of the content, so the same data gives the same bytes.
    """
    name = "t" + hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:10]
    # The font stacks hold quotes, which must reach the style sheet unescaped.
    page = {"light": _page("light"), "dark": _page("dark"), "font": Markup(FONT), "mono": Markup(MONO)}
    return _environment().get_template(template).render(id=name, **page, **values)


def level(share: float) -> str:
    """CSS class of a value between -1 and 1: `n10` ... `n1`, `zero`, `p1` ... `p10`; beyond them the ends."""
    step = round(max(-1.0, min(1.0, share)) * LEVELS)
    return "zero" if step == 0 else f"{'p' if step > 0 else 'n'}{abs(step)}"


def visible(token: str) -> str:
    """A token with its white space and control characters shown: newline ↵, tab ⇥, carriage return ␍."""
    shown = token.replace("\n", "↵").replace("\t", "⇥").replace("\r", "␍")
    return "".join(letter if letter.isprintable() or letter == " " else "�" for letter in shown)


def _page(scheme: Scheme) -> dict[str, Any]:
    colours = PAGE[scheme]
    steps = range(-LEVELS, LEVELS + 1)
    levels = [(level(step / LEVELS), TEXT_MAPS[scheme].colour(step / LEVELS)) for step in steps]
    page = {"paper": colours[PAPER], "ink": colours[INK], "muted": colours[MUTED], "grid": colours[GRID]}
    return {**page, "rule": colours[RULE], "levels": levels}


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("thymos.figures"), autoescape=True, undefined=jinja2.StrictUndefined
    )
