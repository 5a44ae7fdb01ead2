"""Which call of one run is which of another: noise taken out, loops found, calls of one tool told apart."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.jsonvalue import canonical
from agentkit.promote.computed import Each
from agentkit.promote.expressions import Element
from agentkit.promote.picks import name_elements
from agentkit.promote.pool import Pool
from agentkit.promote.totals import filters
from agentkit.promote.traces import RecordedCall
from agentkit.promote.values import Miss, at, fields_of, is_scalar, key


@dataclass(slots=True)
class Slot:
    """One call of the pipeline-to-be, with the recorded one in each run; of a loop, those for each element.

    Args:
        tool: the tool's name.
        calls: in each run, the calls: one, or as many as the list has elements.
        loops: whether it is called for each element of a list.
        writes: whether it changes something.
        position: where it stands among a run's calls, on average.
        behind: how many writes came before it in every run.
    """

    tool: str
    calls: list[list[RecordedCall]]
    loops: bool
    writes: bool
    position: float = 0.0
    behind: int = 0


def without_repeats(calls: Sequence[RecordedCall]) -> list[RecordedCall]:
    """Calls without the reads that an earlier one of the same arguments had answered already."""
    kept: list[RecordedCall] = []
    seen: dict[tuple[str, bytes], bytes] = {}
    often = Counter(call.name for call in calls)
    for call in calls:
        if not call.writes and often[call.name] > 1:
            asked, result = (call.name, canonical(dict(call.arguments))), canonical(call.result)
            if seen.get(asked) == result:
                continue
            seen[asked] = result
        kept.append(call)
    return kept


def looped(runs: Sequence[Sequence[RecordedCall]]) -> frozenset[str]:
    """The tools that are called a varying number of times, more than once in some run."""
    counts = [Counter(call.name for call in calls) for calls in runs]
    names = {name for count in counts for name in count}
    return frozenset(
        name
        for name in names
        if max(count[name] for count in counts) > 1 and len({count[name] for count in counts}) > 1
    )


def path_of(calls: Sequence[RecordedCall], loops: frozenset[str]) -> tuple[str, ...]:
    """What a run changes, in order: the names of its writes, loops left out."""
    return tuple(call.name for call in calls if call.writes and call.name not in loops)


def common(
    runs: Sequence[Sequence[RecordedCall]], loops: frozenset[str]
) -> tuple[list[list[RecordedCall]], Counter[str]]:
    """Each run's calls without the reads that not every run made; and in how many runs each such read was made."""
    counts = [Counter(call.name for call in calls) for calls in runs]
    names = {call.name for calls in runs for call in calls}
    least = {name: min(count[name] for count in counts) for name in names}
    dropped: Counter[str] = Counter()
    kept: list[list[RecordedCall]] = []
    for calls in runs:
        here: list[RecordedCall] = []
        for call in calls:
            if call.writes or call.name in loops or least[call.name]:
                here.append(call)
            else:
                dropped[call.name] += 1
        kept.append(here)
    return kept, dropped


def slots_of(runs: Sequence[Sequence[RecordedCall]], loops: frozenset[str]) -> list[Slot]:
    """The slots of runs that make the same calls, in about the order in which they are made.

    Calls of one tool are paired by their order; `tell_apart` corrects that.
    """
    found: list[Slot] = []
    names = dict.fromkeys(call.name for calls in runs for call in calls)
    for name in names:
        of_tool = [[call for call in calls if call.name == name] for calls in runs]
        writes = any(call.writes for calls in of_tool for call in calls)
        if name in loops:
            found.append(Slot(name, of_tool, loops=True, writes=writes))
            continue
        numbers = range(len(of_tool[0]))
        found += [Slot(name, [[calls[at]] for calls in of_tool], loops=False, writes=writes) for at in numbers]
    for slot in found:
        places = [
            next((place for place, call in enumerate(calls) if call is one[0]), 0) / max(1, len(calls))
            for calls, one in zip(runs, slot.calls, strict=True)
            if one
        ]
        slot.position = sum(places) / len(places) if places else 0.0
        slot.behind = min(
            (_writes_before(calls, one[0], loops) for calls, one in zip(runs, slot.calls, strict=True) if one),
            default=0,
        )
    return sorted(found, key=lambda slot: slot.position)


def _writes_before(calls: Sequence[RecordedCall], call: RecordedCall, loops: frozenset[str]) -> int:
    count = 0
    for other in calls:
        if other is call:
            break
        count += other.writes and other.name not in loops
    return count


def tell_apart(slots: Sequence[Slot], pool: Pool) -> bool:
    """Pair the calls of one tool anew: what in every run exactly one of them was called with becomes the first slot's.

    Args:
        slots: those of one tool that have no explanation yet.
        pool: what can be reached.

    Returns:
        Whether it could.
    """
    runs = range(len(slots[0].calls))
    together = [[slot.calls[run][0] for slot in slots] for run in runs]
    for name in together[0][0].arguments:
        for scalar in sorted((*pool.scalars, *pool.changed), key=lambda one: one.expression.cost):
            if len(set(scalar.vector)) == 1 and len(scalar.vector) > 1:
                continue
            chosen = [
                [
                    place
                    for place, call in enumerate(together[run])
                    if key(call.arguments.get(name)) == scalar.vector[run]
                ]
                for run in runs
            ]
            if all(len(one) == 1 for one in chosen) and any(one != [0] for one in chosen):
                for run in runs:
                    first = together[run].pop(chosen[run][0])
                    for slot, call in zip(slots, [first, *together[run]], strict=True):
                        slot.calls[run] = [call]
                return True
    return False


def explained_calls(slot: Slot, pool: Pool) -> list[list[RecordedCall]]:
    """In each run those calls of a tool of which the most can be explained: the others were tries, or idle.

    Args:
        slot: the calls, at least one in each run.
        pool: what can be reached, in the first runs.
    """
    left: Sequence[list[RecordedCall]] = slot.calls
    runs = range(len(pool.envs))
    for name in dict.fromkeys(name for calls in left for call in calls for name in call.arguments):
        for scalar in sorted((*pool.scalars, *pool.changed), key=lambda one: one.expression.cost):
            if len(set(scalar.vector)) == 1 and len(scalar.vector) > 1:
                continue
            fit: list[list[RecordedCall]] = [
                [c for c in left[run] if key(c.arguments.get(name)) == scalar.vector[run]] for run in runs
            ]
            if all(fit):
                left = [*fit, *left[len(fit) :]]
                break
    return list(left)


# loops ---------------------------------------------------------------------------------------------------------------


def find_list(slot: Slot, pool: Pool, element: str) -> Each | None:
    """The list for whose elements a tool is called, and the calls in its order; None where there is none.

    Args:
        slot: the tool's calls in each run; put in the order of the list.
        pool: what can be reached.
        element: what an element is to be called.
    """
    for listed in sorted(pool.lists, key=lambda one: one.expression.cost):
        for conditions in ((), *((one,) for one in filters(pool, listed))):
            each = Each(listed.expression, Element(element), element, conditions)
            try:
                kept = [each.value(env) for env in pool.envs]
            except Miss:
                continue
            ordered = _in_order(slot, kept)
            if ordered is not None:
                slot.calls = ordered
                return each
    return None


def _in_order(slot: Slot, lists: Sequence[Sequence[Any]]) -> list[list[RecordedCall]] | None:
    if not any(lists) or not any(len(one) > 1 for one in lists):
        return None
    names = {name for calls in slot.calls for call in calls for name in call.arguments}
    for name in sorted(names):
        for path in _paths([item for one in lists for item in one]):
            ordered = [
                _match(calls, elements, name, path, repeats=not slot.writes)
                for calls, elements in zip(slot.calls, lists, strict=True)
            ]
            if all(one is not None for one in ordered):
                return [one for one in ordered if one is not None]
    return None


def _paths(elements: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    if all(is_scalar(element) for element in elements):
        yield ()
    elif elements:
        for name in fields_of(elements[0]) or {}:
            yield (name,)


def _match(
    calls: Sequence[RecordedCall], elements: Sequence[Any], name: str, path: tuple[str, ...], *, repeats: bool
) -> list[RecordedCall] | None:
    """The calls in the order of the elements; a read may serve several elements that are alike."""
    left: list[RecordedCall] = list(calls)
    ordered: list[RecordedCall] = []
    for element in elements:
        try:
            wanted = key(at(element, path))
        except Miss:
            return None
        found = next((call for call in left if key(call.arguments.get(name)) == wanted), None)
        if found is not None:
            left.remove(found)
        elif repeats:
            found = next((call for call in ordered if key(call.arguments.get(name)) == wanted), None)
        if found is None:
            return None
        ordered.append(found)
    return None if left else ordered


def reach(envs: Sequence[Mapping[str, Any]], parts: Mapping[str, Pool] | None = None) -> Pool:
    """The pool of what has a name so far, with the elements that something names.

    Args:
        envs: what has a name, in each run.
        parts: pools of single names over the same runs, where they are known already.
    """
    pool = Pool(envs) if parts is None else Pool.of(envs, list(parts.values()))
    name_elements(pool)
    return pool
