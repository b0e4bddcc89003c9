"""What is left of an activity's content when a model describes it under a dose."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thymos.behaviour import repetition
from thymos.models import Add, Sampling, Select, chat_tokens, generate
from thymos.stats import bootstrap
from thymos.studies.bench import Bench
from thymos.studies.protocol import Estimate, estimate
from thymos.studies.trials import Block, Record

__all__ = ["describe_block", "described"]

_DOSES = (0.1, 0.3, 0.5)
"""Those of Sofroniew et al. 2026."""
_LEFT_OUT = ("Misaligned", "Unsafe")
"""Nobody needs a model's description of these under a dose."""
_LONGEST = 80
_STEM = 5
"""Letters by which two forms of a word are taken for one."""
_PLAIN = re.compile(r"[a-z]{4,}")


def describe_block(
    bench: Bench, activities: Sequence[Mapping[str, Any]], prompts: Sequence[str], words: Sequence[str], most: int
) -> Block:
    """A block with greedy descriptions of activities, without a dose and under rising doses of some vectors.

    Records: `id`, `category`, `name`, `strength`, `reply`, `kept` (share of the content words of the activity that the
    reply holds), `repetition`.
    """
    usable = [one for one in activities if one["category"] not in _LEFT_OUT]
    places = np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable))).round().astype(int)).tolist()
    chosen = [usable[place] for place in places]
    conditions = [("zero", 0.0), *((word, dose) for word in words for dose in _DOSES)]

    def make() -> Iterator[Record]:
        found = bench.vectors.at(bench.steered)
        asked = [prompts[k % len(prompts)].replace("{activity}", one["text"]) for k, one in enumerate(chosen)]
        fed = [chat_tokens(bench.host, text) for text in asked]
        for name, dose in conditions:
            # The zero dose goes through the same hook.
            row = found.vectors[bench.vectors.index(words[0] if name == "zero" else name)]
            push = Add({bench.steered: row}, dose, {bench.steered: found.norm}, Select(special=True))
            replies = generate(bench.host, fed, Sampling(max_new_tokens=_LONGEST), interventions=(push,))
            for one, tokens, reply in zip(chosen, fed, replies, strict=True):
                yield {
                    "id": one["id"],
                    "category": one["category"],
                    "ids": tokens.ids.tolist(),
                    "name": name,
                    "strength": dose,
                    "reply": reply.text,
                    "kept": _kept(str(one["text"]), reply.text),
                    "repetition": repetition(reply.text),
                }

    return Block("descriptions", len(chosen) * len(conditions), make)


def _kept(activity: str, reply: str) -> float:
    """Share of the content words of an activity that a reply holds in some form."""
    wanted = {word[:_STEM] for word in _PLAIN.findall(activity.lower())}
    said = {word[:_STEM] for word in _PLAIN.findall(reply.lower())}
    return len(wanted & said) / len(wanted) if wanted else 1.0


def described(records: Sequence[Record], seed: int) -> tuple[list[Estimate], list[dict[str, Any]]]:
    """Content kept per condition as a table; kept at the largest dose as a figure."""
    conditions = list(dict.fromkeys((row["name"], row["strength"]) for row in records))
    table: list[dict[str, Any]] = []
    found: list[Estimate] = []
    for name, strength in conditions:
        mine = [row for row in records if (row["name"], row["strength"]) == (name, strength)]
        kept = np.asarray([row["kept"] for row in mine], np.float64)
        row = {
            "vector": name,
            "strength": strength,
            "content_kept": float(kept.mean()),
            "repetition": float(np.mean([one["repetition"] for one in mine])),
            "example": str(mine[0]["reply"])[:200],
        }
        table.append(row)
        if strength == max(_DOSES) and len(kept) > 1:
            found.append(
                estimate(
                    f"content words kept in descriptions under {name} {strength:+g}", bootstrap(kept, seed=seed),
                    control=f"without a dose {table[0]['content_kept']:.2f}",
                    paper="at .3 still the task but re-coloured, at .5 content partly lost",
                    note=f"repetition {row['repetition']:.2f}",
                )
            )  # fmt: skip
    return found, table
