"""Recorded runs in which something is not as it was: what a pipeline must notice before it writes anything else."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from agentkit.promote.computed import Each, Total
from agentkit.promote.expressions import Best, Expr, Field, Pick, Root, walk
from agentkit.promote.kept import KeptCall, KeptRun
from agentkit.promote.plan import Plan, PlannedStep
from agentkit.promote.replay import Replayed, compare
from agentkit.text import call_text

_DEPTH = 3
"""So deep are fields renamed: what is deeper is read through these."""
_ELEMENTS = 6
"""So many elements of a list are doubled, one a mutation."""

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A list that the pipeline chooses an element from.

    Args:
        tool: in whose result it is.
        path: the fields that lead to it; none where the result is the list.
    """

    tool: str
    path: Path

    def list_in(self, result: Any) -> list[Any] | None:
        """The list in a result; None where it is not there."""
        for name in self.path:
            if not isinstance(result, dict) or name not in result:
                return None
            result = cast("dict[str, Any]", result)[name]
        return cast("list[Any]", result) if isinstance(result, list) else None


@dataclass(frozen=True, slots=True)
class Mutation:
    """One run with one thing changed.

    Args:
        run: the run as it was.
        mutated: as it is now.
        what: what was changed, in words.
    """

    run: KeptRun
    mutated: KeptRun
    what: str

    def __str__(self) -> str:
        return self.what


def mutations(run: KeptRun, choices: Sequence[Choice] = (), others: Sequence[KeptRun] = ()) -> Iterator[Mutation]:
    """All that is changed in a run, one thing at a time.

    Args:
        run: the recorded run.
        choices: the lists that the pipeline chooses from.
        others: further runs: elements of their lists are put into this one's.
    """
    for index, call in enumerate(run.calls):
        said = call_text(call.tool, call.arguments, 80)
        yield _with(run, index, replace(call, result=None, error="the service is down"), f"{said} fails")
        for path in _paths(call.result):
            renamed = copy.deepcopy(call.result)
            _rename(renamed, path)
            what = f"{said} has no {'.'.join(path)}, but {path[-1]}_renamed"
            yield _with(run, index, replace(call, result=renamed), what)
        for choice in choices:
            if choice.tool == call.tool and not call.writes:
                yield from _extended(run, index, choice, others)


def noticed(mutation: Mutation, found: Replayed) -> str | None:
    """What is wrong with what a pipeline did on a mutated run; None where it noticed, or does what was right.

    It may do what the run did, or stop; it must not write anything else, and not end as if nothing was while a write
    was not done.
    """
    outcome, why = compare(mutation.run, found)
    if outcome == "different" and len(found.writes()) == len(mutation.run.writes()) and _all_recorded(mutation, found):
        return None  # the output says what the reads said
    return why if outcome in {"different", "unrecorded"} else None


def choices_of(plan: Plan) -> list[Choice]:
    """The lists in results that a plan chooses from, and does nothing else with: there, one more must not matter."""
    used = [node for expression in _expressions(plan) for node in walk(expression)]
    chosen = {node.base: None for node in used if isinstance(node, Pick)}
    counted = {node.base for node in used if isinstance(node, Best | Total | Each)}
    places = (_place(plan.steps, base) for base in chosen if base not in counted)
    return list(dict.fromkeys(place for place in places if place is not None))


def _expressions(plan: Plan) -> Iterator[Expr]:
    for step in plan.steps:
        if step.over is not None:
            yield step.over
        for source in step.arguments.values():
            yield from source.survivors
    for fields in plan.outputs.values():
        for source in fields.values():
            yield from source.survivors


def _place(steps: Sequence[PlannedStep], base: Expr) -> Choice | None:
    path: list[str] = []
    while isinstance(base, Field):
        path.insert(0, base.name)
        base = base.base
    for step in steps:
        if isinstance(base, Root) and step.name == base.name and not step.asks and step.over is None:
            return Choice(step.tool, tuple(path))
    return None


def _with(run: KeptRun, index: int, call: KeptCall, what: str) -> Mutation:
    calls = (*run.calls[:index], call, *run.calls[index + 1 :])
    return Mutation(run, replace(run, calls=calls), what)


def _all_recorded(mutation: Mutation, found: Replayed) -> bool:
    left = mutation.run.writes()
    for made in found.writes():
        same = next((call for call in left if call.is_for(made.tool, made.arguments)), None)
        if same is None:
            return False
        left.remove(same)
    return True


# fields ---------------------------------------------------------------------------------------------------------------


def _paths(value: Any, path: Path = (), depth: int = _DEPTH) -> list[Path]:
    """The fields in a value, those of a list's elements once."""
    found: dict[Path, None] = {}
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            found |= dict.fromkeys(_paths(item, path, depth))
    elif isinstance(value, dict) and depth:
        for name, item in cast("dict[str, Any]", value).items():
            found |= dict.fromkeys([(*path, name), *_paths(item, (*path, name), depth - 1)])
    return list(found)


def _rename(value: Any, path: Path) -> None:
    """Give a field another name, in place; in every element of a list."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            _rename(item, path)
        return
    first, *rest = path
    if not isinstance(value, dict) or first not in value:
        return
    found = cast("dict[str, Any]", value)
    if rest:
        _rename(found[first], tuple(rest))
        return
    renamed = {f"{name}_renamed" if name == first else name: item for name, item in found.items()}
    found.clear()
    found.update(renamed)


# elements -------------------------------------------------------------------------------------------------------------


def _extended(run: KeptRun, index: int, choice: Choice, others: Sequence[KeptRun]) -> Iterator[Mutation]:
    """The list with one element more: each of its own once more, and one of another run's, at either end."""
    call = run.calls[index]
    elements = choice.list_in(call.result) or []
    where = f"{call_text(call.tool, call.arguments, 80)}{''.join(f'.{name}' for name in choice.path)}"
    foreign = [
        one
        for other in others
        for made in other.calls
        if made.tool == call.tool and other is not run
        for one in (choice.list_in(made.result) or [])[:1]
        if one not in elements
    ]
    more = [(one, f"has its element {at} twice") for at, one in enumerate(elements[:_ELEMENTS])]
    more += [(one, "has an element of another run") for one in foreign[:1]]
    for element, what in more:
        for first in (True, False):
            result = copy.deepcopy(call.result)
            found = choice.list_in(result)
            assert found is not None, "the list is there: its elements are"
            found.insert(0 if first else len(found), copy.deepcopy(element))
            what_there = f"{where} {what}, {'first' if first else 'last'}"
            yield _with(run, index, replace(call, result=result), what_there)
