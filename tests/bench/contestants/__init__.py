"""One module a contestant, each with a class Contestant: open a folder, get ready for a script, run it, close."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

from workload import Script

NAMES = ("raw", "agentkit", "langgraph", "langgraph_delta", "dbos", "burr")


class Contestant(Protocol):
    """An agent loop over a durable store in one folder."""

    def __init__(self, folder: Path) -> None: ...

    def ready(self, script: Script) -> Callable[[], object]:
        """Define the agent, which a program does once; what is returned plays the script and gives the answer."""
        ...

    def close(self) -> None:
        """Leave everything on disk as a program that ends would."""
        ...


def load(name: str) -> type[Contestant]:
    """The contestant's class; importing it imports what it needs, which is measured apart."""
    return import_module(f"contestants.{name}_loop").Contestant


PACKAGES = {
    "raw": (),
    "agentkit": ("jupyter-agentkit", "pydantic", "duckdb"),
    "langgraph": ("langgraph", "langchain", "langgraph-checkpoint-sqlite"),
    "langgraph_delta": ("langgraph",),
    "dbos": ("dbos",),
    "burr": ("apache-burr",),
}
SETTINGS = {
    "raw": "os.write + os.fdatasync, twice a turn, of the turn's own JSON: no agent, no loop",
    "agentkit": "Agent with the embedded log, all defaults but the budget",
    "langgraph": "create_agent, SqliteSaver (it sets WAL; synchronous stays at FULL), durability='sync'",
    "langgraph_delta": "StateGraph + ToolNode, messages in a DeltaChannel (beta, its default snapshots), same saver",
    "dbos": "workflow whose model and tool calls are @DBOS.step, its default SQLite system database",
    "burr": "SQLitePersister at every step, messages in the state, as its agent examples do",
}
