"""The logit lens: which tokens a direction would raise if it reached the unembedding, and where its own word stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from thymos.errors import UnknownConceptError, UsageError
from thymos.models import Host
from thymos.stats import PermutationResult, permutation_test

__all__ = ["LensEntry", "LogitLens", "OwnToken", "TokenLogit", "logit_lens", "single_tokens"]

_DIRECTIONS_AT_ONCE = 32


@dataclass(frozen=True)
class TokenLogit:
    """A token and the change of its logit per unit of the direction."""

    token: str
    id: int
    logit: float


@dataclass(frozen=True)
class OwnToken:
    """A token that is a form of the concept's own word.

    Attributes:
        token: The token as text.
        id: Its id.
        rank: 1 is the most raised token of the vocabulary.
        percentile: Share of the other tokens that are raised less, 0 to 100.
    """

    token: str
    id: int
    rank: int
    percentile: float


@dataclass(frozen=True)
class LensEntry:
    """The logit lens of one direction.

    Attributes:
        concept: Name of the concept.
        top: Most raised tokens, highest first.
        bottom: Most lowered tokens, lowest first.
        own: The concept's own forms that are single tokens, best rank first; empty where the tokenizer splits them all.
    """

    concept: str
    top: tuple[TokenLogit, ...]
    bottom: tuple[TokenLogit, ...]
    own: tuple[OwnToken, ...]

    def __str__(self) -> str:
        up, down = (" ".join(repr(item.token) for item in side) for side in (self.top, self.bottom))
        return f"{self.concept}: up {up}; down {down}"


@dataclass(frozen=True, eq=False)
class LogitLens:
    """The logit lens of a set of directions; `lens["calm"]` is one entry.

    Attributes:
        entries: One per direction, in order.
        tested: Names of the concepts with at least one single-token form.
        percentiles: Best percentile, under the direction of the row, of the own forms of the concept of the column.
        own: Mean percentile of concepts under their own direction; chance is what other directions give them, not 50,
            because directions share a common part and the best of several forms is taken. Permutation test over which
            direction belongs to which word. None with fewer than two such concepts.
    """

    entries: tuple[LensEntry, ...]
    tested: tuple[str, ...]
    percentiles: Float[np.ndarray, "tested tested"]
    own: PermutationResult | None

    def __getitem__(self, concept: str) -> LensEntry:
        for entry in self.entries:
            if entry.concept == concept:
                return entry
        raise UnknownConceptError.of(concept, (entry.concept for entry in self.entries), "this logit lens")


def logit_lens(
    host: Host,
    directions: Float[np.ndarray, "concepts hidden"],
    concepts: Sequence[str],
    *,
    forms: Sequence[Sequence[str]] | None = None,
    k: int = 10,
    final_norm: bool = False,
) -> LogitLens:
    """Unembed directions and rank the ordinary tokens of the vocabulary.

    Args:
        host: The model the directions belong to.
        directions: One row per concept; unit rows make the logits comparable between concepts.
        concepts: Names, one per row.
        forms: Word forms counted as each concept's own (e.g. word and lemmas); None: the name alone. Each is tried
            with and without a leading space and a capital.
        k: Tokens to list at either end.
        final_norm: Apply the model's final norm first.

    Raises:
        UsageError: Names or forms that do not fit the rows, k below 1, or a model without an unembedding.

    Source: Sofroniew et al. 2026, Table 1 (direct product with the unembedding).
    """
    if len(concepts) != len(directions) or (forms is not None and len(forms) != len(directions)):
        count = len(concepts) if len(concepts) != len(directions) else len(forms or ())
        raise UsageError(f"{len(directions)} directions but {count} names or lists of forms; give one per row")
    if k < 1:
        raise UsageError(f"k is {k}; list at least 1 token")
    ordinary = _ordinary_ids(host)
    own = [single_tokens(host, words) for words in (forms if forms is not None else [[name] for name in concepts])]
    has_own = [place for place, ids in enumerate(own) if len(ids)]
    entries: list[LensEntry] = []
    shares: list[np.ndarray] = []
    for start in range(0, len(directions), _DIRECTIONS_AT_ONCE):
        part = np.ascontiguousarray(directions[start : start + _DIRECTIONS_AT_ONCE], np.float32)
        logits = host.unembed(torch.from_numpy(part), final_norm=final_norm).cpu().numpy()
        for row, values in enumerate(logits):
            place = start + row
            ranked = np.sort(values[ordinary])
            entries.append(_entry(host, concepts[place], (values, ordinary, ranked), own[place], k))
            shares.append(np.array([float(_percentiles(values, ranked, own[other]).max()) for other in has_own]))
    matrix = np.stack(shares)[has_own].reshape(len(has_own), len(has_own))
    return LogitLens(tuple(entries), tuple(concepts[place] for place in has_own), matrix, _own_test(matrix))


def single_tokens(host: Host, forms: Sequence[str]) -> Int[np.ndarray, " tokens"]:
    """Ids of the word forms that are one ordinary token, with and without a leading space and a capital; sorted."""
    spellings = {
        space + spelt
        for form in forms
        for spelt in (form, form[:1].upper() + form[1:])
        for space in ("", " ")
        if form.strip()
    }
    ordinary = set(_ordinary_ids(host).tolist())
    found = set()
    for spelling in sorted(spellings):
        ids = host.tokenizer(spelling, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] in ordinary and host.tokenizer.decode(ids).strip():
            found.add(int(ids[0]))
    return np.array(sorted(found), dtype=np.int64)


def _ordinary_ids(host: Host) -> Int[np.ndarray, " tokens"]:
    """Ids with a token behind them that is not special; embedding matrices are often padded beyond those."""
    known = np.array(sorted(set(host.tokenizer.get_vocab().values())), dtype=np.int64)
    # Role markers of chat templates are special added tokens, though not all are in `all_special_ids`.
    special = {number for number, token in host.tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(host.tokenizer.all_special_ids)
    return known[~np.isin(known, np.array(sorted(special), dtype=np.int64))]


def _percentiles(
    values: Float[np.ndarray, " vocab"], ranked: Float[np.ndarray, " ordinary"], ids: Int[np.ndarray, " own"]
) -> Float[np.ndarray, " own"]:
    below: Float[np.ndarray, " own"] = 100.0 * ranked.searchsorted(values[ids], "left") / max(1, len(ranked) - 1)
    return below


def _entry(
    host: Host,
    concept: str,
    logits: tuple[Float[np.ndarray, " vocab"], Int[np.ndarray, " ordinary"], Float[np.ndarray, " ordinary"]],
    own: Int[np.ndarray, " own"],
    k: int,
) -> LensEntry:
    values, ordinary, ranked = logits
    order = ordinary[np.argsort(-values[ordinary], kind="stable")]

    def listed(ids: Int[np.ndarray, " ids"]) -> tuple[TokenLogit, ...]:
        return tuple(TokenLogit(host.tokenizer.decode([int(i)]), int(i), float(values[i])) for i in ids)

    above = len(ranked) - ranked.searchsorted(values[own], "right")
    forms = [
        OwnToken(host.tokenizer.decode([int(i)]), int(i), int(higher) + 1, float(share))
        for i, higher, share in zip(own, above, _percentiles(values, ranked, own), strict=True)
    ]
    forms.sort(key=lambda form: (form.rank, form.id))
    return LensEntry(concept, listed(order[:k]), listed(order[::-1][:k]), tuple(forms))


def _own_test(matrix: Float[np.ndarray, "tested tested"]) -> PermutationResult | None:
    if len(matrix) < 2:
        return None
    rows = np.arange(len(matrix))
    return permutation_test(lambda words: float(matrix[rows, words].mean()), rows, permutations=2000)
