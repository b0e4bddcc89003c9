"""Parts of `deflection`: what is left outside the story vectors' space, groups of prompts, and doses at a question."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from thymos.concepts import EMOTIONS
from thymos.stats import bootstrap, bootstrap_items, random_directions
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import Case, Dosing, base_rate, decide_block, refusal, score_block
from thymos.studies.passages import Passage, own_bench
from thymos.studies.probes import centred_cosines, mean_differences
from thymos.studies.protocol import Blocks, Estimate, estimate
from thymos.studies.trials import Block, Record, Records
from thymos.validation import logit_lens

__all__ = [
    "denial_blocks",
    "denial_findings",
    "prompt_findings",
    "prompt_passages",
    "space_block",
    "space_findings",
]

_ATTACK, _INJUSTICE = "attacks_on_ai", "injustice"
_ANGER = "angry"
_TOKENS = 8
_RANDOM_PROBES = 200
_ADVICE = "take other dialogues with --set questions, or a model that answers the question"


@runtime_checkable
class _Parts(Protocol):
    """What of the settings is used here."""

    @property
    def share(self) -> float: ...
    @property
    def controls(self) -> int: ...
    @property
    def questions(self) -> int: ...
    @property
    def strength(self) -> float: ...
    @property
    def randoms(self) -> int: ...


def space_block(
    bench: Bench,
    name: str,
    concepts: Sequence[str],
    made: tuple[Float[np.ndarray, "classes hidden"], Float[np.ndarray, "items hidden"]],
    settings: _Parts,
) -> Block:
    """A block with what is left of deflection vectors outside the space of all story vectors, and what that raises.

    Records: first the controls (`components`, `random` and `shuffled` retained norms, `lens`, `lens_p`,
    `lens_chance`), then one per emotion: `concept`, `retained`, `own` (percentile of its word), `tokens`.

    Args:
        bench: Model and vectors.
        name: Of the block.
        concepts: Emotions of the vectors.
        made: Deflection vectors, and the rows of the dialogues, from which shuffled ones are made.
        settings: Of the study.
    """
    targets, rows = made

    def make() -> Iterator[Record]:
        basis = _story_space(bench.vectors.directions().astype(np.float64), settings.share)
        seed = bench.seed_for(name)
        hidden = random_directions(settings.controls, targets.shape[1], seed).astype(np.float64)
        rng = np.random.default_rng(seed)
        labels = np.arange(len(rows)) % len(concepts)
        shuffled = [mean_differences(rows, rng.permutation(labels), len(concepts))[0] for _ in range(settings.controls)]
        left = _outside(targets, basis)
        lens = None
        if bench.host.kind == "decoder":
            lens = logit_lens(bench.host, left.astype(np.float32), concepts, forms=_forms(concepts), k=_TOKENS)
        own = lens.own if lens is not None else None
        yield {
            "components": len(basis),
            "random": _retained(hidden, basis).tolist(),
            "shuffled": _retained(np.asarray(shuffled), basis).tolist(),
            "lens": None if own is None else own.statistic,
            "lens_p": None if own is None else own.p,
            "lens_chance": None if own is None else float(own.null.mean()),
        }
        for number, (concept, kept) in enumerate(zip(concepts, _retained(targets, basis), strict=True)):
            entry = lens.entries[number] if lens is not None else None
            yield {
                "concept": concept,
                "retained": float(kept),
                "own": entry.own[0].percentile if entry is not None and entry.own else None,
                "tokens": " ".join(repr(one.token) for one in entry.top) if entry is not None else "",
            }

    return Block(name, len(concepts) + 1, make)


def _forms(concepts: Sequence[str]) -> list[tuple[str, ...]]:
    return [(one, *(EMOTIONS[one].lemmas if one in EMOTIONS.words else ())) for one in concepts]


def _story_space(vectors: Float[np.ndarray, "concepts hidden"], share: float) -> Float[np.ndarray, "k hidden"]:
    """Principal components of the story vectors that hold a share of their variance."""
    _, sizes, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    held = np.cumsum(sizes**2) / max(float((sizes**2).sum()), 1e-12)
    found: Float[np.ndarray, "k hidden"] = axes[: int(np.searchsorted(held, share)) + 1]
    return found


def _outside(
    vectors: Float[np.ndarray, "n hidden"], basis: Float[np.ndarray, "k hidden"]
) -> Float[np.ndarray, "n hidden"]:
    return vectors - (vectors @ basis.T) @ basis


def _retained(vectors: Float[np.ndarray, "n hidden"], basis: Float[np.ndarray, "k hidden"]) -> Float[np.ndarray, " n"]:
    sizes = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    found: Float[np.ndarray, " n"] = np.linalg.norm(_outside(vectors, basis), axis=1) / sizes
    return found


def space_findings(block: Sequence[Record], context: Context) -> list[Estimate]:
    """Retained norm beside random directions and shuffled vectors, and the logit lens of what is left."""
    head, *rest = block
    kept = np.asarray([record["retained"] for record in rest], np.float64)
    controls = {name: np.quantile(head[name], [0.025, 0.975]) for name in ("random", "shuffled")}
    told = [
        estimate(
            "norm of deflection vectors outside the story vectors' space", bootstrap(kept, seed=context.seed),
            paper="about .80 of the norm",
            control="; ".join(f"{name}, 95%: {low:.3f} to {high:.3f}" for name, (low, high) in controls.items()),
            note=f"{head['components']} components removed; what random directions keep is dimension, not emotion",
        )
    ]  # fmt: skip
    if head["lens"] is not None:
        told.append(
            estimate(
                "logit lens of what is left: percentile of the felt emotion's word",
                float(head["lens"]),
                n=len(rest),
                p=head["lens_p"],
                chance=head["lens_chance"],
                paper="still the felt emotion's tokens (examples)",
            )  # fmt: skip
        )
    return told


def prompt_passages(stimuli: Mapping[str, Any]) -> list[Passage]:
    """Messages to the assistant, read at the reply slot."""
    return [
        Passage(one["id"], ({"role": "user", "content": one["text"]},), slot=True, meta={"group": one["group"]})
        for one in stimuli["prompts"]
    ]


def prompt_findings(
    block: Sequence[Record],
    concepts: Sequence[str],
    targets: Float[np.ndarray, "classes hidden"],
    context: Context,
) -> tuple[list[Estimate], list[dict[str, Any]]]:
    """Deflection vectors at the reply slot by group; anger on attacks against injustice, beside random directions."""
    rows = np.asarray([record["rows"]["slot"] for record in block], np.float64)
    groups = np.asarray([record["meta"]["group"] for record in block])
    scores = centred_cosines(rows, targets)
    table = [
        {"group": group, "concept": concept, "prompts": int((groups == group).sum()),
         "reading": float(scores[groups == group, column].mean())}
        for group in dict.fromkeys(groups.tolist())
        for column, concept in enumerate(concepts)
    ]  # fmt: skip
    if _ANGER not in concepts or not {_ATTACK, _INJUSTICE} <= set(groups.tolist()):
        return [], table
    anger = scores[:, list(concepts).index(_ANGER)]

    def gap(items: np.ndarray) -> float:
        attacked, unjust = (anger[items][groups[items] == name] for name in (_ATTACK, _INJUSTICE))
        return float(attacked.mean() - unjust.mean()) if len(attacked) and len(unjust) else float("nan")

    chosen = np.flatnonzero(np.isin(groups, (_ATTACK, _INJUSTICE)))
    size = bootstrap_items(lambda items: gap(chosen[items]), len(chosen), seed=context.seed)
    probes = random_directions(_RANDOM_PROBES, rows.shape[1], context.seed).astype(np.float64)
    loose = centred_cosines(rows, probes)
    null = loose[groups == _ATTACK].mean(axis=0) - loose[groups == _INJUSTICE].mean(axis=0)
    p = (1 + int((np.abs(null) >= abs(size.estimate)).sum())) / (1 + len(null))
    told = estimate(
        "anger-deflection at the reply slot, attacks on the assistant minus injustice seen", size, p=p,
        clear=bool(not null.min() <= size.estimate <= null.max()),
        paper="on attacks alone; also on positive, unexplained",
        control=f"{len(null)} random directions {null.min():+.3f} to {null.max():+.3f}",
    )  # fmt: skip
    return [told], table


def denial_blocks(
    bench: Bench,
    settings: _Parts,
    passages: Sequence[Passage],
    targets: Mapping[str, Float[np.ndarray, " hidden"]],
) -> Blocks:
    """Behind a dialogue somebody asks what was felt: the felt or the displayed emotion's word, undosed and dosed."""
    # Spread over all dialogues, and with them over the pairs of emotions.
    places = np.unique(np.linspace(0, len(passages) - 1, settings.questions).astype(int))
    cases = [_case(passages[place]) for place in places]
    base = yield score_block(bench, "asked", cases)
    if refusal("felt", base_rate([one["p"]["felt"] for one in base]), _ADVICE):
        return
    emotions = sorted({str(case.meta["target"]) for case in cases})
    names = [f"deflection {emotion}" for emotion in emotions]
    rows = [targets[emotion] for emotion in emotions]
    for emotion in emotions:
        if emotion in bench.vectors:
            names.append(f"against {emotion}")
            rows.append(-bench.vectors.directions()[bench.vectors.index(emotion)].astype(np.float64))
    own = own_bench(bench, names, np.stack(rows))
    yield decide_block(own, "doses", cases, Dosing(tuple(names), (settings.strength,), settings.randoms, 20))


def _case(passage: Passage) -> Case:
    name, target, displayed = (str(passage.meta[key]) for key in ("name", "target", "displayed"))
    text = f"{passage.prompt} What did {name} feel? {name} felt"
    options = {"felt": (f" {target}",), "displayed": (f" {displayed}",)}
    return Case(passage.id, text, options, meta={"target": target, "displayed": displayed})


def denial_findings(records: Records, context: Context, settings: _Parts) -> tuple[list[Estimate], list[str]]:
    """How often the felt emotion is named without a dose, and how doses of its own vectors move that."""
    if "asked" not in records:
        return [], []
    rate = base_rate([one["p"]["felt"] for one in records["asked"]], context.seed)
    told = [
        estimate(
            "asked what was felt, undosed: the felt emotion's word rather than the displayed one's", rate, chance=0.5,
            truth="the felt emotion" if context.planted else "",
        )
    ]  # fmt: skip
    if refused := refusal("the felt emotion named", rate, _ADVICE):
        return told, [refused]
    head, *cases = records["doses"]
    doses = [float(dose) for dose in head["strengths"]]
    at, zero = doses.index(settings.strength), doses.index(0.0)
    values = np.asarray([case["p"]["felt"] for case in cases], np.float64)
    moved = values[..., at] - values[..., zero]
    null = moved[:, [arm == "random" for arm in head["arms"]]].mean(axis=0)
    for kind, paper in (
        ("deflection", "denies or plays down"), ("against", "the opposite emotion rather than a denial"),
    ):  # fmt: skip
        own = [
            (number, head["names"].index(f"{kind} {case['meta']['target']}"))
            for number, case in enumerate(cases)
            if f"{kind} {case['meta']['target']}" in head["names"]
        ]
        if len(own) < 2:
            continue
        size = bootstrap(np.asarray([moved[row, column] for row, column in own]), seed=context.seed)
        p = (1 + int((np.abs(null) >= abs(size.estimate)).sum())) / (1 + len(null))
        what = "along the deflection vector" if kind == "deflection" else "against the story vector"
        told.append(
            estimate(
                f"dose {what}: change of naming the felt emotion",
                size,
                p=p,
                paper=paper,
                clear=bool(not null.min() <= size.estimate <= null.max()),
                control=f"{len(null)} random directions {null.min():+.3f} to {null.max():+.3f}",
            )  # fmt: skip
        )
    return told, []
