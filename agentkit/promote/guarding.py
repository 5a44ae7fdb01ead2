"""What held in every run, and has to hold before something is written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentkit.definition import AgentDefinition
from agentkit.promote.expressions import Const, Field, Root, roots, walk
from agentkit.promote.plan import Guard, Plan, PlannedStep
from agentkit.promote.pool import Pool, Scalar, scalar_of
from agentkit.promote.values import number_of

_FIRST = 24  # runs that guards are looked for in; they have to hold in all
_WORD = 24  # characters: what is longer is no status


def guards_of(plan: Plan, agent: AgentDefinition) -> None:
    """Put the guards before the first write, where every run makes it, and else before the end.

    They are about what the inputs and the reads before it say.
    """
    pool = Pool(plan.envs[:_FIRST])
    reads = [step.name for step in plan.steps if not step.writes and step.over is None and step.way is None]
    strict = [step for step in plan.steps if step.writes and _chose_once(agent, step)]
    first = next((step for step in plan.steps if step.writes and step.way is None), None)
    if first is None:
        plan.guards = list(_guards(plan, pool, [*plan.inputs, *reads]))
    else:  # what comes later is guarded by this one
        seen = [*plan.inputs, *(name for name in reads if _is_before(plan, name, first))]
        first.guards = list(_guards(plan, pool, seen))
        if strict:
            first.guards += _bounds(plan, pool, seen)


def _chose_once(agent: AgentDefinition, step: PlannedStep) -> bool:
    """Whether an argument that may have several values always had one: a choice that nobody saw made otherwise."""
    properties: Mapping[str, Any] = agent.tools[step.tool].schema.parameters.get("properties", {})
    constants = [name for name, one in step.arguments.items() if all(isinstance(each, Const) for each in one.survivors)]
    return any(len(properties.get(name, {}).get("enum", ())) > 1 for name in constants)


def _bounds(plan: Plan, pool: Pool, names: Sequence[str]) -> Iterable[Guard]:
    """The range of every number: what such a choice may hang on."""
    for scalar in pool.scalars:
        is_field = all(isinstance(node, Root | Field) for node in walk(scalar.expression))
        if not is_field or not roots(scalar.expression) <= set(names):
            continue
        whole = scalar_of(scalar.expression, plan.envs)
        if whole is not None and all(number_of(value) is not None for value in whole.values):
            yield Guard(scalar.expression, (min(whole.values), max(whole.values)), len(whole.values))


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
    if not all(isinstance(node, Root | Field) for node in walk(scalar.expression)):
        return False  # of one element of a list
    if first is None or isinstance(first, bool):
        return True
    return isinstance(first, str) and len(first) <= _WORD and first.replace("_", "").isalpha() and not number_of(first)
