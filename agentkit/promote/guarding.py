"""What held in every run, and has to hold before something is written."""

from collections.abc import Iterable, Sequence
from typing import Any

from agentkit.promote.expressions import Field, Root, roots, walk
from agentkit.promote.plan import Guard, Plan, PlannedStep
from agentkit.promote.pool import Pool, Scalar
from agentkit.promote.values import number_of

_WORD = 24  # characters: what is longer is no status


def guards_of(plan: Plan) -> None:
    """Put the guards before the first write, where every run makes it, and else before the end.

    They are about what the inputs and the reads before it say.
    """
    pool = Pool(plan.envs)
    reads = [step.name for step in plan.steps if not step.writes and step.over is None and step.way is None]
    first = next((step for step in plan.steps if step.writes and step.way is None), None)
    if first is None:
        plan.guards = list(_guards(pool, [*plan.inputs, *reads]))
    else:  # what comes later is guarded by this one
        first.guards = list(_guards(pool, [*plan.inputs, *(name for name in reads if _is_before(plan, name, first))]))


def _is_before(plan: Plan, name: str, step: PlannedStep) -> bool:
    names = [one.name for one in plan.steps]
    return names.index(name) < names.index(step.name)


def _guards(pool: Pool, names: Sequence[str]) -> Iterable[Guard]:
    for scalar in pool.scalars:
        if roots(scalar.expression) <= set(names) and _is_state(scalar):
            yield Guard(scalar.expression, scalar.values[0], len(scalar.values))


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
