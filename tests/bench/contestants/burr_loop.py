"""Burr as its examples write an agent: a model action and a tool action, the whole state saved after each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from burr.core import ApplicationBuilder, State, action, default, when
from burr.core.persistence import SQLitePersister
from workload import ANSWER, QUESTION, Script


def actions(script: Script) -> dict[str, Any]:
    """The graph's nodes."""

    @action(reads=["messages"], writes=["messages", "call"])
    def model(state: State) -> State:
        turn = script.propose()
        said = {"role": "assistant", "content": ANSWER if turn is None else turn.says}
        call = None if turn is None else turn.arguments
        return state.append(messages={**said, "call": call}).update(call=call)

    @action(reads=["messages", "call"], writes=["messages"])
    def run_tool(state: State) -> State:
        return state.append(messages={"role": "tool", "content": script.read(**state["call"])})

    @action(reads=["messages"], writes=["output"])
    def finish(state: State) -> State:
        return state.update(output=state["messages"][-1]["content"])

    return {"model": model, "run_tool": run_tool, "finish": finish}


class Contestant:
    """A Burr application that saves its state at every step."""

    def __init__(self, folder: Path) -> None:
        # Actions may run in a thread that did not open the connection; its documentation names this argument for it.
        self.saver = SQLitePersister(str(folder / "burr.sqlite"), connect_kwargs={"check_same_thread": False})
        self.saver.initialize()

    def ready(self, script: Script) -> Callable[[], Any]:
        nodes = actions(script)
        return lambda: self.run(nodes)

    def run(self, nodes: dict[str, Any]) -> Any:
        # An application has one run's id and state, so building it belongs to the run.
        application = (
            ApplicationBuilder()
            .with_actions(**nodes)
            .with_transitions(
                ("model", "finish", when(call=None)), ("model", "run_tool", default), ("run_tool", "model")
            )
            .with_state(messages=[{"role": "user", "content": QUESTION}])
            .with_entrypoint("model")
            .with_state_persister(self.saver)
            .with_identifiers(app_id=str(uuid4()))
            .build()
        )
        _, _, state = application.run(halt_after=["finish"])
        return state["output"]

    def close(self) -> None:
        self.saver.cleanup()
