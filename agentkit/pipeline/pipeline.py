"""Pipelines: steps that are known in advance, wired by name, made once and run many times."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Unpack, cast, overload

from agentkit import registry
from agentkit.agent import Agent, find_module, make_redactor
from agentkit.batch import Batch, MapOptions
from agentkit.definition import (
    Approve,
    InvalidArguments,
    Model,
    OnReject,
    PipelineDefinition,
    StepDefinition,
    check_lists,
)
from agentkit.errors import ConfigError, EncodingError, PipelineError
from agentkit.functions.used import Used
from agentkit.functions.written import written
from agentkit.ids import digest
from agentkit.jsonvalue import as_json
from agentkit.log import Log, open_log
from agentkit.open_model import as_model
from agentkit.pipeline.assembly import Assembly, check_output
from agentkit.pipeline.child_step import taking_over
from agentkit.pipeline.declared import Declared, StepOptions, check_options, work_of
from agentkit.pipeline.values import StepsOutput, read_inputs, read_output
from agentkit.policy import Budget, Retry
from agentkit.runner.run import Run
from agentkit.runner.start import start, submit
from agentkit.text import brief
from agentkit.tools import TRANSIENT, Options

F = TypeVar("F")

_RESERVED = ("log", "deps", "budget", "tags", "session", "user")
"""What `run` takes beside the inputs."""


class Pipeline:
    """Steps that are known in advance: functions, agents, tools and other pipelines, wired by the names they use.

    Args:
        name: what it is called in the log; a run is resumed by it.
        input: the inputs: name → type, or (type, default).
        output: the step whose result a run ends with, or several; those that no other step needs when left out.
        model: for `ctx.ask`: a name that litellm knows, "local/…", or a `Model`; `ak.default_model()` when left out.
        fallback: models to try in this order when the first has failed for good.
        settings: passed to the model: temperature, max_tokens, seed, …
        budget: what a run may use; no limit by default.
        retry: for model calls; a step has its own.
        max_reasks: how often in a row a model may be told that its answer is wrong.
        approval_expires: seconds after which an approval nobody answered counts as a no; None is never.
        redact: what is secret beside what looks like it: names of fields, and compiled patterns of text.
        deopt: the agent that goes on where a guard fails (`ak.guard`, `ak.only`, `ak.agree`), from the results so far.
            It is given the inputs; a single one named `text` as it is. After a write a person is asked first. None
            fails the run.
        guarded: whether what a step's code cannot find or read, in values that are not as they were, counts as a guard
            that failed, and so do arguments or a call that a tool refuses; by default where there is a `deopt`.

    Raises:
        ConfigError: an option cannot be used; the message says what to write instead.

    Example:
        >>> double = Pipeline("double", input={"number": int})
        >>> @double.step
        ... def twice(number: int) -> int:
        ...     return 2 * number
        >>> double.run(number=21, log="memory:").result()
        42
    """

    def __init__(  # noqa: PLR0913  one keyword an option: they are what a notebook shows on Shift-Tab
        self,
        name: str,
        *,
        input: Mapping[str, Any] | None = None,  # types
        output: str | Sequence[str] | None = None,
        model: "str | Model | None" = None,
        fallback: Sequence["str | Model"] = (),
        settings: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        retry: Retry | None = None,
        max_reasks: int = 3,
        approval_expires: float | None = None,
        redact: Iterable[str | re.Pattern[str]] = (),
        deopt: Agent | None = None,
        guarded: bool | None = None,
    ) -> None:
        if not name or not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError("a pipeline needs a name, a text: its runs are found and resumed by it")
        check_lists(name, settings, fallback=fallback)
        self.name = name
        self._inputs = read_inputs(name, input or {}, _RESERVED)
        self._output = read_output(name, output)
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        chosen = (*((model,) if model is not None else ()), *fallback)
        self._plain = PipelineDefinition(
            name=name,
            inputs=self._inputs,
            steps=MappingProxyType({}),
            output=StepsOutput({}),
            models=tuple(as_model(each) for each in chosen),
            budget=Budget(model_calls=None) if budget is None else budget,
            retry=Retry() if retry is None else retry,
            max_reasks=max_reasks,
            approval_expires=approval_expires,
            parameters=MappingProxyType(dict(settings or {})),
            redactor=make_redactor(name, redact, settings or {}),
            deopt=taking_over(name, deopt),
            guarded=deopt is not None if guarded is None else guarded,
            place=caller.f_globals.get("__name__") if caller is not None else None,
        )
        self._declared: dict[str, Declared] = {}
        self._assembled: tuple[dict[str, StepDefinition], list[str]] | None = None
        self._resolved: PipelineDefinition | None = None
        self._code: list[str] = []  # the digests of what its steps and conditions did when it was resolved
        registry.define(name, self)

    # declaring -------------------------------------------------------------------------------------------------------

    @overload
    def step(self, work: F, /, **options: Unpack[StepOptions]) -> F: ...

    @overload
    def step(self, /, **options: Unpack[StepOptions]) -> Callable[[F], F]: ...

    def step(  # noqa: PLR0913  one keyword an option: they are what a notebook shows on Shift-Tab
        self,
        work: Any = None,
        /,
        *,
        name: str | None = None,
        needs: Mapping[str, str] | None = None,
        when: Callable[..., Any] | None = None,
        each: str | tuple[str, str] | None = None,
        concurrency: int = 8,
        on_error: Literal["fail", "collect"] = "fail",
        retry: Retry | None = None,
        retry_on: tuple[type[BaseException], ...] | None = None,
        timeout: float | None = None,
        writes: bool = False,
        idempotent: bool = False,
        approve: Approve = False,
        on_reject: OnReject = "fail",
        cache: bool | float = False,
    ) -> Any:
        """Make a step of a function: `@pipeline.step`, or `@pipeline.step(retry=…)`; of an agent, a tool or a pipeline.

        The function's parameters name what it needs: inputs, and other steps whose results it takes. A parameter
        annotated `ak.Context` (`ak.AsyncContext` in an `async def`) receives the run's context: `ctx.ask`, `ctx.call`.
        A step of the same name takes the place of the one before, as when a cell is executed again.

        Args:
            work: a function, sync or async; an `Agent` (it gets the input or the step that `needs` says for "task");
                a tool; another `Pipeline`.
            name: the step's; the function's own by default.
            needs: parameter → input or step, where the names differ.
            when: a function of inputs and results that says whether the step runs. A step that needs a skipped one gets
                None where its parameter takes that, and is skipped too where not.
            each: the input or the step whose list the step runs for, once for each element; the parameter that is
                neither an input nor a step gets it, or that of `(parameter, list)`. Its result is the list of results.
            concurrency: how many elements are worked on at one time.
            on_error: "fail" ends the step with the first element that fails; "collect" leaves an `ak.Failed` in its
                place in the list.
            retry: how the step is tried again; given, it holds for every exception; left out, for timeouts and lost
                connections. A plain write is never retried.
            retry_on: the exceptions that are tried again.
            timeout: seconds for one attempt; None is no limit. A sync function cannot be stopped: what it brings after
                that still counts, and nothing overlaps it.
            writes: it changes something outside. A write that was interrupted is never run again unasked.
            idempotent: a write that its service runs once for one `ctx.idempotency_key`.
            approve: True asks a person before it runs; a function of the `Call` decides.
            on_reject: what a person's no leads to: "fail" ends the run, "skip" goes on without the step, and what a
                function of the reason returns becomes its result.
            cache: True uses the result that the same step had for the same arguments in another run; a number, one that
                is at most so many seconds old. The same step is one whose source is the same, and that of what
                it uses in your own code: functions, constants, classes, and what those use (packages by their version;
                clients and connections not). `run.fork(at=step)` does it again all the same.

        Returns:
            The function, agent, tool or pipeline itself; without one, a decorator.

        Raises:
            ConfigError: an option cannot be used, or the function no step; the message says what to write instead.
        """
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        is_local = caller is not None and caller.f_locals is not caller.f_globals
        namespace = dict(caller.f_locals) if caller is not None and is_local else {}  # a notebook's own stays live
        place = written(caller)
        options = Options(
            writes=writes,
            idempotent=idempotent,
            approve=approve,
            retry=retry,
            retry_on=retry_on or (TRANSIENT if retry is None else (Exception,)),
            timeout=timeout,
        )

        if needs is not None and not isinstance(needs, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"needs={needs!r}; give names, parameter → input or step: needs={{'text': 'ticket'}}")

        def declare(given: Any) -> Any:
            made, called = work_of(given, name, options)
            step = Declared(
                name=called,
                work=made,
                options=replace(options, name=called),
                needs=dict(needs or {}),
                each=each,
                when=when,
                concurrency=concurrency,
                on_error=on_error,
                on_reject=on_reject,
                cache=cache,
                namespace=namespace,
                written=place,
            )
            check_options(step)
            step.tool({})  # what is wrong with the function alone is said where it is written
            self._declared[called] = step
            self._assembled = self._resolved = None
            return given

        return declare if work is None else declare(work)

    def remove(self, name: str) -> None:
        """Take a step out, for example one whose cell gave it another name.

        Raises:
            ConfigError: there is no such step.
        """
        if name not in self._declared:
            raise ConfigError(f"{self.name} has no step {name!r}; it has: {', '.join(self._declared) or 'none'}")
        del self._declared[name]
        self._assembled = self._resolved = None

    # looking ---------------------------------------------------------------------------------------------------------

    @property
    def problems(self) -> list[str]:
        """What keeps the pipeline from running, a sentence each; empty where nothing does."""
        return list(self._assemble()[1])

    def check(self) -> None:
        """See whether the steps fit together; showing and running a pipeline does this too.

        Raises:
            PipelineError: with everything that is wrong.
        """
        if problems := self._assemble()[1]:
            raise PipelineError(self.name, problems)

    def _assemble(self) -> tuple[dict[str, StepDefinition], list[str]]:
        if self._assembled is None:
            assembly = Assembly(self._inputs.types, self._declared)
            steps = assembly.steps()
            if not self._declared:
                assembly.problems.append("it has no steps; decorate functions with @pipeline.step")
            if not assembly.problems:
                check_output(self._output, steps, assembly.problems)
            self._assembled = steps, assembly.problems
            self._types = assembly.types
            self._conditions = [Used(step.when.function) for step in steps.values() if step.when is not None]
        return self._assembled

    @property
    def definition(self) -> PipelineDefinition:
        """Everything the runner needs to know, resolved.

        Raises:
            PipelineError: the steps do not fit together.
        """
        steps, problems = self._assemble()
        code = [] if problems else [*(step.tool.source_sha256 for step in steps.values()), *self._condition_digests()]
        if self._resolved is None or code != self._code:
            self.check()
            self._code = code
            chosen = check_output(self._output, steps, [])
            output = StepsOutput({name: self._types[name] for name in chosen})
            plain = replace(self._plain, steps=MappingProxyType(steps), output=output)
            module = find_module(self, plain.place)
            agents = [plain.deopt.source_sha256] if plain.deopt is not None else []
            header = plain.header.model_dump(mode="json", exclude={"prompt"})
            facts = [plain.name, header, plain.config, self._condition_digests()]
            sha256 = digest([*facts, *agents])
            self._resolved = replace(plain, module=module, sha256=sha256)
        return self._resolved

    def _condition_digests(self) -> list[str]:
        return [used.sha256 for used in self._conditions]

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the inputs."""
        return self._inputs.schema()

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of what a run ends with."""
        return self.definition.output.json_schema

    @property
    def input_types(self) -> dict[str, str]:
        """The inputs' types, as text."""
        return self._inputs.shown()

    @property
    def declared(self) -> Mapping[str, Declared]:
        """The steps as they were written, by name."""
        return MappingProxyType(self._declared)

    def drafted(self) -> dict[str, list[str]]:
        """The names that each step asks for, whether they are there or not: what a wrong pipeline's picture shows."""
        return {name: step.names() for name, step in self._declared.items()}

    @property
    def graph(self) -> Any:
        """The pipeline's picture: `.svg()`, `.mermaid()`; it shows itself in a notebook and as text."""
        return registry.load(registry.DISPLAYS["pipeline"])(self)

    def mermaid(self) -> str:
        """The graph as a mermaid flowchart, which GitHub draws."""
        return self.graph.mermaid()

    def __repr__(self) -> str:
        return str(self.graph)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return self.graph._repr_mimebundle_(**options)

    # running ---------------------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        deps: Any = None,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
        **inputs: Any,
    ) -> Run:
        """Start a run in the background and return at once.

        Args:
            deps: reaches steps as `ctx.deps`, and never the log.
            budget: what this run may use; the pipeline's own when left out.
            tags: recorded, to find the run by.
            session: recorded.
            user: recorded.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.
            inputs: the declared inputs, by name.

        Returns:
            The run: `.result()`, `await run`, `.pending`, `.approve()`, `.trace`, `.fork(at=…)`, …

        Raises:
            PipelineError: the steps do not fit together.
            ConfigError: an input is missing, unknown, or not of its type.
            LogError: the log cannot be used; nothing was started.
        """
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        given = self.read(inputs)
        log = log if isinstance(log, Log) else open_log(log)
        driver = start(log.store, definition, given, deps=deps, tags=tags, session=session, user=user)
        return Run(log.store, driver.run_id, driver=driver)

    def submit(
        self,
        *,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
        **inputs: Any,
    ) -> Run:
        """Leave a run to the workers of the log (`agentkit worker module:name`), which import the pipeline.

        Args:
            budget: what this run may use; the pipeline's own when left out.
            tags: recorded, to find the run by.
            session: recorded.
            user: recorded.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.
            inputs: the declared inputs, by name.

        Returns:
            The run, waiting for a worker: `.result()`, `await run`, `.pending`, `.approve()` as if it executed here.

        Raises:
            PipelineError: the steps do not fit together.
            ConfigError: an input is missing, unknown, or not of its type; or no worker could import the pipeline: it
                is defined in a notebook, a script or a function.
            LogError: the log cannot be used; nothing was submitted.
        """
        if "deps" in inputs:
            raise ConfigError(f"{self.name}: a worker has deps of its own: agentkit worker --deps module:name")
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        given = self.read(inputs)
        log = log if isinstance(log, Log) else open_log(log)
        run_id = submit(log.store, definition, given, tags=tags, session=session, user=user)
        return Run(log.store, run_id, definition=definition)

    def map(  # noqa: PLR0913  one keyword an option: they are what a notebook shows on Shift-Tab
        self,
        items: Iterable[Any],
        *,
        concurrency: int = 8,
        on_error: Literal["collect", "fail"] = "collect",
        deps: Any = None,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
        again: bool = False,
        progress: bool | None = None,
        submit: bool = False,
    ) -> Batch:
        """Start a run for each item in the background, a few at a time, and return at once.

        Called again with the same items it does only what is not done: what succeeded is kept, what failed too with its
        error (`batch.retry()`), what was interrupted goes on, what workers have is followed. A changed pipeline begins
        anew.

        Args:
            items: anything to iterate over, read as runs begin: mappings of inputs, or values of the one input.
            concurrency: how many runs execute at one time.
            on_error: "collect" leaves an `ak.Failed` in the place of an item that failed; "fail" begins no more items.
            deps: reaches steps as `ctx.deps`, and never the log.
            budget: what each run may use; the pipeline's own when left out.
            tags: recorded with every run.
            session: recorded with every run.
            user: recorded with every run.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.
            again: True does everything anew.
            progress: whether a bar shows while `result()` waits; by default on a terminal and in a notebook.
            submit: True leaves all the runs to the workers of the log; `concurrency` limits what executes here only.

        Returns:
            The batch: `.result()`, `await batch`, `.counts`, `.failed`, `.pending`, `.retry()`, `.rows`, …

        Raises:
            PipelineError: the steps do not fit together.
            ConfigError: an option cannot be used; or it is to be submitted, and no worker could import the pipeline.
            LogError: the log cannot be used; nothing was started.
        """
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        options = MapOptions(concurrency, on_error, deps, tags, session, user, again, progress, submit)
        log = log if isinstance(log, Log) else open_log(log)
        return Batch(log, definition, items, lambda item: self.read(self.as_inputs(item)), options)

    def as_inputs(self, item: Any) -> Mapping[str, Any]:
        """One item of `map` as inputs by name: it is a mapping of them, or the value of the only one.

        Args:
            item: a mapping whose keys are inputs, or a value.

        Raises:
            ConfigError: it is a value, and there is not one input.
        """
        names = set(self._inputs.names)
        if isinstance(item, Mapping) and (len(names) != 1 or set(cast("Mapping[Any, Any]", item)) == names):
            return cast("Mapping[str, Any]", item)
        if len(names) == 1:
            return {self._inputs.names[0]: item}
        raise ConfigError(f"{self.name}: an item is a mapping of its inputs ({', '.join(names)}), not {brief(item)}")

    def read(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs as JSON, defaults filled in.

        Args:
            inputs: by name: values of the declared types, or what pydantic makes such of.

        Raises:
            ConfigError: one is missing, unknown, or not of its type; the message says which.
            EncodingError: one is nothing that JSON can hold.
        """
        try:
            given = {name: as_json(value, name) for name, value in inputs.items()}
            return self._inputs.to_json(self._inputs.validate(given))
        except EncodingError as error:
            advice = "connections and clients reach steps as ctx.deps, by run(deps=…)"
            raise EncodingError(f"{self.name}: the input {error.where}", f"{error.problem}; {advice}") from error
        except InvalidArguments as error:
            raise ConfigError(f"{self.name}: {self._inputs.in_words(error, _RESERVED)}") from error
