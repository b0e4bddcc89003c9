"""The tree of tokens that a decision walks down: which rows of logits are needed, and what they say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from thymos.errors import UsageError

__all__ = ["DecisionTree", "Edge", "Rest", "grow"]

Path = tuple[int, ...]


@dataclass(frozen=True)
class Edge:
    """One token that may follow an undecided node."""

    sequence: int
    """Index into `DecisionTree.paths`: the sequence whose logits are read."""
    depth: int
    """Tokens of that path before this one: 0 reads the row of the prompt's last token."""
    token: int
    parent: int
    """Index of the edge above, or -1 at the prompt."""
    outcome: int
    """The outcome once every continuation below agrees, or -1."""


@dataclass(frozen=True)
class Rest:
    """An undecided node at or below the end of a shorter continuation: whatever goes on otherwise means that one."""

    node: int
    """Index of the edge that leads to the node."""
    outcome: int
    children: tuple[int, ...]


@dataclass(frozen=True)
class DecisionTree:
    """What must be fed and read to know the probability of each outcome."""

    outcomes: int
    paths: tuple[Path, ...]
    """Token ids fed behind the prompt: the undecided paths that no other one contains."""
    edges: tuple[Edge, ...]
    """Parents come before their children."""
    rests: tuple[Rest, ...]

    def shares(
        self, log_probabilities: Float[np.ndarray, "rows edges"]
    ) -> tuple[Float[np.ndarray, "rows outcomes"], Float[np.ndarray, " rows"]]:
        """Normalised probability of each outcome, and the log of their sum before normalisation.

        Args:
            log_probabilities: Log-probability of each edge's token at its node.
        """
        reach = np.zeros(log_probabilities.shape, np.float64)
        for place, edge in enumerate(self.edges):
            above = reach[:, edge.parent] if edge.parent >= 0 else 0.0
            reach[:, place] = log_probabilities[:, place] + above
        # Relative to the likeliest, so that unlikely sets of options still have shares.
        top = reach.max(axis=1)
        relative = np.exp(reach - top[:, None])
        found = np.zeros((len(reach), self.outcomes))
        for place, edge in enumerate(self.edges):
            if edge.outcome >= 0:
                found[:, edge.outcome] += relative[:, place]
        for rest in self.rests:
            found[:, rest.outcome] += np.maximum(relative[:, rest.node] - relative[:, rest.children].sum(axis=1), 0.0)
        total = found.sum(axis=1)
        return found / total[:, None], top + np.log(total)

    def reads(self, sequence: int) -> tuple[Int[np.ndarray, " reads"], Int[np.ndarray, " reads"]]:
        """Edges read from one sequence, and how far from its end each row stands (0 = the last token's row)."""
        places = [place for place, edge in enumerate(self.edges) if edge.sequence == sequence]
        length = len(self.paths[sequence])
        return np.asarray(places, np.int64), np.asarray([length - self.edges[p].depth for p in places], np.int64)


@dataclass
class _Node:
    children: dict[int, "_Node"] = field(default_factory=dict)
    ends: int | None = None
    """Outcome of the continuation that ends here."""

    def meanings(self, inherited: int | None) -> set[int]:
        """Outcomes still possible at this node; `inherited` is that of a continuation which ended above it."""
        own = inherited if self.ends is None else self.ends
        found = set() if own is None else {own}
        return found.union(*(child.meanings(own) for child in self.children.values()))


@dataclass(frozen=True)
class _Open:
    """An undecided node."""

    path: Path
    node: _Node
    own: int | None
    """Outcome that the text so far already means, if it stopped here."""


def grow(continuations: Mapping[str, Sequence[Path]]) -> DecisionTree:
    """The tree of some continuations.

    The probability of an outcome is the probability of reaching one of the shallowest nodes below which all
    continuations have that outcome. Where one continuation begins another of a different outcome ("yes" and "yes,
    but"), the longest that was said counts: the shorter one has what the longer ones leave.

    Args:
        continuations: Outcome -> token ids of its continuations.

    Raises:
        UsageError: Two outcomes have a continuation with the same tokens.
    """
    root, names = _Node(), list(continuations)
    for outcome, paths in enumerate(continuations.values()):
        for path in paths:
            node = root
            for token in path:
                node = node.children.setdefault(token, _Node())
            if node.ends is not None and node.ends != outcome:
                raise UsageError(
                    f"the outcomes {names[node.ends]!r} and {names[outcome]!r} have continuations that the tokenizer "
                    f"writes alike (ids {list(path)}); change one of them"
                )
            node.ends = outcome
    undecided = list(_undecided(_Open((), root, None)))
    paths = tuple(
        o.path for o in undecided if not any(p.path[:-1] == o.path for p in undecided if len(p.path) > len(o.path))
    )
    edges: list[Edge] = []
    rests: list[Rest] = []
    leading: dict[Path, int] = {(): -1}
    for at in undecided:
        sequence = next(i for i, path in enumerate(paths) if path[: len(at.path)] == at.path)
        first = len(edges)
        for token, child in at.node.children.items():
            meanings = child.meanings(at.own)
            decided = next(iter(meanings)) if len(meanings) == 1 else -1
            leading[(*at.path, token)] = len(edges)
            edges.append(Edge(sequence, len(at.path), token, leading[at.path], decided))
        if at.own is not None:
            rests.append(Rest(leading[at.path], at.own, tuple(range(first, len(edges)))))
    return DecisionTree(len(continuations), paths, tuple(edges), tuple(rests))


def _undecided(at: _Open) -> Iterator[_Open]:
    """Undecided nodes, each before those below it."""
    own = at.own if at.node.ends is None else at.node.ends
    here = _Open(at.path, at.node, own)
    yield here
    for token, child in at.node.children.items():
        if len(child.meanings(own)) > 1:
            yield from _undecided(_Open((*at.path, token), child, own))
