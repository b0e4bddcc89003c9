"""Commands that take frozen dataclasses, and show their fields as options.

Typer wants one parameter per option. Groups of options that several commands share are written once, as a dataclass
with `Annotated` fields, and `flat` spells them out.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

__all__ = ["flat"]


def flat(function: Callable[..., None]) -> Callable[..., None]:
    """A function of dataclasses as a function of their fields, in order, for Typer to read.

    Args:
        function: Every parameter is annotated with a dataclass; no field name occurs twice.

    Raises:
        TypeError: A field name occurs twice.
    """
    groups = {name: kind for name, kind in get_type_hints(function).items() if name != "return"}
    parameters: list[inspect.Parameter] = []
    for kind in groups.values():
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            parameters.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
                )
            )
    names = [parameter.name for parameter in parameters]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise TypeError(f"{function.__name__}: {sorted(twice)} are options of two groups")

    def run(**values: Any) -> None:
        function(
            **{
                name: kind(**{field.name: values[field.name] for field in fields(kind)})
                for name, kind in groups.items()
            }
        )

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
