"""The order of a written module's statements: as their user wrote them, and each after what it uses at once."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from agentkit.promote.names import Uses, uses
from agentkit.promote.source_of import Sources, Statement

Steps = Mapping[str, Sequence[Statement]]
"""What a pipeline is called in the module → the statements that declare its steps, in its order."""


def in_order(sources: Sources, statements: Sequence[Statement], steps: Steps) -> list[Statement]:
    """The statements so that the module can be executed from top to bottom.

    Args:
        sources: where they come from.
        statements: what is needed.
        steps: of each pipeline.
    """
    return _Order(sources, statements, steps).placed()


class _Order:
    def __init__(self, sources: Sources, statements: Sequence[Statement], steps: Steps) -> None:
        self._uses: Mapping[Statement, Uses] = {one: uses(one.node) for one in statements}
        self._owners = {name: one for one in statements for name in one.binds}
        self._steps = {name: list(dict.fromkeys(of_it)) for name, of_it in steps.items()}
        self._after: dict[Statement, list[Statement]] = {}
        keys = {one: sources.first(one) for one in statements}
        for declared in self._steps.values():
            keys.update(zip(declared, sorted(keys[one] for one in declared), strict=True))
            for before, one in pairwise(declared):
                self._after.setdefault(one, []).append(before)
        self._sorted = sorted(statements, key=lambda one: keys[one])

    def placed(self) -> list[Statement]:
        """Each after what it needs, else as they were written."""
        done: dict[Statement, None] = {}
        open_: set[Statement] = set()

        def place(one: Statement) -> None:
            if one in done or one in open_:
                return
            open_.add(one)
            for other in self._before(one):
                place(other)
            open_.discard(one)
            done[one] = None

        for one in self._sorted:
            place(one)
        return list(done)

    def _before(self, one: Statement) -> list[Statement]:
        """What has to be there when a statement is executed: what it uses, and what that calls in turn."""
        found: dict[Statement, None] = {}
        names = list(self._uses[one].at_once)
        while names:
            other = self._owners.get(names.pop())
            if other is None or other is one or other in found:
                continue
            found[other] = None
            names += [*self._uses[other].at_once, *self._uses[other].later]
        for name in self._uses[one].at_once & self._steps.keys():
            if one not in self._steps[name]:  # a pipeline that is another one's step is whole by then
                found.update(dict.fromkeys(self._steps[name]))
        found.update(dict.fromkeys(self._after.get(one, ())))
        return [other for other in self._sorted if other in found]
