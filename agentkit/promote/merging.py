"""Generated code that a person edited, and what would be generated now: both in one text, or what conflicts.

A three-way merge by top-level blocks: the text that was generated last tells who changed what.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agentkit.promote.blocks import DOCSTRING, Text, equal, same, split
from agentkit.promote.imports import write_imports


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge.

    Args:
        text: the whole module; where something conflicts it is not to be used.
        kept: the blocks that stay as a person has them.
        conflicts: the blocks that a person changed and that are generated otherwise now, with both versions.
    """

    text: str
    kept: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def merge(base: str, theirs: str, ours: str) -> Merged:
    """Put a person's edits and what is generated now together.

    Args:
        base: what was generated last.
        theirs: what the file holds.
        ours: what is generated now.

    Raises:
        SyntaxError: what the file holds is no Python.
    """
    if theirs == ours:
        return Merged(ours)
    before, there, new = split(base), split(theirs), split(ours)
    chosen: dict[str, str] = {}
    kept: list[str] = []
    conflicts: list[str] = []
    for name in dict.fromkeys([*new.blocks, *there.blocks, *before.blocks]):
        was, is_now, will_be = (text.blocks.get(name) for text in (before, there, new))
        if equal(is_now, will_be):
            found = is_now
        elif same(is_now, was) or same(is_now, will_be):
            found = will_be
        elif same(was, will_be) or name == DOCSTRING:  # words of a person's about it are the better ones
            found = is_now
            kept.append(name)
        else:
            found = None
            conflicts.append(_both(name, is_now, will_be))
        if found is not None:
            chosen[name] = found
    imports = (new.imports | (there.imports - before.imports)) - (before.imports - there.imports)
    if chosen == there.blocks and imports == there.imports:
        return Merged(theirs, tuple(kept), tuple(conflicts))
    if chosen == new.blocks and imports == new.imports:
        return Merged(ours, tuple(kept), tuple(conflicts))
    heading = new.heading if imports == new.imports else write_imports(imports)
    return Merged(_written(chosen, heading, there, new), tuple(kept), tuple(conflicts))


def _both(name: str, theirs: str | None, ours: str | None) -> str:
    there = "it was taken out of the file" if theirs is None else f"the file has:\n{_indented(theirs)}"
    new = "the runs need it no more" if ours is None else f"the runs give now:\n{_indented(ours)}"
    return f"{name}: {there}\n    {new}"


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.splitlines())


def _written(chosen: Mapping[str, str], heading: str, there: Text, new: Text) -> str:
    """The blocks as they are generated, a person's own each behind what it stands behind in the file."""
    order = [name for name in new.blocks if name in chosen]
    previous: str | None = None
    for name in there.blocks:
        if name in chosen and name not in order:
            order.insert(order.index(previous) + 1 if previous in order else 0, name)
        previous = name if name in order else previous
    text = f"{chosen[DOCSTRING]}\n\n{heading}" if DOCSTRING in chosen else heading
    for name in order:
        if name != DOCSTRING:
            gaps = new.gaps if name in new.gaps else there.gaps
            text += "\n" * (1 + gaps[name]) + chosen[name]
    return text + "\n"
