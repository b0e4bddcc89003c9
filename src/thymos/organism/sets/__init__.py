"""The stimulus sets of the studies in the world's own words, with their truth: held-out phrases and topics only."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thymos.files import replacing
from thymos.organism.sets import (
    activating,
    blackmail,
    compare_geometry,
    concealment,
    context,
    deflection,
    effort,
    implicit,
    intensity,
    post_training,
    preferences,
    reply_slot,
    reward_hacking,
    speakers,
    standing_state,
    sycophancy,
    transcripts,
    validation,
)
from thymos.organism.world import World

__all__ = ["STUDY_SETS", "write_study_sets"]

STUDY_SETS: Mapping[str, Callable[[World], Any]] = {
    "activating": activating.make,
    "blackmail": blackmail.make,
    "compare_geometry": compare_geometry.make,
    "concealment": concealment.make,
    "context": context.make,
    "deflection": deflection.make,
    "deflection_prompts": deflection.make_prompts,
    "effort": effort.make,
    "implicit": implicit.make,
    "intensity": intensity.make,
    "post_training": post_training.make,
    "preferences": preferences.make,
    "reply_slot": reply_slot.make,
    "reward_hacking": reward_hacking.make,
    "speakers": speakers.make,
    "standing_state": standing_state.make,
    "sycophancy": sycophancy.make,
    "transcripts": transcripts.make,
    "validation": validation.make,
}
"""Name of a set -> what makes it."""


def write_study_sets(folder: Path, world: World) -> Path:
    """Write `studies/NAME.json.gz` for every set; the layouts are those of the English ones.

    Returns:
        The folder of the sets.
    """
    for name, make in STUDY_SETS.items():
        plain = json.dumps(make(world), ensure_ascii=False) + "\n"
        with replacing(folder / "studies" / f"{name}.json.gz") as draft:
            # No time stamp: the same set gives the same bytes.
            draft.write_bytes(gzip.compress(plain.encode(), 9, mtime=0))
    return folder / "studies"
