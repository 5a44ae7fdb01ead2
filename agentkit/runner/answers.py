"""Taking people's answers from the log's inbox into the run, and ending calls by them."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from agentkit import failpoints
from agentkit.definition import InvalidArguments
from agentkit.errors import ApprovalError, EncodingError
from agentkit.events import ApprovalAnswered, ApprovalExpired, ErrorInfo, Verdict
from agentkit.json_schema import Checker
from agentkit.jsonvalue import JsonValue, as_json
from agentkit.messages import ToolSchema
from agentkit.policy import Budget
from agentkit.problems import Problem
from agentkit.redact import find_marker
from agentkit.runner import words
from agentkit.runner.recorder import now
from agentkit.runner.tool_calls import call_digest
from agentkit.state import Approval, State
from agentkit.store import Answer, Store

if TYPE_CHECKING:
    from agentkit.definition import Definition
    from agentkit.runner.activation import Activation
    from agentkit.runner.recorder import Recorder

FAIL_POINTS = ("approval.answered",)

ALLOWED: dict[str, frozenset[str]] = {
    "call": frozenset({"approve", "edit", "reject", "answer", "stop"}),
    "question": frozenset({"answer", "reject", "stop"}),
    "in_doubt": frozenset({"happened", "did_not", "stop"}),
    "budget": frozenset({"approve", "edit", "reject", "stop"}),
    "loop": frozenset({"approve", "reject", "stop"}),
    "deopt": frozenset({"approve", "reject", "stop"}),
}
"""Which verdicts answer which kind of question."""


@dataclass(frozen=True)
class Answered:
    """What became of an answer: which question it settled, and who goes on with the run."""

    id: str
    verdict: str
    then: str

    def __repr__(self) -> str:
        return f"{self.id}: {self.verdict}; {self.then}"


def current_user() -> str:
    """Who answers, where nobody else is named."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def already_answered(approval: str, first: Answer) -> ApprovalError:
    """What who comes second is told."""
    when = f"{first.answered_at:%Y-%m-%d %H:%M:%S} UTC"
    return ApprovalError(f"{approval} was already answered: {first.verdict} by {first.who}, {when}")


def expired() -> Answer:
    """What stands where nobody answered in time."""
    return Answer(verdict="expired", answered_at=now(), who="agentkit", through="expiry")


def is_late(asked: Approval, answer: Answer) -> bool:
    """Whether somebody answered after the time there was for it."""
    return asked.expires is not None and answer.answered_at > asked.expires


def new_answer(
    verdict: Verdict,
    through: str,
    *,
    edits: Any = None,  # whatever somebody gave: what is none is refused here
    value: JsonValue = None,
    comment: Any = None,  # as edits
) -> Answer:
    """An answer as this process's user gives it.

    Raises:
        ApprovalError: the edits are no arguments by name, or not JSON, or the comment is no text.
    """
    if edits is not None and not isinstance(edits, Mapping):
        raise ApprovalError(f"edit={edits!r}: give the arguments to replace by name, for example edit={{'amount': 20}}")
    try:
        edited = cast("dict[str, Any] | None", as_json(edits, "edit"))
    except EncodingError as error:
        raise ApprovalError(str(error)) from error
    if comment is not None and not isinstance(comment, str):
        raise ApprovalError(f"{comment!r} is no comment or reason; give a text")
    return Answer(
        verdict=verdict,
        edits=edited,
        value=value,
        comment=comment,
        who=current_user(),
        through=through,
        answered_at=now(),
    )


def put_answer(store: Store, asked: Approval, answer: Answer) -> None:
    """Put an answer where the run finds it.

    Raises:
        ApprovalError: somebody was first, or the time for it is over: also where nobody was there to say so.
    """
    won = store.answer(asked.run_id, asked.id, expired() if is_late(asked, answer) else answer)
    if won != answer:
        raise already_answered(asked.id, won)


def why_paused(state: State, pending: list[Approval]) -> str:
    """What a paused run waits for, and what to do about it."""
    lines = "\n".join(f"  {asked}" for asked in pending)
    if lines:
        return (
            f"run {state.run_id} waits for a person:\n{lines}\nanswer with run.approve(id), "
            "run.reject(id, reason=…), run.answer(id, value) or run.resolve(id, …)"
        )
    if state.pending:
        return f"run {state.run_id} has its answer, and nobody went on with it yet: ak.resume({state.run_id!r}) does"
    if state.paused_why == "lost":
        return (
            f"run {state.run_id} is left alone, since several workers died with it: run.resume() goes on with it here"
        )
    return f"run {state.run_id} was paused: run.resume() goes on"


def check_answer(asked: Approval, answer: Answer, definition: "Definition | None") -> None:
    """Refuse an answer that cannot be used before it takes the only place there is for one.

    Args:
        asked: the question.
        answer: what somebody wants to answer.
        definition: what the run is of, where it is known here, to validate edits; else who resumes validates them.

    Raises:
        ApprovalError: saying what would be an answer.
    """
    if answer.verdict not in ALLOWED[asked.kind] | {"expired", "withdrawn"}:
        ways = ", ".join(sorted(ALLOWED[asked.kind])).replace("_", " ")
        raise ApprovalError(
            f"{answer.verdict!r} does not answer {asked.id} ({asked.kind}: {asked.prompt}); it takes: {ways}"
        )
    if asked.kind == "question" and answer.verdict == "answer" and asked.options and answer.value not in asked.options:
        offered = ", ".join(map(repr, asked.options))
        raise ApprovalError(f"{answer.value!r} is none of the answers to choose from: {offered}")
    if asked.kind == "budget" and answer.verdict in {"approve", "edit"}:
        _check_budget(asked, answer.edits)
    if asked.kind == "call" and answer.verdict == "edit":
        problems = edit_problems(asked, answer.edits, definition)
        if problems:
            raise ApprovalError(f"the edited arguments of {asked.name} are not valid: {problems}")


def check_put(asked: Approval, answer: Answer, definition: "Definition | None") -> None:
    """Refuse, before it is put, what `check_answer` does, and a result that is none of the step's.

    Such a result counts where it was put by who does not know the definition.

    Args:
        asked: the question.
        answer: what somebody wants to answer.
        definition: what the run is of, where it is known here.

    Raises:
        ApprovalError: saying what is wrong with it.
    """
    check_answer(asked, answer, definition)
    is_result = answer.verdict == "happened" or (answer.verdict == "answer" and asked.kind == "call")
    tool = definition.tool_at(asked.step or "", asked.name or "") if definition is not None and is_result else None
    wrong: Callable[[Any], list[Problem]] | None = getattr(tool, "result_problems", None)  # a function's
    if wrong is not None and (found := wrong(answer.value)):
        raise ApprovalError(f"the result of {asked.name} is not valid: {found}")


def _check_budget(asked: Approval, edits: dict[str, Any] | None) -> None:
    """Refuse what is no budget, or would stop the run where it stands."""
    before: dict[str, Any] = cast("dict[str, Any]", asked.shows or {}).get("budget") or {}
    example = 'approve(edit={"usd": 1.0})'
    try:
        after = Budget.model_validate({**before, **(edits or {})})
        if asked.because == "price_unknown" and after.usd is not None:
            problem = "no limit in USD can be kept, since the model's price is unknown"
            example = """approve(edit={"usd": None}), in a terminal --edit '{"usd": null}'"""
        elif after != Budget.model_validate(before):
            return
        else:
            problem = "it is what it was"
    except ValidationError as error:
        problem = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors())
    raise ApprovalError(f"no new budget ({problem}); give one, for example {example}")


def edit_problems(asked: Approval, edits: dict[str, Any] | None, definition: "Definition | None") -> Any:
    """What is wrong with edited arguments; None when nothing is that can be seen here.

    Where the tool itself is not at hand, they are held against the schema that the log has of it.
    """
    tool = definition.tool_at(asked.step or "", asked.name or "") if definition is not None else None
    if not edits:
        return "nothing was edited: approve instead"
    if find_marker(edits) is not None:
        return "they hold what looks like a secret; a tool gets it from ctx.deps, never as an argument"
    before = cast("dict[str, Any]", asked.arguments)
    if tool is None:
        return _schema_problems(asked.offered, before, {**before, **edits}) if asked.offered is not None else None
    try:
        tool.validate({**before, **edits})
    except InvalidArguments as error:
        return error.errors
    return None


def _schema_problems(offered: ToolSchema, before: dict[str, Any], after: dict[str, Any]) -> list[Problem] | None:
    """What an edit made wrong; what was so before it, a type may write otherwise than it reads, is not the edit's."""
    try:
        checker = Checker(offered.parameters)
    except ValueError:  # its author's own, and no schema: the tool says what is wrong when it is called
        return None
    known = checker.problems(before)
    return [problem for problem in checker.problems(after) if problem not in known] or None


def absorb(act: "Activation") -> None:
    """Record the answers that arrived for what is pending."""
    for key in list(act.state.pending):
        asked = act.state.approvals[key]
        answer = act.inbox.get(key)
        if answer is None and asked.expires is not None and asked.expires <= now():
            answer = act.recorder.store.answer(act.state.run_id, key, expired())
        if answer is not None:
            _take(act, asked, answer)
            failpoints.hit("approval.answered")


def _take(act: "Activation", asked: Approval, answer: Answer) -> None:
    envelope: dict[str, Any] = {"step": asked.step, "name": asked.name, "approval_id": asked.id}
    if answer.verdict == "expired" or is_late(asked, answer):
        act.record(ApprovalExpired(reason=f"nobody answered before {asked.expires}"), **envelope)
        return
    try:
        check_answer(asked, answer, act.definition)
    except ApprovalError as error:
        if not _is_edit_within(act, asked, answer):  # it holds the only place for an answer, so it counts as a no
            answer = answer.model_copy(update={"verdict": "reject", "edits": None, "comment": str(error)})
    act.record(
        ApprovalAnswered(
            verdict=answer.verdict,
            edits=answer.edits,
            value=answer.value,
            comment=answer.comment,
            who=answer.who,
            through=answer.through,
            answered_at=answer.answered_at,
            digest=_approved_digest(act, asked, answer),
        ),
        **envelope,
    )
    if asked.kind == "budget" and act.state.budget_reached is None:
        act.meter.budget = act.state.budget


def _is_edit_within(act: "Activation", asked: Approval, answer: Answer) -> bool:
    """Whether it edits a call that a step makes: the step makes it again, and asks again where that does not fit."""
    return answer.verdict == "edit" and asked.kind == "call" and act.call(asked.step or "").within is not None


def _approved_digest(act: "Activation", asked: Approval, answer: Answer) -> str | None:
    """What was approved: the digest that was shown, or that of the edited arguments."""
    if answer.verdict != "edit" or asked.kind != "call":
        return asked.digest
    tool = act.known_tool(asked.step or "")
    if tool is None:  # a step's own call: its arguments are validated when the step makes it again
        return None
    try:
        edited = tool.validate({**cast("dict[str, Any]", asked.arguments), **(answer.edits or {})})
    except Exception:
        if not _is_edit_within(act, asked, answer):
            raise
        return None
    return call_digest(tool, tool.arguments_json(edited))


def settle(act: "Activation", step: str) -> None:
    """End a call by a person's answer: rejected, answered, happened, or nobody came."""
    call = act.state.calls[step]
    asked = act.state.approvals[call.approval or ""]
    envelope: dict[str, Any] = {"step": step, "name": call.name, "attempt": max(call.attempt, 1)}
    if asked.verdict in {"answer", "happened"}:
        told_by = None if asked.kind == "question" else asked.who or "a person"
        act.record(words.succeeded(call, asked.value, told_by=told_by), status="ok", **envelope)
        return
    if asked.verdict == "expired":
        error = ErrorInfo(type="Expired", message="nobody answered in time, so it was not run")
    else:
        error = ErrorInfo(type="Rejected", message=asked.comment or "a person said no")
    if call.is_step and act.take_on_reject(step, error.message):
        return
    tool = act.known_tool(step)
    unknown = call.attempt >= 1 and tool is not None and tool.writes  # a no to another attempt undoes no earlier one
    failed = words.failed(call, error, rejected=True, effect="unknown" if unknown else "none")
    act.record(failed, status="error", **envelope)


def withdraw(recorder: "Recorder") -> None:
    """Nobody needs to answer any more: take the place an answer would have had, so that a late one is told."""
    for key in recorder.state.pending:
        recorder.store.answer(
            recorder.state.run_id, key, Answer(verdict="withdrawn", answered_at=now(), who="agentkit", through="cancel")
        )
