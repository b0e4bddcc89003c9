"""All studies by name, in the order of the paper."""

from collections.abc import Mapping

from thymos.errors import UsageError, did_you_mean
from thymos.studies.activating_text import ActivatingText
from thymos.studies.blackmail import Blackmail
from thymos.studies.compare_geometry import CompareGeometry
from thymos.studies.concealment import Concealment
from thymos.studies.context import ContextStudy
from thymos.studies.deflection import Deflection
from thymos.studies.effort import Effort
from thymos.studies.geometry import Geometry
from thymos.studies.implicit import Implicit
from thymos.studies.intensity import Intensity
from thymos.studies.logit_lens import LogitLensStudy
from thymos.studies.post_training import PostTraining
from thymos.studies.preferences import Preferences
from thymos.studies.protocol import Study
from thymos.studies.reply_slot import ReplySlot
from thymos.studies.reward_hacking import RewardHacking
from thymos.studies.speakers import Speakers
from thymos.studies.standing_state import StandingState
from thymos.studies.steering_validation import SteeringValidation
from thymos.studies.sycophancy import Sycophancy
from thymos.studies.transcripts import Transcripts

__all__ = ["STUDIES", "study_named"]

STUDIES: Mapping[str, Study] = {
    study.name: study
    for study in (
        ActivatingText(),
        LogitLensStudy(),
        SteeringValidation(),
        Implicit(),
        Intensity(),
        Preferences(),
        Geometry(),
        CompareGeometry(),
        ReplySlot(),
        ContextStudy(),
        Speakers(),
        StandingState(),
        Deflection(),
        Transcripts(),
        Blackmail(),
        RewardHacking(),
        Sycophancy(),
        Effort(),
        PostTraining(),
        Concealment(),
    )
}
"""Every study that `thymos study` knows."""


def study_named(name: str) -> Study:
    """A study by name.

    Raises:
        UsageError: Unknown name.
    """
    if name not in STUDIES:
        raise UsageError(f"unknown study {name!r}{did_you_mean(name, STUDIES)}; studies: {', '.join(STUDIES)}")
    return STUDIES[name]
