"""What the runner writes down without asking anybody: decisions, retries, trims, refusals."""

import traceback
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.definition import AgentDefinition
from agentkit.errors import AskFailed, CallFailed, Deopt, EncodingError, ToolError
from agentkit.events import Decided, ErrorInfo, HistoryTrimmed, RetryScheduled, ToolFailed
from agentkit.jsonvalue import as_json, clean_text
from agentkit.messages import AssistantMessage
from agentkit.policy import Retry
from agentkit.runner.recorder import now
from agentkit.state import ModelStep

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation
    from agentkit.runner.asking import Asking


def decision(act: "Activation", step: str) -> None:
    """Record what the model chose: a call, or to answer."""
    offered = tuple(tool.offered.name for tool in act.state.header.tools)
    call = act.state.calls.get(step)
    if call is None:
        act.record(Decided(action="answer", offered=offered), step=step, name="answer")
        return
    said = _reported(act, call.call_id)
    act.record(
        Decided(
            action=call.name,
            call_id=call.call_id,
            why=said.get("why"),
            instead_of=said.get("instead_of"),
            offered=offered,
        ),
        step=step,
        name=call.name,
    )


def _reported(act: "Activation", call_id: str) -> dict[str, str]:
    """What the model said about a call: calls are decided before its next answer, so the last one holds them."""
    answer = next(message for message in reversed(act.state.messages) if isinstance(message, AssistantMessage))
    nothing: dict[str, str] = {}
    return next((call.reported for call in answer.tool_calls if call.id == call_id), nothing)


def schedule_retry(act: "Activation", step: str) -> None:
    """Draw the wait before the next attempt: from here on it is a fact."""
    status = None if act.tasks else "waiting"
    if step in act.state.models and act.definition.kind == "agent":
        act.record(_model_retry(act.agent, act.state.models[step]), step=step, status=status)
        return
    call = act.state.calls[step]
    act.record(_retry(act.tool(step).retry, call.failures, None, call.error), step=step, status=status)


def schedule_model_retry(act: "Asking", step: str) -> None:
    """The same for a model call of an ask; the run as a whole does not wait for it."""
    act.record(_model_retry(act.agent, act.state.models[step]), step=step)


def _model_retry(agent: AgentDefinition, model: ModelStep) -> RetryScheduled:
    return _retry(agent.retry, model.failures, model.retry_after, model.error)


def _retry(policy: Retry, failures: int, after: float | None, error: ErrorInfo | None) -> RetryScheduled:
    delay = policy.delay(failures, retry_after=after)
    return RetryScheduled(
        due=now() + timedelta(seconds=delay),
        delay=delay,
        error=f"{error.type}: {error.message}" if error else "",
        policy=policy.model_dump(mode="json"),
    )


def trim(act: "Activation", keep_from: int) -> None:
    """Leave the oldest turns out of the prompts to come."""
    state = act.state
    first = max(state.trimmed_to, 1)
    act.record(
        HistoryTrimmed(
            keep_from=keep_from,
            dropped=keep_from - first,
            tokens_before=state.tokens,
            tokens_after=state.tokens_from(keep_from),
        )
    )


def refuse_unknown_tool(act: "Activation", step: str) -> None:
    """Tell the model that there is no such tool, and which there are."""
    call = act.state.calls[step]
    error = ErrorInfo(
        type="UnknownTool",
        message=f"there is no tool named {call.name!r}",
        context={"tools": list(act.definition.tools)},
    )
    act.record(ToolFailed(call_id=call.call_id, error=error, reask=True), step=step, name=call.name, status="error")


def error_info(error: BaseException, *, retryable: bool = False, traced: bool = False) -> ErrorInfo:
    """An exception as data that the log can hold; `traced` with its traceback, for the person who has to mend it.

    Of an ask that brought no answer it is the model's error: its type says whether it was refused, or not reached.
    """
    if isinstance(error, AskFailed):  # where it was raised is no news: the ask itself is recorded
        return error.error.model_copy(update={"retryable": retryable})
    trace = "".join(traceback.format_exception(error)) if traced else None
    try:
        message = clean_text(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001  an error that cannot even say what it is
        message = type(error).__name__
    return ErrorInfo(
        type=type(error).__name__,
        message=message[:4000],
        context=_context(_context_of(error)),
        retryable=retryable,
        traceback=clean_text(trace[-4000:]) if trace else None,
    )


def place_of(error: BaseException) -> str | None:
    """The line of the user's code that raised an error: "shop.py:12, in price"; None where none of theirs is in it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_HERE, _PYTHON, "<frozen"))]
    if not own:
        return None
    last = own[-1]
    return clean_text(f"{Path(last.filename).name}:{last.lineno}, in {last.name}")


_HERE = str(Path(__file__).parent.parent)
_PYTHON = str(Path(traceback.__file__).parent)  # the standard library's, and what is installed in it


def _context_of(error: BaseException) -> dict[str, Any]:
    """What an error says beside its message: a tool's or a guard's own; of a step's call, what its attempts brought."""
    if isinstance(error, ToolError | Deopt):
        return error.context
    return error.error.context if isinstance(error, CallFailed) else {}


def _shown(value: Any) -> str:
    try:
        return clean_text(repr(value))
    except Exception:  # noqa: BLE001  an object that cannot even be shown must not lose the error it came with
        return f"a {type(value).__name__}"


def _context(given: dict[str, Any]) -> dict[str, Any]:
    """What a tool gave with its error; what is not JSON is shown, so that the error itself is not lost."""
    context: dict[str, Any] = {}
    for name, value in given.items():
        try:
            context[name] = as_json(value, name)
        except EncodingError:
            context[name] = _shown(value)
    return context
