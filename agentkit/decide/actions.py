"""What a run can do next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from agentkit.events import ErrorInfo


@dataclass(frozen=True, slots=True)
class CallModel:
    """Try `models[fallback]` for this step."""

    step: str
    attempt: int
    fallback: int


@dataclass(frozen=True, slots=True)
class LoseModelCall:
    """Record that an attempt was cut short: it may have been charged."""

    step: str


@dataclass(frozen=True, slots=True)
class ScheduleRetry:
    """Draw the wait before the step's next attempt, and record it."""

    step: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do for this step before that time."""

    step: str
    due: datetime


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """Record what the model chose, why and instead of what."""

    step: str


@dataclass(frozen=True, slots=True)
class StartCall:
    """Validate the arguments and run the call."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class GateCall:
    """Validate the arguments and find out whether a person has to be asked: `because` says why one surely has to."""

    step: str
    because: Literal["policy", "effect_unknown", "parent_did_it", "changed", "repeated", "diverged", "pipeline_wrote"]


@dataclass(frozen=True, slots=True)
class AskInDoubt:
    """Ask a person what became of a write that was started and never recorded as finished."""

    step: str


@dataclass(frozen=True, slots=True)
class SettleCall:
    """Record how a person's answer, or the lack of one, ended the call."""

    step: str


@dataclass(frozen=True, slots=True)
class RefuseCall:
    """Tell the model that there is no such tool."""

    step: str


@dataclass(frozen=True, slots=True)
class StopLoop:
    """The same call keeps bringing the same result: tell the model, or, when it was told, ask a person."""

    step: str
    ask: bool


@dataclass(frozen=True, slots=True)
class AskBudget:
    """Ask a person for more budget."""


@dataclass(frozen=True, slots=True)
class TrimHistory:
    """Leave the messages before `keep_from` out of the prompts to come."""

    keep_from: int


@dataclass(frozen=True, slots=True)
class AcceptAnswer:
    """Validate and check the final answer; end the run with it, or have the model try again."""

    step: str


@dataclass(frozen=True, slots=True)
class FailRun:
    """End the run without an output."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class StopRun:
    """A person said stop."""

    who: str


@dataclass(frozen=True, slots=True)
class JudgeWhen:
    """Ask a step's condition, and record what it says."""

    step: str


@dataclass(frozen=True, slots=True)
class SkipStep:
    """Record that a step does not run, and why."""

    step: str
    because: Literal["when", "needs", "rejected"]
    on: str | None = None


@dataclass(frozen=True, slots=True)
class OpenFan:
    """Record that a step runs once for each element of a list, and of how many."""

    step: str


@dataclass(frozen=True, slots=True)
class CloseFan:
    """All items of a fan-out have ended: record what came of it."""

    step: str


@dataclass(frozen=True, slots=True)
class RecordDeopt:
    """Record that a pipeline met what it was not made for, at this step."""

    step: str


@dataclass(frozen=True, slots=True)
class AskDeopt:
    """Ask a person whether the agent goes on after what the pipeline wrote."""


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Every step of a pipeline ended well or was skipped, or its agent did: end the run with its output."""


Action: TypeAlias = (
    CallModel
    | LoseModelCall
    | ScheduleRetry
    | WaitUntil
    | RecordDecision
    | StartCall
    | GateCall
    | AskInDoubt
    | SettleCall
    | RefuseCall
    | StopLoop
    | AskBudget
    | TrimHistory
    | AcceptAnswer
    | JudgeWhen
    | SkipStep
    | OpenFan
    | CloseFan
    | RecordDeopt
    | AskDeopt
    | FinishRun
    | FailRun
    | StopRun
)
