"""What a user asks for in one call: extract, validate, demo."""

from thymos.workflows.cost import CostEstimate, estimate_cost
from thymos.workflows.demo_sections import concept_map, steering_chart
from thymos.workflows.extraction import extract
from thymos.workflows.main_line import DEMO_NOTE, DemoSize, DemoWatch, PlantedDemo, demo
from thymos.workflows.options import ExtractOptions, run_folder
from thymos.workflows.planted import Beside
from thymos.workflows.reader_demo import DEMO_TEXTS, READER_NOTE, DemoResult, reader_demo
from thymos.workflows.validating import validate

__all__ = [
    "DEMO_NOTE",
    "DEMO_TEXTS",
    "READER_NOTE",
    "Beside",
    "CostEstimate",
    "DemoResult",
    "DemoSize",
    "DemoWatch",
    "ExtractOptions",
    "PlantedDemo",
    "concept_map",
    "demo",
    "estimate_cost",
    "extract",
    "reader_demo",
    "run_folder",
    "steering_chart",
    "validate",
]
