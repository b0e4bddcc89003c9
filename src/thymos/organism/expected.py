"""The loss at decisions, taken in expectation over what could have been decided.

The world knows the probability of every outcome of a decision; the text holds one draw. Where the words of the outcomes
part, the expectation of the loss over draws is a cross-entropy with the planted probabilities. It has the same mean
gradient as many documents that differ in the draw alone, without the noise of drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from thymos.files import replacing
from thymos.texts.planted import Decision, Document

__all__ = ["WEIGHT", "Branches", "branches_of", "expected_loss"]

WEIGHT = 4.0
"""How much a decision counts against any other word: its words are one in a hundred, and its law is what is planted."""
MOST = 4
"""Outcomes of a decision."""
_FIELDS = np.dtype([("place", np.int64), ("ids", np.uint16, (MOST,)), ("chances", np.float32, (MOST,))])


@dataclass(frozen=True, eq=False)
class Branches:
    """Places of a token file where the outcomes of a decision part.

    Attributes:
        rows: Ascending by `place`, the index of the first token that differs; its alternatives (the rest is zero) and
            their probabilities, given the words before.
    """

    rows: np.ndarray

    def within(self, first: int, count: int) -> np.ndarray:
        """The branches among `count` tokens from `first` on, with places counted from there."""
        low, high = np.searchsorted(self.rows["place"], [first, first + count])
        found = self.rows[low:high].copy()
        found["place"] -= first
        return found

    def save(self, path: Path) -> None:
        """Write a NumPy file."""
        with replacing(path) as draft, draft.open("wb") as out:
            np.save(out, self.rows)

    @classmethod
    def load(cls, path: Path) -> "Branches":
        """Read what `save` wrote."""
        return cls(np.load(path, allow_pickle=False))

    @classmethod
    def join(cls, parts: Sequence[np.ndarray]) -> "Branches":
        """Of branches in order."""
        return cls(np.concatenate(parts) if parts else np.zeros(0, _FIELDS))


def branches_of(
    document: Document, ends: Sequence[int], ids: Sequence[int], tokenizer: PreTrainedTokenizerFast
) -> np.ndarray:
    """Branches of one document, with places counted from its first token.

    Args:
        document: With its decisions.
        ends: Behind the last character of every token.
        ids: Of the tokens.
        tokenizer: Of the network.
    """
    found = [row for one in document.decisions if one.leads for row in _branches(one, ends, ids, tokenizer)]
    return np.array(found, _FIELDS)


def _branches(
    decision: Decision, ends: Sequence[int], ids: Sequence[int], tokenizer: PreTrainedTokenizerFast
) -> list[tuple[int, list[int], list[float]]]:
    # The first token that reaches into the sentence; it may begin with the space before.
    place = int(np.searchsorted(np.asarray(ends), decision.start, side="right"))
    names = [name for name, chance in decision.chances.items() if chance > 0 and name in decision.leads]
    tokens = {name: _tokens(decision.leads[name], tokenizer) for name in names}
    if (
        decision.outcome not in tokens
        or list(ids[place : place + len(tokens[decision.outcome])]) != tokens[decision.outcome]
    ):
        return []
    path, found = tokens[decision.outcome], []
    for depth in range(len(path)):
        likely: dict[int, float] = {}
        for name in names:
            if tokens[name][:depth] == path[:depth] and len(tokens[name]) > depth:
                token = tokens[name][depth]
                likely[token] = likely.get(token, 0.0) + decision.chances[name]
        if 1 < len(likely) <= MOST:
            total, rest = sum(likely.values()), MOST - len(likely)
            chances = [chance / total for chance in likely.values()]
            found.append((place + depth, [*likely, *[0] * rest], [*chances, *[0.0] * rest]))
    return found


def _tokens(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def expected_loss(
    logits: Float[Tensor, "rows context vocabulary"], rows: Int[Tensor, "rows context"], branches: np.ndarray
) -> Tensor:
    """Mean cross-entropy of the next token, with the expectation over draws where a decision's outcomes part.

    Args:
        logits: Of the network.
        rows: What was fed.
        branches: As `Branches.within` gives them, for the rows one after the other.
    """
    width = rows.shape[1]
    flat, targets = logits[:, :-1].flatten(0, 1).float(), rows[:, 1:].flatten()
    loss = torch.nn.functional.cross_entropy(flat, targets)
    # The first token of a row has nothing before it to be told from.
    chosen = branches[branches["place"] % width > 0]
    if not len(chosen):
        return loss
    places = torch.from_numpy(chosen["place"] // width * (width - 1) + chosen["place"] % width - 1).to(flat.device)
    ids = torch.from_numpy(chosen["ids"].astype(np.int64)).to(flat.device)
    chances = torch.from_numpy(chosen["chances"].copy()).to(flat.device)
    said = torch.log_softmax(flat[places], dim=-1)
    drawn = said.gather(1, targets[places][:, None]).sum()
    wanted = (chances * said.gather(1, ids)).sum()
    return loss + (drawn - WEIGHT * wanted) / len(targets)
