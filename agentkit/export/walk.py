"""Going through one run's events, one node an attempt.

What opens, what is open and what it hangs below is kept here; what each type of event does is in `handlers`.
"""

from datetime import datetime
from typing import Any

from agentkit.events import ErrorInfo, Event, ModelRequested, PromptOrigin, RunStarted
from agentkit.export.nodes import Happening, Node, Prompt, RunFacts, Scalar
from agentkit.export.recorded import Recorded
from agentkit.fold import advance
from agentkit.state import State

LATEST = 100
"""So many messages of a conversation are repeated with each model call: all of them would grow by the square."""


class Walk:
    """Goes through one run's events.

    Args:
        recorded: the run.
        caller: the node of the call that started it; None for a root.
        root_name: the name of the run at the top; None for a root.
        prompts: whether to fold the events for the prompts.
    """

    def __init__(self, recorded: Recorded, caller: Node | None, root_name: str | None, *, prompts: bool) -> None:
        self.nodes: list[Node] = []
        self.calls: dict[Node, str] = {}  # the first node of each call of a child run → that run
        self.state: State | None = recorded.base.copy() if recorded.base is not None and prompts else None
        self._prompts = prompts
        self._last: dict[str, Node] = {}  # step → its newest node
        self._open: dict[Node, None] = {}
        self._asked: dict[str, Node] = {}  # approval → its node
        self._caller = caller
        self._begun: set[str] = set()
        self._latest: datetime
        self.prompt: Prompt | None = None  # the prompt of the model call that is being taken
        self.kept: dict[str, PromptOrigin | None] = {}  # where instructions are from: "" is the run's, an ask's by path
        self.run = _facts(recorded, root_name, caller)
        self.root_name = self.run.root_name
        self.root: Node

    def take(self, event: Event) -> None:
        """One event more; what its type does to the nodes follows."""
        if self._prompts:
            self.prompt = self._prompt(event)
            self.state = advance(self.state, event)
        if isinstance(event.body, RunStarted):
            self._begin(event, event.body)

    def see(self, event: Event, state: State | None) -> None:
        """The same for a run that executes here: its state, with the event, is the runner's and need not be folded."""
        self.state = state
        self.prompt = self._prompt(event)
        self.take(event)

    def took(self, event: Event) -> None:
        """The event did what it does; its time is the last one known."""
        self._latest = event.ts

    def _begin(self, event: Event, body: RunStarted) -> None:
        self.kept[""] = body.header.prompt
        self.root = Node("run", self.run, event, self.run.name, event.ts, parent=self._caller, input=body.input)
        self.nodes.append(self.root)

    def _prompt(self, event: Event) -> Prompt | None:
        """The prompt that a model was given: of the run's own conversation, or of an ask in a step."""
        if not isinstance(event.body, ModelRequested) or self.state is None:
            return None
        ask = self.state.asks.get((event.step or "").rpartition("/model/")[0])
        talk = self.state if ask is None or ask.conversation is None else ask.conversation
        request = talk.request()
        left_out = len(request.messages) - 1 - LATEST
        if left_out <= 0:
            return Prompt(request)
        kept = (request.messages[0], *request.messages[-LATEST:])
        return Prompt(request.model_copy(update={"messages": kept}), left_out)

    def open(self, kind: Any, event: Event, name: str, *, input: Any = None, child: str | None = None) -> Node:
        """Begin a node; an earlier attempt at the same step that has no outcome ends where it was left."""
        step = event.step or ""
        before = self._last.get(step)
        if before is not None and before in self._open:
            self._leave(before)
        node = Node(kind, self.run, event, name, event.ts, parent=self.parent_of(step), before=before, input=input)
        self._last[step] = node
        self._open[node] = None
        self.nodes.append(node)
        if child is not None and child not in self._begun:
            self._begun.add(child)
            self.calls[node] = child
        return node

    def point(self, kind: Any, event: Event, name: str, *, input: Any = None) -> Node:
        """A node of no length: a fact that is one event."""
        node = Node(kind, self.run, event, name, event.ts, parent=self.parent_of(event.step or ""), input=input)
        node.close(event.ts, event)
        self.nodes.append(node)
        return node

    def current(self, event: Event) -> Node | None:
        """The newest node of an event's step that has no outcome yet."""
        node = self._last.get(event.step or "")
        return node if node is not None and node in self._open else None

    def close(self, node: Node, event: Event) -> None:
        """A node has its outcome."""
        node.close(event.ts, event)
        self._open.pop(node, None)

    def newest(self, step: str | None) -> Node | None:
        """The newest node of a step, open or not."""
        return self._last.get(step or "")

    def ask(self, event: Event) -> Node:
        """Begin an approval's node: beside what it is about, which is not yet running."""
        node = Node("approval", self.run, event, event.name or "", event.ts, parent=self.parent_of(event.step or ""))
        self.nodes.append(node)
        self._open[node] = None
        self._asked[event.approval_id or ""] = node
        return node

    def asked(self, event: Event) -> Node | None:
        """The node of the approval that an event answers; None where that was asked in another run."""
        return self._asked.get(event.approval_id or "")

    def answered(self, node: Node, event: Event, at: datetime) -> None:
        """An approval has its answer, given at a time that may be before it was recorded."""
        node.close(min(at, event.ts), event)
        self._open.pop(node, None)

    def happen(self, event: Event, name: str, on: Node | None = None, **facts: Scalar | None) -> None:
        """Note something on a node; on the run's own where no other is named."""
        known = {f"agentkit.{key}": value for key, value in facts.items() if value is not None}
        (on or self.root).happenings.append(Happening(name, event.ts, known))

    def leave_all(self, ts: datetime | None, why: str) -> None:
        """Nothing is executing any more: what has no outcome was left, at a time or at the last one known."""
        for node in self._open:
            if node.left is None and node.kind != "approval":
                node.left = (ts or self._latest, why)

    def _leave(self, node: Node) -> None:
        at, why = node.left or (self._latest, "open")
        node.facts["agentkit.left"] = why
        if why == "interrupted":
            node.error = ErrorInfo(type="Interrupted", message="the process ended before this had an outcome")
        node.close(at)
        self._open.pop(node, None)

    def parent_of(self, step: str) -> Node:
        """The newest node that a step is within: an ask, a step, a fan-out; the run's own for all others."""
        if "/model/" in step:
            above = step.rpartition("/model/")[0]
        elif "/" in step:
            above = step.partition("/")[0]
        else:
            above = step.partition("[")[0] if step.endswith("]") else ""
        return self._last.get(above, self.root)

    def finish(self) -> None:
        """What is still open when there are no more events ends with the last one."""
        for node in list(self._open):
            if node.kind == "approval":
                node.facts["agentkit.approval.verdict"] = "pending"
                node.close(self._latest)
            else:
                self._leave(node)
        if self.root.end is None:
            self.root.close(self._latest)


def _facts(recorded: Recorded, root_name: str | None, caller: Node | None) -> RunFacts:
    first = recorded.events[0]
    body = first.body
    assert isinstance(body, RunStarted), "whoever gathered them saw to that"
    name = first.name or body.kind
    return RunFacts(
        run_id=first.run_id,
        kind=body.kind,
        name=name,
        root_run_id=recorded.root_run_id or first.run_id,
        root_name=root_name or name,
        session=body.session,
        user=body.user,
        tags=body.tags,
        origin=body.origin,
        parent_run_id=first.parent_run_id,
        begun=caller.run.begun if caller is not None else first,
        caller=recorded.caller,
    )
