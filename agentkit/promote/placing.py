"""Putting the calls of runs into an order in which each argument has a source."""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentkit.definition import AgentDefinition
from agentkit.promote.align import Slot, explained_calls, find_list, reach, tell_apart
from agentkit.promote.answers import answer_of, answered
from agentkit.promote.computed import Total
from agentkit.promote.expressions import Const, Env, Expr, Field, Names, Root, is_path, roots, walk
from agentkit.promote.find import place_of_tool
from agentkit.promote.guarding import guards_of
from agentkit.promote.plan import BELIEVED, Plan, PlannedStep
from agentkit.promote.pool import Pool
from agentkit.promote.recordings import argument_names, edited_in, input_names, inputs_of, result_of, typed_arguments
from agentkit.promote.search import Source, is_copy
from agentkit.promote.sources import (
    Explained,
    checked,
    element_name,
    inside,
    renamed,
    replace_in,
    same_list,
    sample,
    sources_of,
)
from agentkit.promote.traces import RecordedCall, Trace
from agentkit.promote.values import Miss, field_of, fields_of
from agentkit.promote.writing import plural_of

_VERBS = re.compile(r"^(?:get|find|fetch|list|read|look_?up|search|load|query|check)_(?=[a-z])")


class Planner:
    """Places one slot after the other, each where everything it needs has a name."""

    def __init__(
        self, agent: AgentDefinition, traces: Sequence[Trace], slots: Sequence[Slot], dropped: Mapping[str, int]
    ) -> None:
        self._agent = agent
        self._traces = traces
        self._left = list(slots)
        self._way: str | None = None
        homes = (place_of_tool(tool, name).module for name, tool in agent.tools.items())
        self._modules = {home.rpartition(".")[2] for home in homes if home is not None}
        self._others: set[str] = set()  # names of other ways
        self.steps: list[PlannedStep] = []
        self.doubts: list[str] = []
        self.unused = [f"{count} of {len(traces)} runs also called {name}" for name, count in sorted(dropped.items())]
        self.inputs = input_names(traces)
        self.envs: list[dict[str, Any]] = [inputs_of(trace, self.inputs) for trace in traces]
        self.problems: list[str] = []
        self._writes_done = 0
        self._pool: Pool | None = None
        self._parts: dict[str, Pool] = {}  # what can be reached from each name
        self._echoes: dict[Expr, Expr] = {}  # what a read gave back → the argument

    def place_all(self) -> None:
        """Place every slot."""
        while self._left:
            self._place(self._next())

    def branch(self, way: str, chosen: Sequence[int], slots: Sequence[Slot], dropped: Mapping[str, int]) -> "Planner":
        """A planner that goes on from here with some of the runs."""
        branch = Planner(self._agent, [self._traces[run] for run in chosen], slots, dropped)
        branch.envs = [dict(self.envs[run]) for run in chosen]
        branch.steps = list(self.steps)
        branch._way = way
        branch._echoes = dict(self._echoes)
        branch.unused = [f"on the way {way}, {called}" for called in branch.unused]
        branch._others = {*self._others, *(step.name for step in self.steps)}
        return branch

    def take(self, branch: "Planner") -> None:
        """Take over what a branch placed."""
        self.steps = branch.steps
        self.doubts += branch.doubts
        self.unused += branch.unused
        self.problems += branch.problems

    def unproven(self) -> list[str]:
        """What is written and never varied, in so few runs that nobody can say that it never will."""
        few = len(self._traces) < BELIEVED
        return [
            f"{name} of {step.tool} was {source.survivors[0].code(Names())} in {self._count()}; nothing else says it: "
            f"{BELIEVED} runs are needed to believe that it never varies"
            for step in self.steps
            if few and step.writes and step.way == self._way
            for name, source in step.arguments.items()
            if source.survivors and all(isinstance(one, Const) for one in source.survivors)
        ]

    def _count(self) -> str:
        return "the one run there is" if len(self._traces) == 1 else f"all {len(self._traces)} runs"

    def plan(self, outputs: Mapping[str, Mapping[str, Source]]) -> Plan:
        """The plan of what was placed."""
        plan = Plan(
            inputs=self.inputs,
            steps=self.steps,
            outputs=outputs,
            doubts=[*self._left_out(), *self.doubts],
            runs=tuple(trace.run_id for trace in self._traces),
            envs=list(self.envs),
        )
        _order_writes(plan)
        guards_of(plan, self._agent)
        return plan

    def _left_out(self) -> Iterator[str]:
        """What is said of the reads that the pipeline does without."""
        made = [name or "the answer" for step in self.steps if step.asks for name in step.arguments]
        why = "nothing of its result was used, and it is left out: if it is a check, put it back"
        if made:
            why = "it is left out: plain code uses nothing of its result, but a model made "
            why += f"{' and '.join(made)} and may have read it"
        yield from (f"{called}; {why}" for called in self.unused)

    @property
    def pool(self) -> Pool:
        """What can be reached now."""
        if self._pool is None:
            envs = sample(self.envs)
            for name in self.envs[0]:
                if name not in self._parts and all(name in env for env in envs):
                    self._parts[name] = Pool(envs, names=(name,))
            self._pool = reach(envs, self._parts)
        return self._pool

    def _next(self) -> Explained:
        """The first slot of which everything is known; where there is none, the first whose turn it is."""
        fallback: Explained | None = None
        for slot in self._left:
            if not self._may_come(slot):
                continue
            found = self._explain(slot)
            if found.is_known:
                return found
            if fallback is None:
                fallback = found
        assert fallback is not None, "the first slot may always come"
        return fallback

    def _may_come(self, slot: Slot) -> bool:
        """A write comes after those before it; a read not before the writes that every run had made by then."""
        if slot.writes:
            return not any(one.writes and one.position < slot.position for one in self._left)
        return slot.behind <= self._writes_done

    # explaining ------------------------------------------------------------------------------------------------------

    def _explain(self, slot: Slot) -> Explained:
        if slot.loops:
            return self._explain_loop(slot)
        calls = [one[0] for one in slot.calls]
        found = Explained(slot, sources_of(self._agent, slot.tool, self.pool, self.envs, calls), self.envs, calls)
        twins = [one for one in self._left if one.tool == slot.tool and not one.loops]
        if len(twins) > 1 and not found.is_known and tell_apart(twins, self.pool):
            calls = [one[0] for one in slot.calls]
            found = Explained(slot, sources_of(self._agent, slot.tool, self.pool, self.envs, calls), self.envs, calls)
        return found

    def _explain_loop(self, slot: Slot) -> Explained:
        over = find_list(slot, reach(self.envs), "one")  # of every run, since the calls are put in order
        if over is None:
            return self._explain_one_of(slot)
        joined = [step.name for step in self.steps if step.over is not None and same_list(step.over, over)]
        envs: list[Env] = []
        calls: list[RecordedCall] = []
        for env, of_run in zip(self.envs, slot.calls, strict=True):
            for index, (element, call) in enumerate(zip(over.value(env), of_run, strict=True)):
                envs.append({**env, over.element: element, **{f"{name}[]": env[name][index] for name in joined}})
                calls.append(call)
        if not envs:
            return Explained(slot, {}, envs, calls, over)
        return Explained(
            slot, sources_of(self._agent, slot.tool, inside(envs, over, joined), envs, calls), envs, calls, over
        )

    def _explain_one_of(self, slot: Slot) -> Explained:
        """A tool that is called a varying number of times for nothing that varies: all but one call were tries."""
        if slot.writes or not all(slot.calls):
            names = argument_names([call for calls in slot.calls for call in calls])
            return Explained(slot, {name: Source("model", ()) for name in names}, self.envs, [])
        calls = [one[-1] for one in explained_calls(slot, reach(self.envs))]
        return Explained(slot, sources_of(self._agent, slot.tool, self.pool, self.envs, calls), self.envs, calls)

    # placing ---------------------------------------------------------------------------------------------------------

    def _place(self, found: Explained) -> None:
        slot, over = found.slot, found.over
        arguments = {one: self._once(source, writes=slot.writes) for one, source in found.arguments.items()}
        found = replace(found, arguments=arguments)
        name = self._name(slot.tool, several=over is not None and not slot.writes)
        if over is not None:
            found = renamed(found, element_name(over.base, {*self.envs[0], name}))
            over, arguments = found.over, found.arguments
        if slot.loops and not found.calls:
            self.doubts.append(f"{slot.tool} is called a varying number of times, and nothing says for what")
            self.problems.append(self.doubts[-1])
        elif slot.loops and over is None:
            slot.calls = [[call] for call in found.calls]
        joined = tuple(
            one.name for one in self.steps if over is not None and one.over is not None and same_list(one.over, over)
        )
        step = PlannedStep(
            name=name,
            tool=slot.tool,
            writes=slot.writes,
            arguments=arguments,
            over=over,
            element=over.element if over is not None else "one",
            joined=joined,
            edited=edited_in(slot),
            runs=len(self._traces),
            way=self._way,
        )
        made = {one: source for one, source in arguments.items() if not source.is_known}
        if made and found.calls:
            self._ask_first(step, made, found)
        self.steps.append(step)
        self._left.remove(slot)
        self._writes_done += slot.writes and over is None
        self._pool = None
        for env, calls in zip(self.envs, slot.calls, strict=True):
            results = [result_of(self._agent, slot.tool, call.result) for call in calls]
            env[name] = results[0] if over is None and found.calls else results
        if found.calls and not slot.writes:
            self._echo(step, found.envs, [result for env in self.envs for result in _results(env[name], over)])
        if over is not None:  # as many results as elements
            self._echoes[Total("len", over.base, (), over.conditions)] = Total("len", Root(name))

    def _echo(self, step: PlannedStep, envs: Sequence[Env], results: Sequence[Any]) -> None:
        """Find the arguments that a read gives back under the same name: the step checks them, nobody else has to.

        Args:
            step: the read.
            envs: what has a name where each call is made.
            results: of each call.
        """
        for name, source in step.arguments.items():
            if len(source.survivors) != 1 or source.different < 2 or isinstance(source.survivors[0], Const):
                continue
            given = source.survivors[0]
            if all(_gives_back(result, name, given, env) for env, result in zip(envs, results, strict=True)):
                echo = Field(Root(step.name), name, by_key=isinstance(results[0], Mapping))
                step.echoes[name] = echo
                if step.over is None:
                    self._echoes[echo] = given

    def _once(self, source: Source, *, writes: bool) -> Source:
        """A source without what a read only gave back; a write takes it from there: the read has checked it."""
        plain = [replace_in(one, self._echoes) for one in source.survivors]
        if plain == list(source.survivors):
            return source
        kept = tuple(dict.fromkeys(plain))
        if writes:
            used = {node for one in source.survivors for node in walk(one)} & set(self._echoes)
            back = {self._echoes[echo]: echo for echo in self._echoes if echo in used}
            kept = tuple(replace_in(one, back) for one in kept)
        is_certain = len(kept) == 1 and source.grade == "ambiguous" and source.different >= BELIEVED
        return replace(source, survivors=kept, grade="certain" if is_certain else source.grade)

    def _ask_first(self, step: PlannedStep, made: Mapping[str, Source], found: Explained) -> None:
        """A model's part of the arguments is a step of its own, so that what comes later can use it too."""
        name = self._free(next(iter(made)) if len(made) == 1 else f"{step.name}_words")
        asking = PlannedStep(
            name=name,
            tool=step.tool,
            writes=False,
            arguments=dict(made),
            over=step.over,
            element=step.element,
            joined=step.joined,
            runs=step.runs,
            asks=True,
            way=self._way,
        )
        self.steps.append(asking)
        typed = [typed_arguments(self._agent, step.tool, call.arguments) for call in found.calls]
        values = iter([answer_of(made, one) for one in typed])
        for env, calls in zip(self.envs, found.slot.calls, strict=True):
            here = [next(values) for _ in calls]
            env[name] = here if step.over is not None else here[0]
        if step.over is not None:
            step.joined = (*step.joined, name)
        root = Root(f"{name}[]") if step.over is not None else Root(name)
        step.arguments |= answered(made, root)

    def _name(self, tool: str, *, several: bool = False) -> str:
        """A step's name: what a read finds, what a write does; never an input's or another step's."""
        short = _VERBS.sub("", tool) or tool
        if several:
            short = plural_of(short)
        if not short.isidentifier():
            return self._free(tool)
        return self._free(f"found_{short}" if short != tool and short in self._taken() else short)

    def _free(self, name: str) -> str:
        name = re.sub(r"\W", "_", name)
        taken, number, free = self._taken(), 2, name
        while free in taken or not free.isidentifier():
            free, number = f"{name}_{number}", number + 1
        return free

    def _taken(self) -> set[str]:
        return {
            *self.envs[0],
            *self._others,
            *self._modules,
            "way",
            "text",
            "ctx",
            "ak",
            "re",
            "datetime",
            "pipeline",
            "result",
            *keyword.kwlist,
        }

    def output(self) -> dict[str, Source]:
        """Where each field of the output comes from."""
        outputs = [trace.output for trace in self._traces]
        typed = [self._agent.output.from_json(one) for one in outputs]
        parts = [fields_of(one) for one in typed]
        if any(part is None for part in parts) or len({tuple(part or ()) for part in parts}) != 1:
            parts = [{"": one} for one in typed]
            outputs = [{"": one} for one in outputs]
        rows = [part or {} for part in parts]
        found = {
            name: checked(self.pool, self.envs, [one.get(name) for one in outputs], [row[name] for row in rows])
            for name in rows[0]
        }
        written = {step.name for step in self.steps if step.writes}
        found = {name: _as_written(self._once(one, writes=False), written) for name, one in found.items()}
        made = {name: source for name, source in found.items() if not source.is_known}
        if made:
            found |= self._ask_for_output(made, rows)
        return found

    def _ask_for_output(self, made: Mapping[str, Source], rows: Sequence[Mapping[str, Any]]) -> dict[str, Source]:
        name = self._free((next(iter(made)) or "answer") if len(made) == 1 else "answer")
        self.steps.append(
            PlannedStep(
                name=name,
                tool="",
                writes=False,
                arguments=dict(made),
                runs=len(self._traces),
                asks=True,
                way=self._way,
            )
        )
        for env, row in zip(self.envs, rows, strict=True):
            env[name] = answer_of(made, row)
        return answered(made, Root(name))


def _results(found: Any, over: Any) -> list[Any]:
    return [found] if over is None else found


def _gives_back(result: Any, name: str, given: Expr, env: Env) -> bool:
    """Whether a result has under this name what was given, and `==` says so too."""
    try:
        there, value = field_of(result, name), given.value(env)
    except Miss:
        return False
    return isinstance(there, str | int) and type(there) is type(value) and there == value


def _as_written(source: Source, written: set[str]) -> Source:
    """What a write says that it did is what it did; of the rest plain copies are enough: nothing is written with it."""
    if not source.is_known:
        return source
    echoes = [one for one in source.survivors if roots(one) & written and is_copy(one)]
    copies = [one for one in source.survivors if is_path(one)]
    return replace(source, survivors=tuple(echoes[:1] or copies[:2] or source.survivors))


def _order_writes(plan: Plan) -> None:
    """A write waits for the write before it, and for the reads that every run had made: what they say may matter."""
    names = {step.name for step in plan.steps}
    before: list[str] = []
    for step in plan.steps:
        if step.writes:
            needed = {
                name
                for source in step.arguments.values()
                for survivor in source.survivors
                for name in roots(survivor) & names
            }
            if step.over is not None:
                needed |= roots(step.over) & names
            earlier = [one.name for one in plan.steps if one.writes and one.name in before and one.way == step.way]
            step.after = tuple(name for name in earlier[-1:] if name not in needed)
        before.append(step.name)
