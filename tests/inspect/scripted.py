"""A model for Inspect that says what a function of the conversation returns, and evaluations without a network."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelAPI, ModelOutput, get_model, modelapi

Says = Callable[[Sequence[ChatMessage]], str]


class Scripted(ModelAPI):
    def __init__(self, model_name: str, base_url=None, api_key=None, config=GenerateConfig(), **args: Any) -> None:  # noqa: B008
        super().__init__(model_name, base_url, api_key, [], config)
        self.says: Says = args["says"]
        self.asked: list[list[ChatMessage]] = []

    async def generate(self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
        self.asked.append(list(input))
        return ModelOutput.from_content("scripted", self.says(input))

    async def count_text_tokens(self, text: str) -> int:
        return len(text.split())

    async def count_tokens(self, input: Any, config: Any = None) -> int:
        return len(str(input).split())


@modelapi(name="scripted")
def scripted_api() -> type[ModelAPI]:
    return Scripted


def scripted(says: Says) -> Model:
    return get_model("scripted/lines", memoize=False, says=says)


def run(task: Task, model: Model, folder: Path, **options: Any) -> EvalLog:
    """The log of an evaluation; a sample that fails fails the test."""
    with warnings.catch_warnings():
        # Inspect's own and its dependencies'.
        warnings.simplefilter("ignore")
        (log,) = eval(task, model=model, display="none", log_dir=str(folder), log_level="error", **options)
    assert log.status == "success", log.error
    return log


def figures(log: EvalLog, scorer: str) -> dict[str, float]:
    """Metrics of a scorer by name."""
    (found,) = [one for one in log.results.scores if one.name == scorer]
    return {name: one.value for name, one in found.metrics.items()}
