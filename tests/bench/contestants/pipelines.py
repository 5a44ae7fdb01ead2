"""One module a contestant, each with a class Contestant: two pipelines over a durable store in one folder."""

from importlib import import_module
from pathlib import Path
from typing import Protocol

NAMES = ("raw", "agentkit", "dbos", "dbos_wal", "langgraph", "prefect")


class Contestant(Protocol):
    """The two pipelines of `pipeline_work`, defined once and run as often as one likes."""

    def __init__(self, folder: Path) -> None: ...

    def three(self, x: int) -> object:
        """Run the three steps; their output."""
        ...

    def fan(self, items: list[int]) -> object:
        """Run the list; its count."""
        ...

    def close(self) -> None:
        """Leave everything on disk as a program that ends would."""
        ...


def load(name: str) -> type[Contestant]:
    """The contestant's class; importing it imports what it needs, which is measured apart."""
    return import_module(f"contestants.{name}_pipeline").Contestant


PACKAGES = {
    "raw": (),
    "agentkit": ("jupyter-agentkit", "pydantic", "duckdb"),
    "dbos": ("dbos", "sqlalchemy"),
    "dbos_wal": ("dbos", "sqlalchemy"),
    "langgraph": ("langgraph", "langgraph-checkpoint-sqlite"),
    "prefect": ("prefect",),
}
SETTINGS = {
    "raw": "os.write + os.fdatasync a step; a list's items 8 to a sync: no pipeline, no threads",
    "agentkit": "Pipeline with the embedded log, all defaults; the list by each=, concurrency=8",
    "dbos": "@DBOS.workflow, @DBOS.step, its default SQLite system database; the list by asyncio.gather, 8 at once",
    "dbos_wal": "the same over a database in SQLite's WAL mode, synchronous FULL: one sync a commit instead of four",
    "langgraph": "@entrypoint, @task, SqliteSaver (it sets WAL; synchronous stays at FULL), durability='sync', "
    "max_concurrency=8",
    "prefect": "@flow, @task(persist_result=True), .map on ThreadPoolTaskRunner(max_workers=8), its temporary local "
    "server over SQLite; it sets synchronous NORMAL and does not sync result files: safe from a killed process, not "
    "from a power cut",
}
