"""When a pipeline meets what it was not made for: what counts as that, and how its agent goes on from there.

What is thrown away is only what has not begun: see `agentkit.decide.deopt` for the order in which a run gets there.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from agentkit import failpoints, wiring
from agentkit.definition import AgentDefinition, InvalidArguments, PipelineDefinition, ToolSpec
from agentkit.errors import AskFailed, CallFailed, ConfigError, Deopt, ToolError
from agentkit.events import Deopted, ErrorInfo, MadeCall, ParentWrite, RunFailedEvent, RunSucceeded
from agentkit.ids import digest
from agentkit.runner import answers
from agentkit.runner.records import error_info, place_of
from agentkit.state import CallStep

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

FAIL_POINTS = ("deopt.met", "deopt.recorded")

_NUMBERS = re.compile(r"([0-9]+)")
_NOT_FOUND = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
"""What Python raises where a value is not as the code expects it: a key, an index, an attribute, a number, a date."""


# what counts as one --------------------------------------------------------------------------------------------------


def as_guard(act: "Activation", call: CallStep, tool: ToolSpec, error: BaseException) -> ErrorInfo | None:
    """What a step met, where its error says that; None where it is another failure.

    `ak.Deopt` always does: who raises it says that the attempt itself wrote nothing. In a guarded pipeline the errors
    of code that met other data than it was made for do too, as long as the step's own function cannot have written.
    """
    if not call.is_step or tool.child is not None:
        return None
    if isinstance(error, Deopt) or not tool.writes or isinstance(error, ToolError):
        return of_code(act, error)
    return None


def of_code(act: "Activation", error: BaseException) -> ErrorInfo | None:
    """The same for code that writes nothing."""
    if isinstance(error, Deopt):
        return error_info(error, traced=True)
    definition = act.definition
    if not isinstance(definition, PipelineDefinition) or not definition.guarded or not _is_of_other_data(error):
        return None
    info = error_info(error, traced=True)
    place = place_of(error)
    context = {**info.context, "raised": info.type, **({"at": place} if place is not None else {})}
    return info.model_copy(
        update={"type": Deopt.__name__, "message": f"{info.type}: {info.message}", "context": context}
    )


def of_arguments(act: "Activation", call: CallStep, info: ErrorInfo) -> ErrorInfo | None:
    """The same for arguments that do not fit a step: an input or a result that is not as it was."""
    definition = act.definition
    if not call.is_step or not isinstance(definition, PipelineDefinition) or not definition.guarded:
        return None
    context = {**info.context, "raised": info.type}
    return info.model_copy(update={"type": Deopt.__name__, "context": context})


def _is_of_other_data(error: BaseException) -> bool:
    """Whether other data than the code was made for is the likely cause; a line that dropped is not."""
    if isinstance(error, ToolError):
        return not error.retryable
    if isinstance(error, CallFailed):  # of a tool that a step calls: what it is told of, an agent would be too
        return error.effect == "none" and not error.error.retryable
    if isinstance(error, AskFailed):
        return error.error.type == "TooManyReasks"
    if isinstance(error, ConfigError):  # `ctx.call` with arguments that the tool refuses
        return isinstance(error.__cause__, InvalidArguments)
    return isinstance(error, _NOT_FOUND)


# handing over --------------------------------------------------------------------------------------------------------


def record(act: "Activation", step: str) -> None:
    """Record what was met, and the results so far."""
    failpoints.hit("deopt.met")
    call, definition = act.state.calls[step], _pipeline(act)
    error = call.error or ErrorInfo(type=Deopt.__name__, message="a guard failed")
    answers.withdraw(act.recorder)
    body = Deopted(
        message=error.message,
        context=error.context,
        agent=definition.deopt.schema.name if definition.deopt is not None else None,
        calls=tuple(_made(act)),
        writes=tuple(_write(act, write) for write in _in_order(act, wiring.begun_writes(act.state))),
    )
    act.record(body, step=step, name=call.name)
    failpoints.hit("deopt.recorded")


def _made(act: "Activation") -> list[MadeCall]:
    """The calls that ended, as the agent would have made them; of a read that was made again, the last time."""
    ended = (call for call in act.state.calls.values() if call.status == "done" and call.outcome is not None)
    found: dict[str, MadeCall] = {}
    for call in _in_order(act, ended):
        name = _tool_name(act, call)
        if name is None:
            continue
        made = MadeCall(step=call.step, name=name, arguments=_arguments(act, call))
        same = call.step if call.writes else digest([name, made.arguments])
        found.pop(same, None)
        found[same] = made
    return list(found.values())


def _in_order(act: "Activation", calls: Iterable[CallStep]) -> list[CallStep]:
    """Calls as the pipeline has its steps, and by number within one: which of several at once ended first is chance."""
    places = {name: place for place, name in enumerate(_pipeline(act).steps)}

    def place(call: CallStep) -> tuple[int, list[tuple[int, str]]]:
        step = call.step.partition("/")[0].partition("[")[0]
        parts = _NUMBERS.split(call.step)  # words and numbers in turn
        numbered = [(int(part), "") if part.isdigit() else (0, part) for part in parts]
        return places.get(step, len(places)), numbered

    return sorted(calls, key=place)


def _tool_name(act: "Activation", call: CallStep) -> str | None:
    """The tool that a call called, as the agent knows it; None of a step that is code of its own."""
    if call.within is not None:
        return call.name
    agent, tool = _agent(act), act.known_tool(call.step)
    if agent is None or tool is None or call.step in act.state.fans:
        return None
    known = agent.tools.get(tool.schema.name)
    return known.schema.name if known is not None and known.source_sha256 == tool.source_sha256 else None


def _agent(act: "Activation") -> AgentDefinition | None:
    work = _pipeline(act).deopt
    return work.child if work is not None and isinstance(work.child, AgentDefinition) else None


def _arguments(act: "Activation", call: CallStep) -> Any:
    from agentkit.runner.questions import wired

    if call.arguments is not None or call.within is not None:
        return call.arguments if call.arguments is not None else call.raw
    return wired(act, call.step)


def _write(act: "Activation", call: CallStep) -> ParentWrite:
    outcome: Any = None
    if call.outcome == "ok":
        outcome = {"result": call.result}
    elif call.error is not None:
        outcome = {"error": call.error.message, "effect": call.effect}
    name = _tool_name(act, call) or call.name
    return ParentWrite(step=call.step, name=name, arguments=_arguments(act, call), outcome=outcome)


def ask_person(act: "Activation") -> None:
    """Something was written: a person says whether the agent goes on from there."""
    from agentkit.runner.questions import ask

    met = act.state.deopted
    assert met is not None, "what was met is recorded before anybody is asked about it"
    count = f"{len(met.writes)} write{'s' if len(met.writes) > 1 else ''}"
    ask(
        act,
        "deopt",
        f"{act.state.deopted_by} met what {act.state.name} was not made for, after {count}: "
        f"{met.message}. Let {met.agent} go on from here?",
        step=None,
        arguments={
            "step": act.state.deopted_by,
            "met": met.message,
            **({"context": met.context} if met.context else {}),
        },
        shows=[write.model_dump(mode="json") for write in met.writes],
        options=("approve", "stop"),
    )


def arguments(act: "Activation") -> dict[str, Any]:
    """What the agent is given: the pipeline's inputs; one that is named `text` as it is."""
    given = cast("dict[str, Any]", act.state.input)
    return {"task": given["text"] if list(given) == ["text"] else given}


def finish(act: "Activation") -> None:
    """End the run with what the agent gave, where that is what the pipeline gives."""
    output = act.state.calls["deopt"].result
    try:
        _pipeline(act).output.from_json(output)
    except (ValidationError, AttributeError) as error:  # of several steps, an object is expected
        problem = (
            f"{act.state.deopted and act.state.deopted.agent} went on, and its output is not the pipeline's: {error}"
        )
        info = ErrorInfo(type=Deopt.__name__, message=problem, context={"output": output})
        act.record(RunFailedEvent(error=info), status="failed")
        return
    act.record(RunSucceeded(output=output), status="succeeded")


def _pipeline(act: "Activation") -> PipelineDefinition:
    assert isinstance(act.definition, PipelineDefinition), "only a pipeline deopts"
    return act.definition
