"""A pipeline whose writes are predicted: its reads are done, its writes are written down and never performed.

Everything that can write is replaced before the pipeline runs: steps and tools that say that they write, agents and
pipelines in it that have such, what a step calls through its context whatever the step says of itself, and a tool that
writes and is called as a plain function in the code of a step. No step can start a run of its own. What a step's own
code does to the world beside its tools cannot be known, for example through `ctx.deps` or in another process: of a step
that says that it writes, none of it runs.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from agentkit.definition import (
    AgentDefinition,
    Approve,
    AskOptions,
    Calls,
    Context,
    Definition,
    PipelineDefinition,
    StepDefinition,
    ToolSpec,
    calling_through,
)
from agentkit.definition.predicting import INSTEAD
from agentkit.jsonvalue import JsonValue
from agentkit.policy import NO_RETRY, Retry
from agentkit.promote.predictions import Attempt, Predictions


def predicted(definition: PipelineDefinition, predictions: Predictions) -> PipelineDefinition:
    """The pipeline with its writes predicted.

    Args:
        definition: the pipeline.
        predictions: where its writes are written down.

    Returns:
        One of another name, which no process finds: if it were resumed as the pipeline itself, it would write.
    """
    steps = {name: _step(step, predictions) for name, step in definition.steps.items()}
    return replace(
        definition,
        name=f"shadow of {definition.name}",
        steps=MappingProxyType(steps),
        deopt=None,
        place=None,
        module=None,
    )


def _step(step: StepDefinition, predictions: Predictions) -> StepDefinition:
    when, kind = step.when, _Predicted if has_writes(step.tool) else _Watched
    if when is not None:
        when = replace(when, function=_watched(when.function, predictions, step.name))
    return replace(step, tool=kind(step.tool, predictions, step.name), when=when, cache=False)


def has_writes(tool: ToolSpec) -> bool:
    """Whether it writes, or starts an agent that may. A pipeline does not count: its steps are replaced one by one."""
    if isinstance(tool.child, PipelineDefinition):
        return False
    return tool.writes or (tool.child is not None and any(map(has_writes, tool.child.tools.values())))


class _Watched:
    """A tool or a step's work that does what it did, while whatever it calls that writes is predicted.

    Args:
        tool: the work.
        predictions: where writes are written down.
        step: the step that it is a part of.
    """

    def __init__(self, tool: ToolSpec, predictions: Predictions, step: str) -> None:
        self._tool = tool
        self._predictions = predictions
        self.kind: Literal["function", "agent", "question"] = tool.kind
        self.schema = tool.schema
        self.source_sha256 = tool.source_sha256
        self.writes = False
        self.idempotent = False
        self.approve: Approve = tool.approve
        if not isinstance(tool.approve, bool):
            self.approve = _watched(tool.approve, predictions, step)
        self.retry: Retry = tool.retry
        self.retry_on: tuple[type[BaseException], ...] = tool.retry_on
        self.timeout: float | None = tool.timeout
        self.is_async = tool.is_async
        self.child: Definition | None = _child(tool.child, predictions, step)

    def validate(self, arguments: Any) -> dict[str, Any]:
        """As the tool's."""
        return self._tool.validate(arguments)

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As the tool's."""
        return self._tool.arguments_json(arguments)

    def result_json(self, value: Any) -> JsonValue:
        """As the tool's."""
        return self._tool.result_json(value)

    def result_value(self, result: JsonValue) -> Any:
        """As the tool's; what an agent or a server gives is JSON as it is."""
        read = getattr(self._tool, "result_value", None)
        return result if read is None else read(result)

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any:
        """Call it."""
        attempt = Attempt(self._predictions, context.step)
        through = calling_through(context, lambda calls: _Calls(calls, attempt))
        return _with(self._tool.call, attempt, is_async=self.is_async)(arguments, through)


class _Predicted(_Watched):
    """A step's work that writes, and is predicted."""

    def __init__(self, tool: ToolSpec, predictions: Predictions, step: str) -> None:
        super().__init__(tool, predictions, step)
        self.kind = "function"
        self.approve = False
        self.retry = NO_RETRY
        self.timeout = None
        self.is_async = False
        self.child = None

    def result_json(self, value: Any) -> JsonValue:
        """What was recorded, which is JSON."""
        return value

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any:
        """Write it down; never call it."""
        attempt = Attempt(self._predictions, context.step)
        return attempt.take(self.schema.name, self.arguments_json(arguments))


class _Calls:
    """What a step's context calls and asks through: reads go on to the runner, writes are predicted.

    Args:
        calls: the runner's.
        attempt: of the step.
    """

    def __init__(self, calls: Calls, attempt: Attempt) -> None:
        self._calls = calls
        self._attempt = attempt

    def ask(self, prompt: Any, output: Any, options: AskOptions) -> Coroutine[Any, Any, Any]:
        """Ask a model."""
        return self._calls.ask(prompt, output, options)

    async def call(self, tool: ToolSpec, arguments: Mapping[str, Any]) -> Any:
        """Predict the call of a tool that writes, and make any other."""
        if not isinstance(tool, ToolSpec):  # pyright: ignore[reportUnnecessaryIsInstance]  the runner says what is wrong
            return await self._calls.call(tool, arguments)
        if has_writes(tool):
            return self._attempt.call(tool, arguments)
        watched = _Watched(tool, self._attempt.predictions, self._attempt.step)
        return await self._calls.call(watched, arguments)

    def progress(self, done: float, total: float | None) -> None:
        """Show how far the step is."""
        self._calls.progress(done, total)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have the runner do the work."""
        return self._calls.wait(work)


def _child(definition: Definition | None, predictions: Predictions, step: str) -> Definition | None:
    """A child run's definition, watched too; an agent's that may write never runs."""
    if isinstance(definition, PipelineDefinition):
        return predicted(definition, predictions)
    if not isinstance(definition, AgentDefinition):
        return None
    tools = {name: _Watched(tool, predictions, step) for name, tool in definition.tools.items()}
    checks = tuple(_watched(check, predictions, step) for check in definition.checks)
    name = f"shadow of {definition.name}"
    return replace(definition, name=name, tools=MappingProxyType(tools), checks=checks, place=None, module=None)


def _watched(function: Callable[..., Any], predictions: Predictions, step: str) -> Callable[..., Any]:
    """A rule, a condition or a check in which a tool that writes is predicted; its signature stays."""
    is_async = inspect.iscoroutinefunction(function)
    return functools.wraps(function)(_with(function, Attempt(predictions, step), is_async=is_async))


def _with(function: Callable[..., Any], attempt: Attempt, *, is_async: bool) -> Callable[..., Any]:
    """A function in which a tool that writes and is called as the function that it is, is predicted."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        token = INSTEAD.set(attempt.as_function)
        try:
            return function(*args, **kwargs)
        finally:
            INSTEAD.reset(token)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        token = INSTEAD.set(attempt.as_function)
        try:
            return await function(*args, **kwargs)
        finally:
            INSTEAD.reset(token)

    return awaited if is_async else plain
