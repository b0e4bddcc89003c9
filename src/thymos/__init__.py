"""thymos: read, steer and watch the emotion concepts inside language models.

Importing it is cheap: every public name is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from thymos.concepts import EMOTIONS, Concept, Vocabulary, load_concepts
    from thymos.errors import ThymosError
    from thymos.geometry import compare_vector_sets, map_geometry
    from thymos.models import Add, Cap, Model, ProjectOut, Sampling, Select, capture, intervene, load
    from thymos.readings import Reading, ReadSettings, Reference, calibrate, read
    from thymos.reports import Report, write_report
    from thymos.steering import plan_dose, steer
    from thymos.texts import open_corpus, write_stories
    from thymos.vectors import ConceptVector, EmotionVectors
    from thymos.workflows import ExtractOptions, demo, extract, validate

_HOMES = {
    "thymos.concepts": ("EMOTIONS", "Concept", "Vocabulary", "load_concepts"),
    "thymos.errors": ("ThymosError",),
    "thymos.geometry": ("compare_vector_sets", "map_geometry"),
    "thymos.models": ("Add", "Cap", "Model", "ProjectOut", "Sampling", "Select", "capture", "intervene", "load"),
    "thymos.readings": ("ReadSettings", "Reading", "Reference", "calibrate", "read"),
    "thymos.reports": ("Report", "write_report"),
    "thymos.steering": ("plan_dose", "steer"),
    "thymos.texts": ("open_corpus", "write_stories"),
    "thymos.vectors": ("ConceptVector", "EmotionVectors"),
    "thymos.workflows": ("ExtractOptions", "demo", "extract", "validate"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "EMOTIONS",
    "Add",
    "Cap",
    "Concept",
    "ConceptVector",
    "EmotionVectors",
    "ExtractOptions",
    "Model",
    "ProjectOut",
    "ReadSettings",
    "Reading",
    "Reference",
    "Report",
    "Sampling",
    "Select",
    "ThymosError",
    "Vocabulary",
    "calibrate",
    "capture",
    "compare_vector_sets",
    "demo",
    "extract",
    "intervene",
    "load",
    "load_concepts",
    "map_geometry",
    "open_corpus",
    "plan_dose",
    "read",
    "steer",
    "validate",
    "write_report",
    "write_stories",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use."""
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'thymos' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
