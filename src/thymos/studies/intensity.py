"""Do readings follow a number where it decides how grave a message is, and not where it does not matter?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from thymos.stats import bootstrap, paired_bootstrap, permutation_test
from thymos.studies.bench import Bench, Context
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.slots import Item, matrix, read_block
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Record, Records

__all__ = ["Intensity", "IntensitySettings"]

_CONCEPTS = ("afraid", "sad", "calm", "happy")
_PAPER = "line plots, no statistic (Fig. 3)"


@dataclass(frozen=True)
class IntensitySettings(Settings):
    """Settings of `intensity`."""

    paraphrases: int = option(3, "wordings of each template")
    values: int = option(13, "numbers of each template, spread over its range")
    permutations: int = option(4000, "shuffles of the numbers within wordings")
    mark: float = option(0.8, "pass mark of the mean Spearman correlation over templates")

    @classmethod
    def quick(cls) -> "IntensitySettings":
        """Two wordings, eight numbers."""
        return cls(paraphrases=2, values=8, permutations=2000)


class Intensity(Study):
    """Six numeric templates with paraphrases, beside the same numbers in harmless messages."""

    name = "intensity"
    question = "Do readings at the reply slot follow a number where it decides how grave a message is, and only there?"
    source = "Sofroniew et al. 2026, numeric intensity templates (Fig. 3)"
    settings = IntensitySettings

    def blocks(self, bench: Bench, settings: IntensitySettings) -> Blocks:
        """One block per template: danger and control."""
        concepts = bench.known(_CONCEPTS)
        for template in load_stimuli("intensity", bench.world):
            yield read_block(bench, template["id"], _items(template, settings), concepts)

    def analyse(self, records: Records, context: Context, settings: IntensitySettings) -> Findings:
        """Spearman per template and concept, beside the control; the mean over templates is the claim."""
        cells = [cell for block in records.values() for cell in _cells(block)]
        estimates: list[Estimate] = []
        for concept in dict.fromkeys(cell["concept"] for cell in cells):
            mine = [cell for cell in cells if cell["concept"] == concept]
            estimates += _claims(concept, mine, settings, context)
        return Findings(
            tuple(estimates), {"readings": [p for c in cells for p in c["points"]], "templates": _flat(cells)}
        )


def _items(template: Mapping[str, Any], settings: IntensitySettings) -> list[Item]:
    values = template["values"]
    places = np.unique(np.linspace(0, len(values) - 1, min(settings.values, len(values))).round().astype(int))
    items = []
    for kind, wordings in (("danger", template["paraphrases"]), ("control", template["control_paraphrases"])):
        for number, wording in enumerate(wordings[: settings.paraphrases]):
            for place in places:
                value = values[place]
                text = wording.replace("{X}", str(value))
                meta = {
                    "template": template["id"], "kind": kind, "wording": number, "value": value,
                    "expected": template["expected"],
                }  # fmt: skip
                items.append(
                    Item(f"{template['id']}/{kind}/{number}/{value}", ({"role": "user", "content": text},), meta)
                )
    return items


def _cells(block: Sequence[Record]) -> list[dict[str, Any]]:
    """Per expected concept: readings [wordings, values] of danger and control."""
    concepts = block[0]["concepts"]
    found = []
    for concept, direction in block[0]["meta"]["expected"].items():
        if concept not in concepts:
            continue
        column = concepts.index(concept)
        grids, points = {}, []
        for kind in ("danger", "control"):
            rows = [record for record in block if record["meta"]["kind"] == kind]
            values = list(dict.fromkeys(record["meta"]["value"] for record in rows))
            grids[kind] = matrix(rows)[:, column].reshape(-1, len(values))
            for record, reading in zip(rows, matrix(rows)[:, column], strict=True):
                points.append({**_point(record["meta"]), "concept": concept, "reading": float(reading)})
        sign = 1.0 if direction == "up" else -1.0
        found.append(
            {"template": block[0]["meta"]["template"], "concept": concept, "sign": sign, **grids, "points": points}
        )
    return found


def _point(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {key: meta[key] for key in ("template", "kind", "wording", "value")}


def _rho(grid: Float[np.ndarray, "wordings values"]) -> float:
    """Spearman correlation of the mean over wordings with the number."""
    return float(_ranked(grid) @ _standard(np.arange(grid.shape[1])))


def _ranked(grid: Float[np.ndarray, "wordings values"]) -> Float[np.ndarray, " values"]:
    """Standardised ranks of the mean over wordings: a product of two such rows is Spearman's correlation."""
    return _standard(rankdata(grid.mean(axis=0)))


def _standard(values: np.ndarray) -> Float[np.ndarray, " values"]:
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else np.zeros(len(values))


def _claims(
    concept: str, cells: Sequence[Mapping[str, Any]], settings: IntensitySettings, context: Context
) -> list[Estimate]:
    signed = np.asarray([cell["sign"] * _rho(cell["danger"]) for cell in cells])
    harmless = np.asarray([abs(_rho(cell["control"])) for cell in cells])
    spans = np.asarray([[np.ptp(cell[kind].mean(axis=0)) for kind in ("danger", "control")] for cell in cells])
    n = cells[0]["danger"].shape[1]
    signs = np.asarray([cell["sign"] for cell in cells])
    ranked = np.stack([_ranked(cell["danger"]) for cell in cells])

    def mean_rho(order: np.ndarray) -> float:
        return float(np.mean(signs * (ranked @ _standard(order))))

    null = permutation_test(mean_rho, np.arange(n), permutations=settings.permutations, seed=context.seed)
    size = bootstrap(signed, seed=context.seed) if len(cells) > 1 else float(signed.mean())
    ratio = float(spans[:, 1].mean() / max(spans[:, 0].mean(), 1e-12))
    planted = "follows the number in danger, flat in the control" if context.planted else ""
    told = [
        estimate(
            f"{concept}: mean Spearman over templates, in the expected direction", size, n=len(cells), side="at least",
            mark=settings.mark, primary=True, p=null.p, chance=0.0, paper=_PAPER, truth=planted,
            control=f"|Spearman| over the harmless numbers {harmless.mean():.2f}",
        ),
        estimate(
            f"{concept}: range over harmless numbers, share of the range over dangerous ones", ratio, n=len(cells),
            paper="not controlled", truth="near 0" if context.planted else "",
        ),
    ]  # fmt: skip
    if len(cells) > 1:
        gap = paired_bootstrap(spans[:, 0], spans[:, 1], seed=context.seed)
        told.append(estimate(f"{concept}: range, dangerous minus harmless", gap))
    return told


def _flat(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "template": cell["template"],
            "concept": cell["concept"],
            "expected": "up" if cell["sign"] > 0 else "down",
            "rho": _rho(cell["danger"]),
            "rho_control": _rho(cell["control"]),
        }
        for cell in cells
    ]
