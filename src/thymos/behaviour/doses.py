"""Dose curves: how a decision moves with the strength of a direction, beside random directions of the same length."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from thymos.behaviour.curve import ARMS, DoseCurve
from thymos.behaviour.decisions import score_decisions
from thymos.behaviour.points import DecisionPoint
from thymos.behaviour.scan import scan_directions
from thymos.errors import FingerprintMismatchError, ModelError, UsageError
from thymos.models import EVERYWHERE, Host, Select
from thymos.stats import directions_in_span, random_directions
from thymos.vectors import ConceptVector

__all__ = ["dose_curve", "dose_curves"]

_SAME = 1e-3
"""Largest change of a probability by a zero dose in float32; half precision rounds differently in another batch."""
_SAME_HALF = 5e-2


def dose_curve(
    host: Host,
    points: Sequence[DecisionPoint],
    vectors: Mapping[str, ConceptVector] | Sequence[ConceptVector],
    strengths: Sequence[float | int],
    outcome: str,
    *,
    randoms: int = 50,
    in_span: int = 20,
    seed: int = 0,
    layer: int | None = None,
    select: Select | None = None,
    batch_tokens: int | None = None,
    allow_mismatch: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> DoseCurve:
    """Probability of an outcome under vectors at several strengths, and under control directions of equal length.

    Args:
        host: A decoder.
        points: At least two decision points that all have the outcome.
        vectors: By name, or in order (named by their recipes); only their directions count.
        strengths: Fractions of the layer's mean residual norm; zero is always added.
        outcome: Which outcome.
        randoms: Random directions, 20 or more for a claim; one is added at every steered layer.
        in_span: Random directions inside the span of the vectors, a harder control; none where the vectors span a line.
        seed: Seed of the controls and of the bootstrap.
        layer: The steered layer; default: where all the vectors are steered.
        select: Positions; everywhere by default.
        batch_tokens: Positions fed at once above the lowest steered layer.
        allow_mismatch: Steer a model the vectors were not made from.
        on_progress: Called with (rows of tokens done, all of them).

    Raises:
        UsageError: Fewer than two points, no vectors, strengths that are not finite, or vectors of different layers.
        FingerprintMismatchError: The vectors belong to another model.
        ModelError: A zero dose changes a decision.
    """
    found = dose_curves(
        host,
        points,
        vectors,
        strengths,
        (outcome,),
        randoms=randoms,
        in_span=in_span,
        seed=seed,
        layer=layer,
        select=select,
        batch_tokens=batch_tokens,
        allow_mismatch=allow_mismatch,
        on_progress=on_progress,
    )
    return found[outcome]


def dose_curves(
    host: Host,
    points: Sequence[DecisionPoint],
    vectors: Mapping[str, ConceptVector] | Sequence[ConceptVector],
    strengths: Sequence[float | int],
    outcomes: Sequence[str],
    *,
    randoms: int = 50,
    in_span: int = 20,
    seed: int = 0,
    layer: int | None = None,
    select: Select | None = None,
    batch_tokens: int | None = None,
    allow_mismatch: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, DoseCurve]:
    """Curves of several outcomes of the same decisions, from one pass; arguments and errors as for `dose_curve`."""
    named = _named(vectors)
    if len(points) < 2:
        raise UsageError(f"a dose curve over {len(points)} decision points has no intervals; give at least 2")
    doses = _doses(strengths)
    if not allow_mismatch:
        _check_fingerprints(host, named)
    units, norms = _units(named, layer)
    counts = (len(named), randoms, in_span if _dimensions(units) > 1 else 0)
    baseline = score_decisions(host, points)
    found = scan_directions(
        host,
        points,
        {at: _shifts(_directions(unit, counts, seed), norms[at] * doses[doses != 0]) for at, unit in units.items()},
        select=select or EVERYWHERE,
        batch_tokens=batch_tokens,
        on_progress=on_progress,
    )
    names, arms = _labels(named, counts)
    curves = {}
    for outcome in outcomes:
        values = _by_direction(found.of(outcome), doses)
        curve = DoseCurve(outcome, tuple(units), names, arms, doses, values, baseline.of(outcome), seed)
        _check_zero(host, curve)
        curves[outcome] = curve
    return curves


def _named(vectors: Mapping[str, ConceptVector] | Sequence[ConceptVector]) -> dict[str, ConceptVector]:
    pairs = list(vectors.items()) if isinstance(vectors, Mapping) else [(v.recipe, v) for v in vectors]
    named = dict(pairs)
    if not named or len(named) != len(pairs):
        raise UsageError(
            f"vectors must be at least one, each with a name of its own; got {[name for name, _ in pairs]}"
        )
    return named


def _doses(strengths: Sequence[float | int]) -> Float[np.ndarray, " strengths"]:
    doses = np.unique(np.asarray([0.0, *strengths], np.float64))
    if not np.isfinite(doses).all() or len(doses) < 2:
        raise UsageError(f"strengths must be finite and at least one not zero, got {list(strengths)}")
    return doses


def _check_fingerprints(host: Host, named: Mapping[str, ConceptVector]) -> None:
    for name, vector in named.items():
        if vector.fingerprint != host.fingerprint:
            raise FingerprintMismatchError(
                f"{name!r} was made from the model {vector.fingerprint}, but {host.name!r} is {host.fingerprint}; "
                "extract vectors from this model, or pass allow_mismatch=True"
            )


def _units(
    named: Mapping[str, ConceptVector], layer: int | None
) -> tuple[dict[int, Float[np.ndarray, "vectors hidden"]], dict[int, float]]:
    """Layer -> unit rows of the vectors, and the norm that a strength is a fraction of."""
    sites = {name: vector.steered if layer is None else (layer,) for name, vector in named.items()}
    layers = next(iter(sites.values()))
    if len(set(sites.values())) > 1:
        raise UsageError(
            f"the vectors are steered at different layers ({sites}), so they share no controls; pass layer=, or make "
            "one curve per layer"
        )
    at = [vector.at(*layers).unit() for vector in named.values()]
    norms = {site: float(at[0].norms[site]) for site in layers}
    for name, vector in zip(named, at, strict=True):
        if any(not np.isclose(vector.norms[site], norms[site], rtol=1e-5) for site in layers):
            raise UsageError(f"{name!r} has other residual norms than the first vector; take all from one vector set")
    return {site: np.stack([vector.values[site] for vector in at]).astype(np.float32) for site in layers}, norms


def _dimensions(units: Mapping[int, Float[np.ndarray, "vectors hidden"]]) -> int:
    return min(int(np.linalg.matrix_rank(rows, tol=1e-4)) for rows in units.values())


def _directions(
    unit: Float[np.ndarray, "vectors hidden"], counts: tuple[int, int, int], seed: int
) -> Float[np.ndarray, "directions hidden"]:
    """Vectors, random directions, random directions in the span: unit rows."""
    _, randoms, spanned = counts
    parts = [unit]
    if randoms:
        parts.append(random_directions(randoms, unit.shape[1], seed))
    if spanned:
        parts.append(directions_in_span(unit, spanned, seed))
    return np.concatenate(parts)


def _shifts(
    directions: Float[np.ndarray, "directions hidden"], lengths: Float[np.ndarray, " doses"]
) -> Float[np.ndarray, "n hidden"]:
    """Nothing, then every direction at the first length, every direction at the second, ..."""
    zero = np.zeros((1, directions.shape[1]))
    return np.concatenate([zero, *(length * directions for length in lengths)]).astype(np.float32)


def _by_direction(
    found: Float[np.ndarray, "n points"], doses: Float[np.ndarray, " doses"]
) -> Float[np.ndarray, "directions doses points"]:
    """What was found under `_shifts`, with strength 0 repeated for every direction."""
    moved = found[1:].reshape(len(doses) - 1, -1, found.shape[1]).swapaxes(0, 1)
    return np.insert(moved, int(np.flatnonzero(doses == 0)[0]), found[0], axis=1)


def _labels(named: Iterable[str], counts: tuple[int, int, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name and arm of every direction."""
    names = (*named, *(f"random {i}" for i in range(counts[1])), *(f"in span {i}" for i in range(counts[2])))
    return names, tuple(arm for arm, count in zip(ARMS, counts, strict=True) for _ in range(count))


def _check_zero(host: Host, curve: DoseCurve) -> None:
    allowed = _SAME if "float32" in str(host.dtype) else _SAME_HALF
    if curve.zero_gap > allowed:
        raise ModelError(
            f"a zero dose changes a decision of {host.name!r} by {curve.zero_gap:.2g} (allowed: {allowed:g}); batches "
            "of this network are not comparable: pass a smaller batch_tokens, or load it with dtype=float32"
        )
