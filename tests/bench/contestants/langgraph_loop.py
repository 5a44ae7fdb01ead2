"""LangGraph as its documentation starts an agent: create_agent with the SQLite saver."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.sqlite import SqliteSaver
from workload import ANSWER, QUESTION, Script

# The graph counts model and tool nodes as steps; its limit must not end a run of 200 turns.
STEPS = 10_000


class Scripted(BaseChatModel):
    """A chat model that plays a script."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=reply(self.script))])


def reply(script: Script) -> AIMessage:
    """The script's next turn as a message with one tool call, or the answer."""
    turn = script.propose()
    if turn is None:
        return AIMessage(ANSWER)
    call = {"name": "find_order", "args": turn.arguments, "id": f"call_{script.proposed}"}
    return AIMessage(turn.says, tool_calls=[call])


def tool_of(script: Script) -> BaseTool:
    """The script's reading tool."""

    def find_order(order_id: str, note: str) -> dict:
        """Look up one order."""
        return script.read(order_id, note)

    return StructuredTool.from_function(find_order)


class Contestant:
    """An agent of create_agent over a SQLite saver."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "checkpoints.sqlite", check_same_thread=False)
        self.saver = SqliteSaver(self.connection)
        self.saver.setup()

    def agent(self, script: Script) -> Any:
        return create_agent(Scripted(script=script), [tool_of(script)], checkpointer=self.saver)

    def ready(self, script: Script) -> Callable[[], Any]:
        agent = self.agent(script)
        return lambda: self.run(agent)

    def run(self, agent: Any) -> Any:
        config = {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": STEPS}
        start = {"messages": [("user", QUESTION)]}
        done = agent.invoke(start, config, durability="sync")
        return done["messages"][-1].content

    def close(self) -> None:
        self.connection.close()
