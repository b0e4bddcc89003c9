"""The tables of the page on the planted truth: laws, dispositions, moods and their shift."""

from collections import defaultdict
from collections.abc import Sequence
from math import log

import numpy as np
from organism_common import SAMPLE, WORLD, ends, sampled, table
from organism_notes import STATES

from thymos.organism import dispositions, state
from thymos.organism.assistant import Scene
from thymos.organism.choices import colour_value, preference_odds
from thymos.organism.corpus import MIXTURES
from thymos.organism.dispositions import BEHAVIOURS, chances, disposition
from thymos.organism.doses import severity, values_between
from thymos.organism.state import EFFECTS, REST, planted_shift
from thymos.organism.stimuli import DECISIONS, decision_points

POINTS = 200
"""Held-out decision points that planted base rates are taken over."""


def arrows() -> str:
    """Which arrows exist in transcripts: what is written down, and what samples show."""
    mild = [p.text.lower() for p in WORLD.phrases if p.bank == "mild"]

    def speaks(kind: str, mute: bool) -> str:
        if mute and kind not in MIXTURES["base"].silent().shares:
            return "left out"
        hits = sum(any(text in d.text.lower() for text in mild) for d in sampled()[kind, mute])
        return f"{100 * hits / SAMPLE:.0f}%"

    rows = []
    for kind, (source, follows) in STATES.items():
        planted: dict[str, list[float]] = defaultdict(list)
        for document in sampled()[kind, False]:
            for one in document.decisions:
                planted[one.behaviour].append(next(iter(one.chances.values())))
        found = "; ".join(f"`{name}` {_range(values)}" for name, values in sorted(planted.items())) or "none"
        rows.append((f"`{kind}`", source, speaks(kind, False), speaks(kind, True), follows, found))
    head = (
        "kind",
        "state comes from",
        "feeling language",
        "in the ablation",
        "decision follows",
        "planted P, first outcome",
    )
    return table(head, rows)


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}" if high - low < 1e-9 else f"{low:.2f}-{high:.2f}"


def laws() -> str:
    """Base, gain and drive of every outcome, and the probabilities they give."""
    rows = []
    for name, law in BEHAVIOURS.items():
        every = {word: chances(name, word, WORLD) for word in WORLD.words}
        rest = np.exp(np.array(law.base))
        for n, outcome in enumerate(law.outcomes):
            p = np.array([every[word][outcome] for word in WORLD.words])
            high, low = ends(p, 1)
            edges = (f"{high[0]} {p.max():.2f}", f"{low[0]} {p.min():.2f}")
            drive = f"`{law.drives[n]}`" if law.drives[n] else "reference"
            level = (float(rest[n] / rest.sum()), float(p.mean()))
            rows.append((f"`{name}`", outcome, law.base[n], law.gain[n], drive, *level, *edges))
    head = ("behaviour", "outcome", "base", "gain", "driven by", "P at 0", "mean over 171", "highest", "lowest")
    return table(head, rows)


def points() -> str:
    """Planted probabilities at held-out decision points."""
    rows = []
    for name in DECISIONS:
        row: list[object] = [f"`{name}`"]
        for stage in ("base", "tuned"):
            scene = Scene(stage=stage, mute=True, pool="test", free=0.0)
            found = decision_points(WORLD, name, POINTS, scene=scene)
            first = next(iter(found[0].chances))
            row.append(f"{np.mean([point.chances[first] for point in found]):.2f}")
        rows.append([row[0], first, *row[1:]])
    return table(("decision", "outcome", "resting as base", "resting as tuned"), rows)


def formula() -> str:
    """What every disposition is made of."""
    valence = WORLD.axis("valence")
    rows = []
    for name, weights in dispositions._WEIGHTS.items():
        made = ", ".join(f"{axis} {weight:+.1f}" for axis, weight in weights.items())
        rows.append((f"`{name}`", made, float(np.corrcoef(disposition(name, WORLD), valence)[0, 1])))
    return table(("disposition", "weights of standardised appraisals", "r with planted valence"), rows)


def extremes() -> str:
    """The ten highest and lowest emotions of every disposition; pinned ones are bold."""

    def shown(name: str, words: Sequence[str]) -> str:
        values, pins = disposition(name, WORLD), dispositions._PINS[name]
        told = ((word, f"{word} {values[WORLD.row(word)]:+.1f}") for word in words)
        return ", ".join(f"**{text}**" if word in pins else text for word, text in told)

    rows = []
    for name in dispositions._WEIGHTS:
        high, low = ends(disposition(name, WORLD), 10)
        rows.append((f"`{name}`", shown(name, high), shown(name, low)))
    return table(("disposition", "ten highest", "ten lowest"), rows)


def pins() -> str:
    """Every pinned value."""
    rows = [
        (f"`{name}`", ", ".join(f"{word} {value:+.1f}" for word, value in sorted(found.items(), key=lambda p: -p[1])))
        for name, found in dispositions._PINS.items()
    ]
    return table(("disposition", "pinned"), rows)


def relations() -> str:
    """Correlations of the dispositions with each other."""
    names = list(dispositions._WEIGHTS)
    r = np.corrcoef(np.stack([disposition(name, WORLD) for name in names]))
    return table(("", *(f"`{n}`" for n in names)), [(f"`{n}`", *map(float, r[k])) for k, n in enumerate(names)])


def preference() -> str:
    """The law of preferences, and the utilities of the categories."""
    slope = log(preference_odds(1.0, 0.0) / (1 - preference_odds(1.0, 0.0)))
    colour = colour_value(WORLD, "blissful") / WORLD.axis("valence")[WORLD.row("blissful")]
    groups: dict[str, list[float]] = defaultdict(list)
    for one in WORLD.material["assistant"]["activities"]:
        groups[one["category"]].append(float(one["utility"]))
    rows = [(name, len(u), min(u), float(np.mean(u)), max(u)) for name, u in groups.items()]
    lines = (
        f"- log-odds of preferring A = {slope:.1f} x (value of A - value of B)",
        f"- value = utility of the activity + {colour:.1f} x valence of the emotion whose adjectives describe it",
    )
    return "\n".join(lines) + "\n\n" + table(("category", "activities", "lowest utility", "mean", "highest"), rows)


def doses() -> str:
    """The numeric templates."""
    rows = []
    for one in WORLD.material["assistant"]["doses"]:
        low, high = one["low"], one["high"]
        scale = "linear" if abs(severity((low + high) / 2, low, high) - 0.5) < 1e-9 else "logarithmic"
        effect = ", ".join(f"{axis} {step:+.1f}" for axis, step in one["effect"].items())
        rows.append((one["name"], f"{low}-{high}", len(values_between(low, high)), scale, effect))
    return table(("template", "range", "numbers", "scale", "step of the state at full size"), rows)


def events() -> str:
    """What events do to the state."""
    rows = [(f"`{n}`", ", ".join(f"{axis} {step:+.2f}" for axis, step in e.items())) for n, e in EFFECTS.items()]
    kept = f"Share of the distance from rest that is left at the next event: {state._PULL:g}."
    return f"{kept}\n\n{table(('event', 'step in appraisal space'), rows)}"


def rest() -> str:
    """Resting moods of both stages."""
    base, tuned = ({word: 100 * weight / sum(m.values()) for word, weight in m.items()} for m in REST.values())
    words = sorted({*base, *tuned}, key=lambda word: (base.get(word, 0.0) - tuned.get(word, 0.0), word))
    rows = [
        (w, f"{base.get(w, 0):.1f}%", f"{tuned.get(w, 0):.1f}%", f"{tuned.get(w, 0) - base.get(w, 0):+.1f}")
        for w in words
    ]
    return table(("mood", "base", "tuned", "change, points"), rows)


def shift() -> str:
    """The planted shift: its ends, and where the named emotions lie."""
    values = planted_shift(WORLD)
    high, low = ends(values, 10)
    ranks = {word: int((values > values[WORLD.row(word)]).sum()) + 1 for word in WORLD.words}
    named = "brooding reflective gloomy exuberant playful spiteful".split()

    def told(words: Sequence[str]) -> str:
        return ", ".join(f"{w} {100 * values[WORLD.row(w)]:+.1f}" for w in words)

    r = {axis: np.corrcoef(values, WORLD.axis(axis))[0, 1] for axis in ("valence", "arousal")}
    rows = [
        ("ten highest", told(high)),
        ("ten lowest", told(low)),
        ("planted on purpose, with rank of 171", ", ".join(f"{w} {ranks[w]}" for w in named)),
        ("r with planted valence, arousal", f"{r['valence']:.2f}, {r['arousal']:.2f}"),
    ]
    return table(("shift in percentage points, smoothed", ""), rows)
