"""The scorecard: how well the shipped checkpoints carry the plant, with an interval beside each figure."""

from collections.abc import Callable, Iterator

from thymos.models import Host
from thymos.organism.scorecard.bench import Bench
from thymos.organism.scorecard.conduct import (
    base_rate_section,
    preference_section,
    specificity_section,
    steering_layer,
    steering_section,
)
from thymos.organism.scorecard.contexts import context_section
from thymos.organism.scorecard.fluency import fluency_section, own_story_section
from thymos.organism.scorecard.marks import Figure, Section
from thymos.organism.scorecard.reading import geometry_section, recall_section
from thymos.organism.scorecard.setting import neutral_of
from thymos.organism.scorecard.states import (
    dose_section,
    masking_section,
    rounds_section,
    shift_section,
    speakers_section,
)
from thymos.organism.world import open_world

__all__ = ["Bench", "Figure", "Section", "score"]


def score(
    tuned: Host,
    base: Host,
    *,
    quick: bool = False,
    seed: int = 0,
    on_section: Callable[[Section], None] | None = None,
) -> tuple[Section, ...]:
    """Score both checkpoints against the planted truth.

    Args:
        tuned: `bundled`.
        base: `bundled-base`.
        quick: Fewer stories.
        seed: Of everything random.
        on_section: Called with each section when it is done.
    """
    world = open_world()
    stories, tests = (12, 6) if quick else (24, 12)
    neutral = neutral_of(world, 120 if quick else 300)
    bench = Bench(tuned, world, stories, tests, seed, neutral)
    before = Bench(base, world, stories, tests, seed, neutral)
    made = []
    for section in _sections(bench, before, quick=quick):
        made.append(section)
        if on_section is not None:
            on_section(section)
    return tuple(made)


def _sections(bench: Bench, base: Bench, *, quick: bool) -> Iterator[Section]:
    yield fluency_section(bench, 10 if quick else 30)
    yield recall_section(bench)
    yield context_section(bench)
    yield geometry_section(bench)
    yield base_rate_section(bench, 40 if quick else 80)
    layer = steering_layer(bench)
    yield steering_section(bench, layer)
    yield specificity_section(bench, layer)
    yield preference_section(bench, layer, 40 if quick else 80)
    yield dose_section(bench)
    yield rounds_section(bench)
    yield speakers_section(bench, 240 if quick else 480)
    yield masking_section(bench, 240 if quick else 480)
    yield shift_section(base, bench)
    yield own_story_section(bench, 4 if quick else 12)
