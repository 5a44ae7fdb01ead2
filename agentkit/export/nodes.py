"""What a span is made of, whatever the system that shows it: one node an attempt, a decision, an approval, a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agentkit.events import ErrorInfo, Event, Origin
from agentkit.messages import ModelRequest

Kind: TypeAlias = Literal["run", "model", "tool", "step", "ask", "decision", "approval"]
Scalar: TypeAlias = str | bool | int | float


@dataclass(frozen=True)
class RunFacts:
    """What every node of a run says of it.

    Args:
        run_id: the run.
        kind: "agent" or "pipeline".
        name: the agent's or the pipeline's name.
        root_run_id: the run at the top, whose trace this is.
        root_name: its name, which is the trace's.
        session, user, tags: as they were given.
        origin: the run that this one was forked from, or goes on after.
        parent_run_id: the run that called it.
        begun: the first event of the run at the top, as far as that is known.
        caller: the run and the seq of the call that started it.
    """

    run_id: str
    kind: str
    name: str
    root_run_id: str
    root_name: str
    session: str | None
    user: str | None
    tags: tuple[str, ...]
    origin: Origin | None
    parent_run_id: str | None
    begun: Event
    caller: tuple[str, int] | None = None


@dataclass(frozen=True)
class Happening:
    """Something at a moment within a node: a retry that was scheduled, a pause. `facts` hold no content."""

    name: str
    ts: datetime
    facts: Mapping[str, Scalar]


@dataclass(frozen=True)
class Prompt:
    """What a model was given. Of a very long conversation the first message and the last ones.

    Args:
        request: instructions, messages and tools.
        left_out: how many messages are missing after the first one; they are in the spans before this one.
    """

    request: ModelRequest
    left_out: int = 0


@dataclass(eq=False, slots=True)
class Node:
    """One span to be.

    Args:
        kind: what it is of.
        run: the run it belongs to.
        opened: the event that it begins with; its id is that event's.
        name: the agent's, the model's, the tool's, the step's, or the action's.
        start: when it began, UTC.
        parent: the node it is within; None for the trace's root.
        before: the attempt before it at the same step.
    """

    kind: Kind
    run: RunFacts
    opened: Event
    name: str
    start: datetime
    parent: "Node | None" = None
    before: "Node | None" = None
    end: datetime | None = None
    closed: Event | None = None
    error: ErrorInfo | None = None
    warning: str | None = None
    input: Any = None  # JSON
    output: Any = None  # JSON
    prompt: Prompt | None = None
    facts: dict[str, Scalar] = field(default_factory=dict[str, Scalar])  # what is no content, under `agentkit.`
    happenings: list[Happening] = field(default_factory=list[Happening])
    left: tuple[datetime, str] | None = None  # when, and why, it was left without an outcome

    @property
    def step(self) -> str | None:
        """The step's path, for example "tool/refund/2"."""
        return self.opened.step

    def close(self, ts: datetime, event: Event | None = None) -> None:
        """It ended then; never before it began, whatever two processes' clocks say."""
        self.end, self.closed, self.left = max(ts, self.start), event, None
