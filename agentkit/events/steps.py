"""What happens in a pipeline: steps and their items, and the questions that a step puts to a model."""

from typing import Any, Literal

from pydantic import Field

from agentkit.events.body import Body, Effect, ErrorInfo, Header, ParentWrite
from agentkit.messages import Fact


class StepStarted(Body):
    """A step, or one item of a fan-out, is about to run. Its arguments are the inputs and the results before it.

    `items`: it is a fan-out, and so many items follow, each a step of its own.
    """

    TYPE = "step_started"
    input_sha256: str = ""
    idempotency_key: str = ""
    child_run_id: str | None = None
    items: int | None = None


class StepSucceeded(Body):
    """A step ended with a result. `gathered`: a fan-out's, whose result is the list of its items' results.

    `late`, `told_by`, `child_usage` and `child_unknown` are as in `ToolSucceeded`. `cache_key` is what a later run may
    find the result by; `cached_from` the run whose result this is. `on_reject`: a person said no, and this is what the
    pipeline does then.
    """

    TYPE = "step_succeeded"
    result: Any = None  # JSON
    gathered: bool = False
    late: bool = False
    told_by: str | None = None
    child_usage: dict[str, Any] | None = None  # Usage as JSON
    child_unknown: str | None = None
    cache_key: str | None = None
    cached_from: str | None = None
    on_reject: bool = False


class StepFailed(Body):
    """An attempt at a step ended without a result; the fields are as in `ToolFailed`.

    `deopt`: it met what it was not made for.
    """

    TYPE = "step_failed"
    error: ErrorInfo
    effect: Effect = "none"
    retrying: bool = False
    rejected: bool = False
    in_doubt: bool = False
    child_usage: dict[str, Any] | None = None  # Usage as JSON
    deopt: bool = False


class StepSkipped(Body):
    """A step does not run: its condition said no, what it needs was skipped, or a person said no and that is planned.

    `on` is what it needs and lacks.
    """

    TYPE = "step_skipped"
    because: Literal["when", "needs", "rejected"]
    on: str | None = None


class AskStarted(Body):
    """A step begins to ask a model; the model calls that follow have the paths `{this step}/model/1` and so on.

    The first ask of a run that has this header holds it; later ones name it by its digest.
    """

    TYPE = "ask_started"
    prompt: Any  # JSON: text or message parts
    header: Header | None = None
    header_sha256: str
    request_sha256: str
    models: tuple[str, ...]


class MadeCall(Fact):
    """A call of a tool that a pipeline's run made; its result is in the run, at `step`."""

    step: str
    name: str  # the tool's
    arguments: Any  # JSON


class Deopted(Body):
    """A pipeline met what it was not made for, and its steps are over. The envelope's `step` is the one that met it.

    `agent` is who goes on, if anybody; `calls` what it is shown as made already, in order; `writes` what was written,
    each with what became of it.
    """

    TYPE = "deopted"
    message: str
    context: dict[str, Any] = Field(default_factory=dict)  # JSON
    agent: str | None = None
    calls: tuple[MadeCall, ...] = ()
    writes: tuple[ParentWrite, ...] = ()
