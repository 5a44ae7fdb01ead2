"""DBOS as its documentation writes a workflow: each function a step, a list's items started in order, eight at once."""

import asyncio
from pathlib import Path

import pipeline_work
from dbos import DBOS, DBOSConfig

a, b, c = (DBOS.step()(step) for step in (pipeline_work.a, pipeline_work.b, pipeline_work.c))


@DBOS.workflow()
def three(x: int) -> dict:
    """Three steps in a row."""
    return c(b(a(x)))


@DBOS.step()
async def work(item: int) -> dict:
    """One item. Steps that are in flight together are asynchronous; a queue, with a workflow an item, is slower."""
    return pipeline_work.work(item)


@DBOS.step()
async def count(results: list[dict]) -> int:
    """The step after the list."""
    return pipeline_work.count(results)


@DBOS.workflow()
async def fan(items: list[int]) -> int:
    """The list, then its count. A semaphore serves in order, so steps start in the order that recovery relies on."""
    free = asyncio.Semaphore(pipeline_work.CONCURRENCY)

    async def one(item: int) -> dict:
        async with free:
            return await work(item)

    return await count(await asyncio.gather(*(one(item) for item in items)))


class Contestant:
    """DBOS over its SQLite system database."""

    def __init__(self, folder: Path) -> None:
        database = f"sqlite:///{folder / 'dbos.sqlite'}"
        config: DBOSConfig = {"name": "bench", "system_database_url": database, "log_level": "ERROR"}
        DBOS(config=config)
        DBOS.launch()

    def three(self, x: int) -> dict:
        return three(x)

    def fan(self, items: list[int]) -> int:
        return asyncio.run(fan(items))

    def close(self) -> None:
        DBOS.destroy()
