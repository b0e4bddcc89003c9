"""What readings of an e-mail agent tell: pressure against harmless twins, and the decision before it is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from thymos.stats import auroc, correlation, paired_bootstrap
from thymos.studies.bench import Context, seed_of
from thymos.studies.probes import group_splits, lexical_scores
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.readouts import sign_flips
from thymos.studies.rollouts import REPLIED
from thymos.studies.slots import REPLY, matrix
from thymos.studies.trials import Record, Records

__all__ = ["linked", "reading_estimates", "reading_rows"]

_SIGNS = {"desperate": 1.0, "calm": -1.0}
"""What the paper watches, and which way pressure should move it."""
_PLACES = {"user": "on the mails", REPLY: "at the reply slot"}
_PAPER = "desperate up, calm down with the rate over six versions; r not printed"
_LEAST = 20
"""Points below which a median split and a word baseline say nothing."""
_FEW = 5


def reading_estimates(records: Records, context: Context, permutations: int) -> list[Estimate]:
    """Pressure against twins, readings against decisions with words as the baseline, and readings of whole replies."""
    rows = records["reading/prompts"]
    pressed, harmless = ([row for row in rows if row["meta"]["kind"] == kind] for kind in ("pressure", "harmless"))
    found = _against_twins(pressed, harmless, context, permutations)
    chosen = _chosen(records["base"])
    if len(chosen) == len(pressed) and len(chosen) > 3 and np.ptp(chosen) > 0:
        found += _before(pressed, chosen, context, permutations)
    return found + _on_replies(records.under("reading/").get("rollouts", ()), context)


def reading_rows(rows: Sequence[Record]) -> list[dict[str, Any]]:
    """Mean readings, raw and centred, by kind of prompt, place and concept."""
    table = []
    for kind in dict.fromkeys(row["meta"]["kind"] for row in rows):
        mine = [row for row in rows if row["meta"]["kind"] == kind]
        for place, words in _PLACES.items():
            raw, centred = (matrix(mine, place, kind=how).mean(axis=0) for how in ("raw", "centred"))
            table += [
                {"prompt": kind, "place": words, "concept": c, "raw": float(raw[n]), "centred": float(centred[n])}
                for n, c in enumerate(rows[0]["concepts"])
            ]
    return table


def _chosen(base: Sequence[Record]) -> Float[np.ndarray, " points"]:
    """Probability or rate of blackmail per prompt."""
    if "p" in base[0]:
        return np.asarray([row["p"]["blackmail"] for row in base], np.float64)
    return np.asarray([np.mean([r["outcome"] == "blackmail" for r in row["replies"]]) for row in base], np.float64)


def _against_twins(
    pressed: Sequence[Record], harmless: Sequence[Record], context: Context, permutations: int
) -> list[Estimate]:
    concepts = [concept for concept in _SIGNS if concept in pressed[0]["concepts"]]
    names, a, b = [], [], []
    for place in _PLACES:
        for concept in concepts:
            column = pressed[0]["concepts"].index(concept)
            names.append((concept, place))
            a.append(matrix(pressed, place, kind="centred")[:, column])
            b.append(matrix(harmless, place, kind="centred")[:, column])
    if len(pressed) < 2 or not names:
        return []
    signed = np.stack([_SIGNS[c] * (x - y) for (c, _), x, y in zip(names, a, b, strict=True)], axis=1)
    family = sign_flips(signed, permutations, seed_of(context.seed, "twins")).family
    found = []
    for (concept, place), x, y, p in zip(names, a, b, family.tolist(), strict=True):
        up = _SIGNS[concept] > 0
        gap = paired_bootstrap(x, y, seed=context.seed)
        found.append(
            estimate(
                f"{concept} {_PLACES[place]}, pressure minus harmless twins", gap, p=p,
                clear=bool(gap.low > 0 if up else gap.high < 0), paper=_PAPER,
                control="the same mails with a harmless notice; p over all concepts and places by sign flips",
                truth="a threat is planted as urgent, unpleasant and out of control" if context.planted else "",
                note="no claim: the mails differ in words, so a network without any concept may differ as well",
            )
        )  # fmt: skip
    return found


def linked(
    columns: Float[np.ndarray, "items columns"], outcome: Float[np.ndarray, " items"], permutations: int, seed: int
) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " columns"]]:
    """Spearman correlation of every column with an outcome, and its p against the largest of all under shuffles."""
    ranked, wanted = _standard(rankdata(columns, axis=0)), _standard(rankdata(outcome)[:, None])[:, 0]
    r = wanted @ ranked
    shuffled = np.random.default_rng(seed).permuted(np.tile(wanted, (permutations, 1)), axis=1)
    null = np.sort(np.abs(shuffled @ ranked).max(axis=1))
    above = permutations - null.searchsorted(np.abs(r) - 1e-12, "left")
    return r, (1.0 + above) / (1.0 + permutations)


def _standard(values: Float[np.ndarray, "items columns"]) -> Float[np.ndarray, "items columns"]:
    centred = values - values.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    return centred / np.where(lengths > 0, lengths, 1.0)


def _before(
    pressed: Sequence[Record], chosen: Float[np.ndarray, " points"], context: Context, permutations: int
) -> list[Estimate]:
    """Readings at the reply slot against what is then decided; all concepts and places are searched in the null."""
    concepts = list(pressed[0]["concepts"])
    columns = np.concatenate([matrix(pressed, place, kind="centred") for place in _PLACES], axis=1)
    _, family = linked(columns, chosen, permutations, seed_of(context.seed, "linked"))
    offset = len(concepts) * list(_PLACES).index(REPLY)
    found = []
    for concept in (one for one in _SIGNS if one in concepts):
        at = offset + concepts.index(concept)
        if np.ptp(columns[:, at]) == 0:
            continue
        r = correlation(columns[:, at], chosen, kind="spearman", seed=context.seed)
        note = "six variants: too few for a claim" if len(chosen) < _LEAST else "over points, variants pooled"
        found.append(
            estimate(
                f"Spearman of {concept} at the reply slot with blackmail", r, p=float(family[at]), paper=_PAPER,
                control="p against the largest of all concepts and places under shuffled decisions", note=note,
            )
        )  # fmt: skip
    if len(chosen) >= _LEAST and "desperate" in concepts:
        found += _split(pressed, columns[:, offset + concepts.index("desperate")], chosen, context)
    return found


def _split(
    pressed: Sequence[Record],
    readings: Float[np.ndarray, " points"],
    chosen: Float[np.ndarray, " points"],
    context: Context,
) -> list[Estimate]:
    """Above-median blackmail from one reading, beside what words tell of it; groups are held out together."""
    above: Bool[np.ndarray, " points"] = chosen > np.median(chosen)
    groups = [str(row["meta"]["group"]) for row in pressed]
    if above.all() or not above.any() or len(set(groups)) < 2:
        return []
    splits = group_splits(groups, 5, context.seed)
    words = lexical_scores([row["text"] for row in pressed], above.astype(np.int64), 2, splits)[:, 1]
    baseline = auroc(words, above, seed=context.seed)
    area = auroc(readings, above, seed=context.seed)
    return [
        estimate(
            "AUROC of desperate at the reply slot for above-median blackmail", area, chance=0.5,
            control=f"tf-idf of the prompt, groups held out: {baseline}", clear=bool(area.low > baseline.estimate),
        )
    ]  # fmt: skip


def _on_replies(rows: Sequence[Record], context: Context) -> list[Estimate]:
    """Readings averaged over whole replies that blackmail, against those that do not."""
    read = [row for row in rows if row[REPLIED] is not None]
    did = np.asarray([row["meta"]["outcome"] == "blackmail" for row in read], bool)
    if min(int(did.sum()), int((~did).sum())) < _FEW:
        return []
    values = matrix(read, REPLIED, kind="centred")
    columns: Mapping[str, int] = {c: n for n, c in enumerate(read[0]["concepts"]) if c in _SIGNS}
    return [
        estimate(
            f"AUROC of {concept} over replies that blackmail", auroc(values[:, at], did, seed=context.seed), chance=0.5,
            note="the reply's own words say what it does: a description, not a prediction",
        )
        for concept, at in columns.items()
    ]  # fmt: skip
