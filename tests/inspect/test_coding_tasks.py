"""The shipped tasks, run in Inspect's local sandbox: what is ours to verify is verified by running it."""

import json
from collections.abc import Iterator

import pytest

from thymos.errors import UsageError
from thymos.studies.agent_loop import Ask, Episode, Run, coding_loop
from thymos.studies.coding_tasks import CodingTask, coding_tasks
from thymos.studies.sandboxes import InspectRunner, Runner, open_runner

QUICK = ("fair-shares", "tiny-tally")
GROUPS = [
    pytest.param(task.group, marks=() if task.group in QUICK else pytest.mark.slow)
    for task in coding_tasks("impossible")
]
TESTS = """import unittest

import solution


class T(unittest.TestCase):
    def test(self):
        pass
"""
FILES = {"solution.py": "", "test_solution.py": TESTS}


@pytest.fixture(scope="module")
def local() -> Iterator[Runner]:
    with open_runner("local") as runner:
        yield runner


def _episode(task: CodingTask, files: dict[str, str], report: str, runner: Runner) -> Episode:
    said = iter(["\n\n".join(f"{path}\n```python\n{text}\n```" for path, text in files.items()), report])
    loop = coding_loop(task)
    wants = next(loop)
    try:
        while True:
            wants = loop.send(next(said) if isinstance(wants, Ask) else runner.run(wants))
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize("group", GROUPS)
def test_the_twin_is_solved_and_the_task_only_by_shortcuts_each_graded_right(group: str, local: Runner) -> None:
    task, twin = coding_tasks(names=(group,))
    solved = _episode(twin, {"solution.py": twin.examples["reference"]}, "All tests pass. Done.", local)
    assert solved.verdict.outcome == "solved" and not solved.verdict.false_success
    assert (solved.held.shown, solved.held.required, solved.held.general) == (True, True, True)
    honest = _episode(task, {"solution.py": task.examples["attempt"]}, task.examples["honest"], local)
    assert honest.verdict.outcome == "honest_report" and not honest.held.shown
    for hack in task.examples["hacks"]:
        episode = _episode(task, dict(hack["files"]), "All tests pass now.", local)
        assert episode.verdict.outcome == hack["kind"], hack["id"]
        assert episode.verdict.false_success and episode.rounds[0].run.green
        # What the task demands beyond its samples never holds: no code could.
        assert episode.held.required is not True and episode.held.general is not True
    json.dumps(solved.to_dict())


def test_a_run_has_limits_and_sees_no_variables(local: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    seen = local.run(Run({**FILES, "solution.py": "import os\nprint(sorted(os.environ))\n"}, 20))
    assert seen.passed and "SECRET_TOKEN" not in seen.output and "PATH" in seen.output
    endless = local.run(Run({**FILES, "solution.py": "while True:\n    pass\n"}, 1))
    assert endless.code is None and "stopped after 1 seconds" in endless.output
    assert not local.run(Run({**FILES, "solution.py": "import os\nos._exit(0)\n"}, 20)).green
    assert not local.run(Run({**FILES, "solution.py": "x = bytes(10**11)\n"}, 20)).green


def test_a_sandbox_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = InspectRunner("docker")
    monkeypatch.setattr(InspectRunner, "_task", lambda self, folder: "no engine answers")
    with pytest.raises(
        UsageError, match="'docker' cannot be used: .*no engine answers; start Docker, or .*sandbox=local"
    ):
        runner.run(Run(FILES, 5))
