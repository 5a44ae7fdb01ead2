"""LangGraph's functional API: an entrypoint that calls tasks, over the SQLite saver."""

import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pipeline_work
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task

a, b, c, work, count = (
    task(step) for step in (pipeline_work.a, pipeline_work.b, pipeline_work.c, pipeline_work.work, pipeline_work.count)
)


class Contestant:
    """Two entrypoints over one saver."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "checkpoints.sqlite", check_same_thread=False)
        saver = SqliteSaver(self.connection)
        saver.setup()

        @entrypoint(checkpointer=saver)
        def three(x: int) -> dict:
            return c(b(a(x).result()).result()).result()

        @entrypoint(checkpointer=saver)
        def fan(items: list[int]) -> int:
            started = [work(item) for item in items]
            return count([future.result() for future in started]).result()

        self.pipelines = {"three": three, "fan": fan}

    def run(self, name: str, given: Any) -> Any:
        config = {"configurable": {"thread_id": str(uuid4())}, "max_concurrency": pipeline_work.CONCURRENCY}
        return self.pipelines[name].invoke(given, config, durability="sync")

    def three(self, x: int) -> dict:
        return self.run("three", x)

    def fan(self, items: list[int]) -> int:
        return self.run("fan", items)

    def close(self) -> None:
        self.connection.close()
