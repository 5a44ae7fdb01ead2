"""Values that more than one step needs and that take more than a field to find: each is found once, by a step."""

from collections import defaultdict
from collections.abc import Iterator

from agentkit.promote.computed import Change, Match, Template
from agentkit.promote.expressions import Const, Expr, is_path, of_element, roots
from agentkit.promote.plan import Plan
from agentkit.promote.search import Source


def shared_values(plan: Plan) -> dict[Expr, tuple[str, str]]:
    """Find them.

    Args:
        plan: the pipeline. Where it goes several ways there are none: a value of one way may be nothing on another.

    Returns:
        Each as an expression, with the tool that takes it first, "" for the output, and its argument's name.
    """
    if plan.ways:
        return {}
    reads = {*plan.inputs, *(step.name for step in plan.steps if not step.writes)}
    users: defaultdict[Expr, list[tuple[str, str]]] = defaultdict(list)
    for tool, name, source in _sources(plan):
        if len(source.survivors) == 1 and _is_worth_a_step(source.survivors[0], reads):
            users[source.survivors[0]].append((tool, name))
    return {one: found[0] for one, found in users.items() if len({tool for tool, _ in found}) > 1}


def _sources(plan: Plan) -> Iterator[tuple[str, str, Source]]:
    for step in plan.steps:
        if step.over is None and not step.asks:
            yield from ((step.tool, name, source) for name, source in step.arguments.items() if name not in step.edited)
    for name, source in plan.outputs.get("", {}).items():
        yield "", name, source


def _is_worth_a_step(expression: Expr, reads: set[str]) -> bool:
    if of_element(expression) or not roots(expression) <= reads or not roots(expression):
        return False
    if isinstance(expression, Match | Template | Const):
        return False  # it has a step, or is read as easily where it stands
    # capitals, say, take no step of their own
    return not is_path(expression.base if isinstance(expression, Change) else expression)
