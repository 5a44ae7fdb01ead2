"""What held in every run, and has to hold before something is written."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agentkit.definition import AgentDefinition
from agentkit.promote.computed import Total
from agentkit.promote.expressions import Const, Env, Expr, Field, Root, is_path, of_element, roots, walk
from agentkit.promote.plan import BELIEVED, Agreed, Condition, Counted, Guard, NotEmpty, OneOf, Plan, PlannedStep
from agentkit.promote.pool import Pool, Scalar, scalar_of
from agentkit.promote.prose import read_prose
from agentkit.promote.values import Miss, number_of

_FIRST = 24  # runs that guards are looked for in; they have to hold in all
_WORD = 24  # characters: what is longer is no status
_STATUS = re.compile(r"(?:^|_)(?:status|state|stage|phase)$")
_STATUSES = 6


def guards_of(plan: Plan, agent: AgentDefinition) -> None:
    """Put the guards before the first write, where every run makes it, and else where the ways part or all ends.

    They are about what the inputs and the reads before it say. What writes may be in doubt about is settled before
    the first of them as far as it can be: a pipeline that hands over then has written nothing.
    """
    pool = Pool(plan.envs[:_FIRST])
    reads = [step.name for step in plan.steps if not step.writes and step.over is None and step.way is None]
    strict = [step for step in plan.steps if step.writes and _chose_once(agent, step)]
    writes = [step for step in plan.steps if step.writes and step.way is None]
    prose = list(read_prose(plan))
    if not writes:
        plan.guards = [*prose, *_guards(plan, pool, [*plan.inputs, *reads])]
    else:
        first = writes[0]
        seen = [*plan.inputs, *(name for name in reads if _is_before(plan, name, first))]
        found: list[Condition] = [*prose, *_guards(plan, pool, seen), *_statuses(plan, pool, seen)]
        found += _counts(plan, pool, seen)
        if strict:
            found += _bounds(plan, pool, seen)
        for step in _each_run(writes):
            step.guards = list(found)
    for way in dict.fromkeys(step.way for step in plan.steps):
        _settle(plan, [step for step in plan.steps if step.writes and step.way == way])
    for step in plan.steps:
        if step.writes and step.over is None:
            step.guards += _not_empty(plan, step)


def _each_run(writes: Sequence[PlannedStep]) -> Iterator[PlannedStep]:
    """The writes that have to have the guards, so that none comes without: a loop may have nothing to do."""
    for step in writes:
        yield step
        if step.over is None:
            return


def _settle(plan: Plan, writes: Sequence[PlannedStep]) -> None:
    """Compare explanations of later writes before the first one of the same way."""
    if not writes or writes[0].over is not None:
        return
    first = writes[0]
    seen = {*plan.inputs, *(step.name for step in plan.steps if _is_before(plan, step.name, first) and not step.writes)}
    for step in writes[1:]:
        doubtful = {
            name: source
            for name, source in step.arguments.items()
            if len(source.survivors) > 1 and all(_reads_only(one, seen) for one in source.survivors)
        }
        first.guards += [Agreed(step.tool, name, source) for name, source in doubtful.items()]
        step.settled = frozenset(doubtful)


def _reads_only(expression: Expr, names: set[str]) -> bool:
    return roots(expression) <= names and not of_element(expression)


def _not_empty(plan: Plan, step: PlannedStep) -> Iterable[NotEmpty]:
    """The lists that a write's sums are of, where no run had an empty one: nobody saw what is done then."""
    nodes = (node for source in step.arguments.values() for one in source.survivors for node in walk(one))
    bases = [node.base for node in nodes if isinstance(node, Total) and node.how == "sum"]
    for base in dict.fromkeys(bases):
        lists = [_found(base, env) for env in plan.envs]
        there = [one for one in lists if one is not None]
        if there and all(there):
            yield NotEmpty(base)


def _found(expression: Expr, env: Env) -> Any:
    try:
        return expression.value(env)
    except Miss:
        return None


def _chose_once(agent: AgentDefinition, step: PlannedStep) -> bool:
    """Whether an argument that may have several values always had one: a choice that nobody saw made otherwise."""
    properties: Mapping[str, Any] = agent.tools[step.tool].schema.parameters.get("properties", {})
    constants = [name for name, one in step.arguments.items() if all(isinstance(each, Const) for each in one.survivors)]
    return any(len(properties.get(name, {}).get("enum", ())) > 1 for name in constants)


def _bounds(plan: Plan, pool: Pool, names: Sequence[str]) -> Iterable[Guard]:
    """The range of every number: what such a choice may hang on."""
    for scalar in pool.scalars:
        if not is_path(scalar.expression) or not roots(scalar.expression) <= set(names):
            continue
        whole = scalar_of(scalar.expression, plan.envs)
        if whole is not None and all(number_of(value) is not None for value in whole.values):
            yield Guard(scalar.expression, (min(whole.values), max(whole.values)), len(whole.values))


def _statuses(plan: Plan, pool: Pool, names: Sequence[str]) -> Iterator[OneOf]:
    """What has a status, of which the runs had several: what is done in another one nobody saw."""
    for scalar in pool.scalars:
        node = scalar.expression
        if not isinstance(node, Field) or not _STATUS.search(node.name) or not roots(node) <= set(names):
            continue
        whole = scalar_of(node, plan.envs)
        if whole is not None and all(isinstance(value, str) for value in whole.values):
            values = sorted(set(whole.values))
            if 1 < len(values) <= _STATUSES and is_path(node):
                yield OneOf(node, tuple(values))


def _counts(plan: Plan, pool: Pool, names: Sequence[str]) -> Iterator[Counted]:
    """Numbers that say how many elements a list of the same result has: where they do not, part of it is missing."""
    numbers = [one for one in pool.scalars if isinstance(one.expression, Field) and set(map(type, one.values)) == {int}]
    for number in numbers if len(plan.envs) >= BELIEVED else ():
        for listed in pool.lists:
            both = [number.expression, listed.expression]
            if not roots(both[1]) == roots(both[0]) <= set(names) or len(set(number.vector)) == 1:
                continue
            if not all(map(is_path, both)):
                continue
            if all(_found(both[0], env) == len(_found(both[1], env) or ()) for env in plan.envs):
                yield Counted(number.expression, listed.expression)


def _is_before(plan: Plan, name: str, step: PlannedStep) -> bool:
    names = [one.name for one in plan.steps]
    return names.index(name) < names.index(step.name)


def _guards(plan: Plan, pool: Pool, names: Sequence[str]) -> Iterable[Guard]:
    for scalar in pool.scalars:
        if roots(scalar.expression) <= set(names) and _is_state(scalar):
            whole = scalar_of(scalar.expression, plan.envs)
            if whole is not None and _is_state(whole):
                yield Guard(scalar.expression, scalar.values[0], len(whole.values))


def _is_state(scalar: Scalar) -> bool:
    """Whether it says how things stand, the same in every run: true or false, a word, nothing at all."""
    first: Any = scalar.values[0]
    if len(set(scalar.vector)) != 1 or isinstance(scalar.expression, Root):
        return False
    if not is_path(scalar.expression):
        return False  # of one element of a list
    if first is None or isinstance(first, bool):
        return True
    return isinstance(first, str) and len(first) <= _WORD and first.replace("_", "").isalpha() and not number_of(first)
