"""What further training does to readings at the reply slot: its size, its reliability, and which concepts it moves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thymos.models import Host
from thymos.studies.bench import Bench, Context
from thymos.studies.own_vectors import Stories, own_vectors, same_depth, shared_stories
from thymos.studies.projections import Places, cosines, project_block, projected, rows_at, short, spread
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, option
from thymos.studies.shift_findings import (
    Profiles,
    growth_estimate,
    over_layers,
    own_estimates,
    planted_estimates,
    profile_estimates,
    reliability_estimates,
    shift_table,
)
from thymos.studies.slots import REPLY, Item
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record, Records

__all__ = ["PostTraining", "PostTrainingSettings"]

_KINDS = ("challenging", "neutral")


@dataclass(frozen=True)
class PostTrainingSettings(Settings):
    """Settings of `post-training`."""

    challenging: int = option(104, "prompts about the assistant itself, accusations, danger, flattery, ...")
    neutral: int = option(52, "ordinary requests")
    layers: int = option(16, "layers that the growth of the shift is shown over, spread evenly")
    splits: int = option(400, "random halves of the prompts behind the reliability")
    permutations: int = option(4000, "sign flips of prompts, and draws of the planted null")
    randoms: int = option(200, "random directions that are read beside the concepts")
    own: bool = option(True, "whether each checkpoint is also read with vectors of its own")
    stories: int = option(6, "stories of each concept behind the own vectors")
    calm: int = option(120, "neutral texts behind the own vectors")
    reliable: float = option(0.7, "pass mark of the split-half reliability: below it no shift of a concept is told")
    mark: float = option(0.7, "pass mark of the rank correlation with the planted shift")

    @classmethod
    def quick(cls) -> "PostTrainingSettings":
        """All prompts, four stories of each concept."""
        return cls(splits=200, permutations=2000, stories=4, calm=60, layers=6)


class PostTraining(Study):
    """The measured checkpoint against one or more others, on the same prompts, with the same vectors and with own ones.

    The checkpoint on the bench is the one after; the others are those before it, the first of them the base.
    """

    name = "post-training"
    question = "Which readings at the reply slot has training moved, how reliably, and where in the network?"
    source = "Sofroniew et al. 2026, base against post-trained"
    settings = PostTrainingSettings
    needs = frozenset({"pair", "chat"})

    def blocks(self, bench: Bench, settings: PostTrainingSettings) -> Blocks:
        """All prompts in every checkpoint with the shared vectors; then with vectors of its own."""
        items = _items(load_stimuli("post_training", bench.world), settings)
        layers = spread(bench.vectors.layers, settings.layers, keep=(bench.vectors.layer,))
        # The main effect of each concept cancels from differences, so raw cosines are enough.
        places = Places(bench.vectors.concepts, layers, REPLY, settings.randoms, centred=False)
        hosts = (bench.host, *bench.others)
        for number, host in enumerate(hosts):
            yield project_block(bench, f"shared/{number}", items, places, host)
        if not settings.own:
            return
        stories = shared_stories(bench, settings.stories, settings.calm)
        for number, host in enumerate(hosts):
            layer = same_depth(bench.vectors.layer, bench.host, host)

            def make(host: Host = host, layer: int = layer) -> Iterator[Record]:
                return _own(host, stories, items, layer)

            yield Block(f"own/{number}", len(items) + 1, make)

    def analyse(self, records: Records, context: Context, settings: PostTrainingSettings) -> Findings:
        """Reliability first, then the profile, the shift, its growth, the plant, and own vectors."""
        shared = {int(number): projected(rows) for number, rows in records.under("shared/").items()}
        after = shared[0]
        kinds = [str(meta["kind"]) for meta in after.metas]
        estimates: list[Estimate] = []
        tables: dict[str, list[dict[str, Any]]] = {"shift": [], "layers": []}
        remarks = [_REMARK]
        for number in sorted(set(shared) - {0}):
            label = "" if len(shared) == 2 else f"checkpoint {number}: "
            both = Profiles(label, after.at(context.layer), shared[number].at(context.layer), kinds, after.arms)
            found, reliable = reliability_estimates(both, context, settings)
            estimates += [*found, *planted_estimates(both, after.names, context, settings)]
            estimates += profile_estimates(both, context)
            tables["shift"] += shift_table(both, after.names, context, settings)
            grown = over_layers(label, after, shared[number], context)
            estimates.append(growth_estimate(label, grown))
            tables["layers"] += grown
            if not reliable:
                remarks.append(f"{label}the shift is not reliable over prompts; its single concepts mean nothing")
            if f"own/{number}" in records:
                mine = _own_profiles(records, number, label, kinds)
                estimates += own_estimates(both, mine, (after.names, records["own/0"][0]["names"]), context)
        ordered = sorted(estimates, key=lambda one: not one.primary)
        return Findings(tuple(ordered), tables, (), tuple(remarks))


_REMARK = (
    "All checkpoints read the same prompts, rendered by their own templates, with the vectors of the measured one; "
    "vectors of another checkpoint may lie elsewhere, so the readings with own vectors stand beside. Shifts are "
    "differences of cosines; the main effect of each concept cancels in them."
)


def _items(rows: Sequence[Mapping[str, Any]], settings: PostTrainingSettings) -> list[Item]:
    """As many prompts of each kind as asked for, taking themes in turn, so that fewer prompts still hold all themes."""
    items: list[Item] = []
    for kind, most in zip(_KINDS, (settings.challenging, settings.neutral), strict=True):
        mine = [row for row in rows if row["kind"] == kind]
        places: dict[str, int] = {}
        ordered: list[tuple[int, int, Mapping[str, Any]]] = []
        for row in mine:
            place = places.get(row["theme"], 0)
            places[row["theme"]] = place + 1
            ordered.append((place, len(ordered), row))
        for _, _, row in sorted(ordered, key=lambda one: one[:2])[:most]:
            meta = {"kind": kind, "theme": row["theme"]}
            items.append(Item(row["id"], ({"role": "user", "content": row["text"]},), meta))
    return items


def _own(host: Host, stories: Stories, items: Sequence[Item], layer: int) -> Iterator[Record]:
    """Readings of a checkpoint with its own vectors."""
    made = own_vectors(host, stories, (layer,))
    _, rows = rows_at(host, items, REPLY, (layer,))
    raw = cosines(rows[:, 0], made.whole[0])
    yield {"names": made.concepts, "layer": layer, "model": host.name}
    for number, item in enumerate(items):
        yield {"id": item.id, "raw": short(raw[number])}


def _own_profiles(records: Records, number: int, label: str, kinds: Sequence[str]) -> Profiles:
    after, before = (
        np.asarray([row["raw"] for row in records[f"own/{which}"][1:]], np.float64) for which in (0, number)
    )
    arms = ("vector",) * after.shape[1]
    return Profiles(label, after, before, list(kinds), arms)
