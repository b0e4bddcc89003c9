"""An emotion that is felt and masked by another: is it represented, and as something of its own?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thymos.stats import bootstrap, paired_bootstrap
from thymos.studies.bench import Bench, Context
from thymos.studies.decisions import LEAST_RANDOMS
from thymos.studies.deflection_parts import (
    denial_blocks,
    denial_findings,
    prompt_findings,
    prompt_passages,
    space_block,
    space_findings,
)
from thymos.studies.passages import (
    NAMES,
    Passage,
    Script,
    directions_block,
    directions_of,
    named,
    places_block,
    rows_of,
)
from thymos.studies.probes import (
    Shuffles,
    accuracy,
    accuracy_test,
    centred_cosines,
    codes,
    cosines,
    group_splits,
    hits,
    lexical_scores,
    matching_test,
    mean_differences,
    ridge_smoother,
)
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.stimuli import load_stimuli, stimulus_sets
from thymos.studies.trials import Record, Records

__all__ = ["Deflection", "DeflectionSettings"]

_PROMPTS = "deflection_prompts"


@dataclass(frozen=True)
class DeflectionSettings(Settings):
    """Settings of `deflection`."""

    dialogues: int = option(240, "dialogues over all ordered pairs of felt and displayed emotion")
    folds: int = option(5, "folds of topics")
    permutations: int = option(2000, "shuffles of the felt emotions within displayed ones, each refitted")
    share: float = option(0.99, "share of the story vectors' variance whose components are removed")
    controls: int = option(200, "random directions, and shuffled vectors, beside the retained norm")
    questions: int = option(24, "dialogues behind which the felt emotion is asked for under doses; 0 for none")
    strength: float = option(0.2, "dose, as a fraction of the mean residual norm")
    randoms: int = option(LEAST_RANDOMS, "random directions of equal norm")

    @classmethod
    def quick(cls) -> "DeflectionSettings":
        """Half of the dialogues, ten questions."""
        return cls(dialogues=120, permutations=1000, questions=10)


class Deflection(Study):
    """Dialogues in which somebody feels one emotion and shows another."""

    name = "deflection"
    question = (
        "Is a felt but masked emotion represented on the lines that mask it, apart from the emotion's own vector?"
    )
    source = "Sofroniew et al. 2026, emotion deflection"
    settings = DeflectionSettings

    def blocks(self, bench: Bench, settings: DeflectionSettings) -> Blocks:
        """Dialogues, the space of the story vectors, prompts at the reply slot, and doses at a question."""
        told = load_stimuli("deflection", bench.world)[: settings.dialogues]
        concepts = tuple(sorted({one["target"] for one in told}))
        known = tuple(concept for concept in concepts if concept in bench.vectors)
        if known:
            yield directions_block(bench, "vectors", known)
        passages = [_passage(one) for one in told]
        records = yield places_block(bench, "dialogues", passages)
        targets, _ = families(records)
        yield space_block(bench, "space", concepts, (targets, rows_of(records, "own")), settings)
        if _PROMPTS in stimulus_sets(bench.world) and getattr(bench.host.tokenizer, "chat_template", None):
            yield places_block(bench, "prompts", prompt_passages(load_stimuli(_PROMPTS, bench.world)))
        if bench.host.kind == "decoder" and settings.questions:
            yield from denial_blocks(bench, settings, passages, dict(zip(concepts, targets, strict=True)))

    def analyse(self, records: Records, context: Context, settings: DeflectionSettings) -> Findings:
        """Accuracy of both families beside words, relation to the story vectors, prompts, and doses."""
        read = _Read(records["dialogues"], settings, context)
        estimates = [*_reading(read, context)]
        if "vectors" in records:
            estimates += _story(read, records["vectors"])
        estimates += space_findings(records["space"], context)
        tables: dict[str, list[dict[str, Any]]] = {"story space": _space_table(records["space"])}
        remarks = []
        if "prompts" in records:
            told, tables["prompts"] = prompt_findings(
                records["prompts"], read.concepts, families(read.block)[0], context
            )
            estimates += told
        else:
            remarks.append(
                f"the groups of prompts were left out: the model has no chat template, or there is no set {_PROMPTS!r}"
            )
        told, refusals = denial_findings(records, context, settings)
        return Findings((*estimates, *told), tables, tuple(refusals), tuple(remarks))


def _passage(one: Mapping[str, Any]) -> Passage:
    names = tuple(one.get("names", NAMES))
    script = Script()
    script.say(named(one["preamble"], names))
    for turn in one["turns"]:
        mine = turn["speaker"] == "N"
        script.line(names[0 if mine else 1], named(turn["text"], names), "own" if mine else "partner")
    own = " ".join(named(turn["text"], names) for turn in one["turns"] if turn["speaker"] == "N")
    meta = {
        "target": one["target"], "displayed": one["displayed"], "topic": one["topic"], "own": own, "name": names[0],
    }  # fmt: skip
    return script.passage(one["id"], meta)


def families(
    block: Sequence[Record],
) -> tuple[Float[np.ndarray, "classes hidden"], Float[np.ndarray, "classes hidden"]]:
    """Mean differences of the bearer's lines by felt (deflection) and by displayed emotion, emotions in order."""
    classes = sorted({record["meta"]["target"] for record in block})
    rows = rows_of(block, "own")
    made = [
        mean_differences(rows, codes([record["meta"][key] for record in block], classes), len(classes))
        for key in ("target", "displayed")
    ]
    return made[0], made[1]


class _Read:
    """Rows and labels of the dialogues."""

    def __init__(self, block: Sequence[Record], settings: DeflectionSettings, context: Context) -> None:
        metas = [record["meta"] for record in block]
        self.block, self.settings, self.seed = block, settings, context.seed
        self.concepts = tuple(sorted({meta["target"] for meta in metas}))
        self.n = len(self.concepts)
        self.target = codes([meta["target"] for meta in metas], self.concepts)
        self.displayed = codes([meta["displayed"] for meta in metas], self.concepts)
        self.rows = rows_of(block, "own")
        self.own = [meta["own"] for meta in metas]
        self.whole = [record["text"] for record in block]
        self.splits = group_splits([meta["topic"] for meta in metas], settings.folds, context.seed)
        self.smoother = ridge_smoother(self.rows, self.splits)

    def words(self, texts: Sequence[str], labels: Int[np.ndarray, " items"]) -> Float[np.ndarray, " items"]:
        """Held-out hits of the word baseline."""
        return hits(lexical_scores(texts, labels, self.n, self.splits), labels)


def _reading(read: _Read, context: Context) -> list[Estimate]:
    told = []
    for name, labels, other, chance in (
        ("felt", read.target, read.displayed, 1 / (read.n - 1)),
        ("displayed", read.displayed, read.target, 1 / (read.n - 1)),
    ):
        found = accuracy(read.smoother, labels, read.n)
        # Felt and displayed are never the same, so each is shuffled among the dialogues that share the other.
        shuffles = Shuffles(read.settings.permutations, read.seed, within=other)
        test = accuracy_test([read.smoother], [labels], read.n, shuffles)
        own, whole = read.words(read.own, labels), read.words(read.whole, labels)
        told.append(
            estimate(
                f"{name} emotion on the bearer's lines, accuracy",
                bootstrap(found, seed=read.seed),
                p=test.p,
                chance=chance,
                primary=name == "felt",
                truth="planted" if context.planted else "",
                control=f"own lines by words {own.mean():.3f}, whole text by words {whole.mean():.3f}; shuffled, "
                f"refitted: 95% below {np.quantile(test.null, 0.95):.3f}",
                note=f"activations minus words of own lines {paired_bootstrap(found, own, seed=read.seed)}, of the "
                f"whole text {paired_bootstrap(found, whole, seed=read.seed)}; held out by topic",
            )  # fmt: skip
        )
    return told


def _story(read: _Read, records: Sequence[Record]) -> list[Estimate]:
    concepts = [record["concept"] for record in records]
    if len(concepts) < 2:
        return []
    story = directions_of(records)
    mine = np.asarray([read.concepts.index(concept) for concept in concepts])
    told = []
    for family, what, paper in zip(
        families(read.block), ("felt (deflection)", "displayed"), ("very low (figure only)", ""), strict=True
    ):
        test = matching_test(cosines(family[mine], story), read.settings.permutations, read.seed)
        low, high = np.quantile(test.null, [0.025, 0.975])
        told.append(
            estimate(
                f"vectors by {what} emotion and story vectors, cosine",
                test.statistic,
                n=len(concepts),
                p=test.p,
                paper=paper,
                chance=float(test.null.mean()),
                control=f"other emotions, 95%: {low:+.3f} to {high:+.3f}",
            )  # fmt: skip
        )
    kept = np.isin(read.target, mine) & np.isin(read.displayed, mine)
    if kept.sum() < 2:
        return told
    back = {int(place): number for number, place in enumerate(mine)}
    scores = centred_cosines(read.rows[kept], story)
    felt, shown = (np.asarray([back[int(n)] for n in labels[kept]]) for labels in (read.target, read.displayed))
    places = np.arange(len(scores))
    above = (scores[places, shown] > scores[places, felt]).astype(np.float64)
    told.append(
        estimate(
            "story vectors on the bearer's lines: displayed above felt",
            bootstrap(above, seed=read.seed),
            chance=0.5,
            paper="deflection goes with the displayed emotion's story vectors",
        )  # fmt: skip
    )
    return told


def _space_table(block: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "felt": record["concept"], "retained norm": record["retained"], "own word, percentile": record["own"],
            "raised tokens": record["tokens"],
        }
        for record in block
        if "concept" in record
    ]  # fmt: skip
