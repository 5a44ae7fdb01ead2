"""What a pipeline is, resolved: steps wired by name, in an order in which they can run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from agentkit.definition.limits import check_limits
from agentkit.definition.parts import Model, ToolSpec
from agentkit.events import Header, ToolFact
from agentkit.jsonvalue import JsonValue
from agentkit.policy import Budget, Retry
from agentkit.redact import Redactor

DEOPT = "deopt"
"""The step of a run in which an agent goes on after a pipeline that met what it was not made for."""

OnReject: TypeAlias = "Literal['fail', 'skip'] | Callable[[str], Any]"
"""What becomes of a step that a person rejected: its run fails, it is skipped, or what a function of the reason gives
is its result."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one parameter of a step needs.

    Args:
        parameter: the parameter's name.
        source: the input or the step whose value it takes.
        optional: whether it takes None, where the source was skipped.
    """

    parameter: str
    source: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """A step's condition: a function of inputs and results, and what reads them from JSON."""

    function: Callable[..., Any]
    needs: tuple[Need, ...]
    values: "Values"


@dataclass(frozen=True)
class StepDefinition:
    """One step.

    Args:
        name: the step's; others need it by this name.
        tool: the work, its options and its types.
        needs: where its arguments come from.
        each: the parameter that gets one element of a list, where the step runs once for each.
        when: whether it runs at all.
        concurrency: how many items of a fan-out run at one time.
        on_error: whether a failed item fails the step, or its place in the list says so.
        on_reject: what a person's no leads to.
        cache: whether an earlier result for the same input will do, or for how many seconds it will.
        gives: the type of its result, as text.
    """

    name: str
    tool: ToolSpec
    needs: tuple[Need, ...] = ()
    each: Need | None = None
    when: When | None = None
    concurrency: int = 8
    on_error: Literal["fail", "collect"] = "fail"
    on_reject: OnReject = "fail"
    cache: bool | float = False
    gives: str = ""

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Every input and step that it needs, each once, in order."""
        needs = (*self.needs, *((self.each,) if self.each else ()), *(self.when.needs if self.when else ()))
        return tuple(dict.fromkeys(need.source for need in needs))


class Values(Protocol):
    """Named values and their types."""

    def validate(self, arguments: Any) -> dict[str, Any]:
        """Values of a JSON object; raises `InvalidArguments`."""
        ...


class InputValues(Values, Protocol):
    """A pipeline's inputs."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON schema of an object that holds them."""
        ...

    def shown(self) -> dict[str, str]:
        """Their types, as text."""
        ...

    def to_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Validated values as JSON."""
        ...


class Outcome(Protocol):
    """What a run ends with."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps whose results it is."""
        ...

    @property
    def json_schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        ...

    def from_json(self, value: JsonValue) -> Any:
        """A logged output as the steps' return types have it."""
        ...


@dataclass(frozen=True)
class PipelineDefinition:
    """Everything a pipeline is, resolved: what `decide` and the runner work from.

    Args:
        name: the pipeline's name.
        inputs: the declared inputs.
        steps: by name, each after those it needs.
        output: what a run ends with.
        models: for `ctx.ask`; empty is the default model.
        budget: what a run may use.
        retry: for model calls; a step has its own.
        max_reasks: how often in a row a model may be told that its answer is wrong.
        approval_expires: seconds after which an unanswered approval counts as a rejection; None is never.
        parameters: passed to the model (temperature, max_tokens, …).
        redactor: takes secrets out of what goes to the log.
        deopt: the agent that goes on where a guard fails, as a step's work; None fails the run.
        guarded: whether what the steps' code cannot find or read counts as a guard that failed.
        place: the module that defined it; `__main__` in a notebook.
        module: `module:name` where another process finds it; None in a notebook.
        sha256: a digest of all of it that a resumed run is compared by.

    Raises:
        ConfigError: a budget, a retry or a number is none.
    """

    kind: ClassVar[Literal["pipeline"]] = "pipeline"

    name: str
    inputs: InputValues
    steps: Mapping[str, StepDefinition]
    output: Outcome
    models: tuple[Model, ...] = ()
    budget: Budget = field(default_factory=lambda: Budget(model_calls=None))
    retry: Retry = field(default_factory=Retry)
    max_reasks: int = 3
    approval_expires: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    redactor: Redactor = field(default_factory=Redactor)
    deopt: ToolSpec | None = None
    guarded: bool = False
    place: str | None = None
    module: str | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        check_limits(self)

    @cached_property
    def tools(self) -> Mapping[str, ToolSpec]:
        """The steps' work by their names."""
        return {name: step.tool for name, step in self.steps.items()}

    def tool_at(self, step: str, name: str) -> ToolSpec | None:
        """The work of a step or an item; None for a call that a step makes: only its code knows the tool."""
        if step == DEOPT:
            return self.deopt
        return None if "/" in step else self.tools.get(name)

    def below(self, names: set[str]) -> set[str]:
        """The steps that need one of these inputs or steps, directly or not."""
        found: set[str] = set()
        for name, step in self.steps.items():
            if (names | found) & set(step.sources):
                found.add(name)
        return found

    @cached_property
    def header(self) -> Header:
        """The steps as they were when a run began: what a resumed run is compared by."""
        facts = tuple(
            ToolFact(
                offered=step.tool.schema.model_copy(update={"name": name}),
                source_sha256=step.tool.source_sha256,
                writes=step.tool.writes,
                idempotent=step.tool.idempotent,
            )
            for name, step in self.steps.items()
        )
        return self.redactor.patterns_only.fact(Header(tools=facts, parameters=dict(self.parameters)))

    @cached_property
    def config(self) -> dict[str, Any]:
        """What a run records of it beside the header, JSON: the graph, the schemas and the limits."""
        return {
            "models": [model.name for model in self.models],
            "budget": self.budget.model_dump(mode="json"),
            "retry": self.retry.model_dump(mode="json"),
            "max_reasks": self.max_reasks,
            "approval_expires": self.approval_expires,
            "input": self.inputs.schema(),
            "output": self.output.json_schema,
            "output_of": list(self.output.steps),
            "types": {**self.inputs.shown(), **{name: step.gives for name, step in self.steps.items()}},
            "steps": {name: _recorded(step) for name, step in self.steps.items()},
            **({"guarded": True} if self.guarded else {}),
            **({"deopt": self.deopt.schema.name} if self.deopt is not None else {}),
        }


def _recorded(step: StepDefinition) -> dict[str, Any]:
    """What a recorded run's picture is drawn from."""
    recorded: dict[str, Any] = {"needs": {need.parameter: need.source for need in step.needs}}
    if step.each is not None:
        recorded["each"] = {step.each.parameter: step.each.source}
        recorded["on_error"] = step.on_error
    if step.when is not None:
        recorded["when"] = [need.source for need in step.when.needs]
    if step.tool.approve is not False:
        recorded["approve"] = True
    if step.cache:
        recorded["cache"] = step.cache
    if step.tool.child is not None:
        recorded["runs"] = step.tool.child.name
    return recorded
