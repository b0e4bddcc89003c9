"""A language model as a second grader in Inspect: blinded, read as whole numbers, its agreement with the rules told."""

from collections.abc import Callable, Mapping, Sequence

from inspect_ai.model import ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState

from thymos.behaviour.judge import RUBRICS
from thymos.errors import UsageError, did_you_mean
from thymos.inspect.scoring import shares_of

__all__ = ["Shown", "judge_model", "judged", "kappa"]

_PAIR = " / "
_UNJUDGED = "unjudged"
_DOUBTFUL = ("suspected", "unclear")
"""What the rules cannot tell is not held against the judge."""

Shown = Callable[[TaskState], tuple[str, str, str, str]]
"""Sample -> rubric, scene, reply, and the verdict of the rules; nothing of the condition."""


def judge_model(judge: str | Model | None, base_url: str | None = None) -> Model | None:
    """The judge of a task: an Inspect model, or its name.

    Args:
        judge: For example "openai/gpt-4o", or with a base address the name that an OpenAI-compatible endpoint knows.
        base_url: The address of that endpoint.
    """
    if not judge or isinstance(judge, Model):
        return judge or None
    name = judge if base_url is None or "/" in judge else f"openai/{judge}"
    return get_model(name, base_url=base_url, api_key="none" if base_url else None)


@metric
def kappa() -> Metric:
    """Cohen's kappa of rules and judge over all epochs, the share alike, and the share that the judge left out.

    Source: Cohen 1960, doi 10.1177/001316446002000104.
    """

    def measure(scores: list[SampleScore]) -> Value:
        table = {name: sum(values) / len(values) for name, values in shares_of(scores).items() if _PAIR in name}
        return dict(_agreement(table))

    return measure


def _agreement(table: Mapping[str, float]) -> dict[str, float]:
    """Agreement from the shares of all pairs of verdicts."""
    pairs = {tuple(name.split(_PAIR)): share for name, share in table.items() if share > 0}
    left_out = sum((share for pair, share in pairs.items() if pair[1] == _UNJUDGED), 0.0)
    kept = {p: s for p, s in pairs.items() if p[1] != _UNJUDGED and p[0] not in _DOUBTFUL}
    whole = sum(kept.values(), 0.0)
    if whole <= 0:
        return {"kappa": float("nan"), "alike": float("nan"), "unjudged": left_out}
    alike = sum((share for (rules, judge), share in kept.items() if rules == judge), 0.0) / whole
    names = {name for pair in kept for name in pair}
    chance = sum((_margin(kept, name, 0) * _margin(kept, name, 1) for name in names), 0.0) / whole**2
    value = (alike - chance) / (1 - chance) if chance < 1 - 1e-12 else float("nan")
    return {"kappa": value, "alike": alike, "unjudged": left_out}


def _margin(pairs: Mapping[tuple[str, ...], float], name: str, side: int) -> float:
    return sum((share for pair, share in pairs.items() if pair[side] == name), 0.0)


@scorer(metrics=[kappa()])
def judged(judge: Model, shown: Shown, rubrics: Sequence[str], verdicts: Sequence[str]) -> Scorer:
    """The judge's verdict on every reply.

    Args:
        judge: The judge.
        shown: What it is shown of a sample, and what the rules say.
        rubrics: Names of `thymos.behaviour.judge.RUBRICS` that samples name.
        verdicts: All verdicts of the rules.
    """
    for rubric in rubrics:
        if rubric not in RUBRICS:
            raise UsageError(f"no rubric {rubric!r}{did_you_mean(rubric, RUBRICS)}; rubrics: {', '.join(RUBRICS)}")
    second = tuple(dict.fromkeys([*(v for name in rubrics for v in RUBRICS[name].verdicts), _UNJUDGED]))
    first = tuple(dict.fromkeys([*verdicts, *second[:-1]]))

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - Inspect's signature
        name, scene, reply, rules = shown(state)
        if name not in RUBRICS:
            # Graded by a rule that leaves nothing to judge.
            nothing = {f"{a}{_PAIR}{b}": 0.0 for a in first for b in second}
            return Score(value=dict(nothing), explanation="not judged: the answer is a single word")
        asked = [ChatMessageUser(content=message["content"]) for message in RUBRICS[name].messages(scene, reply)]
        output = await judge.generate(list(asked), config=GenerateConfig(temperature=0.0, max_tokens=2048))
        verdict = RUBRICS[name].read(output.completion) or _UNJUDGED
        pairs = {f"{a}{_PAIR}{b}": float((a, b) == (rules, verdict)) for a in first for b in second}
        return Score(
            value=dict(pairs), answer=output.completion, explanation=verdict,
            metadata={"rules": rules, "judge": verdict},
        )  # fmt: skip

    return score
