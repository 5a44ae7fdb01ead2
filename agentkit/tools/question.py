"""`ask_person`: the tool by which a model asks a person, whose answer is its result."""

from typing import Any, Literal

from agentkit.errors import ConfigError
from agentkit.tools.function import Options, Tool


class Question(Tool[..., Any]):
    """A tool that a person performs: the run pauses, and the answer is the call's result.

    Its schema and its arguments are those of its function, which is never called.
    """

    kind: Literal["function", "question"] = "question"


def _ask_person(question: str, options: list[str] | None = None) -> str:
    """Ask the person who supervises this run, when only a person can know or decide. Returns their answer.

    Args:
        question: one clear question that can be answered without further context.
        options: the answers to choose from, for example ["yes", "no"]; without them the person answers in words.
    """
    raise ConfigError(
        f"ask_person was called as a function ({question!r}, {options!r}); only a run can ask a person: "
        "put it into an agent's tools"
    )


ask_person = Question(_ask_person, Options(name="ask_person"))
