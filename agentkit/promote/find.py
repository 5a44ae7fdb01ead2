"""Where the tools and the agent of generated code come from."""

import sys
from dataclasses import dataclass
from typing import Any

from agentkit.agent import find_module


@dataclass(frozen=True, slots=True)
class Place:
    """An object, and where another process finds it.

    Args:
        value: the object.
        module: its module; None in a notebook or a script.
        name: what it is called there.
    """

    value: Any
    module: str | None
    name: str


def place_of_tool(tool: Any, name: str) -> Place:
    """Where a tool is defined: in its function's module, or wherever the agent's own module has it."""
    home = getattr(getattr(tool, "function", None), "__module__", None)
    for module in (home, *(name for name in list(sys.modules) if name == "__main__")):
        found = sys.modules.get(module) if module else None
        for called, value in vars(found).items() if found is not None else ():
            if value is tool:
                return Place(tool, None if module == "__main__" else module, called)
    return Place(tool, None, name)


def place_of_agent(agent: Any) -> Place:
    """Where an agent is defined."""
    definition = agent.definition
    found = definition.module or find_module(agent, definition.place)
    if found is not None:
        module, _, name = found.partition(":")
        return Place(agent, module, name)
    main = sys.modules.get("__main__")
    names = [name for name, value in vars(main).items() if value is agent] if main is not None else []
    return Place(agent, None, names[0] if names else "agent")
