"""Help and versions, at once and from every command."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from cli_runner import Run
from typer.main import get_command

import thymos as package
from thymos.cli.app import app
from thymos.cli.flat import flat


def commands() -> dict[str, Any]:
    """Every command by its words, those of groups too."""
    found: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found |= {f"{name} {sub}": each for sub, each in getattr(command, "commands", {"": command}).items()}
    return {name.strip(): command for name, command in found.items()}


COMMANDS = sorted(commands())
HEAVY = ("torch", "transformers", "numpy", "pandas", "scipy", "sklearn", "altair", "pyarrow")
NAMED = "demo stories extract validate geometry read steer report export card compare doctor push pull study".split()
NAMED += ["organism world", "organism train", "organism score", "organism release"]


def test_the_commands_are_those_that_are_promised() -> None:
    assert sorted(NAMED) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(thymos: Run, command: str, option: str) -> None:
    ran = thymos(*command.split(), option)
    assert ran.code == 0 and not ran.err
    assert "Usage:" in ran.out and "--json" in ran.out


def test_every_command_that_loads_a_model_takes_the_same_options() -> None:
    shared = "revision dtype device device-map quantization trust-remote-code blocks no-self-check threads".split()
    for name in [*"stories extract validate read steer report doctor".split(), "organism score"]:
        command = commands()[name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {f"--{option}" for option in shared} <= known, name


def test_the_help_of_the_whole_names_every_command_and_the_exit_codes(thymos: Run) -> None:
    ran = thymos("--help")
    assert ran.code == 0
    assert all(command.split()[0] in ran.out for command in COMMANDS)
    assert "130 interrupted" in ran.out


def test_the_version_is_the_packages(thymos: Run) -> None:
    assert thymos("--version").out == f"thymos {package.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["extract", "--help"], ["organism", "--help"], ["steer"], ["nonsense"]],
    ids=str,
)
def test_help_and_bad_usage_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom thymos.cli import main\n"
        f"sys.argv[1:] = {words!r}\n"
        f"try:\n main()\nfinally:\n print('HEAVY', *[n for n in {HEAVY} if n in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == (0 if "--help" in words or "--version" in words else 2)
    assert ran.stderr.splitlines()[-1] == "HEAVY"


def test_python_m_does_the_same() -> None:
    ran = subprocess.run([sys.executable, "-m", "thymos.cli", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"thymos {package.__version__}\n"


@pytest.mark.parametrize(
    "line", ["nonsense", "extract", "extract m --out o --bogus", "extract m --out o --format x", "read m"]
)
def test_bad_usage_exits_with_2(thymos: Run, line: str) -> None:
    ran = thymos(*line.split())
    assert ran.code == 2
    assert "Usage:" in ran.err and not ran.out


def test_two_groups_with_the_same_option_cannot_be_flattened() -> None:
    @dataclass(frozen=True)
    class One:
        seed: int = 0

    @dataclass(frozen=True)
    class Two:
        seed: int = 1

    def command(one: object, two: object) -> None:
        raise AssertionError

    command.__annotations__ = {"one": One, "two": Two}
    with pytest.raises(TypeError, match=r"\['seed'\] are options of two groups"):
        flat(command)
