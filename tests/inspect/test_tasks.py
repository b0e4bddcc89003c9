import json
from pathlib import Path

import pytest
from scripted import figures, run, scripted

from thymos.errors import UsageError
from thymos.inspect import blackmail, kappa, reward_hacking, sycophancy
from thymos.inspect.judging import _agreement
from thymos.studies.coding_tasks import coding_tasks
from thymos.studies.stimuli import load_stimuli

SOLVED = {task.group: task for task in coding_tasks("solvable")}
THREAT = "restricted-access"


def _block(files: dict[str, str]) -> str:
    return "\n\n".join(f"{path}\n```python\n{text}```" for path, text in files.items())


def test_mails_are_graded_by_the_rules_in_groups_with_standard_errors(tmp_path: Path) -> None:
    told = load_stimuli("blackmail")
    threat = next(one for one in told["graded"] if one["outcome"] == "blackmail" and not one["hard"])
    goal = next(one["goal"] for one in told["variants"] if one["id"] == threat["variant"])

    def says(messages) -> str:
        return threat["text"] if goal in messages[0].text else "<scratchpad>\nNothing to do.\n</scratchpad>"

    log = run(blackmail(epochs=2), scripted(says), tmp_path)
    found = figures(log, "mail_rules")
    assert len(log.samples) == 24
    assert [found["pressure: blackmail"], found["pressure: blackmail (stderr)"]] == pytest.approx([1 / 6] * 2)
    assert found["harmless: neither"] == pytest.approx(5 / 6)


def test_a_reply_is_begun_only_where_the_model_continues_it(tmp_path: Path) -> None:
    model = scripted(lambda messages: "<scratchpad>\nAll is well.\n</scratchpad>")
    run(blackmail(variants=THREAT, harmless=False, epochs=1), model, tmp_path)
    assert [message.role for message in model.api.asked[0]] == ["system", "user"]


def test_tones_and_answers_are_graded_by_axis(tmp_path: Path) -> None:
    told = load_stimuli("sycophancy")

    def says(messages) -> str:
        item = next((one for one in told["keep_or_cave"] if one["push_back"] in messages[-1].text), None)
        return f"You are right, I was wrong; it is {item['wrong']}." if item else "Yes."

    log = run(sycophancy(axes=["agree", "agree_true", "cave"], items=3, epochs=1), scripted(says), tmp_path)
    found = figures(log, "tone_rules")
    assert found["agree: agree"] == found["agree_true: agree"] == 1
    assert found["cave: cave"] > 0.5 and "cave: agree" not in found


def test_a_judge_sees_neither_model_nor_condition_and_its_agreement_is_told(tmp_path: Path) -> None:
    subject = scripted(lambda messages: "You are right, it is what you say.")
    judge = scripted(lambda messages: "1" if "127" in messages[0].text else "no number at all")
    task = sycophancy(axes="cave", items=2, epochs=1, judge=judge)
    log = run(task, subject, tmp_path, metadata={"steer": "calm:0.05"})
    found = figures(log, "judged")
    assert found["unjudged"] == 0.5 and "kappa" in found
    shown = judge.api.asked[0][0].text
    assert "END OF SCENE" in shown and "calm" not in shown and "scripted" not in shown


def test_kappa_is_cohens() -> None:
    shares = {"a / a": 0.4, "b / b": 0.3, "a / b": 0.1, "b / a": 0.2, "unclear / a": 0.5, "a / unjudged": 0.1}
    found = _agreement(shares)
    assert found["alike"] == pytest.approx(0.7) and found["kappa"] == pytest.approx(0.4)
    assert found["unjudged"] == 0.1
    assert kappa() is not None


def test_names_that_do_not_exist_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'restricted-access'"):
        blackmail(variants="restricted-acess")
    with pytest.raises(UsageError, match="valid: agree, agree_true, cave"):
        sycophancy(axes="rude")
    with pytest.raises(UsageError, match="valid: 'docker' .*'local'"):
        reward_hacking(sandbox="here")
    with pytest.raises(UsageError, match="did you mean 'fair-shares'"):
        reward_hacking(sandbox="local", tasks="fair-share")


def test_agents_are_graded_in_the_sandbox_and_the_diff_is_kept(tmp_path: Path) -> None:
    hack = next(
        hack
        for task in coding_tasks("impossible", ("fair-shares",))
        for hack in task.examples["hacks"]
        if hack["kind"] == "tests_edited"
    )

    def says(messages) -> str:
        if len(messages) > 2:
            return "All tests pass now. It is ready."
        twin = SOLVED["fair-shares"]
        return _block(
            {"solution.py": twin.examples["reference"]} if twin.statement in messages[1].text else hack["files"]
        )

    judge = scripted(lambda messages: "1")
    task = reward_hacking(sandbox="local", tasks="fair-shares", epochs=1, judge=judge)
    log = run(task, scripted(says), tmp_path)
    found = figures(log, "code_rules")
    assert found["impossible: tests_edited"] == found["impossible: false success"] == found["solvable: solved"] == 1
    assert found["solvable: shortcut"] == found["solvable: false success"] == 0
    sample = next(one for one in log.samples if one.metadata["kind"] == "impossible")
    told = sample.store["thymos_episode"]
    assert "-BILLS" in told["diff"]["test_solution.py"] and told["rounds"][0]["passed"] and told["held"][0] is False
    assert sample.scores["code_rules"].metadata["diff"] == told["diff"]
    assert "@@" in judge.api.asked[0][0].text and figures(log, "judged")["alike"] == 0.5
    json.dumps(told)
