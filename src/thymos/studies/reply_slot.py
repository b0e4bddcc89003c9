"""Is what is read where the reply begins the user's feeling, or the one the reply will have?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thymos.models import Probe, Sampling, Tokens, generate
from thymos.stats import Interval, bootstrap, bootstrap_items, permutation_test
from thymos.studies.bench import Bench, Context
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.readouts import Probes, known_of, probes_of, rounded, told_against
from thymos.studies.slots import REPLY, Item, slots_of, tokens_of
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Block, Record, Records

__all__ = ["ReplySlot", "ReplySlotSettings"]

_USER, _SLOT, _RESPONSE = "user end", REPLY, "response"
_PAPER = {(_USER, _SLOT): ".11", (_SLOT, _RESPONSE): ".87", (_USER, _RESPONSE): ".59"}
_OPEN = "replications on open models: .63 to .77 from user turn to slot, .77 from slot to response"
_ROWS_AT_ONCE = 16

Points = Float[np.ndarray, "prompts probes"]


@dataclass(frozen=True)
class ReplySlotSettings(Settings):
    """Settings of `reply-slot`."""

    prompts: int = option(60, "messages whose tone and apt reply differ")
    concepts: tuple[str, ...] = option(
        ("afraid", "angry", "sad", "calm", "happy", "loving"), "concepts that are read; the paper's six"
    )
    caring: tuple[str, ...] = option(
        ("loving", "compassionate", "sympathetic", "kind"), "concepts of a caring reply to a user in pain"
    )
    tokens: int = option(20, "tokens of every reply")
    replies: int = option(4, "replies per message")
    temperature: float = option(1.0, "of the replies")
    randoms: int = option(200, "random directions in place of the vectors")
    permutations: int = option(4000, "shuffles of prompts")
    mark: float = option(0.3, "pass mark of r between reply slot and response, probe means removed")

    @classmethod
    def quick(cls) -> "ReplySlotSettings":
        """Two replies per message."""
        return cls(prompts=48, replies=2, permutations=2000)


class ReplySlot(Study):
    """The user's last token, every token of the template, the reply slot, and the reply the model then writes."""

    name = "reply-slot"
    question = "Does the reply slot hold the feeling of the reply to come rather than the one of the user's message?"
    source = "Sofroniew et al. 2026, user turn against the Assistant colon (Table 3)"
    settings = ReplySlotSettings
    needs = frozenset({"decoder", "chat"})

    def blocks(self, bench: Bench, settings: ReplySlotSettings) -> Blocks:
        """Readings of the prompts, then replies that are read while they are written."""
        told = load_stimuli("reply_slot", bench.world)[: settings.prompts]
        concepts = known_of(bench, (*settings.concepts, *settings.caring))
        probes = probes_of(bench, "controls", concepts, randoms=settings.randoms)
        items = [_item(one) for one in told]
        yield _prompt_block(bench, items, probes)
        yield _reply_block(bench, items, probes, settings)

    def analyse(self, records: Records, context: Context, settings: ReplySlotSettings) -> Findings:
        """Correlations between the three places, raw and with probe means removed; the caring concepts."""
        rows = records["prompts"]
        replies, silent = _responses(rows, records["replies"])
        estimates = [*_correlations(rows, replies, settings, context), *_care(rows, settings, context)]
        tables = {"template": _template(rows, settings), "points": _points(rows, replies, settings)}
        remarks = [f"{silent} of {len(rows)} prompts got no reply of even one token and are left out"] if silent else []
        return Findings(tuple(estimates), {**tables, "layers": _by_layer(rows, settings)}, (), tuple(remarks))


def _item(one: Mapping[str, Any]) -> Item:
    meta = {"user_tone": one["user_tone"], "apt_tone": one["apt_tone"], "caring": bool(one["caring"])}
    return Item(one["id"], ({"role": "user", "content": one["text"]},), meta)


def _prompt_block(bench: Bench, items: Sequence[Item], probes: Probes) -> Block:
    """Records: `id`, `text`, `ids`, `meta`, `concepts`, and cosines with concepts and random directions.

    `user`, `user end` and `reply` hold [concepts + random directions] at the chosen layer; `template` the token strings
    and cosines from the user's last token on; `profile` the cosines of `user end` and `reply` at every layer.
    """

    def make() -> Iterator[Record]:
        for item in items:
            tokens = tokens_of(bench.host, item)
            scores, controls = probes.read(bench.host, tokens)
            chosen = np.concatenate([scores[probes.layers.index(probes.chosen)], controls], axis=1)
            slots = slots_of(tokens, item)
            masks = {name: slots[name].mask(tokens) for name in ("user", _USER, REPLY)}
            end = int(np.flatnonzero(masks[_USER])[0])
            found = {name: rounded(chosen[mask].mean(axis=0)) for name, mask in masks.items()}
            yield {
                **{"id": item.id, "text": tokens.text, "ids": tokens.ids.tolist(), "meta": dict(item.meta)},
                **{"concepts": probes.concepts, "layer": probes.chosen, "layers": probes.layers},
                **found,
                "template": [
                    {"token": bench.host.tokenizer.decode([int(tokens.ids[at])]), "cosines": rounded(scores_at)}
                    for at, scores_at in enumerate(chosen[:, : len(probes.concepts)])
                    if at >= end
                ],
                "profile": {name: rounded(scores[:, masks[name]].mean(axis=1)) for name in (_USER, REPLY)},
            }

    return Block("prompts", len(items), make)


def _reply_block(bench: Bench, items: Sequence[Item], probes: Probes, settings: ReplySlotSettings) -> Block:
    """Records, one per reply: `id`, `number`, `reply`, `new_ids`, `finish`, `mean` over its tokens (null if none)."""
    probe = Probe({probes.chosen: probes.together})

    def make() -> Iterator[Record]:
        fed = [tokens_of(bench.host, item) for item in items]
        for number in range(settings.replies):
            for start in range(0, len(items), _ROWS_AT_ONCE):
                some = slice(start, start + _ROWS_AT_ONCE)
                seed = bench.seed_for("replies", str(number), str(start))
                how = Sampling(settings.tokens, temperature=settings.temperature, seed=seed)
                for item, prompt, one in zip(
                    items[some], fed[some], generate(bench.host, fed[some], how, probe=probe), strict=True
                ):
                    yield {
                        **{"id": item.id, "number": number, "reply": one.text, "new_ids": one.new_ids},
                        **{"finish": one.finish, "mean": _mean_of(one.scores, prompt)},
                    }

    return Block("replies", len(items) * settings.replies, make)


def _mean_of(scores: Float[np.ndarray, "fed layers probes"] | None, prompt: Tokens) -> list[float] | None:
    """Mean cosine over the tokens of the reply; the last one drawn never passes through the layers."""
    if scores is None or len(scores) <= len(prompt):
        return None
    found: list[float] = rounded(scores[len(prompt) :, 0].mean(axis=0))
    return found


def _responses(rows: Sequence[Record], replies: Sequence[Record]) -> tuple[list[np.ndarray | None], int]:
    """Mean over the replies of every prompt, in the order of the prompts; how many prompts have none."""
    by_id: dict[str, list[list[float]]] = {}
    for reply in replies:
        if reply["mean"] is not None:
            by_id.setdefault(reply["id"], []).append(reply["mean"])
    found = [np.asarray(by_id[row["id"]], np.float64).mean(axis=0) if row["id"] in by_id else None for row in rows]
    return found, sum(one is None for one in found)


def _columns(rows: Sequence[Record], wanted: Sequence[str]) -> list[int]:
    concepts = list(rows[0]["concepts"])
    return [concepts.index(concept) for concept in wanted if concept in concepts]


def _places(rows: Sequence[Record], replies: Sequence[np.ndarray | None]) -> dict[str, Points]:
    """Readings of the prompts that got a reply, at the three places; all concepts, then all random directions."""
    kept = [(row, reply) for row, reply in zip(rows, replies, strict=True) if reply is not None]
    return {
        _USER: np.asarray([row[_USER] for row, _ in kept], np.float64),
        _SLOT: np.asarray([row[_SLOT] for row, _ in kept], np.float64),
        _RESPONSE: np.asarray([reply for _, reply in kept], np.float64),
    }


def _r(one: Points, two: Points, *, centred: bool) -> float:
    """Pearson correlation over prompts x probes; NaN where nothing varies."""
    a, b = (values - values.mean(axis=0) if centred else values - values.mean() for values in (one, two))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / lengths) if lengths > 0 else float("nan")


def _interval(one: Points, two: Points, *, centred: bool, seed: int) -> Interval:
    """Over prompts: the probes of one prompt are not independent."""
    return bootstrap_items(lambda at: _r(one[at], two[at], centred=centred), len(one), seed=seed)


_LEAST_PROMPTS = 4


def _correlations(
    rows: Sequence[Record],
    replies: Sequence[np.ndarray | None],
    settings: ReplySlotSettings,
    context: Context,
) -> list[Estimate]:
    columns = _columns(rows, settings.concepts)
    if sum(reply is not None for reply in replies) < _LEAST_PROMPTS or len(columns) < 2:
        return []
    every = _places(rows, replies)
    own = {name: values[:, columns] for name, values in every.items()}
    sets = _random_sets(every[_USER].shape[1], len(rows[0]["concepts"]), len(columns), context.seed)
    found = []
    for first, second in ((_SLOT, _RESPONSE), (_USER, _SLOT), (_USER, _RESPONSE)):
        for centred in (True, False):
            seen = _interval(own[first], own[second], centred=centred, seed=context.seed)
            more: dict[str, Any] = {"n": len(own[first]), "paper": f"{_PAPER[first, second]} (raw)", "note": _OPEN}
            if centred:
                nulls = [_r(every[first][:, one], every[second][:, one], centred=True) for one in sets]
                more |= told_against(float(seen.estimate), {"sets of random directions": np.asarray(nulls)})
                more["p"] = _shuffled(own[first], own[second], settings, context)
            if centred and (first, second) == (_SLOT, _RESPONSE):
                # Neighbouring tokens are alike along any direction: the random sets are told, the claim is below.
                more |= {"side": "at least", "mark": settings.mark, "primary": True, "clear": None}
            how = "probe means removed" if centred else "raw"
            found.append(estimate(f"r({first}, {second}), {how}", seen, **more))
    return [*found, _gain(every, columns, sets, context)]


def _gain(
    every: Mapping[str, Points],
    columns: Sequence[int],
    sets: Sequence[Int[np.ndarray, " chosen"]],
    context: Context,
) -> Estimate:
    """How much closer the slot is to the response than the user's turn is."""

    def gain(at: Int[np.ndarray, " prompts"], chosen: Any) -> float:
        user, slot, reply = (every[name][at][:, chosen] for name in (_USER, _SLOT, _RESPONSE))
        return _r(slot, reply, centred=True) - _r(user, reply, centred=True)

    count = len(every[_USER])
    seen = bootstrap_items(lambda at: gain(at, list(columns)), count, seed=context.seed)
    whole = np.arange(count)
    nulls = np.asarray([gain(whole, one) for one in sets])
    return estimate(
        "r(reply, response) minus r(user end, response), probe means removed", seen, side="at least", mark=0.0,
        primary=True, paper=".28 (raw)", truth="the slot decides the reply" if context.planted else "",
        **told_against(float(seen.estimate), {"sets of random directions": nulls}),
    )  # fmt: skip


def _random_sets(probes: int, first: int, size: int, seed: int, draws: int = 200) -> list[Int[np.ndarray, " probes"]]:
    """Columns of random directions, as many as there are concepts; none where there are too few."""
    if probes - first < size:
        return []
    rng = np.random.default_rng(seed)
    return [first + rng.choice(probes - first, size, replace=False) for _ in range(draws)]


def _shuffled(one: Points, two: Points, settings: ReplySlotSettings, context: Context) -> float:
    """p-value against pairing every prompt with the other place of a random prompt."""
    a, b = one - one.mean(axis=0), two - two.mean(axis=0)
    products, whole = a @ b.T, np.arange(len(a))
    found = permutation_test(
        lambda order: float(products[whole, order].sum()),
        whole,
        permutations=settings.permutations,
        seed=context.seed,
    )
    return float(found.p)


def _care(rows: Sequence[Record], settings: ReplySlotSettings, context: Context) -> list[Estimate]:
    """Whether a user in pain raises the caring concepts at the slot more than in the user's own turn."""
    found: list[Estimate] = []
    every = {name: np.asarray([row[name] for row in rows], np.float64) for name in (_USER, _SLOT)}
    rise = every[_SLOT] - every[_USER]
    pained = np.asarray([row["meta"]["caring"] for row in rows], bool)
    columns = _columns(rows, settings.caring)
    if columns and 1 < int(pained.sum()) < len(pained) - 1:
        first = len(rows[0]["concepts"])
        planted = "a user in pain is answered with care" if context.planted else ""
        name = "caring concepts, reply slot minus user end: users in pain minus others"
        claim: dict[str, Any] = {"primary": True, "side": "at least", "mark": 0.0, "truth": planted}
        claim["paper"] = "raised for a sad user, no statistic"
        own = rise[:, columns].mean(axis=1)
        found.append(estimate(name, **_contrast(own, rise[:, first:], pained, (settings, context)), **claim))
        own = every[_SLOT][:, columns].mean(axis=1)
        told = _contrast(own, every[_SLOT][:, first:], pained, (settings, context))
        found.append(estimate("caring concepts, reply slot: users in pain minus others", **told))
    for concept in settings.concepts:
        for column in _columns(rows, (concept,)):
            paper = "raised everywhere" if concept == "loving" else ""
            more = bootstrap(rise[:, column], seed=context.seed)
            found.append(estimate(f"{concept}: reply slot minus user end, raw, all prompts", more, paper=paper))
    return found


def _contrast(
    own: Float[np.ndarray, " prompts"],
    controls: Float[np.ndarray, "prompts randoms"],
    pained: Bool[np.ndarray, " prompts"],
    about: tuple[ReplySlotSettings, Context],
) -> dict[str, Any]:
    """Users in pain minus others: value, p-value against shuffled prompts, and the same of random directions."""
    settings, context = about
    seen = bootstrap_items(lambda at: _gap(own[at], pained[at]), len(own), seed=context.seed)
    null = permutation_test(
        lambda flags: _gap(own, flags), pained, permutations=settings.permutations, seed=context.seed
    )
    randoms = np.asarray([_gap(column, pained) for column in controls.T])
    return {"value": seen, "p": float(null.p), **told_against(float(seen.estimate), {"random directions": randoms})}


def _gap(values: np.ndarray, flags: np.ndarray) -> float:
    if flags.all() or not flags.any():
        return float("nan")
    return float(values[flags].mean() - values[~flags].mean())


def _template(rows: Sequence[Record], settings: ReplySlotSettings) -> list[dict[str, Any]]:
    """Every token from the user's last to the slot: its correlation with both ends, probe means removed."""
    columns = _columns(rows, settings.concepts)
    count = min(len(row["template"]) for row in rows)
    if len(columns) < 2 or len(rows) < _LEAST_PROMPTS:
        return []
    places = [
        # Counted from the slot, so that place 0 is the slot in every prompt.
        np.asarray([row["template"][len(row["template"]) - count + at]["cosines"] for row in rows])[:, columns]
        for at in range(count)
    ]
    return [
        {
            "place": at - count + 1,
            "token": rows[0]["template"][len(rows[0]["template"]) - count + at]["token"],
            "r with user end": _finite(_r(places[0], values, centred=True)),
            "r with reply slot": _finite(_r(values, places[-1], centred=True)),
        }
        for at, values in enumerate(places)
    ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _by_layer(rows: Sequence[Record], settings: ReplySlotSettings) -> list[dict[str, Any]]:
    columns = _columns(rows, settings.concepts)
    found = []
    for at, layer in enumerate(rows[0]["layers"]):
        user, slot = (
            np.asarray([row["profile"][name][at] for row in rows], np.float64)[:, columns] for name in (_USER, _SLOT)
        )
        centred, raw = (_finite(_r(user, slot, centred=how)) for how in (True, False))
        found.append({"layer": int(layer), "r(user end, reply), probe means removed": centred, "raw": raw})
    return found


def _points(
    rows: Sequence[Record], replies: Sequence[np.ndarray | None], settings: ReplySlotSettings
) -> list[dict[str, Any]]:
    concepts = list(rows[0]["concepts"])
    return [
        {
            **{"prompt": row["id"], "user_tone": row["meta"]["user_tone"], "concept": concepts[column]},
            **{"user": row[_USER][column], "slot": row[_SLOT][column]},
            "response": None if reply is None else float(reply[column]),
        }
        for row, reply in zip(rows, replies, strict=True)
        for column in _columns(rows, settings.concepts)
    ]
