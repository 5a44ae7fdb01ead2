"""The writes of one run as they are predicted, each beside the equal one that an agent did, where it did."""

import inspect
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.definition import InvalidArguments, ToolSpec
from agentkit.errors import ConfigError, Deopt
from agentkit.guards import agree
from agentkit.jsonvalue import JsonValue, as_json
from agentkit.redact import Redactor


class NotDone(Deopt):
    """A write was predicted; what needs its result ends there, since nobody knows it. So it is never tried again."""


@dataclass(frozen=True, slots=True)
class RecordedWrite:
    """A write that an agent did.

    Args:
        name: the tool.
        arguments: what it asked for, JSON: where a person edited it, what it was before.
        result: JSON.
    """

    name: str
    arguments: Any
    result: Any = None


@dataclass(frozen=True, slots=True)
class PredictedWrite:
    """A write that a pipeline would have done.

    Args:
        name: the tool; the step's name where that is code that writes by itself.
        step: the step that would have done it.
        arguments: JSON.
        equal: the recorded write that is the same; None where there is none.
    """

    name: str
    step: str
    arguments: Any
    equal: RecordedWrite | None = None


@dataclass
class Predictions:
    """The writes of one run.

    Args:
        recorded: what the agent wrote for the same input; each is the equal of one predicted write at most.
        redactor: takes secrets out of arguments, as it did when they were recorded.
    """

    recorded: Sequence[RecordedWrite] = ()
    redactor: Redactor = field(default_factory=Redactor)
    made: list[PredictedWrite] = field(default_factory=list[PredictedWrite])

    def __post_init__(self) -> None:
        self.left = list(self.recorded)  # those that were not predicted
        self._lock = threading.Lock()

    def take(self, name: str, step: str, arguments: Any, used: set[int]) -> PredictedWrite:
        """Write down that a write would have been done; one that an earlier try of the step did is not done again.

        Args:
            name: the tool, or the step.
            step: the step that would have done it.
            arguments: JSON.
            used: the places of those that this try did already; it is added to.
        """
        with self._lock:
            for at, made in enumerate(self.made):
                if at not in used and (made.name, made.step) == (name, step) and same(made.arguments, arguments):
                    used.add(at)
                    return made
            equal = next((one for one in self.left if one.name == name and same(one.arguments, arguments)), None)
            if equal is not None:
                self.left.remove(equal)
            made = PredictedWrite(name, step, arguments, equal)
            used.add(len(self.made))
            self.made.append(made)
            return made


class Attempt:
    """One try of a step, whose writes are predicted.

    Args:
        predictions: where they are written down.
        step: the step's path.
    """

    def __init__(self, predictions: Predictions, step: str) -> None:
        self.predictions = predictions
        self.step = step
        self._used: set[int] = set()

    def take(self, name: str, arguments: Any) -> JsonValue:
        """Write down that a write would have been done.

        Args:
            name: the tool, or the step.
            arguments: JSON.

        Returns:
            The result that the equal write had.

        Raises:
            NotDone: there is none.
        """
        made = self.predictions.take(name, self.step, arguments, self._used)
        if made.equal is None:
            raise NotDone(f"{name} was predicted and not done: what comes after it would need its result")
        return made.equal.result

    def call(self, tool: ToolSpec, arguments: Mapping[str, Any]) -> Any:
        """The same for a call whose arguments are not validated yet; the result is read as the tool's is."""
        given = self.predictions.redactor.value(as_json(dict(arguments), tool.schema.name))
        try:
            logged = tool.arguments_json(tool.validate(given))
        except InvalidArguments as error:
            raise ConfigError(f"ctx.call({tool.schema.name}): the arguments do not fit: {error.errors}") from error
        result = self.take(tool.schema.name, logged)
        read = getattr(tool, "result_value", None)
        return result if read is None else read(result)

    def as_function(self, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same where the code of a step calls a tool as the function that it is."""
        bound = inspect.signature(tool.function).bind(*args, **kwargs)
        known = tool.schema.parameters.get("properties", {})
        given = {name: value for name, value in bound.arguments.items() if name in known}
        return self._later(tool, given) if tool.is_async else self.call(tool, given)

    async def _later(self, tool: ToolSpec, given: Mapping[str, Any]) -> Any:
        return self.call(tool, given)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal, as `ak.agree` has it."""
    try:
        agree(left, right)
    except Deopt:
        return False
    return True
