"""agentkit: an agent with one reading tool over the embedded log."""

from collections.abc import Callable
from pathlib import Path

from workload import ANSWER, QUESTION, Script

import agentkit as ak
from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse, ToolCall
from agentkit.testing import FunctionModel


def reply(script: Script) -> str | ModelResponse:
    """The script's next turn as an answer with one tool call, or the last answer."""
    turn = script.propose()
    if turn is None:
        return ANSWER
    call = ToolCall(id=f"call_{script.proposed}", name="find_order", arguments=turn.arguments)
    usage = ak.Usage(input_tokens=100, output_tokens=20)
    return ModelResponse(message=AssistantMessage(text=turn.says, tool_calls=(call,)), usage=usage)


class Contestant:
    """An agent and a log."""

    def __init__(self, folder: Path) -> None:
        self.log = ak.open_log(str(folder / "log"))

    def ready(self, script: Script) -> Callable[[], str]:
        def think(_: ModelRequest) -> str | ModelResponse:
            return reply(script)

        @ak.tool
        def find_order(order_id: str, note: str) -> dict:
            """Look up one order by its number. Returns its record with what happened to it.

            Args:
                order_id: the order's number, for example "A-1042".
                note: what is wrong with it.
            """
            return script.read(order_id, note)

        budget = ak.Budget(model_calls=len(script.turns) + 1)
        agent = ak.Agent("bench", FunctionModel(think), tools=[find_order], budget=budget)
        return lambda: agent.run(QUESTION, log=self.log).result()

    def close(self) -> None:
        self.log.close()
