"""The commands and their wiring."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from thymos import __version__
from thymos.cli.corpora import stories
from thymos.cli.evidence import compare, geometry, report, validate
from thymos.cli.extraction import demo, extract
from thymos.cli.failures import INTERRUPTED, failures_told, tell
from thymos.cli.flat import flat
from thymos.cli.machine import doctor
from thymos.cli.organism import release, score, train, world
from thymos.cli.reading import read
from thymos.cli.sharing import card, export, pull, push
from thymos.cli.steering import steer
from thymos.cli.studies import study

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The group of all commands; failures become one line and an exit code here."""

    def invoke(self, ctx: Any) -> Any:
        with failures_told(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


app = typer.Typer(
    name="thymos",
    cls=_Commands,
    help="Read, steer and watch the emotion concepts inside language models.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "From a model to vectors": (demo, stories, extract),
    "Evidence": (validate, geometry, compare, report),
    "Use": (read, steer),
    "Studies": (study,),
    "Share": (card, export, push, pull),
    "Machine": (doctor,),
}
for _panel, _commands in _GROUPS.items():
    for _command in _commands:
        app.command(_command.__name__, rich_help_panel=_panel)(flat(_command))

_organism = typer.Typer(
    name="organism",
    help="Make and score the bundled model: a model organism with planted emotions, for calibration and teaching.",
    no_args_is_help=True,
)
for _command in (world, train, score, release):
    _organism.command(_command.__name__)(flat(_command))
app.add_typer(_organism, rich_help_panel="The bundled model")


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"thymos {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; before the command.")] = False,  # noqa: ARG001 - read from the context
    version: Annotated[  # noqa: ARG001 - eager
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line with the arguments of the process; never returns."""
    try:
        app()
    except KeyboardInterrupt:
        tell("interrupted")
        sys.exit(INTERRUPTED)
