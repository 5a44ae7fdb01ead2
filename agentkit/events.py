"""The facts: one immutable event per thing that happened, one body type per event type.

An event is a row: what people filter, join and sum by is a column of the envelope, everything else is in `body`. Only
what was decided, asked, answered, tried and returned is a fact; a prompt is the fold of the facts before it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, InstanceOf, ValidationError
from pydantic_core import from_json, to_json

from agentkit.errors import EncodingError, LogCorrupt, LogTooNew
from agentkit.ids import digest
from agentkit.jsonvalue import encode_model
from agentkit.messages import Fact, OutputSchema, ToolCall, ToolSchema

SCHEMA_VERSION = 1

RunKind = Literal["agent", "pipeline"]
RunStatus = Literal["running", "paused", "waiting", "succeeded", "failed", "cancelled"]
Effect = Literal["none", "unknown"]
ApprovalKind = Literal["call", "question", "in_doubt", "budget", "loop"]
Verdict = Literal[
    "approve", "edit", "reject", "answer", "happened", "did_not", "stop", "not_required", "expired", "withdrawn"
]

_BODIES: dict[str, "type[Body]"] = {}


class Body(Fact):
    """What one type of event says beyond the envelope."""

    TYPE: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _BODIES[cls.TYPE] = cls


class ErrorInfo(Fact):
    """An error as data: what a model, a person and a query see."""

    type: str
    message: str
    context: dict[str, Any] = Field(default_factory=dict)  # JSON
    retryable: bool = False
    traceback: str | None = None


class ToolFact(Fact):
    """A tool as a run offered it: what the model saw, and enough to see later that it changed."""

    offered: ToolSchema
    source_sha256: str
    writes: bool = False
    idempotent: bool = False


class Header(Fact):
    """What every prompt of a run begins with. Kept once; a prompt is this and the fold of the events before it."""

    instructions: str = ""
    tools: tuple[ToolFact, ...] = ()
    output: OutputSchema | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)  # JSON

    @cached_property
    def sha256(self) -> str:
        """The digest of what a prompt takes from it: it stays the same from turn to turn, and from run to run."""
        return header_sha256(self.instructions, [tool.offered for tool in self.tools], self.output, self.parameters)


def header_sha256(
    instructions: str, tools: Sequence[ToolSchema], output: OutputSchema | None, parameters: Mapping[str, Any]
) -> str:
    """The digest of all of a prompt but its messages.

    Returns:
        64 hex digits.
    """
    offered: list[Any] = [tool.model_dump(mode="json") for tool in tools]
    return digest([instructions, offered, output.model_dump(mode="json") if output else None, dict(parameters)])


class ParentWrite(Fact):
    """A write that the parent of a fork began after the fork's point, with what became of it."""

    step: str
    name: str
    arguments: Any  # JSON
    outcome: Any = None  # JSON: the result, the error, or None while unknown


class Origin(Fact):
    """The run and the seq whose events this run begins with: a fork, or a follow-up of a conversation."""

    kind: Literal["fork", "after"]
    run_id: str
    seq: int
    later_writes: tuple[ParentWrite, ...] = ()


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
    process: str | None = None


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
    """A question to a person; it is on disk before anybody sees it."""

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


class Note(Body):
    """What user code wanted to remember."""

    TYPE = "note"
    text: str
    data: Any = None  # JSON


class RunPausedEvent(Body):
    """The run stopped to wait for a person."""

    TYPE = "run_paused"
    why: Literal["approval", "asked", "child", "budget"]
    waiting_for: tuple[str, ...] = ()


class RunResumed(Body):
    """A process took the run up: an activation begins. What was started and not finished is now interrupted."""

    TYPE = "run_resumed"
    process: str | None = None
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


# The envelope's columns in their order on a journal line and in every store; `body` and the version follow.
COLUMNS = (
    "run_id",
    "seq",
    "ts",
    "type",
    "step",
    "attempt",
    "name",
    "status",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "parent_run_id",
    "approval_id",
)


_OPTIONAL = COLUMNS[4:]


class Event(Fact):
    """One row of the log: the envelope and its body.

    `ts` is UTC with microseconds, `duration_ms` milliseconds, `cost_usd` US dollars (None = unknown). `status` is the
    run's status after a `run_*` or `retry_scheduled` event, "ok" or "error" on what ends an attempt.
    """

    run_id: str
    seq: int = Field(ge=1)
    ts: datetime
    step: str | None = None
    attempt: int | None = None
    name: str | None = None
    status: str | None = None
    duration_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    parent_run_id: str | None = None
    approval_id: str | None = None
    body: InstanceOf[Body]
    schema_version: int = SCHEMA_VERSION

    @property
    def type(self) -> str:
        """The event's type, for example "tool_started"."""
        return self.body.TYPE

    def columns(self) -> dict[str, Any]:
        """The envelope without its empty columns, JSON values only, in the order of `COLUMNS`."""
        row: dict[str, Any] = {"run_id": self.run_id, "seq": self.seq, "ts": iso(self.ts), "type": self.body.TYPE}
        given = self.__dict__  # a getattr for each of ten mostly empty columns would cost every event
        for column in _OPTIONAL:
            value = given[column]
            if value is not None:
                row[column] = value
        return row

    def body_json(self) -> bytes:
        """The body as compact JSON without its defaults.

        Raises:
            EncodingError: the body holds something JSON cannot, naming the field.
        """
        return self._encoded_body

    @cached_property
    def _encoded_body(self) -> bytes:
        """Made once: who looks for secrets in an event and who writes it down read the same bytes."""
        try:
            return encode_model(self.body, self.type)
        except EncodingError as error:
            raise EncodingError(error.where, f"{error.problem} (event {self.seq} of run {self.run_id})") from error

    def encode(self) -> bytes:
        """The event as one JSON object without a newline: the columns, then `body`, then `schema_version`."""
        head = to_json(self.columns(), inf_nan_mode="constants")
        return b'%s,"body":%s,"schema_version":%d}' % (head[:-1], self.body_json(), self.schema_version)

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """Read what `encode` wrote.

        Raises:
            LogTooNew: the event's schema version is newer than this agentkit knows.
            LogCorrupt: it is not an event.
        """
        try:
            row = from_json(data)
        except ValueError as error:
            raise LogCorrupt(f"not a JSON object: {data[:80]!r} ({error})") from error
        return cls.from_row(row)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Make an event of its columns plus `body`, the body being a dict or JSON text.

        Raises:
            LogTooNew: the row's schema version is newer than this agentkit knows.
            LogCorrupt: it is not an event.
        """
        version = row.get("schema_version", SCHEMA_VERSION)
        if version > SCHEMA_VERSION:
            raise LogTooNew(
                f"the log holds events of schema version {version}, this agentkit reads up to {SCHEMA_VERSION}; "
                "upgrade agentkit to open it"
            )
        kind = row.get("type")
        if kind not in _BODIES:
            raise LogCorrupt(f"unknown event type {kind!r} in run {row.get('run_id')} at seq {row.get('seq')}")
        body: Any = row.get("body") or {}
        fields = {key: value for key, value in row.items() if key not in {"type", "body"} and value is not None}
        try:
            parsed = _BODIES[kind].model_validate(from_json(body) if isinstance(body, str | bytes) else body)
            return cls(**fields, body=parsed)
        except (ValidationError, ValueError) as error:
            raise LogCorrupt(f"event {row.get('seq')} of run {row.get('run_id')} ({kind}): {error}") from error


def event_types() -> dict[str, type[Body]]:
    """Every event type by name, with its body's class."""
    return dict(_BODIES)


def iso(moment: datetime) -> str:
    """A UTC time as text with microseconds: fixed width, so it sorts as text."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"
