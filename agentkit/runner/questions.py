"""Putting questions to a person: what will run, exactly, and why somebody has to look."""

import asyncio
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from agentkit import failpoints
from agentkit.decide import GateCall, StopLoop
from agentkit.decide.calls import unseen_writes
from agentkit.definition import Call, InvalidArguments, ToolSpec
from agentkit.events import ApprovalAnswered, ApprovalKind, ApprovalRequested, Checked, ErrorInfo
from agentkit.ids import approval_id
from agentkit.ids import digest as digest_of
from agentkit.jsonvalue import clean_text
from agentkit.runner.engine import is_being_cancelled
from agentkit.runner.recorder import now
from agentkit.runner.records import error_info
from agentkit.runner.threads import threads
from agentkit.runner.tool_calls import call_digest, equal_writes, validated
from agentkit.state import UnknownEffect

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

FAIL_POINTS = ("gate.judged", "approval.requested")


def gate(act: "Activation", action: GateCall) -> None:
    """Find out whether a person has to be asked about a call, and ask."""
    checked = validated(act, action.step)
    if checked is None:
        return
    arguments, logged = checked
    tool = act.tool(action.step)
    if action.because == "policy" and equal_writes(act, tool, logged):
        action = GateCall(action.step, "repeated")
    if action.because != "policy" or tool.kind == "question" or not callable(tool.approve):
        _request(act, action.step, tool, logged, action.because)
    else:
        act.start(action.step, _judge(act, action.step, tool, arguments, logged))


async def _judge(
    act: "Activation", step: str, tool: ToolSpec, arguments: dict[str, Any], logged: dict[str, Any]
) -> None:
    """Ask the predicate once; its verdict is a fact from then on. One that raises says: ask."""
    predicate = tool.approve
    assert callable(predicate), "a bool needs no judging"
    call = Call(name=act.call(step).name, args=arguments, step=step, run_id=act.state.run_id, why=act.call(step).why)
    because = "policy"
    try:
        if inspect.iscoroutinefunction(predicate):
            wanted = bool(await predicate(call))
        else:
            wanted = await threads.run(lambda: bool(predicate(call)))
    except BaseException as error:  # a predicate is user code, and asking is the safe answer
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        wanted, because = (
            True,
            clean_text(f"the approval rule raised {type(error).__name__}: {error_info(error).message}"),
        )
    failpoints.hit("gate.judged")
    if wanted:
        _request(act, step, tool, logged, because)
    else:
        act.record(
            ApprovalAnswered(verdict="not_required", through="predicate", digest=call_digest(tool, logged)),
            step=step,
            name=act.call(step).name,
        )


def _request(act: "Activation", step: str, tool: ToolSpec, arguments: dict[str, Any], because: str) -> None:
    if tool.kind == "question":
        options = tuple(str(option) for option in arguments.get("options") or ())
        ask(act, "question", str(arguments.get("question", "")), step=step, arguments=arguments, options=options)
        return
    description = tool.schema.description.strip().split("\n")[0]
    ask(
        act,
        "call",
        f"Run {act.call(step).name}? {description}",
        step=step,
        arguments=arguments,
        digest=call_digest(tool, arguments),
        because=because,
        shows=_shows(act, step, tool, arguments) or None,
        options=("approve", "edit", "reject"),
    )


def ask_again(act: "Activation", step: str, problem: str) -> None:
    """Put a question once more, about the arguments as the step gave them: what a person made of them does not fit."""
    call = act.call(step)
    _request(act, step, act.tool(step), cast("dict[str, Any]", call.raw), f"the edit does not fit: {problem}")


def _shows(act: "Activation", step: str, tool: ToolSpec, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """What a person should see before saying yes: what this tool did, or may have done, already."""
    call = act.call(step)
    name = call.name
    unknown = [
        {"step": effect.step, "arguments": _arguments(act, effect), "error": effect.error, "effect": "unknown"}
        for effect in act.state.unknown
        if effect.name == name
    ]
    parents = [write.model_dump(mode="json") for write in act.state.parent_writes if write.name == name]
    pipelines = [write.model_dump(mode="json") for write in (unseen_writes(act.state) if tool.writes else ())]
    beside = [
        {"step": other.step, "arguments": other.arguments, "result": other.result, "effect": other.effect}
        for other in (act.state.calls[path] for path in act.diverged_from(step))
    ]
    return [*unknown, *parents, *pipelines, *equal_writes(act, tool, arguments), *beside]


def _arguments(act: "Activation", effect: UnknownEffect) -> Any:
    """What a write of which nobody knows whether it happened was called with."""
    call = act.state.calls.get(effect.step)
    is_wired = effect.arguments is None and call is not None and call.is_step
    return wired(act, effect.step) if is_wired else effect.arguments


def ask_in_doubt(act: "Activation", step: str) -> None:
    """A write was started and its end was never recorded: only a person can say what became of it."""
    call = act.state.calls[step]
    tool = act.known_tool(step)
    arguments = call.arguments if call.arguments is not None else wired(act, step)
    ask(
        act,
        "in_doubt",
        f"{call.name} was started and never recorded as finished. Did it happen?",
        step=step,
        arguments=arguments,
        digest=call_digest(tool, arguments) if tool is not None else None,
        because="in_doubt",
        shows={"attempt": call.attempt, "idempotency_key": call.key, "error": call.error and call.error.message},
        options=("happened", "did not", "stop"),
    )


def wired(act: "Activation", step: str) -> dict[str, Any]:
    """The arguments of a pipeline's step: what its events hold is their digest, and the graph gives them again."""
    tool = act.tool(step)
    given: dict[str, Any] = act.given(act.call(step))
    try:
        return tool.arguments_json(tool.validate(given))
    except InvalidArguments:  # it takes others now; if it is to run, it says so then
        return given


def stop_loop(act: "Activation", action: StopLoop) -> None:
    """The same call brings the same result: the model is told once, then a person is asked."""
    call = act.state.calls[action.step]
    problem = f"{call.name} brought the same result for the same arguments again and again"
    if not action.ask:
        error = ErrorInfo(type="Loop", message=problem, context={"step": action.step})
        act.record(Checked(passed=False, error=error), step=action.step, name="loop", status="error")
        return
    ask(
        act,
        "loop",
        f"{problem}, also after the model was told. Go on?",
        step=None,
        arguments={"tool": call.name, "arguments": call.arguments if call.arguments is not None else call.raw},
        options=("approve", "stop"),
    )


def ask_budget(act: "Activation") -> None:
    """The next call does not fit the budget, or its price is unknown."""
    reached = act.state.budget_reached or {}
    is_unpriced = reached.get("limit") == "price_unknown"
    words = {
        "usd": "The next model call would exceed the budget of {usd} USD.",
        "model_calls": "The budget of {model_calls} model calls is used up.",
        "price_unknown": "A budget of {usd} USD is set, and the model's price is unknown.",
    }
    prompt = words[reached.get("limit", "usd")].format(**reached.get("budget", {"usd": "?", "model_calls": "?"}))
    raised = "Go on with no limit in USD (usd: null)?" if is_unpriced else "Raise it? (a new budget is a new total)"
    ask(
        act,
        "budget",
        f"{prompt} Used so far: {_used(reached)}. {raised}",
        step=None,
        arguments=None,
        because="price_unknown" if is_unpriced else None,
        shows={key: reached.get(key) for key in ("budget", "used_usd", "used_calls", "needs_usd")},
        options=("edit", "stop"),
    )


def _used(reached: dict[str, Any]) -> str:
    usd = reached.get("used_usd")
    return f"{reached.get('used_calls', 0)} model calls, {'cost unknown' if usd is None else f'{usd:.4g} USD'}"


def ask(
    act: "Activation",
    kind: ApprovalKind,
    prompt: str,
    *,
    step: str | None,
    arguments: Any,
    digest: str | None = None,
    because: str | None = None,
    shows: Any = None,
    options: tuple[str, ...] = (),
) -> None:
    """Record a question. Everything the model wrote in it is data; the words around it are ours."""
    state = act.state
    call = act.call(step) if step is not None else None
    offered = act.tool(call.step).schema if kind == "call" and call is not None and call.within is not None else None
    sha256 = digest_of(offered.model_dump(mode="json")) if offered is not None else None
    lasts = act.definition.approval_expires if kind in {"call", "question"} else None
    act.record(
        ApprovalRequested(
            kind=kind,
            prompt=prompt,
            arguments=arguments,
            digest=digest,
            because=because,
            why=call.why if call else None,
            shows=shows,
            options=options,
            expires=now() + timedelta(seconds=lasts) if lasts is not None else None,
            offered=offered if sha256 not in state.offered else None,
            offered_sha256=sha256,
        ),
        step=step,
        name=call.name if call else kind,
        approval_id=approval_id(state.run_id, step or kind, kind, len(state.approvals), [digest, arguments]),
    )
    failpoints.hit("approval.requested")
