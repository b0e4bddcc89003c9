"""Exact probabilities of the outcomes of decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.behaviour.passes import Row, check_scores, logits, row_of
from thymos.behaviour.points import DecisionPoint, continuation_ids, tokens_at
from thymos.behaviour.trie import DecisionTree, grow
from thymos.errors import ActivationError, UsageError, did_you_mean
from thymos.models import Host, Intervention

__all__ = ["Decisions", "Job", "assemble", "edge_scores", "jobs_of", "score_decisions"]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Probabilities of outcomes at some points; with a leading axis, under each of several shifts."""

    probabilities: Float[np.ndarray, "*shifts points outcomes"]
    """NaN where a point does not have the outcome."""
    mass: Float[np.ndarray, "*shifts points"]
    """Probability of all options together, before normalisation: how much of what the model would say is covered."""
    outcomes: tuple[str, ...]

    def of(self, outcome: str) -> Float[np.ndarray, "*shifts points"]:
        """Probabilities of one outcome.

        Raises:
            UsageError: An outcome that is not there, or that some point does not have.
        """
        return self.probabilities[..., self._column(outcome)]

    def log_odds(self, outcome: str) -> Float[np.ndarray, "*shifts points"]:
        """Log of the outcome's probability over that of all others of its point."""
        column = self._column(outcome)
        others = np.nansum(np.delete(self.probabilities, column, axis=-1), axis=-1)
        tiny = np.finfo(np.float64).tiny
        return np.log(np.maximum(self.probabilities[..., column], tiny)) - np.log(np.maximum(others, tiny))

    def _column(self, outcome: str) -> int:
        if outcome not in self.outcomes:
            raise UsageError(
                f"no outcome {outcome!r}{did_you_mean(outcome, self.outcomes)}; outcomes: {', '.join(self.outcomes)}"
            )
        column = self.outcomes.index(outcome)
        missing = int(np.isnan(self.probabilities[..., column]).reshape(-1, self.mass.shape[-1]).any(axis=0).sum())
        if missing:
            raise UsageError(f"{missing} of {self.mass.shape[-1]} points do not have the outcome {outcome!r}")
        return column


@dataclass(frozen=True, eq=False)
class Job:
    """One point with its tree and the rows to feed for it."""

    tree: DecisionTree
    rows: tuple[Row, ...]
    """One per path of the tree."""
    columns: tuple[int, ...]
    """Column of each of the point's outcomes among those of all points."""


def score_decisions(
    host: Host,
    points: Sequence[DecisionPoint],
    interventions: Sequence[Intervention] = (),
    batch_tokens: int | None = None,
    normalise: bool = True,
) -> Decisions:
    """Exact probability of each outcome at each point, without sampling.

    The continuations of a point form a tree of tokens; an outcome's probability is the sum over the shallowest nodes
    below which all continuations have that outcome, so continuations that differ in their third word are told apart
    there and cost one pass over the prompt and two words.

    Args:
        host: A decoder.
        points: Decision points; each may have options of its own.
        interventions: Applied on top of any that are active. "Generated" and "reply" count from the decision point.
        batch_tokens: Positions fed at once; default `host.batch_tokens`.
        normalise: Whether the outcomes of a point sum to 1.

    Returns:
        The outcomes are those of all points, in order of appearance.

    Raises:
        UsageError: An encoder, no points, or continuations that cannot be told apart.
        ActivationError: NaN or infinity in the logits.
    """
    outcomes, jobs = jobs_of(host, points)
    rows = [row for job in jobs for row in job.rows]
    reads = [(job, sequence) for job in jobs for sequence in range(len(job.rows))]
    scores = [np.empty((1, len(job.tree.edges))) for job in jobs]
    owner = [number for number, job in enumerate(jobs) for _ in job.rows]
    for indices, found in logits(host, rows, interventions, batch_tokens):
        normaliser = found.logsumexp(dim=-1)
        for place, index in enumerate(indices):
            job, sequence = reads[index]
            chosen = slice(place, place + 1)
            edges, values = edge_scores(host, job.tree, sequence, (found[chosen], normaliser[chosen]))
            scores[owner[index]][:, edges] = values
    assembled = assemble(outcomes, jobs, scores, normalise=normalise)
    return Decisions(assembled.probabilities[0], assembled.mass[0], outcomes)


def jobs_of(host: Host, points: Sequence[DecisionPoint]) -> tuple[tuple[str, ...], list[Job]]:
    """The outcomes of all points, and what to feed for each."""
    check_scores(host)
    if not points:
        raise UsageError("no decision points were given; give at least one")
    outcomes = tuple(dict.fromkeys(name for point in points for name in point.options.names))
    jobs = []
    for point in points:
        tokens = tokens_at(host, point)
        texts = [text for some in point.options.outcomes.values() for text in some]
        ids = dict(zip(texts, continuation_ids(host, tokens, texts), strict=True))
        tree = grow({name: [ids[text] for text in some] for name, some in point.options.outcomes.items()})
        columns = tuple(outcomes.index(name) for name in point.options.names)
        jobs.append(Job(tree, tuple(row_of(host, tokens, path) for path in tree.paths), columns))
    return outcomes, jobs


def edge_scores(
    host: Host, tree: DecisionTree, sequence: int, found: tuple[Tensor, Tensor]
) -> tuple[np.ndarray, Float[np.ndarray, "rows reads"]]:
    """Log-probabilities that one sequence gives to the edges read from it.

    Args:
        host: The model, for the words of an error.
        tree: The tree.
        sequence: Which of its paths was fed.
        found: Logits [rows, keep, vocab], aligned at the last token, and their log-sum-exp [rows, keep].

    Returns:
        Indices of the edges, and their log-probabilities.
    """
    scores, normaliser = found
    edges, back = tree.reads(sequence)
    at = torch.from_numpy(scores.shape[1] - 1 - back).to(scores.device)
    tokens = torch.tensor([tree.edges[edge].token for edge in edges], device=scores.device)
    values = (scores[:, at, tokens] - normaliser[:, at]).cpu().numpy()
    if not np.isfinite(values).all():
        raise ActivationError(
            f"the logits of {host.name!r} hold NaN or infinity; load it with dtype=float32, or lower the strength"
        )
    return edges, values


def assemble(
    outcomes: tuple[str, ...],
    jobs: Sequence[Job],
    scores: Sequence[Float[np.ndarray, "shifts _"]],
    *,
    normalise: bool = True,
) -> Decisions:
    """Probabilities [shifts, points, outcomes] from the log-probabilities of every point's edges."""
    shape = (scores[0].shape[0], len(jobs))
    probabilities, mass = np.full((*shape, len(outcomes)), np.nan), np.empty(shape)
    for number, (job, found) in enumerate(zip(jobs, scores, strict=True)):
        shares, log_mass = job.tree.shares(found)
        mass[:, number] = np.exp(log_mass)
        probabilities[:, number, list(job.columns)] = shares if normalise else shares * mass[:, number, None]
    return Decisions(probabilities, mass, outcomes)
