"""What each type of event does to the tree of nodes: one small function each."""

from collections.abc import Callable
from typing import Any, TypeVar

from agentkit.events import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalRequested,
    AskStarted,
    Body,
    BudgetReached,
    Checked,
    Decided,
    Event,
    HistoryTrimmed,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RetryScheduled,
    RunCancelledEvent,
    RunFailedEvent,
    RunPausedEvent,
    RunResumed,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    ToolFailed,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.export.nodes import Node
from agentkit.export.step_inputs import arguments_of
from agentkit.export.walk import Walk

B = TypeVar("B", bound=Body)

_HANDLERS: dict[str, Callable[[Walk, Event, Any], None]] = {}


def handle(walk: Walk, event: Event) -> None:
    """Do what an event's type does; nothing where it is of no span."""
    handler = _HANDLERS.get(event.type)
    if handler is not None:
        handler(walk, event, event.body)


def on(kind: type[B]) -> Callable[[Callable[[Walk, Event, B], None]], Callable[[Walk, Event, B], None]]:
    """Make a function what happens for one type of event."""

    def register(handler: Callable[[Walk, Event, B], None]) -> Callable[[Walk, Event, B], None]:
        _HANDLERS[kind.TYPE] = handler
        return handler

    return register


@on(ModelRequested)
def _model_requested(walk: Walk, event: Event, body: ModelRequested) -> None:
    node = walk.open("model", event, event.name or "")
    node.prompt = walk.prompt
    if body.fallback:
        node.facts["agentkit.fallback"] = body.fallback
    kept = walk.kept.get((event.step or "").rpartition("/model/")[0])
    if kept is not None:
        node.facts["agentkit.prompt.name"] = kept.name
        if kept.version is not None:
            node.facts["agentkit.prompt.version"] = kept.version


@on(ModelResponded)
def _model_responded(walk: Walk, event: Event, _body: ModelResponded) -> None:
    if (node := walk.current(event)) is not None:
        walk.close(node, event)


@on(ModelFailed)
def _model_failed(walk: Walk, event: Event, body: ModelFailed) -> None:
    node = walk.current(event)
    if node is None:
        return
    node.error = body.error
    node.facts["agentkit.error.kind"] = body.kind
    if body.cost_is_estimate:
        node.facts["agentkit.cost.is_estimate"] = True
    walk.close(node, event)


@on(Decided)
def _decided(walk: Walk, event: Event, body: Decided) -> None:
    node = walk.point("decision", event, body.action, input={"alternatives": list(body.offered)})
    node.output = {"chosen": body.action, "reason": body.why}
    if body.instead_of:
        node.output["instead_of"] = body.instead_of


@on(ToolStarted)
def _tool_started(walk: Walk, event: Event, body: ToolStarted) -> None:
    node = walk.open("tool", event, event.name or "", input=body.arguments, child=body.child_run_id)
    node.facts["agentkit.idempotency_key"] = body.idempotency_key
    node.facts["agentkit.call.id"] = body.call_id


@on(ToolSucceeded)
def _tool_succeeded(walk: Walk, event: Event, body: ToolSucceeded) -> None:
    node = walk.current(event) or walk.point("tool", event, event.name or "")
    node.output = body.result
    node.facts["agentkit.call.id"] = body.call_id
    _tell(node, late=body.late, told_by=body.told_by)
    walk.close(node, event)


@on(ToolFailed)
def _tool_failed(walk: Walk, event: Event, body: ToolFailed) -> None:
    node = walk.current(event) or walk.point("tool", event, event.name or "")
    node.facts["agentkit.call.id"] = body.call_id
    _failed(walk, node, event, body)


def _failed(walk: Walk, node: Node, event: Event, body: ToolFailed | StepFailed) -> None:
    """An attempt has no result; one that is in doubt goes on in its thread, and may have one yet."""
    if body.in_doubt:
        walk.happen(event, "timeout", node, error=body.error.type)
        return
    if body.rejected:
        node.facts["agentkit.rejected"] = True
        node.output = {"rejected": body.error.message}
    else:
        node.error = body.error
    if body.effect == "unknown":
        node.facts["agentkit.effect"] = "unknown"
    walk.close(node, event)


def _tell(node: Node, **facts: str | bool | None) -> None:
    node.facts.update({f"agentkit.{name}": value for name, value in facts.items() if value})


@on(StepStarted)
def _step_started(walk: Walk, event: Event, body: StepStarted) -> None:
    given = arguments_of(walk.state, event.step or "") if walk.state is not None else None
    node = walk.open("step", event, event.name or "", input=given, child=body.child_run_id)
    if body.items is not None:
        node.facts["agentkit.items"] = body.items
    if body.idempotency_key:
        node.facts["agentkit.idempotency_key"] = body.idempotency_key


@on(StepSucceeded)
def _step_succeeded(walk: Walk, event: Event, body: StepSucceeded) -> None:
    node = walk.current(event) or walk.point("step", event, event.name or "")
    node.output = body.result
    if body.gathered and walk.state is not None:
        node.output = walk.state.calls[event.step or ""].result
    _tell(node, late=body.late, told_by=body.told_by, cached_from=body.cached_from, on_reject=body.on_reject)
    walk.close(node, event)


@on(StepFailed)
def _step_failed(walk: Walk, event: Event, body: StepFailed) -> None:
    _failed(walk, walk.current(event) or walk.point("step", event, event.name or ""), event, body)


@on(StepSkipped)
def _step_skipped(walk: Walk, event: Event, body: StepSkipped) -> None:
    node = walk.point("step", event, event.name or event.step or "")
    node.facts["agentkit.skipped"] = body.because
    if body.on is not None:
        node.facts["agentkit.skipped.on"] = body.on


@on(AskStarted)
def _ask_started(walk: Walk, event: Event, body: AskStarted) -> None:
    walk.open("ask", event, event.name or "", input=body.prompt)
    if body.header is not None:
        walk.kept[body.header_sha256] = body.header.prompt
    walk.kept[event.step or ""] = walk.kept.get(body.header_sha256)


@on(Checked)
def _checked(walk: Walk, event: Event, body: Checked) -> None:
    name = event.name or "check"
    walk.happen(event, "checked", walk.newest(event.step), check=name, step=event.step, passed=body.passed)


@on(RetryScheduled)
def _retry_scheduled(walk: Walk, event: Event, body: RetryScheduled) -> None:
    walk.happen(event, "retry_scheduled", walk.newest(event.step), step=event.step, delay=body.delay)


@on(ApprovalRequested)
def _approval_requested(walk: Walk, event: Event, body: ApprovalRequested) -> None:
    node = walk.ask(event)
    node.name = event.name or body.kind
    node.input = {"action": node.name, "args": body.arguments}
    if body.kind == "question":
        node.input["question"] = body.prompt
    node.facts["agentkit.approval.id"] = event.approval_id or ""
    node.facts["agentkit.approval.kind"] = body.kind
    if body.because is not None:
        node.facts["agentkit.approval.because"] = body.because


@on(ApprovalAnswered)
def _approval_answered(walk: Walk, event: Event, body: ApprovalAnswered) -> None:
    node = walk.asked(event)
    if node is None:
        walk.happen(event, "approval_not_required", step=event.step)
        return
    node.output = {"verdict": body.verdict, "by": body.who, "reason": body.comment}
    if body.edits is not None:
        node.output["edits"] = body.edits
    if body.value is not None:
        node.output["value"] = body.value
    node.facts["agentkit.approval.verdict"] = body.verdict
    _tell(node, **{"approval.by": body.who, "approval.through": body.through})
    walk.answered(node, event, body.answered_at or event.ts)


@on(ApprovalExpired)
def _approval_expired(walk: Walk, event: Event, body: ApprovalExpired) -> None:
    if (node := walk.asked(event)) is not None:
        node.output = {"verdict": "expired", "by": None, "reason": body.reason}
        node.facts["agentkit.approval.verdict"] = "expired"
        walk.answered(node, event, event.ts)


@on(HistoryTrimmed)
def _history_trimmed(walk: Walk, event: Event, body: HistoryTrimmed) -> None:
    walk.happen(event, "history_trimmed", dropped=body.dropped, tokens_before=body.tokens_before)


@on(BudgetReached)
def _budget_reached(walk: Walk, event: Event, body: BudgetReached) -> None:
    walk.root.warning = f"budget reached: {body.limit}"
    walk.happen(event, "budget_reached", limit=body.limit, used_usd=body.used_usd, used_calls=body.used_calls)


@on(RunPausedEvent)
def _run_paused(walk: Walk, event: Event, body: RunPausedEvent) -> None:
    walk.happen(event, "run_paused", why=body.why)
    walk.leave_all(event.ts, "paused")


@on(RunResumed)
def _run_resumed(walk: Walk, event: Event, body: RunResumed) -> None:
    if body.header is not None:
        walk.kept[""] = body.header.prompt
    walk.leave_all(None, "interrupted")
    walk.happen(event, "run_resumed")


@on(RunSucceeded)
def _run_succeeded(walk: Walk, event: Event, body: RunSucceeded) -> None:
    walk.root.output = body.output
    walk.root.close(event.ts, event)


@on(RunFailedEvent)
def _run_failed(walk: Walk, event: Event, body: RunFailedEvent) -> None:
    walk.root.error = body.error
    walk.root.close(event.ts, event)


@on(RunCancelledEvent)
def _run_cancelled(walk: Walk, event: Event, body: RunCancelledEvent) -> None:
    walk.leave_all(event.ts, "cancelled")
    walk.root.facts["agentkit.cancelled"] = True
    if body.who is not None:
        walk.root.facts["agentkit.cancelled.by"] = body.who
    walk.root.close(event.ts, event)
