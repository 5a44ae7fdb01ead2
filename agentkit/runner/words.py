"""The events of a call in the words of its kind: a tool's call, or a pipeline's step."""

from typing import Any

from agentkit.events import (
    Body,
    Effect,
    ErrorInfo,
    StepFailed,
    StepStarted,
    StepSucceeded,
    ToolFailed,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.ids import digest
from agentkit.state import CallStep


def started(call: CallStep, arguments: dict[str, Any], *, key: str, child: str | None, writes: bool) -> Body:
    """The call is about to run with these arguments, under this key."""
    if call.is_step:
        return StepStarted(input_sha256=digest(arguments), idempotency_key=key, child_run_id=child)
    inner = call.within is not None  # an agent's tools are in its run's header, with whether they write
    return ToolStarted(
        call_id=call.call_id, arguments=arguments, idempotency_key=key, child_run_id=child, writes=inner and writes
    )


def succeeded(call: CallStep, result: Any, **more: Any) -> Body:
    """The call has its result."""
    if call.is_step:
        return StepSucceeded(result=result, **more)
    return ToolSucceeded(call_id=call.call_id, result=result, **more)


def failed(
    call: CallStep,
    error: ErrorInfo,
    *,
    effect: Effect = "none",
    retrying: bool = False,
    reask: bool = False,
    rejected: bool = False,
    in_doubt: bool = False,
    child_usage: dict[str, Any] | None = None,
    deopt: bool = False,
) -> Body:
    """An attempt at the call failed; the arguments are those of `ToolFailed`, `deopt` is a step's."""
    if call.is_step:
        return StepFailed(
            error=error,
            effect=effect,
            retrying=retrying,
            rejected=rejected,
            in_doubt=in_doubt,
            child_usage=child_usage,
            deopt=deopt,
        )
    return ToolFailed(
        call_id=call.call_id,
        error=error,
        effect=effect,
        retrying=retrying,
        reask=reask,
        rejected=rejected,
        in_doubt=in_doubt,
        child_usage=child_usage,
    )
