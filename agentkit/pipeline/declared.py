"""A step as its user declared it, before it is wired."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

from agentkit.definition import (
    DEOPT,
    AgentDefinition,
    Approve,
    Definition,
    OnReject,
    PipelineDefinition,
    ToolSpec,
    check_count,
)
from agentkit.errors import ConfigError
from agentkit.functions.signature import NOTHING, Parameter, Signature, read_signature
from agentkit.functions.written import Written
from agentkit.pipeline.child_step import TASK, ChildStep
from agentkit.pipeline.values import is_name
from agentkit.policy import Retry
from agentkit.tools import Options, Tool


class StepOptions(TypedDict, total=False):
    """What `Pipeline.step` takes beside the work."""

    name: str | None
    needs: Mapping[str, str] | None
    when: Callable[..., Any] | None
    each: str | tuple[str, str] | None
    concurrency: int
    on_error: Literal["fail", "collect"]
    retry: Retry | None
    retry_on: tuple[type[BaseException], ...] | None
    timeout: float | None
    writes: bool
    idempotent: bool
    approve: Approve
    on_reject: OnReject
    cache: bool | float


@dataclass(frozen=True)
class Declared:
    """A step as the user wrote it.

    Args:
        name: its name.
        work: a function, a tool, or what a child run is made of.
        options: of the work, where it is a function.
        needs: parameter → input or step, where the names differ.
        each: the input or step whose elements it runs for, or (parameter, input or step).
        when: its condition.
        namespace: local names that string annotations may use.
        written: where its user declared it.
    """

    name: str
    work: Any  # a function, a ToolSpec or a Definition
    options: Options = field(default_factory=Options)
    needs: Mapping[str, str] = field(default_factory=dict[str, str])
    each: str | tuple[str, str] | None = None
    when: Callable[..., Any] | None = None
    concurrency: int = 8
    on_error: Literal["fail", "collect"] = "fail"
    on_reject: OnReject = "fail"
    cache: bool | float = False
    namespace: Mapping[str, Any] = field(default_factory=dict[str, Any])
    written: Written | None = None

    def parameters(self) -> tuple[Parameter, ...]:
        """What the work takes, but for its context."""
        if isinstance(self.work, AgentDefinition):
            return (Parameter(TASK, Any, NOTHING, None),)
        if isinstance(self.work, PipelineDefinition):
            return tuple(_parameters_of(self.work.inputs.schema()))
        if isinstance(self.work, Tool):
            return _as_tool(self).signature.parameters
        if isinstance(self.work, ToolSpec):
            return tuple(_parameters_of(self.work.schema.parameters))
        return self.signature().parameters

    def names(self) -> list[str]:
        """The inputs and steps that it asks for, as far as its parameters tell."""
        each = self.each if isinstance(self.each, tuple) else (None, self.each)
        given = [
            self.needs.get(parameter.name, parameter.name)
            for parameter in self.parameters()
            if parameter.default is NOTHING and parameter.name != each[0]
        ]
        return list(dict.fromkeys([*given, *([each[1]] if each[1] else [])]))

    def returns(self) -> Any:
        """The type of what it gives, for one element where it runs for many; `NOTHING` where that is not known."""
        if isinstance(self.work, AgentDefinition):
            return self.work.output.type
        if isinstance(self.work, PipelineDefinition):
            return getattr(self.work.output, "type", NOTHING)
        if isinstance(self.work, Tool):
            return _as_tool(self).return_type
        return NOTHING if isinstance(self.work, ToolSpec) else self.signature().returns

    def signature(self) -> Signature:
        """What its function declares."""
        return read_signature(self.work, self.name, self.namespace, types={})

    def tool(self, types: Mapping[str, Any]) -> ToolSpec:
        """The work as the runner sees it; `types` are what parameters without an annotation get."""
        if isinstance(self.work, AgentDefinition | PipelineDefinition):
            return ChildStep(self.work, approve=self.options.approve)
        if isinstance(self.work, ToolSpec):
            return self.work
        return Tool(self.work, self.options, self.namespace, types)


def _as_tool(step: Declared) -> Tool[..., Any]:
    return step.work


def _parameters_of(schema: Mapping[str, Any]) -> Iterable[Parameter]:
    """The parameters of something of which only the JSON schema is known."""
    required = schema.get("required", ())
    for name in schema.get("properties", {}):
        yield Parameter(name, NOTHING, NOTHING if name in required else None, None)


def check_options(step: Declared) -> None:
    """Refuse options that contradict each other, at once.

    Raises:
        ConfigError: with what to write instead.
    """
    owner = step.name
    if not is_name(owner):
        raise ConfigError(f"{owner!r} is no name for a step: others need it by its name, so it has to be one in Python")
    if owner == DEOPT:
        raise ConfigError(
            f"{owner!r} is what a run calls the step of the agent that takes over; name it something else"
        )
    _check_cache(step)
    _check_wiring(step)
    check_count(owner, "concurrency", step.concurrency, "how many items run at one time")
    if step.on_error not in {"fail", "collect"}:
        raise ConfigError(f"{owner}: on_error is 'fail' or 'collect', not {step.on_error!r}")
    if step.on_reject not in {"fail", "skip"} and not callable(step.on_reject):
        raise ConfigError(f"{owner}: on_reject is 'fail', 'skip' or a function of the reason, not {step.on_reject!r}")
    if step.on_error == "collect" and step.each is None:
        raise ConfigError(f"{owner}: on_error='collect' is for a step that runs for each element of a list: give each=")


def _check_cache(step: Declared) -> None:
    cache: Any = step.cache
    if not isinstance(cache, bool) and not (isinstance(cache, int | float) and cache > 0):
        raise ConfigError(f"{step.name}: cache={cache!r}; give True, or the seconds that a result stays good for")
    if cache is not False and step.tool({}).writes:
        raise ConfigError(f"{step.name}: a write cannot be cached: it would not happen; leave cache out")


def _check_wiring(step: Declared) -> None:
    """Refuse what names nothing: what the names mean is seen when the pipeline is assembled."""
    owner, each, when = step.name, step.each, step.when
    pair = isinstance(each, tuple) and len(each) == 2 and all(map(is_name, each))
    if each is not None and not is_name(each) and not pair:
        example = "each='tickets', or each=('ticket', 'tickets') with the parameter that gets an element"
        raise ConfigError(f"{owner}: each={each!r}; name the input or the step whose list it is: {example}")
    if not all(map(is_name, (*step.needs, *step.needs.values()))):
        raise ConfigError(
            f"{owner}: needs={dict(step.needs)!r}; give names, parameter → input or step: needs={{'text': 'ticket'}}"
        )
    if when is not None and not callable(when):
        raise ConfigError(
            f"{owner}: when={when!r}; give a function of inputs and results, for example when=lambda facts: facts.ok"
        )


def work_of(given: Any, name: str | None, options: Options) -> tuple[Any, str]:
    """What the runner is to do for a step, and what the step is called.

    Args:
        given: a function, a tool, an agent or a pipeline.
        name: what its user calls it, if anything.
        options: the step's own.

    Raises:
        ConfigError: it is no step, has no name, or keeps options of its own.
    """
    made: Any = getattr(given, "definition", None)
    child = made if isinstance(made, AgentDefinition | PipelineDefinition) else None
    _keep_own(given, child, options)
    if child is not None:
        return child, name or re.sub(r"\W", "_", child.name)
    if isinstance(given, ToolSpec):
        return given, name or re.sub(r"\W", "_", given.schema.name)
    if not callable(given):
        raise ConfigError(f"{given!r} is no step: give a function, an agent, a tool or a pipeline")
    called: str | None = name or getattr(given, "__name__", None)
    if called is None or called == "<lambda>":
        raise ConfigError("a step without a name: others need it by its name; give name='…'")
    return given, called


def _keep_own(given: Any, child: Definition | None, options: Options) -> None:
    """What is made already keeps its own options: a step of it that says others would be another one."""
    if isinstance(given, ToolSpec) and options != Options():
        raise ConfigError(
            f"{given.schema.name} is a tool and keeps its own writes, idempotent, approve, retry and timeout; "
            "say them where it is made, with @ak.tool"
        )
    if child is not None and replace(options, approve=False) != Options():
        what, has = ("an agent", "tools") if child.kind == "agent" else ("a pipeline", "steps")
        raise ConfigError(f"{child.name} is {what}; writes, idempotent, retry and timeout are options of its {has}")
