"""How far the inner reading and the outward expression part: a masking index for every reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from thymos.errors import UsageError
from thymos.stats import Interval, bootstrap, bootstrap_items, random_directions
from thymos.studies.bench import Bench, Context
from thymos.studies.passages import NAMES, Passage, Script, directions_block, directions_of, places_block
from thymos.studies.probes import Split, codes, cosines, group_splits, lexical_scores, ridge_smoother
from thymos.studies.protocol import Blocks, Estimate, Findings, Settings, Study, estimate, option
from thymos.studies.stimuli import load_stimuli
from thymos.studies.trials import Records

__all__ = ["Concealment", "ConcealmentSettings"]

_HIDDEN, _SINCERE, _SWAPPED, _OPEN = "hidden", "sincere", "swapped", "open"
_CONTEXTS = {_HIDDEN: "context", _SINCERE: "plain_context", _SWAPPED: "swapped_context", _OPEN: "context"}
_MEANING = {
    _SINCERE: "the same reply where nothing is hidden",
    _SWAPPED: "the same words with felt and pretended cause exchanged",
    _OPEN: "the same cause with a reply that shows it",
}
_READERS = ("story", "probe")
_MOST_WORDS = 0.65
"""Upper bound that a reader of the reply's words alone may reach; above it the stimuli give themselves away."""


@dataclass(frozen=True)
class ConcealmentSettings(Settings):
    """Settings of `concealment`."""

    scenes: int = option(168, "scenes, each with a twin in which the same reply is sincere")
    reader: str = option("story", "reader of the claim: story (concept vectors) or probe (trained on other settings)")
    folds: int = option(4, "folds of settings for the probe and the word baselines")
    mark: float = option(0.8, "pass mark of the AUROC of hidden against sincere")
    controls: int = option(1000, "random directions in place of the vectors, and shuffles of the probe's emotions")

    @classmethod
    def quick(cls) -> "ConcealmentSettings":
        """Half of the scenes."""
        return cls(scenes=84)


class Concealment(Study):
    """Inner reading (the reply in its context) minus expression (the reply's own words out of context)."""

    name = "concealment"
    question = "Does the inner reading minus the outward expression tell hidden states from sincere replies?"
    source = "new; method after Sofroniew et al. 2026 (deflection, reading on tokens of a reply)"
    settings = ConcealmentSettings

    def blocks(self, bench: Bench, settings: ConcealmentSettings) -> Blocks:
        """Every reply in every context, and alone."""
        if settings.reader not in _READERS:
            raise UsageError(f"unknown reader {settings.reader!r}; valid: {', '.join(_READERS)}")
        scenes = load_stimuli("concealment", bench.world)[: settings.scenes]
        concepts = bench.known(tuple(sorted({one["emotion"] for one in scenes})))
        scenes = [one for one in scenes if one["emotion"] in concepts]
        chat = bool(getattr(bench.host.tokenizer, "chat_template", None))
        yield directions_block(bench, "vectors", concepts)
        inner = [_inner(one, kind, chat=chat) for one in scenes for kind in _kinds(one)]
        yield places_block(bench, "inner", inner)
        yield places_block(bench, "expression", [passage for one in scenes for passage in _alone(one)])

    def analyse(self, records: Records, context: Context, settings: ConcealmentSettings) -> Findings:
        """AUROC of the index for every contrast, beside words of the reply and of the whole conversation."""
        scenes = _Scenes(records, settings, context)
        estimates: list[Estimate] = []
        readers = (settings.reader, *(name for name in _READERS if name != settings.reader))
        for number, reader in enumerate(readers):
            index, nulls = scenes.index(reader), _nulls(scenes, reader)
            estimates += [_contrast(scenes, reader, kind, index, nulls) for kind in scenes.contrasts]
            if number == 0:
                estimates += _shift(scenes, index)
                table, turns = _table(scenes, index), _turns(scenes)
        tables = {"masking index": table, "masking index by turn": turns}
        remarks = (
            "The index knows which emotion to look for; the blind one takes the concept in which inner reading and "
            "expression part most.",
            "Readings are standardised over the battery, inner ones and expressions apart, before the difference.",
        )
        return Findings(tuple(estimates), tables, remarks=remarks)


def _spoken(one: Mapping[str, Any], kind: str) -> list[dict[str, str]]:
    """Turns of a scene: role and text."""
    if kind == _OPEN:
        return list(one.get("open_turns") or [_turn("user", one["user"]), _turn("assistant", one["open_reply"])])
    return list(one.get("turns") or [_turn("user", one["user"]), _turn("assistant", one["reply"])])


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "text": text}


def _kinds(one: Mapping[str, Any]) -> list[str]:
    return [kind for kind, key in _CONTEXTS.items() if one.get(key)]


def _lines(one: Mapping[str, Any], kind: str) -> list[str]:
    return [turn["text"] for turn in _spoken(one, kind) if turn["role"] == "assistant"]


def _inner(one: Mapping[str, Any], kind: str, *, chat: bool) -> Passage:
    """The reply in a context; the places "0", "1", ... are its turns."""
    context, turns = one[_CONTEXTS[kind]], _spoken(one, kind)
    meta = {
        "scene": one["id"], "kind": kind, "emotion": one["emotion"], "shown": one["shown"], "setting": one["setting"],
        "reply": " ".join(_lines(one, kind)),
    }  # fmt: skip
    name = f"{one['id']}/{kind}"
    if one.get("form") == "text" or not chat:
        names = tuple(one.get("names", NAMES))
        script, at = Script().say(context), 0
        for turn in turns:
            if turn["role"] == "assistant":
                script.line(names[0], turn["text"], str(at))
                at += 1
            else:
                script.line(names[1], turn["text"])
        return script.passage(name, meta)
    # The context opens the user's message: not every chat template takes a system prompt.
    first = {"role": "user", "content": f"{context}\n\n{turns[0]['text']}"}
    messages = (first, *({"role": turn["role"], "content": turn["text"]} for turn in turns[1:]))
    own = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    return Passage(name, messages, turns={str(at): (number,) for at, number in enumerate(own)}, meta=meta)


def _alone(one: Mapping[str, Any]) -> list[Passage]:
    """Every turn of both replies, out of context, behind a name that keeps the text's first tokens out of it."""
    name = one.get("names", NAMES)[0]
    return [
        Script()
        .line(name, line, "words")
        .passage(f"{one['id']}/{kind}/{at}", {"scene": one["id"], "reply": kind, "turn": at})
        for kind in (_HIDDEN, _OPEN)
        for at, line in enumerate(_lines(one, kind))
    ]


class _Scenes:
    """Rows of all replies, one row per scene, kind and turn, with the row of the same words alone."""

    def __init__(self, records: Records, settings: ConcealmentSettings, context: Context) -> None:
        self.settings, self.seed, self.planted = settings, context.seed, context.planted
        self.concepts = tuple(record["concept"] for record in records["vectors"])
        self.story = directions_of(records["vectors"])
        alone = {_key(record["meta"]): np.asarray(record["rows"]["words"]) for record in records["expression"]}
        self.metas: list[Mapping[str, Any]] = []
        self.turns: list[int] = []
        inner, words, self.whole = [], [], []
        for record in records["inner"]:
            meta = record["meta"]
            for turn, row in record["rows"].items():
                reply = _OPEN if meta["kind"] == _OPEN else _HIDDEN
                inner.append(row)
                words.append(alone[meta["scene"], reply, int(turn)])
                self.metas.append(meta)
                self.turns.append(int(turn))
            self.whole.append(record["text"])
        self.inner, self.alone = np.asarray(inner, np.float64), np.asarray(words, np.float64)
        self.each = [record["meta"] for record in records["inner"]]
        self.kinds = np.asarray([meta["kind"] for meta in self.each])
        self.names = list(dict.fromkeys(meta["scene"] for meta in self.each))
        self.contrasts = [kind for kind in _MEANING if kind in set(self.kinds.tolist())]
        place = {(meta["scene"], meta["kind"]): number for number, meta in enumerate(self.each)}
        self.owner = np.asarray([place[meta["scene"], meta["kind"]] for meta in self.metas])
        self.target = codes([meta["emotion"] for meta in self.each], self.concepts)
        self.splits = group_splits([meta["setting"] for meta in self.each], settings.folds, context.seed)

    def index(self, reader: str) -> Float[np.ndarray, "replies concepts"]:
        """The masking index of every reply and concept, the mean over its turns."""
        return self.by_reply(self.by_turn(reader))

    def by_turn(self, reader: str) -> Float[np.ndarray, "turns concepts"]:
        """The masking index of every turn."""
        if reader == "story":
            return self.directed(self.story)
        return self.trained(self.target)

    def by_reply(self, values: Float[np.ndarray, "turns concepts"]) -> Float[np.ndarray, "replies concepts"]:
        """Means over the turns of a reply."""
        found: Float[np.ndarray, "replies concepts"] = self._averaging @ values
        return found

    def directed(self, directions: Float[np.ndarray, "concepts hidden"]) -> Float[np.ndarray, "turns concepts"]:
        """Inner minus expressed reading along some directions."""
        inner, alone = (cosines(rows - rows.mean(axis=0), directions) for rows in (self.inner, self.alone))
        return _standard(inner) - _standard(alone)

    def trained(self, target: np.ndarray) -> Float[np.ndarray, "turns concepts"]:
        """Inner minus expressed scores of a probe of what is felt, trained on hidden and open replies elsewhere."""
        scores = self._smoother @ np.eye(len(self.concepts))[np.concatenate([target[self.owner]] * 2)]
        half = len(self.owner)
        return _standard(scores[:half]) - _standard(scores[half:])

    @cached_property
    def _averaging(self) -> Float[np.ndarray, "replies turns"]:
        own = np.arange(len(self.each))[:, None] == self.owner
        return own / own.sum(axis=1, keepdims=True)

    @cached_property
    def _smoother(self) -> Float[np.ndarray, "rows rows"]:
        half = len(self.owner)
        felt = np.isin(self.kinds[self.owner], (_HIDDEN, _OPEN))
        splits = []
        for train, test in self.splits:
            known = np.flatnonzero(np.isin(self.owner, train) & felt)
            new = np.flatnonzero(np.isin(self.owner, test))
            splits.append((known, np.concatenate([new, new + half])))
        return ridge_smoother(np.concatenate([self.inner, self.alone]), splits)

    @cached_property
    def words(self) -> dict[str, tuple[Interval, Interval]]:
        """Per contrast: AUROC of the word baselines on the reply, and on the whole conversation."""
        replies = [meta["reply"] for meta in self.each]
        return {kind: (_words(self, kind, replies), _words(self, kind, self.whole)) for kind in self.contrasts}

    def of(self, values: Float[np.ndarray, " replies"], kind: str) -> Float[np.ndarray, " scenes"]:
        """One value per scene, in the order of the scenes."""
        found = {meta["scene"]: value for meta, value in zip(self.each, values, strict=True) if meta["kind"] == kind}
        return np.asarray([found[name] for name in self.names], np.float64)

    def felt(self, values: Float[np.ndarray, "replies concepts"]) -> Float[np.ndarray, " replies"]:
        """The value of the concept that is felt in the hidden version of each scene."""
        return values[np.arange(len(values)), self.target]


def _key(meta: Mapping[str, Any]) -> tuple[str, str, int]:
    return meta["scene"], meta["reply"], int(meta["turn"])


def _standard(values: Float[np.ndarray, "rows concepts"]) -> Float[np.ndarray, "rows concepts"]:
    spread = values.std(axis=0)
    found: Float[np.ndarray, "rows concepts"] = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return found


def _area(above: Float[np.ndarray, " scenes"], below: Float[np.ndarray, " scenes"]) -> float:
    """Chance that a hidden reply scores above one of the contrast; ties count half."""
    return float((above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean())


def _areas(above: Float[np.ndarray, " scenes"], below: Float[np.ndarray, " scenes"], seed: int) -> Interval:
    """The same with an interval: a scene's two replies are drawn together."""
    return bootstrap_items(lambda items: _area(above[items], below[items]), len(above), resamples=1000, seed=seed)


def _contrast(
    scenes: _Scenes,
    reader: str,
    kind: str,
    index: Float[np.ndarray, "replies concepts"],
    nulls: Mapping[str, Float[np.ndarray, " controls"]],
) -> Estimate:
    primary = reader == scenes.settings.reader and kind == _SINCERE
    felt = scenes.felt(index)
    area = _areas(scenes.of(felt, _HIDDEN), scenes.of(felt, kind), scenes.seed)
    top = index.max(axis=1)
    blind = _areas(scenes.of(top, _HIDDEN), scenes.of(top, kind), scenes.seed)
    reply, whole = scenes.words[kind]
    null = nulls[kind]
    p = (1 + int((null >= area.estimate).sum())) / (1 + len(null))
    what = "random directions" if reader == "story" else "shuffled emotions, refitted"
    mark: dict[str, Any] = {"side": "at least", "mark": scenes.settings.mark, "primary": True} if primary else {}
    silent = reply.high < _MOST_WORDS
    return estimate(
        f"{reader} index of the felt emotion: hidden against {_MEANING[kind]}, AUROC", area, chance=0.5, p=p,
        clear=bool(area.estimate > null.max() and area.low > 0.5 and silent),
        truth="hidden and sincere are planted" if scenes.planted and kind != _OPEN else "",
        control=f"words of the reply {reply}; words of the whole conversation {whole}; {len(null)} {what} at most "
        f"{null.max():.3f}",
        note=f"blind index {blind}; word baselines held out by setting, the better of one for hiding and one for the "
        "felt emotion" + ("" if silent else "; the words of the reply give it away"),
        **mark,
    )  # fmt: skip


def _words(scenes: _Scenes, kind: str, texts: Sequence[str]) -> Interval:
    """The better of two word baselines: is something hidden, and is it the emotion that is asked for."""
    chosen = np.isin(scenes.kinds, (_HIDDEN, kind))
    kept = np.flatnonzero(chosen)
    back = {int(number): place for place, number in enumerate(kept)}
    splits: list[Split] = []
    for train, test in scenes.splits:
        train, test = (np.asarray([back[int(n)] for n in part if int(n) in back], np.int64) for part in (train, test))
        splits.append((train, test))
    some = [texts[int(number)] for number in kept]
    hiding = (scenes.kinds[kept] == _HIDDEN).astype(np.int64)
    found = []
    for scores in (
        lexical_scores(some, hiding, 2, splits)[:, 1],
        lexical_scores(some, scenes.target[kept], len(scenes.concepts), splits)[
            np.arange(len(kept)), scenes.target[kept]
        ],
    ):
        spread = np.zeros(len(scenes.each))
        spread[kept] = scores
        found.append(_areas(scenes.of(spread, _HIDDEN), scenes.of(spread, kind), scenes.seed))
    return max(found, key=lambda interval: interval.estimate)


def _nulls(scenes: _Scenes, reader: str) -> dict[str, Float[np.ndarray, " controls"]]:
    """Per contrast: the AUROC with random directions for the concepts, or with a probe of shuffled emotions."""
    rng = np.random.default_rng(scenes.seed)
    felt = {meta["scene"]: label for meta, label in zip(scenes.each, scenes.target, strict=True)}
    found: dict[str, list[float]] = {kind: [] for kind in scenes.contrasts}
    for number in range(scenes.settings.controls):
        if reader == "story":
            drawn = random_directions(len(scenes.concepts), scenes.inner.shape[1], scenes.seed + number)
            values = scenes.directed(drawn.astype(np.float64))
        else:
            # The emotions of scenes, not of single replies: a scene's versions stay together.
            moved = dict(zip(scenes.names, rng.permutation([felt[name] for name in scenes.names]), strict=True))
            values = scenes.trained(np.asarray([moved[meta["scene"]] for meta in scenes.each]))
        index = scenes.felt(scenes.by_reply(values))
        for kind, areas in found.items():
            areas.append(_area(scenes.of(index, _HIDDEN), scenes.of(index, kind)))
    return {kind: np.asarray(areas, np.float64) for kind, areas in found.items()}


def _shift(scenes: _Scenes, index: Float[np.ndarray, "replies concepts"]) -> list[Estimate]:
    felt = scenes.felt(index)
    return [
        estimate(
            f"masking index of the felt emotion, {kind} replies (standard deviations)",
            bootstrap(scenes.of(felt, kind), seed=scenes.seed),
        )
        for kind in (_HIDDEN, *scenes.contrasts)
    ]


def _table(scenes: _Scenes, index: Float[np.ndarray, "replies concepts"]) -> list[dict[str, Any]]:
    felt, most = scenes.felt(index), index.argmax(axis=1)
    return [
        {
            "scene": meta["scene"], "kind": meta["kind"], "felt": meta["emotion"], "shown": meta["shown"],
            "index of the felt": float(felt[number]), "parts most in": scenes.concepts[most[number]],
        }
        for number, meta in enumerate(scenes.each)
    ]  # fmt: skip


def _turns(scenes: _Scenes) -> list[dict[str, Any]]:
    values = scenes.by_turn(scenes.settings.reader)
    turns = np.asarray(scenes.turns)
    own = values[np.arange(len(values)), scenes.target[scenes.owner]]
    return [
        {
            "kind": kind,
            "turn": int(turn) + 1,
            "replies": int(chosen.sum()),
            "index of the felt": float(own[chosen].mean()),
        }
        for kind in (_HIDDEN, *scenes.contrasts)
        for turn in np.unique(turns)
        if (chosen := (scenes.kinds[scenes.owner] == kind) & (turns == turn)).any()
    ]
