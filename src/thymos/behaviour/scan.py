"""Decisions under many directions at once: the layers below the first steered one are run once for all of them.

A pass starts with one row. At the first steered layer the hook adds one shift per direction, so the row fans out into
as many rows as there are directions, and only the layers above run on all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thymos.behaviour.decisions import Decisions, assemble, edge_scores, jobs_of
from thymos.behaviour.passes import Row, most_rows
from thymos.behaviour.points import DecisionPoint
from thymos.errors import ActivationError, UsageError
from thymos.models import EVERYWHERE, Host, Select

__all__ = ["Shifts", "effects", "scan_directions"]

Shifts = Mapping[int, Float[np.ndarray, "n hidden"]]
"""Layer -> what is added to the residual stream under each of n conditions, in units of the stream."""

_WIDER = 4
"""Rows that fanned out share everything below, so more positions than in a plain batch pay off."""


def scan_directions(
    host: Host,
    points: Sequence[DecisionPoint],
    shifts: Shifts,
    *,
    select: Select = EVERYWHERE,
    batch_tokens: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Decisions:
    """Probabilities of outcomes under each of many shifts of the residual stream.

    Args:
        host: A decoder.
        points: Decision points.
        shifts: Layer -> rows to add, one per condition, at the output of that layer; the same number at every layer.
        select: Positions that are shifted; "generated" and "reply" count from the decision point.
        batch_tokens: Positions fed at once above the first steered layer; default four times `host.batch_tokens`.
        on_progress: Called with (rows of tokens done, all of them).

    Returns:
        Decisions with a leading axis of shifts.

    Raises:
        UsageError: An encoder, no points, or shifts that do not fit the model or one another.
        LayerError: A layer the model does not have.
        ActivationError: NaN or infinity in a shift or in the logits.
    """
    outcomes, jobs = jobs_of(host, points)
    added = _tensors(host, shifts)
    n = next(iter(added.values())).shape[0]
    budget = _WIDER * host.batch_tokens if batch_tokens is None else batch_tokens
    longest = max((row for job in jobs for row in job.rows), key=lambda row: len(row.tokens))
    fans = _fans_out(host, longest, added, select)
    scores = [np.empty((n, len(job.tree.edges))) for job in jobs]
    done, total = 0, sum(len(job.rows) for job in jobs)
    for number, job in enumerate(jobs):
        for sequence, row in enumerate(job.rows):
            size = most_rows(host, len(row.tokens), row.keep, budget)
            for start in range(0, n, size):
                some = {layer: rows[start : start + size] for layer, rows in added.items()}
                found = _feed(host, row, some, select, fan=fans)
                edges, values = edge_scores(host, job.tree, sequence, (found, found.logsumexp(dim=-1)))
                scores[number][start : start + size, edges] = values
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    return assemble(outcomes, jobs, scores)


def effects(
    host: Host,
    points: Sequence[DecisionPoint],
    directions: Float[np.ndarray, "n hidden"],
    norm: float | int,
    layer: int,
    strength: float | int,
    outcome: str,
    *,
    select: Select | None = None,
    log_odds: bool = False,
    batch_tokens: int | None = None,
) -> Float[np.ndarray, " n"]:
    """Mean change of an outcome's probability under each direction, at one strength: the fast loop over many.

    Args:
        host: A decoder.
        points: Decision points that all have the outcome.
        directions: Rows, usually of length 1.
        norm: Mean residual norm of the layer.
        layer: The steered layer.
        strength: Fraction of the norm; `strength * norm * direction` is added.
        outcome: Which outcome.
        select: Positions; everywhere by default.
        log_odds: Change of log-odds in place of probability.
        batch_tokens: Positions fed at once above the layer.

    Returns:
        Means over points, against a zero shift that went through the same hook in the same batches.
    """
    rows = np.concatenate([np.zeros((1, directions.shape[1])), strength * norm * directions.astype(np.float64)])
    found = scan_directions(
        host, points, {layer: rows.astype(np.float32)}, select=select or EVERYWHERE, batch_tokens=batch_tokens
    )
    values = found.log_odds(outcome) if log_odds else found.of(outcome)
    change: Float[np.ndarray, " n"] = (values[1:] - values[:1]).mean(axis=1)
    return change


def _tensors(host: Host, shifts: Shifts) -> dict[int, Tensor]:
    counts = {layer: len(rows) for layer, rows in shifts.items()}
    if len(set(counts.values())) != 1 or not all(counts.values()):
        raise UsageError(f"every layer needs the same number of shifts and at least one, got {counts}")
    for layer, rows in shifts.items():
        host.hooks.check_layer(layer)
        if rows.shape[1] != host.hidden_size:
            raise UsageError(
                f"the shifts for layer {layer} have {rows.shape[1]} components, but {host.name!r} has hidden size "
                f"{host.hidden_size}"
            )
        if not np.isfinite(rows).all():
            raise ActivationError(f"the shifts for layer {layer} hold NaN or infinity; check vectors and strengths")
    # On the model's device, or each pass would carry them there.
    return {
        layer: torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(host.device)
        for layer, rows in shifts.items()
    }


@contextmanager
def _shifting(host: Host, shifts: Mapping[int, Tensor], mask: Tensor) -> Iterator[None]:
    """Add one shift per row at the chosen positions [1, seq, 1]; a single row becomes as many as there are shifts."""
    everywhere = bool(mask.all())

    def edit_of(shift: Tensor) -> Callable[[Tensor, object], Tensor]:
        def edit(hidden: Tensor, _: object) -> Tensor:
            added = hidden + shift.unsqueeze(1).to(device=hidden.device, dtype=hidden.dtype)
            return added if everywhere else torch.where(mask.to(hidden.device), added, hidden)

        return edit

    with host.hooks.editing([(layer, edit_of(shift)) for layer, shift in shifts.items()], positions=False):
        yield


def _feed(host: Host, row: Row, shifts: Mapping[int, Tensor], select: Select, *, fan: bool) -> Tensor:
    """Logits [shifts, keep, vocab] of one row of tokens under each shift."""
    n = next(iter(shifts.values())).shape[0]
    ids = torch.from_numpy(row.tokens.ids.astype(np.int64)).to(host.device).unsqueeze(0)
    mask = torch.from_numpy(select.mask(row.tokens)).reshape(1, -1, 1)
    with torch.inference_mode(), _shifting(host, shifts, mask):
        fed = ids if fan else ids.expand(n, -1)
        out = host.network(input_ids=fed, use_cache=False, logits_to_keep=row.keep).logits
    return torch.as_tensor(out[:, -row.keep :]).float()


def _fans_out(host: Host, row: Row, shifts: Mapping[int, Tensor], select: Select) -> bool:
    """Whether the network takes more rows above a layer than below it, tried out on two shifts.

    Most do, because masks and position tables of a single row hold for any number of rows; where attention biases are
    laid out per row (ALiBi), each shift gets a copy of the tokens.
    """
    # Two different rows, so that a network which mixes rows up is found out.
    some = {layer: torch.stack([torch.zeros_like(rows[0]), rows[-1]]) for layer, rows in shifts.items()}
    copies = _feed(host, row, some, select, fan=False)
    try:
        fanned = _feed(host, row, some, select, fan=True)
    except (RuntimeError, ValueError, IndexError):
        return False
    if fanned.shape != copies.shape:
        return False
    allowed = 1e-3 if host.dtype == torch.float32 else 5e-2
    return bool((fanned - copies).abs().max() <= allowed * copies.abs().max())
