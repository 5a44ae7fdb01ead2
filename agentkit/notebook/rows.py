"""A run as rows: what the live trace and the static one show, one row a step, each below the one that began it.

Pure: states in, plain values out. Words of models, tools and people are in them as they came; who shows them makes them
inert.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agentkit.definition import DEOPT
from agentkit.messages import Usage
from agentkit.render.paths import every_path
from agentkit.render.words import why_skipped
from agentkit.state import Approval, Attempts, CallStep, ModelStep, State
from agentkit.text import brief, call_text
from agentkit.wiring import turns

Kind: TypeAlias = Literal["run", "model", "tool", "step", "ask", "question"]
RowStatus: TypeAlias = Literal[
    "pending",
    "running",
    "waiting",
    "asked",
    "in doubt",
    "interrupted",
    "paused",
    "ok",
    "error",
    "rejected",
    "skipped",
    "cancelled",
]
Children: TypeAlias = Callable[[str], State | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a trace.

    Args:
        id: stays the same while the run goes on: the run's id, a slash, the step's path.
        parent: the row that it stands below; None for the run at the top.
        kind: what it is.
        name: what it is called: the agent, the model, the tool, the step.
        step: the step's path in its run; "" for a run itself.
        run_id: whose it is.
        status: how far it is.
        started: seconds since 1970, UTC; None where it has not begun.
        ended: likewise; None while it goes on.
        input_tokens: read by models.
        output_tokens: written by models.
        cost_usd: US dollars; None where that is unknown.
        attempts: how often it was tried.
        note: one line: arguments, a result, an error, why it was skipped.
    """

    id: str
    parent: str | None
    kind: Kind
    name: str
    step: str
    run_id: str
    status: RowStatus
    started: float | None = None
    ended: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    attempts: int = 1
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """The row as JSON, without what is as usual, and without what its id says: whose it is, and its step."""
        said = ((name, getattr(self, name)) for name in _SAID)
        return {name: value for name, value in said if name not in _USUAL or value != _USUAL[name]}


_SAID = tuple(field.name for field in fields(Row) if field.name not in {"run_id", "step"})
_USUAL = {"ended": None, "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0, "attempts": 1, "note": ""}


def rows(state: State, *, children: Children = lambda _run_id: None, status: str | None = None) -> list[Row]:
    """All rows of a run, each before those below it.

    Args:
        state: the run.
        children: gives a child run's state by its id; None where it has not begun.
        status: the run's status, where it is known better than the log does: "interrupted".
    """
    return list(_run(state, None, children, status or state.status, set()))


def some(state: State, steps: Iterable[str], parent: str | None = None, status: str | None = None) -> Iterator[Row]:
    """The rows of some of a run's steps, and of the run itself: what changed since a trace was drawn.

    Args:
        state: the run.
        steps: paths; those that are not rows (a note's) are passed over.
        parent: the row that the run stands below.
        status: the run's status, where it is known better than the log does.
    """
    yield run_row(state, parent, status or state.status)
    for step in steps:
        row = _row(state, step)
        if row is not None:
            yield row


def _run(state: State, parent: str | None, children: Children, status: str, seen: set[str]) -> Iterator[Row]:
    if state.run_id in seen:  # where a damaged log makes a run its own ancestor, it is shown once
        return
    seen.add(state.run_id)
    yield run_row(state, parent, status)
    for path in every_path(state):
        row = _row(state, path)
        if row is None:
            continue
        yield row
        call = state.calls.get(path)
        child = children(call.child_run_id) if call is not None and call.child_run_id is not None else None
        if child is not None:
            yield from _run(child, row.id, children, child.status, seen)
    for asked in state.approvals.values():
        if asked.step is None:
            yield question_row(state, asked)


def has_row(state: State, step: str) -> bool:
    """Whether a path is a row's."""
    return _row(state, step) is not None


def _row(state: State, step: str) -> Row | None:
    """The row of one step; None where the path is none's."""
    if step in state.models:
        return _model(state, step, state.models[step])
    if step in state.asks:
        return _ask(state, step)
    if step in state.calls:
        return _call(state, state.calls[step])
    if step in state.skipped:
        return _plain(state, step, "step", step, "skipped", note=why_skipped(state, step))
    if step in state.config.get("steps", {}):
        return _plain(state, step, "step", step, "pending")
    return None


_RUN: dict[str, RowStatus] = {
    "running": "running",
    "waiting": "waiting",
    "paused": "paused",
    "interrupted": "interrupted",
    "succeeded": "ok",
    "failed": "error",
    "cancelled": "cancelled",
}
_CALL: dict[str, RowStatus] = {
    "proposed": "pending",
    "asked": "asked",
    "cleared": "pending",
    "answered": "running",
    "running": "running",
    "stuck": "in doubt",
    "interrupted": "interrupted",
    "parked": "asked",
    "failed": "waiting",
    "waiting": "waiting",
}


_ENDED: dict[RowStatus, RowStatus] = {"asked": "cancelled", "running": "interrupted"}
"""What became, with the run's end, of a call that had none: nobody is asked any more, and nothing runs."""


def run_row(state: State, parent: str | None, status: str) -> Row:
    """The row of a run itself."""
    usage = state.usage + state.child_usage
    note = f"waits for a worker: `{state.worker_command}` starts one" if state.awaits_worker(status) else ""
    return Row(
        id=state.run_id,
        parent=parent,
        kind="run",
        name=state.name,
        step="",
        run_id=state.run_id,
        status=_RUN[status],
        started=seconds(state.started_at),
        ended=seconds(state.ended_at),
        note=f"{state.error.type}: {state.error.message}" if state.error is not None else note,
        **_used(usage),
    )


def question_row(state: State, asked: Approval) -> Row:
    """The row of a question about the run as a whole: more budget, a loop."""
    status: RowStatus = "asked"
    if asked.verdict is not None:
        status = {"reject": "rejected", "stop": "rejected", "withdrawn": "cancelled"}.get(asked.verdict, "ok")  # type: ignore[assignment]
    return Row(
        id=f"{state.run_id}/question/{asked.id}",
        parent=state.run_id,
        kind="question",
        name=asked.kind,
        step=f"question/{asked.id}",
        run_id=state.run_id,
        status=status,
        started=seconds(asked.requested_at),
        ended=seconds(asked.answered_at),
        note=asked.prompt,
    )


def _model(state: State, step: str, model: ModelStep) -> Row:
    status: RowStatus = "error" if model.refusals else "ok"
    if model.status != "done":
        status = {"running": "running", "interrupted": "interrupted", "waiting": "waiting"}.get(model.status, "error")  # type: ignore[assignment]
    parent = step.rpartition("/model/")[0] if state.kind == "pipeline" else ""
    note = model.refusals[-1][1].message if model.refusals else model.error.message if model.error else model.text or ""
    return _attempted(state, step, "model", model.name, status, model, note=note, parent=parent, **_used(model.usage))


def _ask(state: State, step: str) -> Row:
    ask = state.asks[step]
    asked = [model for _, model in turns(state, step)]
    total = Usage()
    for model in asked:
        total += model.usage
    status: RowStatus = "interrupted" if state.calls[ask.within].status == "done" else "running"
    if ask.outcome is not None:
        status = ask.outcome
    return _plain(
        state,
        step,
        "ask",
        step.partition("/")[2],
        status,
        parent=ask.within,
        started=seconds(asked[0].started) if asked else None,
        ended=seconds(asked[-1].ended) if asked and ask.outcome is not None else None,
        note=ask.error.message if ask.error is not None else "",
        **_used(total),
    )


def _call(state: State, call: CallStep) -> Row:
    status: RowStatus = _CALL.get(call.status, "ok")
    if call.status == "done":
        status = {"ok": "ok", "rejected": "rejected"}.get(call.outcome or "", "error")  # type: ignore[assignment]
    elif state.ended:
        status = _ENDED.get(status, status)
    parent, note = call.turn or call.within or "", _note(call)
    if call.step == DEOPT and state.deopted is not None and call.error is None:
        note = f"{state.deopted.agent} takes over at {state.deopted_by}: {state.deopted.message}"
    if call.is_step and "[" in call.step:
        parent = call.name
    if call.is_step and call.step in state.fans:
        fan = state.fans[call.step]
        failed = f", {len(fan.failed)} failed" if fan.failed else ""
        note = f"{fan.done} of {fan.total} items{failed}"
        status = status if call.status == "done" or state.ended else "running"
    kind: Kind = "step" if call.is_step else "tool"
    name = call.step if call.is_step else call.name
    return _attempted(state, call.step, kind, name, status, call, note=note, parent=parent)


def _note(call: CallStep) -> str:
    """What is said of a call on its line: why it failed, or what it was given and gave."""
    if call.error is not None:
        return f"{call.error.type}: {call.error.message}"
    given = call.arguments if call.arguments is not None else call.raw
    shown = call_text("", given, 80) if given is not None else ""
    return f"{shown} → {brief(call.result, 80)}" if call.outcome == "ok" else shown


def _attempted(
    state: State,
    step: str,
    kind: Kind,
    name: str,
    status: RowStatus,
    tried: Attempts,
    *,
    parent: str,
    note: str,
    **more: Any,
) -> Row:
    return _plain(
        state,
        step,
        kind,
        name,
        status,
        parent=parent,
        note=note,
        attempts=max(tried.attempt, 1),
        started=seconds(tried.started),
        ended=seconds(tried.ended),
        **more,
    )


def _plain(
    state: State, step: str, kind: Kind, name: str, status: RowStatus, *, parent: str = "", note: str = "", **more: Any
) -> Row:
    return Row(
        id=f"{state.run_id}/{step}",
        parent=f"{state.run_id}/{parent}" if parent else state.run_id,
        kind=kind,
        name=name,
        step=step,
        run_id=state.run_id,
        status=status,
        note=" ".join(note.split())[:200],
        **more,
    )


def _used(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }


def seconds(moment: datetime | None) -> float | None:
    """A time as seconds since 1970, to the millisecond."""
    return None if moment is None else round(moment.timestamp(), 3)
