"""`thymos doctor`: is everything there, and does a model behave?"""

from dataclasses import dataclass
from typing import Annotated

import typer

from thymos.cli.lazy import job
from thymos.cli.options import ModelOptions, Output

__all__ = ["Patient", "doctor"]


@dataclass(frozen=True)
class Patient:
    """The model to check, if any."""

    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Load this model, check its hook sites and time it.")
    ] = None


def doctor(patient: Patient, options: ModelOptions, output: Output) -> None:
    """Check the machine: versions, devices, extras, disk; and a model if one is given."""
    job("machine").doctor(patient, options, output)
