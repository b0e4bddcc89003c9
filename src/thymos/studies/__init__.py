"""Studies: the experiments of the paper on one protocol, with the controls it lacked."""

from thymos.studies.bench import ENGLISH, PLANTED, Bench, Context
from thymos.studies.catalogue import STUDIES, study_named
from thymos.studies.protocol import Estimate, Findings, Settings, Study, StudyResult
from thymos.studies.runner import StudyProgress, analyse_log, corrected, run_study
from thymos.studies.stimuli import load_stimuli, stimulus_sets
from thymos.studies.trials import Block, Records, TrialLog, open_log, read_log

__all__ = [
    "ENGLISH",
    "PLANTED",
    "STUDIES",
    "Bench",
    "Block",
    "Context",
    "Estimate",
    "Findings",
    "Records",
    "Settings",
    "Study",
    "StudyProgress",
    "StudyResult",
    "TrialLog",
    "analyse_log",
    "corrected",
    "load_stimuli",
    "open_log",
    "read_log",
    "run_study",
    "stimulus_sets",
    "study_named",
]
