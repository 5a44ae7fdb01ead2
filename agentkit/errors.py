"""Every error that agentkit raises, in one tree.

```
AgentKitError
├── ConfigError            the definition, an option or an argument is wrong
│   ├── ToolDefinitionError    a function that cannot become a tool, and which part of it
│   ├── PipelineError          steps that do not fit together; all that is wrong with them
│   └── ModelNotFound          no adapter or model answers to that name
│       └── PullFailed             a local model's weights cannot be fetched: why, and how else to get them
├── EncodingError          a value that is not JSON (NaN, NUL, an object), naming the field
├── LogError               the log
│   ├── LogUnwritable          full disk, read-only folder: the step was not performed
│   ├── LogCorrupt             a bad line in the middle of a journal: file and offset
│   ├── LogTooNew              written by a newer schema version
│   ├── LogBusy                another program keeps a file of the log open
│   ├── RunNotFound
│   ├── RunClaimed             another process executes the run: which
│   ├── SeqConflict            somebody else appended: this claim was lost
│   └── QueryError             SQL that is refused or wrong
├── RunError               what `run.result()` raises
│   ├── RunPaused              it waits for a person; `.pending` lists for what
│   ├── RunFailed              `.error` holds what happened, `.usage` what it cost
│   └── RunCancelled
├── ApprovalError          an answer that cannot be given: nothing pending, several and no id, already answered
├── PromotionError         what cannot become a module: each object, what needs it, and what to do
├── ResumeError            the definition is missing or contradicts the recorded events
├── ForkError              not there: something is in flight at that point
├── ServerUnavailable      an MCP server that cannot be reached, or was lost; a `ConnectionError`, so it is tried again
├── StepError              what a call that a pipeline's step makes raises in it
│   ├── AskFailed              no model gave an answer that holds; `.error`
│   ├── CallFailed             a tool failed for good; `.error`, and `.effect`: whether something may have happened
│   └── Rejected               a person said no; `.reason`
├── ModelError             what a model adapter raises; `.retryable`, `.retry_after`
├── Deopt                  a pipeline's step meets what it was not made for; `.message`, `.context`
└── ToolError              what a tool raises to say: nothing happened, and here is why
```
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.events import ErrorInfo
    from agentkit.messages import Usage


class AgentKitError(Exception):
    """The base of every error that agentkit raises."""

    def __reduce__(self) -> Any:
        """From one process to another: whatever a class is made with, what it holds is what arrives."""
        return _received, (type(self), self.args, vars(self).copy())


def _received(kind: type[AgentKitError], args: tuple[Any, ...], held: dict[str, Any]) -> AgentKitError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(held)
    return error


class ConfigError(AgentKitError):
    """A definition, an option or an argument is wrong."""


class ToolDefinitionError(ConfigError):
    """A function that cannot become a tool; the message names the parameter."""


class PipelineError(ConfigError):
    """Steps that do not fit together.

    Args:
        name: the pipeline's name.
        problems: what is wrong, a sentence each; each names the step and the parameter.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"the pipeline {name!r} cannot run:{lines}")
        self.problems = tuple(problems)


class ModelNotFound(ConfigError):
    """No adapter or model answers to that name."""


class PullFailed(ModelNotFound):
    """A local model's weights cannot be fetched; the message says why, and how else to get them."""


class EncodingError(AgentKitError):
    """A value that JSON cannot hold.

    Args:
        where: the field's path, for example `result.items[3].price`.
        problem: what is wrong with it and what to do.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class LogError(AgentKitError):
    """Something about the log."""


class LogUnwritable(LogError):
    """The log cannot be written; the step that needed it was not performed."""


class LogCorrupt(LogError):
    """A line in the middle of the journal does not match its checksum or its place."""


class LogTooNew(LogError):
    """The log was written by a newer agentkit."""


class LogBusy(LogError):
    """Another program keeps a file of the log open."""


class RunNotFound(LogError):
    """No run of that id in this log."""


class RunClaimed(LogError):
    """Another process executes this run.

    Args:
        run_id: the run.
        holder: who holds it, for example "process 4711 on host-a, since 12:03:10 UTC".
    """

    def __init__(self, run_id: str, holder: str) -> None:
        super().__init__(
            f"run {run_id} is being executed by {holder}; wait for it, or end that process (its claim ends with it)"
        )
        self.run_id = run_id
        self.holder = holder


class SeqConflict(LogError):
    """An append did not continue the run where the log stands."""


class QueryError(LogError):
    """SQL that the log refuses (only reading statements run) or that DuckDB/PostgreSQL cannot run."""


class RunError(AgentKitError):
    """Why a run gave no output.

    Args:
        message: what happened and what to do.
        run_id: the run.
        usage: what it used until then, retries included.
    """

    def __init__(self, message: str, *, run_id: str, usage: "Usage | None" = None) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.usage = usage


class RunPaused(RunError):
    """The run waits for a person.

    Args:
        message: what it waits for, and how to answer.
        run_id: the run.
        usage: what it used until then.
        pending: the approvals it waits for, those of child runs too.
    """

    def __init__(self, message: str, *, run_id: str, usage: "Usage | None" = None, pending: Sequence[Any] = ()) -> None:
        super().__init__(message, run_id=run_id, usage=usage)
        self.pending = list(pending)


class RunFailed(RunError):
    """The run ended without an output.

    Args:
        message: what happened.
        run_id: the run.
        usage: what it used, every attempt included.
        error: the recorded error, with its type, context and attempts.
    """

    def __init__(
        self, message: str, *, run_id: str, usage: "Usage | None" = None, error: "ErrorInfo | None" = None
    ) -> None:
        super().__init__(message, run_id=run_id, usage=usage)
        self.error = error


class RunCancelled(RunError):
    """Somebody cancelled the run."""


class ApprovalError(AgentKitError):
    """An answer that cannot be given; the message lists what is pending or who answered."""


class PromotionError(AgentKitError):
    """What cannot become a module, or did not stand alone as one.

    Args:
        what: what was promoted, and what is wrong in all.
        problems: a sentence each: the object, who needs it, what to do.
    """

    def __init__(self, what: str, problems: Sequence[str] = ()) -> None:
        super().__init__(what + "".join(f"\n  - {problem}" for problem in problems))
        self.problems = tuple(problems)


class ResumeError(AgentKitError):
    """The run cannot go on with the definition at hand; the message names the difference."""


class ForkError(AgentKitError):
    """A run cannot be forked at that point; the message says what is in flight there."""


class StepError(AgentKitError):
    """What a call that a pipeline's step makes raises in it; a step that lets it pass fails."""


class AskFailed(StepError):
    """No model gave an answer that holds.

    Args:
        error: the last error, with every attempt in its context.
    """

    def __init__(self, error: "ErrorInfo") -> None:
        super().__init__(error.message)
        self.error = error


class CallFailed(StepError):
    """A tool failed for good.

    Args:
        tool: its name.
        error: what it raised.
        effect: "unknown" where something may have happened all the same.
    """

    def __init__(self, tool: str, error: "ErrorInfo", effect: str = "none") -> None:
        super().__init__(f"{tool}: {error.type}: {error.message}")
        self.error = error
        self.effect = effect


class Rejected(StepError):
    """A person said no.

    Args:
        tool: the tool that was not run.
        reason: their words.
    """

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"{tool} was rejected: {reason}")
        self.reason = reason


class ModelError(AgentKitError):
    """A model call failed.

    Args:
        message: what the provider said.
        kind: a short class of it: "rate_limit", "timeout", "server", "connection", "auth", "bad_request",
            "context_overflow", "content_filter", "quota" or "other".
        retryable: whether the same call can succeed later.
        retry_after: seconds that the provider asked to wait.
        status: the HTTP status.
        usage: what it used all the same, where the provider said so; None is what the kind of error makes likely.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "other",
        retryable: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        usage: "Usage | None" = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status
        self.usage = usage


class ServerUnavailable(AgentKitError, ConnectionError):
    """An MCP server that cannot be reached, or was lost in mid-call; it may be there again a moment later.

    Args:
        message: which server, what happened, and what it said last.
        sent: whether the call may have reached it.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class ToolError(AgentKitError):
    """Raised by a tool: nothing happened, and the model should know why.

    Args:
        message: what is wrong, in words the model can act on.
        retryable: whether the same call can succeed later.
        context: facts that help, JSON values only.

    Example:
        >>> error = ToolError("no such order", order_id="A-1")
        >>> error.context
        {'order_id': 'A-1'}
    """

    def __init__(self, message: str, *, retryable: bool = False, **context: Any) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.context = context


class Deopt(AgentKitError):
    """A pipeline's step meets what it was not made for; `ak.guard`, `ak.only` and `ak.agree` raise it.

    It is never tried again, and says that the attempt itself wrote nothing. A pipeline with `deopt=` hands over to that
    agent; any other fails with it. How many runs did so, where and why:

    ```sql
    SELECT name AS step, body->>'message' AS why, body->>'agent' AS agent, count(DISTINCT run_id) AS runs
    FROM events WHERE type = 'deopted' GROUP BY 1, 2, 3 ORDER BY 4 DESC
    ```

    Args:
        message: what is not as it has to be, in a person's words.
        context: values that help, JSON values only.

    Example:
        >>> Deopt("two items match", found=2).context
        {'found': 2}
    """

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.context = context
