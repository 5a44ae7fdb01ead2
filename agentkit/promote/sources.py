"""Where the arguments of calls come from: explained in the first runs, checked in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from agentkit.definition import AgentDefinition
from agentkit.promote.align import Slot, reach
from agentkit.promote.computed import Each, Made
from agentkit.promote.expressions import Const, Element, Env, Expr, singular, walk
from agentkit.promote.pool import Pool, scalar_of
from agentkit.promote.recordings import argument_names, defaults_of, typed_arguments
from agentkit.promote.search import Source, explain
from agentkit.promote.traces import RecordedCall
from agentkit.promote.values import key

SAMPLE = 24
"""Explanations are looked for in so many runs, and checked in all."""


@dataclass(slots=True)
class Explained:
    """A slot with where its arguments come from.

    Args:
        slot: the slot.
        arguments: their sources.
        envs: what has a name where each call is made: one for each run, or for each element in each run.
        calls: the calls, one for each of them.
        over: the list, of a loop.
    """

    slot: Slot
    arguments: dict[str, Source]
    envs: Sequence[Env]
    calls: Sequence[RecordedCall]
    over: Each | None = None

    @property
    def is_known(self) -> bool:
        """Whether plain code can make it."""
        return all(source.is_known for source in self.arguments.values()) and bool(self.calls or self.over)


def sources_of(
    agent: AgentDefinition, tool: str, pool: Pool, envs: Sequence[Env], calls: Sequence[RecordedCall]
) -> dict[str, Source]:
    """Where each argument comes from, checked in every run; a default that nothing else says is left out."""
    found: dict[str, Source] = {}
    defaults = defaults_of(agent, tool)
    typed = [typed_arguments(agent, tool, call.arguments) for call in calls]
    for name in argument_names(calls):
        values = [call.arguments.get(name) for call in calls]
        source = checked(pool, envs, values, [one.get(name) for one in typed])
        by_default = name in defaults and all(key(value) == key(defaults[name]) for value in values)
        if not by_default or not all(isinstance(one, Const) for one in source.survivors):
            found[name] = source
    return found


def checked(pool: Pool, envs: Sequence[Env], values: Sequence[Any], typed: Sequence[Any]) -> Source:
    """Where a value comes from: found in the first runs, and checked in all."""
    size = len(pool.envs)
    source = explain(pool, values[:size], typed[:size])
    if len(envs) == size or not source.survivors or source.grade == "choice":
        return source
    wanted = [(key(value), key(other)) for value, other in zip(values, typed, strict=True)]
    kept = tuple(one for one in source.survivors if holds(one, envs, wanted))
    if not kept:  # the sample was too small: all runs are looked at
        return explain(Pool(envs), values, typed)
    return Source(source.grade, kept, source.refuted, len(set(wanted)), len(wanted))


def sample(envs: Sequence[Any]) -> list[Any]:
    """Those that explanations are looked for in."""
    return list(envs[:SAMPLE])


def inside(envs: Sequence[Env], over: Each, joined: Sequence[str]) -> Pool:
    """What can be reached for one element: what is in it first, then all around it but the list itself."""
    first = sample(envs)
    own = [over.element, *(f"{name}[]" for name in joined)]
    pool = Pool(first, names=own, element=over.element)
    around = reach([{name: value for name, value in env.items() if name not in own} for env in first])
    pool.scalars += [one for one in around.scalars if over.base not in set(walk(one.expression))]
    pool.lists += [one for one in around.lists if over.base not in set(walk(one.expression))]
    return pool


def same_list(one: Each, other: Each) -> bool:
    """Whether two loops run over the same elements."""
    return (one.base, one.conditions) == (other.base, other.conditions)


def holds(expression: Expr, envs: Sequence[Env], wanted: Sequence[tuple[Any, Any]]) -> bool:
    """Whether it gives the value, as the log has it or as the function takes it, in every run."""
    found = scalar_of(expression, envs)
    return found is not None and all(one in either for one, either in zip(found.vector, wanted, strict=True))


def element_name(base: Expr, taken: set[str]) -> str:
    """What an element of a list is called where some names are taken."""
    name = singular(base)
    return name if name not in taken else f"one_{name}"


def renamed(found: Explained, element: str) -> Explained:
    """The loop with a better name for its element."""
    over = found.over
    assert over is not None, "only a loop has elements"
    mapping: dict[Expr, Expr] = {Element(over.element): Element(element)}
    arguments = {
        name: replace(source, survivors=tuple(replace_in(one, mapping) for one in source.survivors))
        for name, source in found.arguments.items()
    }
    envs = [{**env, element: env[over.element]} for env in found.envs]
    over = Each(over.base, Element(element), element, over.conditions)
    return replace(found, over=over, arguments=arguments, envs=envs)


def replace_in(expression: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """The expression with some of its nodes replaced."""
    if expression in mapping:
        return mapping[expression]
    changes: dict[str, Any] = {}
    if isinstance(expression, Made):
        return Made(tuple((name, replace_in(body, mapping)) for name, body in expression.fields))
    for one in fields(expression):
        value: Any = getattr(expression, one.name)
        if isinstance(value, Expr):
            changes[one.name] = replace_in(value, mapping)
        elif isinstance(value, tuple):
            items = cast("tuple[Any, ...]", value)
            changes[one.name] = tuple(replace_in(item, mapping) if isinstance(item, Expr) else item for item in items)
    return replace(expression, **changes) if changes else expression
