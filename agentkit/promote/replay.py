"""A pipeline done again on what was recorded: no runner, no log, and no tool is called.

Its steps' own code runs, in order; what it asks of tools and models is answered from one recorded run.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from agentkit.definition import (
    AskOptions,
    Context,
    InvalidArguments,
    Need,
    Output,
    PipelineDefinition,
    StepDefinition,
    ToolSpec,
)
from agentkit.errors import ConfigError, Deopt, ToolError
from agentkit.jsonvalue import as_json
from agentkit.promote.kept import KeptCall, KeptRun
from agentkit.promote.values import key
from agentkit.text import brief, call_text, one_line

End: TypeAlias = Literal["output", "deopt", "failed", "unrecorded"]
Outcome: TypeAlias = Literal["equal", "deopt", "failed", "unrecorded", "different"]


@dataclass(frozen=True, slots=True)
class Made:
    """A call that the pipeline made.

    Args:
        step: the step that made it; "remind[2]" for an element of a fan-out.
        tool: the tool's name.
        arguments: JSON.
        writes: whether the tool changes something.
        recorded: whether the run made it too.
    """

    step: str
    tool: str
    arguments: Mapping[str, Any]  # JSON
    writes: bool
    recorded: bool

    def __str__(self) -> str:
        return call_text(self.tool, self.arguments, 400)


@dataclass(slots=True)
class Replayed:
    """What a pipeline did on a recorded run.

    Args:
        calls: what it called, in order.
        end: "output", or how it ended else: "deopt" a guard failed, "failed" a step did, "unrecorded" it called what
            the run never did, so that nobody knows what would have come back.
        why: what it ended with, where it was no output.
        output: what it ended with, JSON.
    """

    calls: list[Made] = field(default_factory=list[Made])
    end: End = "output"
    why: str = ""
    output: Any = None  # JSON

    def writes(self) -> list[Made]:
        """The calls that would have changed something, in order."""
        return [call for call in self.calls if call.writes]


def replay(pipeline: Any, run: KeptRun) -> Replayed:
    """Do a pipeline again on a recorded run.

    A step that fails ends what needs it; the others run on, as they may have at the same time.

    Args:
        pipeline: an `ak.Pipeline`; its functions are executed, its tools are not.
        run: what went in, and what each call brought.

    Returns:
        What it called, and how it ended.
    """
    replaying = _Replay(pipeline.definition, set(_tools_as_steps(pipeline)), run)
    replaying.run_all()
    return replaying.found


def compare(run: KeptRun, found: Replayed) -> tuple[Outcome, str]:
    """What a replay proves.

    Args:
        run: the recorded run.
        found: what the pipeline did on it.

    Returns:
        "equal" the same writes and the same output; "different" a write that the run did not make, or another output;
        else how it ended without one; and what differs, in words.
    """
    left = run.writes()
    for made in found.writes():
        same = next((call for call in left if call.is_for(made.tool, made.arguments)), None)
        if same is None:
            return "different", f"{made.step} writes {made}, which the run did not; it wrote {_listed(run)}"
        left.remove(same)
    if found.end != "output":
        return found.end, found.why
    if left:
        missing = call_text(left[0].tool, left[0].arguments, 400)
        return "different", f"the run also wrote {missing}, and the pipeline does not"
    if [made.tool for made in found.writes()] != [call.tool for call in run.writes()]:
        return "different", f"it writes in another order; the run wrote {_listed(run)}"
    if key(run.output) != key(found.output):
        return "different", f"it ends with {brief(found.output, 300)}, the run with {brief(run.output, 300)}"
    return "equal", ""


def _listed(run: KeptRun) -> str:
    return "; ".join(call_text(call.tool, call.arguments, 200) for call in run.writes()) or "nothing"


def _tools_as_steps(pipeline: Any) -> list[str]:
    """The steps whose work is a tool of the user's: it is looked up, not called."""
    return [name for name, step in pipeline.declared.items() if isinstance(step.work, ToolSpec)]


class _NotRecorded(BaseException):
    """Nobody knows what would have come back; no step's own code is to catch it."""


class _Replay:
    """Does one pipeline again on one run."""

    def __init__(self, definition: PipelineDefinition, tools: set[str], run: KeptRun) -> None:
        self.found = Replayed()
        self._definition = definition
        self._tools = tools
        self._run = run
        self._values: dict[str, Any] = {}  # JSON
        self._skipped: set[str] = set()
        self._failed: set[str] = set()
        self._unused = list(run.calls)

    def run_all(self) -> None:
        try:
            inputs = self._definition.inputs
            self._values |= inputs.to_json(inputs.validate(dict(self._run.input)))
        except InvalidArguments as error:
            self._ends("failed", f"the input does not fit: {error}")
            return
        for name, step in self._definition.steps.items():
            if not self._failed & set(step.sources):
                self._step(name, step)
            else:
                self._failed.add(name)
        if self.found.end == "output":
            steps = self._definition.output.steps
            values = {name: self._values.get(name) for name in steps}
            self.found.output = values[steps[0]] if len(steps) == 1 else values

    def _ends(self, end: End, why: str) -> None:
        """The first that went wrong is what a run ends with."""
        if self.found.end == "output":
            self.found.end, self.found.why = end, why

    def _step(self, name: str, step: StepDefinition) -> None:
        try:
            if not self._is_needed(step):
                self._skipped.add(name)
                return
            self._values[name] = self._item(name, step, {}) if step.each is None else self._items(name, step, step.each)
        except _NotRecorded as error:
            self._failed.add(name)
            self._ends("unrecorded", f"{name}: {error}")
        except Deopt as error:
            self._failed.add(name)
            self._ends("deopt", f"{name}: {error}")
        except Exception as error:  # noqa: BLE001  a step's code may raise anything: its run fails
            self._failed.add(name)
            self._ends("failed", f"{name}: {type(error).__name__}: {one_line(str(error), 300)}")

    def _is_needed(self, step: StepDefinition) -> bool:
        """Whether what it cannot do without is there, and its condition holds."""
        needs = (*step.needs, *((step.each,) if step.each is not None else ()))
        if any(need.source in self._skipped and not need.optional for need in needs):
            return False
        if step.when is None:
            return True
        if any(need.source in self._skipped and not need.optional for need in step.when.needs):
            return False
        values = step.when.values.validate(self._given(step.when.needs))
        said = step.when.function(**values)
        return bool(_awaited(said) if asyncio.iscoroutine(said) else said)

    def _given(self, needs: tuple[Need, ...]) -> dict[str, Any]:
        return {need.parameter: self._values.get(need.source) for need in needs}

    def _items(self, name: str, step: StepDefinition, each: Need) -> list[Any]:
        elements: Any = self._values[each.source]
        if not isinstance(elements, list):
            raise TypeError(f"each={each.source!r} has to be a list, and this time it is {type(elements).__name__}")
        found = cast("list[Any]", elements)
        return [self._item(f"{name}[{index}]", step, {each.parameter: one}) for index, one in enumerate(found)]

    def _item(self, path: str, step: StepDefinition, element: Mapping[str, Any]) -> Any:
        given = {**self._given(step.needs), **element}
        tool = step.tool
        if path.partition("[")[0] in self._tools or tool.kind != "function" or tool.writes:
            return self.call(path, tool, given)
        context = Context("replay", path, 1, "replay", None, _calls=_Calls(self, path))
        value = tool.call(tool.validate(given), context)
        return tool.result_json(_awaited(value) if tool.is_async else value)

    # what a step asks of others --------------------------------------------------------------------------------------

    def call(self, path: str, tool: ToolSpec, arguments: Mapping[str, Any]) -> Any:
        """The recorded result of the same call, JSON."""
        name = tool.schema.name
        given = tool.arguments_json(tool.validate(as_json(dict(arguments), name)))
        call = self._find(name, given)
        self.found.calls.append(Made(path, name, given, tool.writes, call is not None))
        if call is None:
            raise _NotRecorded(f"the run never called {call_text(name, given, 400)}{self._instead(name)}")
        if call.error is not None:
            raise ToolError(call.error)
        return call.result

    def _find(self, name: str, arguments: Mapping[str, Any]) -> KeptCall | None:
        """The first such call of the run that was not asked for yet; a read may be asked for again."""
        for call in self._unused:
            if call.is_for(name, arguments):
                self._unused.remove(call)
                return call
        again = [call for call in self._run.calls if not call.writes and call.is_for(name, arguments)]
        return again[-1] if again else None

    def _instead(self, name: str) -> str:
        calls = [call_text(name, call.arguments, 200) for call in self._run.calls if call.tool == name]
        return f"; it called {'; '.join(calls[:3])}" if calls else ""

    def answer(self, path: str) -> Any:
        """What the run's agent had made, where this step asks a model for it; JSON."""
        name, _, index = path.partition("[")
        if name not in self._run.answers:
            raise _NotRecorded(f"the run has no answer for the question of {path}")
        found = self._run.answers[name]
        if not index:
            return found
        answers, at = cast("list[Any]", found if isinstance(found, list) else []), int(index[:-1])
        if at >= len(answers):
            raise _NotRecorded(f"the run has no answer for the question of {path}")
        return answers[at]


class _Calls:
    """What a step's context asks and calls through."""

    def __init__(self, replaying: _Replay, path: str) -> None:
        self._replaying = replaying
        self._path = path

    async def ask(self, prompt: Any, output: Any, options: AskOptions) -> Any:
        """The recorded answer."""
        del options
        as_json(prompt, "prompt")
        return Output(output).from_json(self._replaying.answer(self._path))

    async def call(self, tool: ToolSpec, arguments: Mapping[str, Any]) -> Any:
        """The recorded result, as the tool's type has it."""
        try:
            result = self._replaying.call(self._path, tool, arguments)
        except InvalidArguments as error:
            raise ConfigError(f"ctx.call({tool.schema.name}): {error}") from error
        read = getattr(tool, "result_value", None)
        return result if read is None else read(result)

    def progress(self, done: float, total: float | None) -> None:
        """Nobody looks."""

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run what waits for nothing."""
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        raise RuntimeError("a replayed call waits for nothing")


def _awaited(work: Any) -> Any:
    """What an asynchronous step comes to, in a loop of its own: the caller's may be running."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.extend((asyncio.run(work), None))
        except BaseException as error:  # noqa: BLE001  it is raised again where the step was entered
            found.extend((None, error))

    thread = threading.Thread(target=run, name="agentkit-replay")
    thread.start()
    thread.join()
    value, error = found
    if error is not None:
        raise error
    return value
