"""One case of a family: what is asked, in which world, and what is right."""

from dataclasses import dataclass, field
from typing import Any, Literal

from families.world import World, Write

Entities = Literal["training", "held_out"]
"""From which pool a case takes its ids, names and amounts."""


class AnyText:
    """Stands in a truth where some text has to be and its wording is free."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other.strip())

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY_TEXT"


ANY_TEXT: Any = AnyText()


@dataclass
class Case:
    """A task with its truth.

    Args:
        input: what the run is given: a JSON object, or text.
        world: what its tools reach as `ctx.deps`; it records the writes that are done.
        writes: the true writes, in order.
        output: the true output as JSON.
        edits: what a person changes where a tool asks: tool → arguments.
        judged: what a model would say of this case and no code can: what a stand-in for one answers with.
        shown: what a prompt has to hold for a model to say so.
        way: which way it goes, where the family has several: runs do not determine one that none of them took.
    """

    input: Any
    world: World
    writes: list[Write]
    output: Any
    edits: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    way: str = ""
