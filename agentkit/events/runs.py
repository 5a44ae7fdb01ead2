"""What happens to a run, to an agent's model and tool calls, and to a person who is asked: one body type each."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from agentkit.events.body import ApprovalKind, Body, Effect, ErrorInfo, Header, Origin, PauseReason, RunKind, Verdict
from agentkit.messages import ToolCall, ToolSchema


class RunStarted(Body):
    """A run begins. The envelope's `name` is the definition's, `parent_run_id` the run that called this one."""

    TYPE = "run_started"
    kind: RunKind
    module: str | None = None  # `module:name` where a new process finds the definition
    definition_sha256: str
    header: Header = Header()
    input: Any = None  # JSON
    config: dict[str, Any] = Field(default_factory=dict)  # JSON
    parent_step: str | None = None
    origin: Origin | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    user: str | None = None
    submitted: bool = False  # a worker is to execute it, and not who started it
    process: str | None = None
    traceparent: str | None = None  # the trace that it is part of, as W3C Trace Context writes it


class ModelRequested(Body):
    """A model call is about to be tried. The envelope's `name` is the model's."""

    TYPE = "model_requested"
    request_sha256: str
    messages: int
    parameters: dict[str, Any] = Field(default_factory=dict)  # JSON
    estimated_tokens: int = 0
    reserved_usd: float | None = 0.0
    fallback: int = 0


class ModelResponded(Body):
    """A model answered; tokens, cost and latency are in the envelope."""

    TYPE = "model_responded"
    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[Any, ...] = ()  # the provider's own JSON
    finish_reason: str | None = None
    response_id: str | None = None
    answered_by: str | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class ModelFailed(Body):
    """An attempt at a model call failed. `lost`: the process, not the call, ended; it is not held against the model.

    Where an attempt may have been charged although no answer came, its cost is the estimate, and marked so.
    """

    TYPE = "model_failed"
    error: ErrorInfo
    kind: str = "other"
    lost: bool = False
    cost_is_estimate: bool = False
    retry_after: float | None = None


class Decided(Body):
    """What was chosen, why, and instead of what.

    `offered` are the alternatives the model had; `why` and `instead_of` are its own words (self-reported).
    """

    TYPE = "decided"
    action: str
    call_id: str | None = None
    why: str | None = None
    instead_of: str | None = None
    offered: tuple[str, ...] = ()


class ToolStarted(Body):
    """A tool is about to run with these validated arguments under this key."""

    TYPE = "tool_started"
    call_id: str
    arguments: Any  # JSON
    idempotency_key: str
    child_run_id: str | None = None
    writes: bool = False  # of a call in a pipeline's step; the others' tools are in the run's header


class ToolSucceeded(Body):
    """A tool returned. `late`: after its timeout. `told_by`: a person said that it happened, with this result.

    `child_unknown`: which writes of the child run that brought the result may or may not have happened.
    """

    TYPE = "tool_succeeded"
    call_id: str
    result: Any = None  # JSON
    late: bool = False
    told_by: str | None = None
    child_usage: dict[str, Any] | None = None  # Usage as JSON
    child_unknown: str | None = None


class ToolFailed(Body):
    """A call ended without a result, or (`in_doubt`) its thread is still running after its timeout.

    `effect` says whether something may have happened. `retrying`: another attempt follows. `reask`: the arguments or
    the name were wrong, so it never started. `rejected`: a person said no.
    """

    TYPE = "tool_failed"
    call_id: str
    error: ErrorInfo
    effect: Effect = "none"
    retrying: bool = False
    reask: bool = False
    rejected: bool = False
    in_doubt: bool = False
    child_usage: dict[str, Any] | None = None  # Usage as JSON


class Checked(Body):
    """A check or a guard gave its verdict. The envelope's `name` is the check's."""

    TYPE = "checked"
    passed: bool
    error: ErrorInfo | None = None


class RetryScheduled(Body):
    """The next attempt of a step is due at `due`."""

    TYPE = "retry_scheduled"
    due: datetime
    delay: float
    error: str
    policy: dict[str, Any] = Field(default_factory=dict)  # the Retry as JSON


class ApprovalRequested(Body):
    """A question to a person; it is on disk before anybody sees it.

    `offered` is the tool of a call that a pipeline's step makes, which only the step's code knows. The first question
    of a run about that tool holds it; later ones name it by its digest. The other tools are in the run's header.
    """

    TYPE = "approval_requested"
    kind: ApprovalKind
    prompt: str
    arguments: Any = None  # JSON: what will run, exactly
    digest: str | None = None
    because: str | None = None
    why: str | None = None
    shows: Any = None  # JSON: unknown effects, the parent's outcome, the budget's numbers
    options: tuple[str, ...] = ()
    expires: datetime | None = None
    offered: ToolSchema | None = None
    offered_sha256: str | None = None


class ApprovalAnswered(Body):
    """A person's answer, or a predicate's verdict when it said that nobody needs to be asked (`not_required`)."""

    TYPE = "approval_answered"
    verdict: Verdict
    edits: dict[str, Any] | None = None  # JSON
    value: Any = None  # JSON: an answer, or the result of what happened
    comment: str | None = None
    who: str | None = None
    through: str | None = None
    answered_at: datetime | None = None
    digest: str | None = None


class ApprovalExpired(Body):
    """Nobody answered in time."""

    TYPE = "approval_expired"
    reason: str


class HistoryTrimmed(Body):
    """From here on, prompts leave out the messages before `keep_from` (the first one stays)."""

    TYPE = "history_trimmed"
    keep_from: int
    dropped: int
    tokens_before: int
    tokens_after: int


class BudgetReached(Body):
    """The next call would go over the budget, or its price is unknown."""

    TYPE = "budget_reached"
    limit: Literal["usd", "model_calls", "price_unknown"]
    budget: dict[str, Any]  # the Budget as JSON
    used_usd: float | None
    used_calls: int
    needs_usd: float | None = None


class Graded(Body):
    """Somebody judged the run."""

    TYPE = "graded"
    verdict: Literal["good", "bad"]
    why: str | None = None
    who: str | None = None


class Commented(Body):
    """Somebody said something about the run, or about the step that the envelope names. Nothing acts on it.

    `id` is that of the word in the inbox, so that it is recorded once.
    """

    TYPE = "commented"
    id: str
    text: str
    who: str | None = None
    through: str | None = None
    said_at: datetime | None = None


class Note(Body):
    """What user code wanted to remember."""

    TYPE = "note"
    text: str
    data: Any = None  # JSON


class RunPausedEvent(Body):
    """The run stopped to wait for a person; after a "handover" for another worker: the one that had it was stopped.

    Where it waits for a person then too, another worker may go on with what does not. "lost": several workers died with
    it, and a person is to see why.
    """

    TYPE = "run_paused"
    why: PauseReason
    waiting_for: tuple[str, ...] = ()


class RunResumed(Body):
    """A process took the run up: an activation begins. What was started and not finished is now interrupted.

    `submitted`: none did yet; somebody left the run to the workers.
    """

    TYPE = "run_resumed"
    process: str | None = None
    submitted: bool = False
    definition_sha256: str | None = None
    header: Header | None = None  # where the definition changed
    budget: dict[str, Any] | None = None  # a raised Budget as JSON


class RunSucceeded(Body):
    """The run ended with this output."""

    TYPE = "run_succeeded"
    output: Any = None  # JSON


class RunFailedEvent(Body):
    """The run ended without an output."""

    TYPE = "run_failed"
    error: ErrorInfo


class RunCancelledEvent(Body):
    """Somebody ended the run."""

    TYPE = "run_cancelled"
    who: str | None = None
    why: str | None = None
