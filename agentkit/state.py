"""What a run is: the pure fold of its events.

These are the types; `agentkit.fold` makes them of events. Two processes that fold the same events hold equal states.
"""

import copy
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agentkit.events import (
    ApprovalKind,
    Deopted,
    ErrorInfo,
    Header,
    HistoryTrimmed,
    Origin,
    ParentWrite,
    PauseReason,
    RunStatus,
    Verdict,
)
from agentkit.messages import NOTHING_USED, AssistantMessage, Message, ModelRequest, ToolSchema, Usage
from agentkit.policy import Budget
from agentkit.text import call_text, one_line

ModelStatus: TypeAlias = Literal["running", "interrupted", "failed", "waiting", "done"]
CallStatus: TypeAlias = Literal[
    "proposed", "asked", "cleared", "answered", "running", "stuck", "interrupted", "parked", "failed", "waiting", "done"
]


@dataclass(slots=True)
class Attempts:
    """What model and tool steps share: how often they were tried and what came of it.

    `failures` counts attempts that failed by themselves; an attempt that a crash cut short is not one. `errors` has
    every failed attempt's error, a cut one's too; `error` is the last one's, until an attempt succeeds.
    """

    step: str
    name: str
    attempt: int = 0
    failures: int = 0
    due: datetime | None = None
    error: ErrorInfo | None = None
    errors: tuple[ErrorInfo, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(slots=True)
class ModelStep(Attempts):
    """One call of a model: `model/3`. `answer` stays out of it: it is in the messages."""

    status: ModelStatus = "running"
    fallback: int = 0
    retry_after: float | None = None
    retryable: bool = False
    reserved_usd: float | None = None
    estimated_tokens: int = 0
    request_sha256: str = ""
    usage: Usage = NOTHING_USED
    calls: tuple[str, ...] = ()
    text: str | None = None
    tried: tuple[str, ...] = ()  # the models whose attempts failed, one for each of `errors`
    refusals: tuple[tuple[str, ErrorInfo], ...] = ()  # the checks that refused it, with what they said


@dataclass(slots=True)
class CallStep(Attempts):
    """One call of a tool, `tool/refund/2`; or a pipeline's step `pay`, an item of it `pay[3]`, a call that it makes.

    `raw` is what the model wrote, `arguments` the validated JSON that ran or waits to run, `ran_with` those of the last
    attempt. `cleared_digest` is what a person approved; `outcome` how it ended.
    """

    call_id: str = ""
    turn: str = ""
    raw: Any = None
    why: str | None = None
    instead_of: str | None = None
    status: CallStatus = "proposed"
    arguments: dict[str, Any] | None = None
    ran_with: dict[str, Any] | None = None
    key: str | None = None
    keep_key: str | None = None
    child_run_id: str | None = None
    child_usage: Usage | None = None  # once that run ended
    approval: str | None = None
    cleared_digest: str | None = None
    edited: bool = False
    told_by: str | None = None
    outcome: Literal["ok", "error", "rejected"] | None = None
    result: Any = None
    effect: Literal["none", "unknown"] | None = None
    reask: bool = False
    # a pipeline's own
    is_step: bool = False
    within: str | None = None  # the step that made the call
    writes: bool = False
    generation: int = 0  # how often that step had failed by then: what a later try may use again
    input_sha256: str = ""
    cached_from: str | None = None
    deopt: bool = False  # it met what it was not made for


@dataclass(slots=True)
class FanOut:
    """A step that runs once for each element of a list. Items begin in order; `open` are those that have not ended."""

    total: int
    begun: int = 0
    done: int = 0
    open: dict[int, None] = field(default_factory=dict[int, None])
    failed: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Ask:
    """A question that a pipeline's step puts to a model, `facts/ask/1`. Its conversation is there until it ended."""

    step: str
    within: str
    generation: int
    request_sha256: str
    conversation: "State | None"
    models: tuple[str, ...] = ()
    outcome: Literal["ok", "error"] | None = None
    result: Any = None
    error: ErrorInfo | None = None

    def models_of_run(self) -> dict[str, ModelStep]:
        """The model calls of its conversation, by their paths in the run, which shares them."""
        found = self.conversation.models if self.conversation is not None else {}
        return {f"{self.step}/{local}": model for local, model in found.items()}


@dataclass(slots=True, repr=False)
class Approval:
    """A question to a person and, once there is one, its answer. It prints as one line: id, kind, what it is about.

    `offered` is the tool of the call that is asked about, where the log says it.
    """

    id: str
    run_id: str
    kind: ApprovalKind
    step: str | None
    name: str | None
    prompt: str
    arguments: Any
    digest: str | None
    because: str | None
    why: str | None
    shows: Any
    options: tuple[str, ...]
    expires: datetime | None
    requested_at: datetime
    offered: ToolSchema | None = None
    verdict: Verdict | None = None
    value: Any = None
    edits: dict[str, Any] | None = None
    comment: str | None = None
    who: str | None = None
    answered_at: datetime | None = None

    def __repr__(self) -> str:
        is_call = self.kind in {"call", "in_doubt"}
        subject = call_text(self.name or "", self.arguments) if is_call else one_line(self.prompt, 120)
        return f"{self.id}  {self.kind}: {subject}"


@dataclass(frozen=True, slots=True, repr=False)
class Comment:
    """What somebody said about a run, or about one of its steps. It prints as one line: when, who, about what.

    Args:
        id: its own.
        step: the step's path in the run; None for the run itself.
        text: the words.
        who: whose they are.
        at: when they were said, UTC.
        through: by what: "notebook", "cli", "python".
    """

    id: str
    step: str | None
    text: str
    who: str
    at: datetime
    through: str | None = None

    def __repr__(self) -> str:
        about = f" on {self.step}" if self.step is not None else ""
        return f"{self.at:%Y-%m-%d %H:%M} UTC, {one_line(self.who, 40)}{about}: {one_line(self.text, 120)}"


@dataclass(slots=True)
class UnknownEffect:
    """A write that may or may not have happened."""

    step: str
    name: str
    arguments: Any
    key: str | None
    error: str


@dataclass(slots=True)
class State:
    """A run, as its events tell it."""

    run_id: str
    seq: int
    name: str
    kind: str
    started_at: datetime
    status: RunStatus = "running"
    module: str | None = None
    definition_sha256: str = ""
    header: Header = field(default_factory=Header)
    header_sha256: str = ""
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    input: Any = None
    output: Any = None
    error: ErrorInfo | None = None
    parent_run_id: str | None = None
    parent_step: str | None = None
    origin: Origin | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    user: str | None = None
    submitted: bool = False  # to workers, who execute it
    queued: bool = False  # and none has taken it yet
    paused_why: PauseReason | None = None
    activation: int = 1
    ended_at: datetime | None = None
    # the conversation
    messages: list[Message] = field(default_factory=list[Message])
    message_tokens: list[int] = field(default_factory=list[int])
    tokens: int = 0
    chain: str = ""
    trimmed_to: int = 0
    asked_at: int = 0  # the message that holds this run's input: the first one, but for a follow-up's
    trims: list[tuple[str | None, HistoryTrimmed]] = field(default_factory=list[tuple[str | None, HistoryTrimmed]])
    # the steps
    models: dict[str, ModelStep] = field(default_factory=dict[str, ModelStep])
    calls: dict[str, CallStep] = field(default_factory=dict[str, CallStep])
    occurrences: dict[str, int] = field(default_factory=dict[str, int])
    turn: str | None = None
    open_calls: list[str] = field(default_factory=list[str])
    undecided: list[str] = field(default_factory=list[str])
    checked: list[str] = field(default_factory=list[str])
    refused: bool = False
    reasks: int = 0
    reask_error: ErrorInfo | None = None
    # a pipeline's
    fans: dict[str, FanOut] = field(default_factory=dict[str, FanOut])
    asks: dict[str, Ask] = field(default_factory=dict[str, Ask])
    inner: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # what each step called and asked
    skipped: dict[str, tuple[str, str | None]] = field(default_factory=dict[str, tuple[str, str | None]])
    judged: dict[str, bool] = field(default_factory=dict[str, bool])  # what `when` said
    headers: dict[str, Header] = field(default_factory=dict[str, Header])
    offered: dict[str, ToolSchema] = field(default_factory=dict[str, ToolSchema])  # the tools that steps asked about
    again: tuple[str, ...] = ()
    deopted: Deopted | None = None
    deopted_by: str | None = None  # the step
    # what a person is asked
    approvals: dict[str, Approval] = field(default_factory=dict[str, Approval])
    pending: list[str] = field(default_factory=list[str])
    unknown: list[UnknownEffect] = field(default_factory=list[UnknownEffect])
    parent_writes: tuple[ParentWrite, ...] = ()
    written: tuple[ParentWrite, ...] = ()  # by the pipeline that this agent goes on after
    repeats: dict[str, int] = field(default_factory=dict[str, int])
    looping: str | None = None
    loop_told: bool = False
    budget_reached: dict[str, Any] | None = None
    stopped_by: str | None = None
    stopped_why: str | None = None
    # what it used
    budget: Budget = field(default_factory=Budget)
    used: Usage = NOTHING_USED
    model_calls: int = 0
    tool_calls: int = 0
    child_usage: Usage = NOTHING_USED
    grade: str | None = None
    grade_why: str | None = None
    notes: list[tuple[str | None, str, Any]] = field(default_factory=list[tuple[str | None, str, Any]])
    comments: list[Comment] = field(default_factory=list[Comment])

    def awaits_worker(self, status: str) -> bool:
        """Whether a run of which a reader says this status waits for a worker, and not for a time."""
        return status == "waiting" and (self.queued or self.status in {"running", "paused"})

    def rests(self, status: str) -> bool:
        """Whether nobody executes a run of which a reader says this status: what was under way is cut short then."""
        return status not in {"running", "waiting"} or self.awaits_worker(status)

    @property
    def worker_command(self) -> str:
        """What starts a worker for the run, as far as it is known where the definition is: `agentkit worker desk`."""
        return f"agentkit worker {(self.module or 'MODULE').partition(':')[0]}"

    @property
    def is_kept(self) -> bool:
        """Whether a person has to let it go on: one paused it, or several workers died with it."""
        return self.paused_why in {"asked", "lost"}

    @property
    def ended(self) -> bool:
        """Whether nothing can happen any more."""
        return self.status in {"succeeded", "failed", "cancelled"}

    @property
    def usage(self) -> Usage:
        """What the run itself used, every attempt included; its child runs' is `child_usage`."""
        return self.used.model_copy(update={"model_calls": self.model_calls, "tool_calls": self.tool_calls})

    @property
    def in_flight(self) -> list[str]:
        """The steps that an activation is executing: started in it and not yet finished."""
        model = self.models[self.turn] if self.turn else None
        flying = [model.step] if model is not None and model.status == "running" else []
        return flying + [step for step in self.open_calls if self.calls[step].status in {"running", "stuck"}]

    @property
    def prompt_messages(self) -> list[Message]:
        """The messages that the next prompt holds: the one that stays, and what trimming left."""
        if not self.trimmed_to:
            return self.messages
        return [self.messages[self.stays(self.trimmed_to)], *self.messages[self.trimmed_to :]]

    def stays(self, keep_from: int) -> int:
        """Which message is kept when those before `keep_from` are left out: this run's question, or else the first."""
        return self.asked_at if keep_from > self.asked_at else 0

    def tokens_from(self, keep_from: int) -> int:
        """About how many tokens the prompt's messages hold when those before `keep_from` are left out."""
        left = sum(self.message_tokens[keep_from:])
        return left + self.message_tokens[self.stays(keep_from)] if keep_from else left

    def copy(self) -> "State":
        """A state of its own: advancing it leaves this one as it is."""
        copied = replace(
            self,
            models={step: copy.copy(model) for step, model in self.models.items()},
            calls={step: copy.copy(call) for step, call in self.calls.items()},
            approvals={key: copy.copy(approval) for key, approval in self.approvals.items()},
            messages=list(self.messages),
            message_tokens=list(self.message_tokens),
            occurrences=dict(self.occurrences),
            open_calls=list(self.open_calls),
            undecided=list(self.undecided),
            checked=list(self.checked),
            pending=list(self.pending),
            unknown=[copy.copy(effect) for effect in self.unknown],
            repeats=dict(self.repeats),
            notes=list(self.notes),
            comments=list(self.comments),
            trims=list(self.trims),
            **self._copy_of_steps(),
        )
        for ask in copied.asks.values():
            copied.models.update(ask.models_of_run())
        return copied

    def _copy_of_steps(self) -> dict[str, Any]:
        """What only a pipeline's run has."""
        if self.kind != "pipeline":
            return {}
        asks = {
            step: replace(ask, conversation=ask.conversation and ask.conversation.copy())
            for step, ask in self.asks.items()
        }
        return {
            "fans": {
                step: replace(fan, open=dict(fan.open), failed=list(fan.failed)) for step, fan in self.fans.items()
            },
            "asks": asks,
            "inner": {step: list(paths) for step, paths in self.inner.items()},
            "skipped": dict(self.skipped),
            "judged": dict(self.judged),
            "headers": dict(self.headers),
            "offered": dict(self.offered),
        }

    def request(self) -> ModelRequest:
        """The prompt of the next model call: what the log holds is all it is made of."""
        return ModelRequest.model_construct(  # made of facts already validated: doing it again would cost every turn
            instructions=self.header.instructions,
            messages=tuple(self.prompt_messages),
            tools=tuple(tool.offered for tool in self.header.tools),
            output=self.header.output,
            parameters=self.header.parameters,
        )

    def request_sha256(self) -> str:
        """The digest of that prompt, without building it: the header's and the running digest of the messages."""
        return hashlib.sha256(f"{self.header_sha256}{self.chain}".encode()).hexdigest()

    def answer(self) -> AssistantMessage | None:
        """The last answer of the model, once there is one."""
        last = self.messages[-1] if self.messages else None
        return last if isinstance(last, AssistantMessage) else None
