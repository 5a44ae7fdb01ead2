"""DBOS as its documentation writes an agent: a workflow in which each model call and each tool call is a step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig
from workload import ANSWER, QUESTION, Script

# Steps are registered by name before the launch, so they find the run's script here and not among their arguments.
playing: list[Script] = []


@DBOS.step()
def ask(_: list[Any]) -> dict[str, Any]:
    """A model call: the answer, and the tool call it proposes."""
    turn = playing[-1].propose()
    if turn is None:
        return {"says": ANSWER, "call": None}
    return {"says": turn.says, "call": turn.arguments}


@DBOS.step()
def find_order(order_id: str, note: str) -> dict[str, Any]:
    """Look up one order."""
    return playing[-1].read(order_id, note)


@DBOS.workflow()
def agent(question: str) -> str:
    """The loop."""
    messages: list[Any] = [question]
    while True:
        answer = ask(messages)
        messages.append(answer)
        if answer["call"] is None:
            return answer["says"]
        messages.append(find_order(**answer["call"]))


class Contestant:
    """DBOS over its SQLite system database."""

    def __init__(self, folder: Path) -> None:
        database = f"sqlite:///{folder / 'dbos.sqlite'}"
        config: DBOSConfig = {"name": "bench", "system_database_url": database, "log_level": "ERROR"}
        DBOS(config=config)
        DBOS.launch()

    def ready(self, script: Script) -> Callable[[], str]:
        return lambda: self.run(script)

    def run(self, script: Script) -> str:
        playing.append(script)
        return agent(QUESTION)

    def close(self) -> None:
        DBOS.destroy()
