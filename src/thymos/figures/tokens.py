"""Token heat map: a text with the reading of one concept behind every token, for a page and for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from rich.text import Text

from thymos.errors import UsageError
from thymos.figures._checks import check_array
from thymos.figures._html import LEVELS, level, render, visible
from thymos.figures.colours import TEXT_MAPS
from thymos.figures.theme import INK, MUTED, PAGE

Unit = Literal["cosine", "z"]

_TITLES = {"cosine": "cosine similarity", "z": "z-score (standard deviations of the reference set)"}
_LEAST_LIMIT = {"cosine": 0.05, "z": 3.0}
"""The scale never ends below this, so that noise around the baseline stays pale."""


@dataclass(frozen=True)
class TokenNotes:
    """What is known about the tokens besides their scores; every field may be left out.

    Attributes:
        special: [seq], True for BOS, EOS, pad and template tokens: shown, neither coloured nor counted in the scale.
        roles: One role per token, None between the turns.
        top: One line per token for the hover text, e.g. "calm +0.12, content +0.09".
        baseline: The score that is neither blue nor orange.
        limit: The distance from the baseline at which the colours end; by default the largest one in the text, but at
            least 0.05 for cosines and 3 for z-scores. Set it to compare two texts.
        first: Absolute position of the first token.
    """

    special: Bool[np.ndarray, " seq"] | None = None
    roles: Sequence[str | None] | None = None
    top: Sequence[str] | None = None
    baseline: float = 0.0
    limit: float | None = None
    first: int = 0


_NO_NOTES = TokenNotes()


def token_heatmap_html(
    tokens: Sequence[str],
    scores: Float[np.ndarray, " seq"],
    *,
    title: str,
    concept: str,
    unit: Unit = "cosine",
    notes: TokenNotes = _NO_NOTES,
) -> str:
    """The text with each token on a ground coloured by its score, as an HTML fragment.

    The fragment stands alone: no script, nothing loaded, colours for light and for dark pages, a hover text per token
    and the same numbers as a table that opens on demand.

    Args:
        tokens: Token strings, as they read in the text (with their spaces and newlines).
        scores: [seq] one reading per token.
        title: First line.
        concept: What was read.
        unit: "cosine", or "z" for calibrated readings.
        notes: Special tokens, roles, hover lines, baseline and scale.

    Raises:
        UsageError: No tokens, NaN, or lengths that differ.
    """
    special, limit = _checked(tokens, scores, unit, notes)
    runs: list[dict[str, Any]] = []
    for index, token in enumerate(tokens):
        role = notes.roles[index] if notes.roles is not None else None
        if not runs or runs[-1]["role"] != role:
            runs.append({"role": role, "tokens": []})
        value = _number(float(scores[index]), unit)
        place = f"token {notes.first + index}" + (f", {role}" if role else "")
        hover = f"{visible(token)}\n{concept} {value} ({unit}) · {place}" + (", special" if special[index] else "")
        if notes.top is not None and notes.top[index]:
            hover += f"\ntop: {notes.top[index]}"
        share = (float(scores[index]) - notes.baseline) / limit
        runs[-1]["tokens"].append(
            {
                "level": "special" if special[index] else level(share),
                "hover": hover,
                "shown": _shown(token),
                "plain": visible(token),
                "value": value,
                "position": notes.first + index,
            }
        )
    return render(
        "heat.html.jinja",
        title=title,
        concept=concept,
        unit_name="z-score" if unit == "z" else "cosine",
        unit_title=_TITLES[unit],
        summary=_summary(tokens, scores, special, unit),
        runs=runs,
        ends=_ends(notes.baseline, limit, unit),
        any_special=bool(special.any()),
    )


def token_heatmap_text(
    tokens: Sequence[str],
    scores: Float[np.ndarray, " seq"],
    *,
    title: str,
    concept: str,
    unit: Unit = "cosine",
    notes: TokenNotes = _NO_NOTES,
) -> Text:
    """The same picture for a terminal: light letters on dark grounds, which reads on any terminal with colours.

    Args:
        tokens: Token strings.
        scores: [seq] one reading per token.
        title: First line.
        concept: What was read.
        unit: "cosine", or "z" for calibrated readings.
        notes: Special tokens, roles, baseline and scale; the hover lines are not shown.

    Raises:
        UsageError: No tokens, NaN, or lengths that differ.
    """
    special, limit = _checked(tokens, scores, unit, notes)
    colours, ink = TEXT_MAPS["dark"], PAGE["dark"][INK]
    text = Text()
    text.append(f"{title}\n", style="bold")
    role: str | None = None
    for index, token in enumerate(tokens):
        now = notes.roles[index] if notes.roles is not None else None
        if now != role:
            role = now
            text.append(f"\n[{role}]\n" if role else "\n", style="dim")
        if special[index]:
            text.append(_shown(token), style="dim italic")
        else:
            share = round(max(-1.0, min(1.0, (float(scores[index]) - notes.baseline) / limit)) * LEVELS) / LEVELS
            text.append(_shown(token), style=f"{ink} on {colours.colour(share)}")
    low, centre, high = _ends(notes.baseline, limit, unit)
    text.append(f"\n\n{low} ")
    for step in range(-LEVELS, LEVELS + 1):
        text.append(" ", style=f"{PAGE['dark'][MUTED]} on {colours.colour(step / LEVELS)}")
    text.append(f" {high}  {concept}: {_TITLES[unit]}, centred at {centre}\n")
    text.append(_summary(tokens, scores, special, unit), style="dim")
    return text


def _checked(
    tokens: Sequence[str], scores: Float[np.ndarray, " seq"], unit: str, notes: TokenNotes
) -> tuple[Bool[np.ndarray, " seq"], float]:
    """The mask of special tokens and the end of the scale."""
    check_array("token heat map", scores)
    if unit not in _TITLES:
        raise UsageError(f"token heat map: unit {unit!r}; valid units: {', '.join(_TITLES)}")
    lengths = {"scores": len(scores)}
    for name, given in (("special", notes.special), ("roles", notes.roles), ("top", notes.top)):
        if given is not None:
            lengths[name] = len(given)
    if wrong := {name: length for name, length in lengths.items() if length != len(tokens)}:
        raise UsageError(f"token heat map: {len(tokens)} tokens, but the lengths {wrong}; give one entry per token")
    special = np.zeros(len(tokens), dtype=bool) if notes.special is None else notes.special
    if notes.limit is not None:
        if not notes.limit > 0 or not np.isfinite(notes.limit):
            raise UsageError(
                f"token heat map: limit {notes.limit}; give a positive number, or None for the largest score"
            )
        return special, float(notes.limit)
    counted = scores[~special] if (~special).any() else scores
    return special, max(_LEAST_LIMIT[unit], float(np.abs(counted - notes.baseline).max()))


def _shown(token: str) -> str:
    """A newline as a sign and a line break."""
    return "↵\n".join(visible(line) for line in token.split("\n"))


def _number(value: float, unit: str) -> str:
    """Signed, with a true minus sign, and never "-0"."""
    digits = 2 if unit == "z" else 3
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def _ends(baseline: float, limit: float, unit: str) -> tuple[str, str, str]:
    centre = _number(baseline, unit) if baseline else "0"
    return (_number(baseline - limit, unit), centre, _number(baseline + limit, unit))


def _summary(
    tokens: Sequence[str], scores: Float[np.ndarray, " seq"], special: Bool[np.ndarray, " seq"], unit: str
) -> str:
    """How many tokens, their mean, and the highest and lowest one."""
    counted = np.flatnonzero(~special)
    if counted.size == 0:
        return f"{len(tokens)} tokens, all special"
    high, low = (int(counted[pick(scores[counted])]) for pick in (np.argmax, np.argmin))
    mean = _number(float(scores[counted].mean()), unit)
    ends = (f"“{visible(tokens[at]).strip()}” {_number(float(scores[at]), unit)}" for at in (high, low))
    return f"n = {counted.size} tokens, mean {mean}, highest {next(ends)}, lowest {next(ends)}"
