"""From the steps that a user declared to a pipeline that can run: wiring by name, an order, and all that is wrong."""

import difflib
import graphlib
import inspect
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit.definition import AgentDefinition, Need, StepDefinition, When
from agentkit.errors import ToolDefinitionError
from agentkit.failed import Failed
from agentkit.functions.schema import Parameters
from agentkit.functions.signature import NOTHING, Parameter, read_signature, type_name
from agentkit.pipeline.child_step import TASK
from agentkit.pipeline.declared import Declared
from agentkit.pipeline.fit import is_list_like, item_type, misfit, optional
from agentkit.pipeline.values import shown_type


@dataclass
class Assembly:
    """Wires declared steps, and collects what is wrong with them.

    Args:
        inputs: name → type.
        declared: the steps, by name.
    """

    inputs: Mapping[str, Any]
    declared: Mapping[str, Declared]
    problems: list[str] = field(default_factory=list[str])

    def steps(self) -> dict[str, StepDefinition]:
        """The steps, each after those it needs; see `problems` for what is wrong."""
        self.types = dict(self.inputs)
        for name, step in self.declared.items():
            if name in self.inputs:
                self.problems.append(f"{name} is the name of an input and of a step; rename one")
            given = step.returns()
            self.types[name] = given if step.each is None else self._list_of(step, given)
        built: dict[str, StepDefinition] = {}
        for step in self.declared.values():
            made = self._step(step)
            if made is not None:
                built[step.name] = made
        return {name: built[name] for name in self._order(built) if name in built}

    def _list_of(self, step: Declared, item: Any) -> Any:
        if item is NOTHING:
            return list[Any]
        return list[item | Failed] if step.on_error == "collect" else list[item]

    def _step(self, step: Declared) -> StepDefinition | None:
        before = len(self.problems)
        parameters = {parameter.name: parameter for parameter in step.parameters()}
        for name in step.needs:
            if name not in parameters:
                self._wrong(step, f"needs names a parameter {name!r} that it has not{_guess(name, parameters)}")
        each = self._each(step, parameters)
        lost = step.each is not None and each is None  # what a parameter without a source is for is not known then
        wired = [
            self._need(step, parameter)
            for parameter in parameters.values()
            if not (lost and self._is_free(step, parameter)) and (each is None or parameter.name != each.parameter)
        ]
        when = self._when(step)
        if len(self.problems) > before:
            return None
        needs = tuple(need for need in wired if need is not None)
        types = {need.parameter: self.types[need.source] for need in needs}
        if each is not None:
            types[each.parameter] = item_type(self.types[each.source])
        plain = {name: Any if type_ is NOTHING else type_ for name, type_ in types.items()}
        return StepDefinition(
            name=step.name,
            tool=step.tool(plain),
            needs=needs,
            each=each,
            when=when,
            concurrency=step.concurrency,
            on_error=step.on_error,
            on_reject=step.on_reject,
            cache=step.cache,
            gives=shown_type(self.types[step.name]),
        )

    def _need(self, step: Declared, parameter: Parameter) -> Need | None:
        """Where a parameter's value comes from; None where it keeps its default, or that is nowhere."""
        name = parameter.name
        source = step.needs.get(name) or (self._only_input() if isinstance(step.work, AgentDefinition) else name)
        if source == step.name and source not in self.inputs:
            self._wrong(
                step, f"its parameter {name!r} would get its own result; rename the step, or say needs={{{name!r}: …}}"
            )
            return None
        if source not in self.types:
            if parameter.default is NOTHING or name in step.needs:
                self._wrong(step, self._unknown(step, parameter, source))
            return None
        takes_none = optional(parameter.annotation) or parameter.default is None
        self._check_fit(step, name, source, self.types[source], parameter.annotation)
        self._check_collected(step, parameter, source, list[Failed], "list[… | ak.Failed]")
        return Need(name, source, takes_none)

    def _only_input(self) -> str:
        """What an agent is given where nobody says it: the input named so, or the only one."""
        return next(iter(self.inputs)) if TASK not in self.types and len(self.inputs) == 1 else TASK

    def _unknown(self, step: Declared, parameter: Parameter, source: str) -> str:
        name = parameter.name
        said = f"its parameter {name!r}" if source == name else f"{source!r}, which its parameter {name!r} is to get,"
        if parameter.annotation is Any and source in {"ctx", "context"}:
            return f"{said} is no input and no step; annotate it as ak.Context (in an `async def` ak.AsyncContext)"
        advice = "" if inspect.isroutine(step.work) or step.needs else f"; say what it gets: needs={{{name!r}: …}}"
        return f"{said} is {self._missing(step, source)}{advice}"

    def _missing(self, step: Declared, source: str) -> str:
        known = [name for name in self.types if name != step.name]
        return f"no input and no step{_guess(source, known)} (there are: {', '.join(known) or 'none'})"

    def _wrong(self, step: Declared, problem: str) -> None:
        self.problems.append(f"{step.name}: {problem}")

    def _check_fit(self, step: Declared, parameter: str, source: str, given: Any, wanted: Any) -> None:
        reason = misfit(given, wanted)
        if reason is not None:
            self._wrong(step, f"its parameter {parameter!r} cannot take what {self._what(source)} gives: {reason}")

    def _check_collected(self, step: Declared, parameter: Parameter, source: str, failed: Any, instead: str) -> None:
        """Where a failed item is an `ak.Failed`, who gets the items has to take one."""
        if source not in self.declared or self.declared[source].on_error != "collect":
            return
        if misfit(failed, parameter.annotation) is not None:
            self._wrong(
                step,
                f"its parameter {parameter.name!r} cannot take the ak.Failed that is in the place of a failed item of "
                f"{source!r} (on_error='collect'); annotate it {instead}",
            )

    def _what(self, source: str) -> str:
        return f"the {'input' if source in self.inputs else 'step'} {source!r}"

    def _each(self, step: Declared, parameters: Mapping[str, Parameter]) -> Need | None:
        """Which parameter gets one element, and of which list."""
        if step.each is None:
            return None
        parameter, source = (
            step.each if isinstance(step.each, tuple) else (self._item(step, parameters, step.each), step.each)
        )
        if source not in self.types:
            self._wrong(step, f"each={source!r} is {self._missing(step, source)}")
        elif is_list_like(self.types[source]) is False:
            self._wrong(
                step, f"each={source!r} has to be a list, and {self._what(source)} is {type_name(self.types[source])}"
            )
        elif parameter is not None and parameter not in parameters:
            self._wrong(step, f"each names a parameter {parameter!r} that it has not{_guess(parameter, parameters)}")
        elif parameter is not None:
            self._check_fit(step, parameter, source, item_type(self.types[source]), parameters[parameter].annotation)
            self._check_collected(step, parameters[parameter], source, Failed, "… | ak.Failed")
            return Need(parameter, source)
        return None

    def _item(self, step: Declared, parameters: Mapping[str, Parameter], source: str) -> str | None:
        """The parameter that gets the element: the one that nothing else fills, or that has the list's name."""
        if not parameters:
            self._wrong(step, f"it takes no parameter, so no element of {source!r} can reach it")
            return None
        free = [name for name, parameter in parameters.items() if self._is_free(step, parameter)]
        if len(free) == 1:
            return free[0]
        if not free and source in parameters:
            return source
        which = f"{' and '.join(map(repr, free))} could" if free else "each of its parameters is an input or a step"
        example = (free[0] if free else next(iter(parameters)), source)
        self._wrong(step, f"which parameter gets one element of {source!r}? ({which}); say it: each={example!r}")
        return None

    def _is_free(self, step: Declared, parameter: Parameter) -> bool:
        """Whether a parameter has to be filled and nothing of its name does."""
        name = parameter.name
        return name not in step.needs and name not in self.types and parameter.default is NOTHING

    def _when(self, step: Declared) -> When | None:
        if step.when is None:
            return None
        try:
            signature = read_signature(step.when, "when", step.namespace, types=self.types)
        except ToolDefinitionError as error:
            self._wrong(step, str(error))
            return None
        if signature.context is not None:
            self._wrong(step, f"when() gets inputs and results, and no context; take {signature.context!r} out")
        needs: list[Need] = []
        for parameter in signature.parameters:
            if parameter.name in self.types:
                written = inspect.signature(step.when).parameters[parameter.name].annotation is not NOTHING
                needs.append(Need(parameter.name, parameter.name, written and optional(parameter.annotation)))
            elif parameter.default is NOTHING:
                self._wrong(step, f"when: {self._unknown(step, parameter, parameter.name)}")
        return When(step.when, tuple(needs), Parameters(signature))

    def _order(self, built: Mapping[str, StepDefinition]) -> list[str]:
        """The steps so that each comes after those it needs, else as they were written."""
        graph = {name: [source for source in step.sources if source in built] for name, step in built.items()}
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            cycle: list[str] = error.args[1]
            needs = ", ".join(f"{name} needs {source}" for source, name in itertools.pairwise(cycle))
            self.problems.append(f"no step can be the first: {needs}")
            return list(built)
        order: dict[str, None] = {}

        def place(name: str) -> None:
            for source in graph[name]:
                place(source)
            order.setdefault(name)

        for name in graph:
            place(name)
        return list(order)


def leaves(steps: Mapping[str, StepDefinition]) -> list[str]:
    """The steps whose results no other step takes."""
    needed = {source for step in steps.values() for source in step.sources}
    return [name for name in steps if name not in needed]


def check_output(output: Any, steps: Mapping[str, StepDefinition], problems: list[str]) -> list[str]:
    """The steps whose results a run ends with."""
    chosen = leaves(steps) if output is None else [output] if isinstance(output, str) else list(output)
    known = ", ".join(steps)
    problems += [
        f"output={name!r} is no step{_guess(name, steps)} (there are: {known})" for name in chosen if name not in steps
    ]
    return [name for name in chosen if name in steps]


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""
