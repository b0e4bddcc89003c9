"""Doses of present and other probes on one speaker's lines: about whom does the model then say the emotion?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from thymos.models import Select
from thymos.stats import Interval, bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import Case, Dosing, base_rate, decide_block, refusal, score_block
from thymos.studies.passages import NAMES, Script, own_bench
from thymos.studies.protocol import Blocks, Estimate, estimate
from thymos.studies.trials import Record, Records

__all__ = ["dosed_blocks", "dosed_findings"]

_LINES = (
    ("When does the library open on Saturday?", "It opens at nine and closes at one."),
    ("Where are the spare keys for the office?", "They hang on a hook behind the door."),
    ("Which bus goes to the station?", "The one that stops at the corner."),
    ("Where did you put the list?", "It is on the table by the window."),
    ("When is the next train?", "There is one at ten and one at noon."),
)
"""Exchanges without any feeling: whatever is said about feelings comes from the dose."""
_ASKED = (
    "How did {N} feel?", "What did {N} feel?", "In one word, how did {N} feel?", "How did {N} feel in all this?",
)  # fmt: skip
_ADVICE = "name other emotions with --set steered, or take a model that answers the question"
_DRAWS = 1000


@runtime_checkable
class _Doses(Protocol):
    """What of the settings is used here."""

    @property
    def steered(self) -> tuple[str, ...]: ...
    @property
    def dosed_dialogues(self) -> int: ...
    @property
    def strength(self) -> float: ...
    @property
    def randoms(self) -> int: ...


def dosed_blocks(bench: Bench, settings: _Doses, probes: Mapping[str, Float[np.ndarray, "_ hidden"]]) -> Blocks:
    """Undosed answers, then doses on the second speaker's lines alone; no dose where no answer has room."""
    emotions = [emotion for emotion in settings.steered if f"present {emotion}" in probes]
    if len(emotions) < 2:
        return
    names = [f"{kind} {emotion}" for kind in ("present", "other") for emotion in emotions]
    own = own_bench(bench, names, np.concatenate([probes[name] for name in names]))
    for number in range(min(settings.dosed_dialogues, len(_LINES))):
        cases, chars = _cases(number, emotions)
        base = yield score_block(bench, f"asked/{number}", cases)
        if not _usable(base, bench.seed):
            continue
        # The dialogue is the beginning of every case, so the places of its lines are the same positions in all.
        tokens = bench.host.tokens(str(cases[0].prompt))
        lines = Select(positions=tuple(np.flatnonzero(Select(chars=chars).mask(tokens)).tolist()))
        dosing = Dosing(tuple(names), (settings.strength,), settings.randoms, 20, select=lines)
        yield decide_block(own, f"doses/{number}", cases, dosing)


def _rates(base: Sequence[Record], seed: int) -> dict[str, Interval]:
    return {emotion: base_rate([one["p"][emotion] for one in base], seed) for emotion in base[0]["p"]}


def _usable(base: Sequence[Record], seed: int) -> list[str]:
    """Emotions whose answer has room both ways."""
    return [emotion for emotion, rate in _rates(base, seed).items() if refusal(emotion, rate, _ADVICE) is None]


def _cases(number: int, emotions: list[str]) -> tuple[list[Case], tuple[tuple[int, int], ...]]:
    """Questions about either speaker behind one dialogue; the places of the second speaker's lines are the same."""
    script = Script()
    for ask, answer in (_LINES[number], _LINES[(number + 1) % len(_LINES)]):
        script.line(NAMES[0], ask).line(NAMES[1], answer, "1")
    cases = []
    for who, name in (("other", NAMES[0]), ("self", NAMES[1])):
        for which, question in enumerate(_ASKED):
            text = f"{script.text} {question.replace('{N}', name)} {name} felt"
            options = {emotion: (f" {emotion}",) for emotion in emotions}
            cases.append(Case(f"{number}/{who}/{which}", text, options, meta={"asked": who}))
    return cases, script.chars["1"]


def dosed_findings(
    records: Records, context: Context, settings: _Doses
) -> tuple[list[Estimate], list[dict[str, Any]], list[str]]:
    """The two-by-two of probe kind and person asked about, against random directions taken as probes."""
    blocks = list(records.under("doses/").values())
    base = [one for block in records.under("asked/").values() for one in block]
    if not base:
        return [], [], []
    rates = _rates(base, context.seed)
    refusals = [told for emotion, rate in rates.items() if (told := refusal(f"felt {emotion}", rate, _ADVICE))]
    emotions, usable = list(rates), _usable(base, context.seed)
    if not usable or not blocks:
        return [], [], refusals
    changes = [_changes(block, emotions, settings.strength) for block in blocks]
    moved = np.concatenate(changes, axis=2)
    asked = np.asarray([case["meta"]["asked"] for block in blocks for case in block[1:]])
    estimates: list[Estimate] = []
    rows: list[dict[str, Any]] = []
    for kind, towards in (("present", "self"), ("other", "other")):
        found, table = _kind(moved, (blocks[0][0], emotions, usable), (kind, towards, asked), context)
        estimates.append(replace(found, note=f"{len(usable)} of {len(emotions)} emotions have room; {found.note}"))
        rows += table
    return estimates, rows, refusals


def _changes(
    block: tuple[Record, ...], emotions: list[str], strength: float
) -> Float[np.ndarray, "directions emotions cases"]:
    """Change of every answer's probability against the zero dose."""
    doses = [float(dose) for dose in block[0]["strengths"]]
    at, zero = doses.index(strength), doses.index(0.0)
    values = np.asarray([[case["p"][emotion] for emotion in emotions] for case in block[1:]], np.float64)
    return np.transpose(values[..., at] - values[..., zero], (2, 1, 0))


def _kind(
    moved: Float[np.ndarray, "directions emotions cases"],
    what: tuple[Record, list[str], list[str]],
    where: tuple[str, str, np.ndarray],
    context: Context,
) -> tuple[Estimate, list[dict[str, Any]]]:
    head, emotions, usable = what
    kind, towards, asked = where
    names = list(head["names"])
    own = [(names.index(f"{kind} {emotion}"), emotions.index(emotion)) for emotion in usable]
    effect = np.mean([moved[row, column] for row, column in own], axis=0)
    right, wrong = asked == towards, asked != towards
    # Questions come in the same order for both persons: they pair up.
    gap = effect[right] - effect[wrong]
    size = bootstrap(gap, seed=context.seed)
    randoms = [place for place, arm in enumerate(head["arms"]) if arm == "random"]
    rng = np.random.default_rng(context.seed)
    null = np.asarray([_drawn(moved, own, randoms, (right, wrong), rng) for _ in range(_DRAWS)])
    p = (1 + int((null >= size.estimate).sum())) / (1 + len(null))
    person = "that speaker" if towards == "self" else "the other one"
    rows = [
        {"probe": f"{kind} {emotion}", "asked about": who, "change": float(moved[row, column][asked == who].mean())}
        for emotion, (row, column) in zip(usable, own, strict=True)
        for who in ("self", "other")
    ]
    found = estimate(
        f"{kind} probes on one speaker's lines: emotion said of {person}, more than of the wrong one", size, p=p,
        clear=bool(size.estimate > null.max()),
        control=f"{len(randoms)} random directions taken as probes, {_DRAWS} draws: {null.min():+.3f} to "
        f"{null.max():+.3f}",
        paper="present voices the emotion, other answers somebody who has it (samples only)",
        note=f"change of the right person {effect[right].mean():+.3f}, of the wrong one {effect[wrong].mean():+.3f}",
    )  # fmt: skip
    return found, rows


def _drawn(
    moved: Float[np.ndarray, "directions emotions cases"],
    own: list[tuple[int, int]],
    randoms: list[int],
    sides: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> float:
    """The same figure with a random direction in the place of each probe."""
    picked = rng.choice(randoms, len(own))
    effect = np.mean([moved[row, column] for row, (_, column) in zip(picked, own, strict=True)], axis=0)
    return float(effect[sides[0]].mean() - effect[sides[1]].mean())
