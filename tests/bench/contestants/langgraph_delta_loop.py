"""LangGraph at its leanest: a graph of two nodes, the messages in a DeltaChannel, which stores only what is new."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage, convert_to_messages
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from workload import Script

from contestants.langgraph_loop import Contestant as CreateAgent
from contestants.langgraph_loop import reply, tool_of


def extend(messages: list[AnyMessage], writes: list[Any]) -> list[AnyMessage]:
    """The channel's reducer: every write's messages, appended."""
    return [*messages, *(message for write in writes for message in convert_to_messages(write))]


class Conversation(TypedDict):
    """The graph's state."""

    messages: Annotated[list[AnyMessage], DeltaChannel(extend)]


class Contestant(CreateAgent):
    """A model node and a tool node, taking turns."""

    def agent(self, script: Script) -> Any:
        graph = StateGraph(Conversation)
        graph.add_node("model", lambda _: {"messages": [reply(script)]})
        graph.add_node("tools", ToolNode([tool_of(script)]))
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
        graph.add_edge("tools", "model")
        return graph.compile(checkpointer=self.saver)
