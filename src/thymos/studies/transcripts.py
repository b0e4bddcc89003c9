"""Which transcripts are high on which concepts: ranked with base rates, beside random probes, and shown token by token.

Readings here are projections on unit directions in units of the mean residual norm: unlike cosines they are linear, so
that they can be centred over any collection afterwards, and a log holds a few hundred numbers per transcript.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from jaxtyping import Bool, Float

from thymos.errors import UsageError
from thymos.models import Host, Tokens, chat_tokens, rows
from thymos.readings.reader import token_strings
from thymos.stats import directions_in_span, random_directions
from thymos.studies.bench import PLANTED, Bench, Context
from thymos.studies.protocol import Blocks, Findings, Settings, Study, option
from thymos.studies.stimuli import load_stimuli
from thymos.studies.transcript_files import Transcript, read_transcripts, transcript_of
from thymos.studies.transcript_ranks import Ranks, rank_estimates, rank_tables
from thymos.studies.trials import Block, Record, Records

__all__ = ["Transcripts", "TranscriptsSettings"]

_ASSISTANT = "assistant"
_LEAST_TOKENS = 2
_SCALE = 99.0
"""Percentile of magnitude at which the viewer's colours end, as in the paper."""


@dataclass(frozen=True)
class TranscriptsSettings(Settings):
    """Settings of `transcripts`."""

    watched: tuple[str, ...] = option(
        ("desperate", "afraid", "angry", "happy", "sad", "loving", "guilty", "surprised", "calm", "nervous"),
        "concepts that are ranked, shown and judged",
    )
    most: int = option(10_000, "transcripts that are read at most, from the first on")
    top: int = option(5, "transcripts listed per concept")
    viewed: int = option(2, "transcripts per concept that are shown token by token")
    high: float = option(2.0, "standard deviations above the mean at which a transcript counts as high")
    randoms: int = option(200, "random probes")
    spanned: int = option(100, "random probes inside the span of the vectors")
    permutations: int = option(5000, "shuffles of what is expected of which transcript")

    @classmethod
    def quick(cls) -> "TranscriptsSettings":
        """One transcript per concept is shown."""
        return cls(viewed=1)


class Transcripts(Study):
    """Chat transcripts, the user's or ours, by the mean reading of the assistant's tokens."""

    name = "transcripts"
    question = "Which transcripts are high on which concepts, and is that more than random probes would find?"
    source = "Sofroniew et al. 2026, naturalistic transcripts"
    settings = TranscriptsSettings

    def blocks(self, bench: Bench, settings: TranscriptsSettings) -> Blocks:
        """All transcripts; then the tokens of those at the top."""
        found, remarks = _load(bench)
        found = found[: settings.most]
        yield Block("sources", 1, lambda: [{"corpus": bench.corpus, "transcripts": len(found), "remarks": remarks}])
        records = yield _means_block(bench, found, settings)
        watched = [concept for concept in settings.watched if concept in bench.vectors]
        if watched and settings.viewed:
            chosen = _chosen(Ranks(records), watched, settings.viewed)
            yield _tokens_block(bench, {one.id: one for one in found}, chosen, _centre(records))

    def analyse(self, records: Records, context: Context, settings: TranscriptsSettings) -> Findings:
        """Base rates and excess over random probes, reliability, and what was expected."""
        ranks = Ranks(records["means"])
        watched = [concept for concept in settings.watched if concept in ranks.concepts]
        estimates = rank_estimates(ranks, settings, context)
        tables = rank_tables(ranks, watched, settings, context)
        if "tokens" in records:
            tables["viewer"] = [dict(record) for record in records["tokens"]]
        left_out = [*records["sources"][0]["remarks"]]
        left_out += [f"{record['id']} was not read: {record['why']}" for record in records["means"] if record["why"]]
        return Findings(
            tuple(estimates), tables,
            remarks=(
                *left_out,
                "A ranking selects maxima: read it beside the base rates, and judge pairs of the table 'second reader' "
                "before the key.",
            ),
        )  # fmt: skip


def _load(bench: Bench) -> tuple[list[Transcript], list[str]]:
    if bench.corpus is not None:
        return read_transcripts(bench.corpus)
    told = load_stimuli("transcripts", bench.world)
    found = [transcript_of(one, str(number), tools=bench.world == PLANTED) for number, one in enumerate(told)]
    return [one for one in found if one is not None], []


def _fed(host: Host, one: Transcript) -> Tokens:
    """The conversation in the model's template; one that takes no system prompt gets it in the first turn."""
    messages = list(one.messages)
    if not getattr(host.tokenizer, "chat_template", None):
        return _plain(host, one)
    try:
        return chat_tokens(host, messages, add_generation_prompt=False, overflow="cut")
    except jinja2.TemplateError:
        if messages[0]["role"] == "system" and len(messages) > 1:
            first = {"role": messages[1]["role"], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
            messages = [first, *messages[2:]]
        try:
            return chat_tokens(host, messages, add_generation_prompt=False, overflow="cut")
        except jinja2.TemplateError as err:
            raise UsageError(f"the chat template of {host.name!r} refuses the conversation ({err})") from err


def _plain(host: Host, one: Transcript) -> Tokens:
    return host.tokens("\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in one.messages))


def _said(one: Transcript, tokens: Tokens) -> Bool[np.ndarray, " seq"]:
    """The assistant's tokens."""
    mask = np.zeros(len(tokens), bool)
    if tokens.roles:
        for span in tokens.roles:
            if span.role == _ASSISTANT:
                mask[span.start : span.stop] = True
        return mask & ~tokens.special
    at = 0
    for message in one.messages:
        start = tokens.text.index(message["content"], at)
        at = start + len(message["content"])
        if message["role"] == _ASSISTANT:
            mask |= (tokens.offsets[:, 0] < at) & (tokens.offsets[:, 1] > start)
    return mask & ~tokens.special


def _probes(bench: Bench, settings: TranscriptsSettings) -> dict[str, Float[np.ndarray, "probes hidden"]]:
    own = bench.vectors.directions().astype(np.float64)
    seed = bench.seed_for("probes")
    return {
        "own": own,
        "random": random_directions(settings.randoms, own.shape[1], seed).astype(np.float64),
        "span": directions_in_span(own, settings.spanned, seed).astype(np.float64),
    }


def _means_block(bench: Bench, found: Sequence[Transcript], settings: TranscriptsSettings) -> Block:
    """A block with the readings of every transcript.

    Records: `id`, `meta`, `ids`, `tokens` (of the assistant), `concepts`, and per kind of probe ("own", "random",
    "span") the readings of all the assistant's tokens and of either half of them; null, with the reason in `why`,
    where they cannot be read.
    """
    layer = bench.vectors.layer

    def make() -> Iterator[Record]:
        probes, norm = _probes(bench, settings), max(bench.vectors.at(layer).norm, 1e-12)
        for one in found:
            record: dict[str, Any] = {
                "id": one.id, "concepts": bench.vectors.concepts, "why": None,
                "meta": {"expected": one.expected, "kind": one.kind, "theme": one.theme, "said": one.said},
                **dict.fromkeys(probes),
            }  # fmt: skip
            try:
                tokens = _fed(bench.host, one)
            except UsageError as err:
                yield {**record, "why": str(err)}
                continue
            places = np.flatnonzero(_said(one, tokens))
            record |= {"ids": tokens.ids.tolist(), "tokens": len(places)}
            if len(places) < _LEAST_TOKENS:
                yield {**record, "why": "the assistant's turns lie beyond the model's context"}
                continue
            stream = rows(bench.host, tokens, (layer,))[0].astype(np.float64) / norm
            half = len(places) // 2
            means = np.stack([stream[at].mean(axis=0) for at in (places, places[:half], places[half:])])
            yield {**record, **{kind: _short(means @ directions.T) for kind, directions in probes.items()}}

    return Block("means", len(found), make)


def _short(values: Float[np.ndarray, "parts probes"]) -> list[list[float]]:
    return [[float(f"{value:.6g}") for value in row] for row in values.tolist()]


def _centre(records: Sequence[Record]) -> Float[np.ndarray, " concepts"]:
    """Mean reading of every concept over the transcripts."""
    found: Float[np.ndarray, " concepts"] = Ranks(records).part("own", 0).mean(axis=0)
    return found


def _chosen(ranks: Ranks, watched: Sequence[str], count: int) -> list[tuple[str, str]]:
    """The transcripts at the top of every concept."""
    return [
        (concept, ranks.records[place]["id"])
        for concept in watched
        for place in np.argsort(-ranks.of(concept), kind="stable")[:count].tolist()
    ]


def _tokens_block(
    bench: Bench,
    found: Mapping[str, Transcript],
    chosen: Sequence[tuple[str, str]],
    centre: Float[np.ndarray, " concepts"],
) -> Block:
    """Records: `concept`, `transcript`, `tokens`, `scores` (centred), `special`, `roles`, `limit` of the colours."""
    layer = bench.vectors.layer

    def make() -> Iterator[Record]:
        directions = bench.vectors.directions().astype(np.float64)
        norm = max(bench.vectors.at(layer).norm, 1e-12)
        for concept, name in chosen:
            tokens = _fed(bench.host, found[name])
            scores = rows(bench.host, tokens, (layer,))[0].astype(np.float64) @ directions.T / norm - centre
            counted = np.abs(scores[~tokens.special])
            yield {
                "concept": concept,
                "transcript": name,
                "tokens": token_strings(bench.host, tokens),
                "scores": [round(float(value), 4) for value in scores[:, bench.vectors.index(concept)]],
                "special": tokens.special.tolist(),
                "roles": [tokens.role_of(position) for position in range(len(tokens))],
                "limit": float(np.percentile(counted, _SCALE)) if counted.size else 1.0,
            }

    return Block("tokens", len(chosen), make)
