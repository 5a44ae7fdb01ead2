"""One rendering of a run: an agent's model calls with their tool calls, a pipeline's steps with theirs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agentkit.render.steps import steps
from agentkit.render.words import (
    HEAD,
    MODEL_MARKS,
    RUN_MARKS,
    TAIL,
    Node,
    attempts,
    because,
    call_mark,
    comment_lines,
    due_at,
    failures,
    given,
    join,
    message,
    notes_of,
    origin_of,
    trimmed,
    used,
)
from agentkit.runner.answers import ALLOWED
from agentkit.state import Approval, CallStep, ModelStep, State
from agentkit.store import Answer
from agentkit.text import brief, call_text, duration, one_line
from agentkit.wiring import asked_inside


@dataclass
class View:
    """One rendering: the child runs it met, what was answered, and the shortest way to say which approval is meant."""

    load: Callable[[str], State | None]
    time: datetime | None
    progress: Mapping[str, tuple[float, float | None]] = field(default_factory=dict[str, tuple[float, float | None]])
    answers: Callable[[str], Mapping[str, Answer]] = lambda _run_id: {}
    runs: dict[str, State | None] = field(default_factory=dict[str, State | None])
    given: dict[str, Answer] = field(default_factory=dict[str, Answer])  # by approval; what no run has recorded yet
    pending: list[str] = field(default_factory=list[str])
    shown: set[str] = field(default_factory=set[str])  # comments
    rests: bool = False  # nobody executes the run that is being shown

    def family(self, state: State) -> None:
        """Load the run's child runs and theirs, each once, and collect what waits."""
        self.runs[state.run_id] = state
        if state.pending:
            answers = self.answers(state.run_id)
            self.given.update((key, answers[key]) for key in state.pending if key in answers)
            self.pending += [key for key in state.pending if key not in answers]
        for call in state.calls.values():
            if call.child_run_id is not None and call.child_run_id not in self.runs:
                child = self.runs[call.child_run_id] = self.load(call.child_run_id)
                if child is not None:
                    self.family(child)

    def run(self, state: State, status: str) -> Node:
        """The run's line, what it was given, its model calls, what it gave."""
        self.runs[state.run_id] = None  # where a damaged log makes a run its own ancestor, it is shown once
        usage = state.usage + state.child_usage
        calls = f"{usage.model_calls} model call{'' if usage.model_calls == 1 else 's'}"
        took = self.took(state.started_at, state.ended_at, live=status in {"running", "waiting"})
        name = f"{RUN_MARKS.get(status, '·')} {one_line(state.name, 30)} {state.run_id[:13]}"
        said = "waits for a worker" if state.awaits_worker(status) else status
        node = Node(join(name, said, took, used(usage), calls), [f"input: {given(state.input)}"])
        node.details += origin_of(state)
        node.details += [f"`{state.worker_command}` starts one"] if state.awaits_worker(status) else []
        above, self.rests = self.rests, state.rests(status)
        node.below = [*(steps(self, state) if state.kind == "pipeline" else self.turns(state)), *self.end(state)]
        self.rests = above
        return node

    def turns(self, state: State) -> Iterator[Node]:
        """The model calls in order, each with its tool calls; of very many the first and the last."""
        models = list(state.models.values())
        left_out = len(models) - HEAD - TAIL
        for index, model in enumerate(models):
            if left_out > 1 and index == HEAD:
                yield Node(f"… {left_out} model calls are left out here; run.events() has them")
            if left_out <= 1 or not HEAD <= index < HEAD + left_out:
                yield self.model(state, model)
                yield from (Node(trimmed(trim)) for step, trim in state.trims if step == model.step)

    def model(self, state: State, model: ModelStep) -> Node:
        """One model call and the tool calls it proposed."""
        node = self.model_call(model, f"{model.step} {one_line(model.name, 40)}")
        if model.due is not None and model.status == "waiting":
            node.details.append(due_at(model.due))
        if model.text and not (state.status == "succeeded" and model.step == state.turn):
            node.details.append(f"text: {brief(model.text)}")
        node.details += [f"refused by {one_line(name, 30)}: {brief(error.message)}" for name, error in model.refusals]
        node.details += self.comments(state, model.step)
        node.below = [self.call(state, state.calls[step]) for step in model.calls]
        return node

    def model_call(self, model: ModelStep, name: str) -> Node:
        """The line of one model call, an agent's or a step's, and the attempts that failed.

        Args:
            model: the call.
            name: what it is called on the line.
        """
        standing = self.standing(model.status)
        status = standing if standing != "done" else ""
        took = self.took(model.started, model.ended, live=standing in {"running", "waiting"})
        mark = MODEL_MARKS[standing] if not model.refusals else "✗"
        line = join(f"{mark} {name}", status, took, used(model.usage), attempts(model.attempt))
        return Node(line, failures(model.errors))

    def call(self, state: State, call: CallStep) -> Node:
        """One tool call, what became of it, and the run it started if it is an agent's."""
        words = {"done": "", "cleared": "may run", "stuck": "in doubt"}
        arguments = call.arguments if call.arguments is not None else call.raw
        took = self.took(call.started, call.ended, live=call.status in {"running", "stuck"})
        standing = self.standing(call.status)
        mark, status = call_mark(call, standing), words.get(standing, standing)
        child = self.runs.get(call.child_run_id or "")
        if child is not None and call.status == "running":
            status = self.status(child)
            mark = RUN_MARKS[status]
        within = asked_inside(state, call) if call.is_step and call.status in {"interrupted", "parked"} else []
        if asked := [call, *within] if call.status == "asked" else within:
            mark, status = self.asked(state, asked)
        said = call_text(one_line(call.name, 40), arguments, 60)
        name = f"{mark} {call.step if call.is_step and call.arguments is None else said}"
        node = Node(join(name, status, self.how_far(call), took, attempts(call.attempt)))
        if call.why:
            node.details.append(f"why: {brief(call.why)}")
        if call.instead_of:
            node.details.append(f"instead of: {brief(call.instead_of)}")
        for asked in state.approvals.values():
            node.details += self.approval(asked) if asked.step == call.step else []
        node.details += failures(call.errors if call.outcome != "rejected" else ())
        if call.due is not None and call.status == "waiting":
            node.details.append(due_at(call.due))
        if call.effect == "unknown":
            node.details.append("effect unknown: it may have happened; a person is asked before this tool runs again")
        node.details += notes_of(state, call.step)
        if call.outcome == "ok":
            told = f" (as {one_line(call.told_by, 30)} said)" if call.told_by else ""
            told += f" (from run {call.cached_from[:13]})" if call.cached_from else ""
            node.details.append(f"→ {brief(call.result)}{told}")
        node.details += self.comments(state, call.step)
        if call.child_run_id is not None:
            node.below = [self.child(call.child_run_id)]
        return node

    def how_far(self, call: CallStep) -> str:
        """What the step said of its progress, if it runs and said something."""
        if call.step not in self.progress:
            return ""
        done, total = self.progress[call.step]
        return f"{done:g} of {total:g}" if total is not None else f"{done:g} done"

    def child(self, run_id: str) -> Node:
        """The tree of a run that a call started."""
        state = self.runs.get(run_id)
        if state is None:
            return Node(f"· run {run_id[:13]} has no events here")
        return self.run(state, self.status(state))

    def status(self, child: State) -> str:
        """What a run below does: what is recorded, or that somebody answered it since; it rests with its caller."""
        if self.rests and child.status in {"running", "waiting"}:
            return "interrupted"
        return "answered" if any(key in self.given for key in child.pending) else child.status

    def standing(self, status: str) -> str:
        """How far a step is: what is recorded as running is interrupted where nobody executes the run."""
        return "interrupted" if self.rests and status == "running" else status

    def approval(self, asked: Approval) -> list[str]:
        """A question and its answer, or how to give one."""
        told = self.given.get(asked.id) if asked.verdict is None else asked
        if told is None or told.verdict is None:
            return self.question(asked)
        who = one_line(told.who or "somebody", 30)
        words = {
            "approve": f"approved by {who}",
            "edit": f"approved by {who} with {brief(told.edits)}",
            "reject": f"rejected by {who}",
            "answer": f"answered by {who}: {brief(told.value)}",
            "happened": f"{who} said that it happened",
            "did_not": f"{who} said that it did not happen",
            "stop": f"stopped by {who}",
            "expired": "expired: nobody answered in time",
            "withdrawn": "withdrawn: nobody has to answer any more",
        }
        comment = f": {brief(told.comment)}" if told.comment else ""
        later = ", and nobody went on with it yet" if told is not asked and told.verdict in ALLOWED[asked.kind] else ""
        return [f"approval {asked.id[:4]}: {words.get(told.verdict, told.verdict)}{comment}{later}"]

    def asked(self, state: State, calls: list[CallStep]) -> tuple[str, str]:
        """The mark and the words of a call that asks a person, or of the step that makes some."""
        if state.ended:
            return "·", "withdrawn"
        if all(call.approval in self.given for call in calls):
            return "↻", "answered"
        return "?", "waits for a person"

    def question(self, asked: Approval) -> list[str]:
        """What waits for a person, and what to type."""
        key = next(key for size in range(4, 65) if self.is_unique(key := asked.id[:size]))
        budget = '{"usd": None}' if asked.because == "price_unknown" else '{"usd": …, "model_calls": …}'
        ways = {
            "call": f'run.approve("{key}"), or run.reject("{key}", reason=…)',
            "question": f'run.answer("{key}", …)',
            "in_doubt": f'run.resolve("{key}", "happened", result=…), or "did not", or "stop"',
            "budget": f'run.approve("{key}", edit={budget}), or run.reject("{key}")',
            "loop": f'run.approve("{key}"), or run.reject("{key}")',
            "deopt": f'run.approve("{key}"), or run.reject("{key}")',
        }
        asks = [] if asked.kind == "call" else [f"asks: {brief(asked.prompt)}"]
        return [*because(asked), *asks, f"approval {key}: {ways[asked.kind]}"]

    def is_unique(self, key: str) -> bool:
        """Whether at most one of the approvals that wait begins so."""
        return sum(pending.startswith(key) for pending in self.pending) <= 1

    def end(self, state: State) -> Iterator[Node]:
        """What belongs to no call: questions about the run itself, notes, the output or the error, what people said."""
        marks = {None: "?", "reject": "✗", "stop": "✗", "withdrawn": "·"}
        for asked in state.approvals.values():
            if asked.step is None:
                mark = "↻" if asked.id in self.given else marks.get(asked.verdict, "✓")
                yield Node(f"{mark} {asked.kind}", self.approval(asked))
        for note in notes_of(state, None):
            yield Node(f"· {note}")
        if state.status == "succeeded":
            yield Node(f"→ {brief(state.output)}")
        if state.error is not None:
            yield Node(f"✗ {message(state.error)}")
        if state.status == "cancelled":
            why = f": {one_line(state.stopped_why, 60)}" if state.stopped_why else ""
            yield Node(f"✗ cancelled by {one_line(state.stopped_by or 'somebody', 40)}{why}")
        if state.grade is not None:
            why = f": {one_line(state.grade_why, 60)}" if state.grade_why else ""
            yield Node(f"· graded {state.grade}{why}")
        for said in state.comments:
            if said.id not in self.shown:  # of the run, or of a step that is left out here
                first, *rest = comment_lines(said, named=True)
                yield Node(f"· {first}", rest)

    def comments(self, state: State, step: str) -> list[str]:
        """What people said about a step."""
        said = [one for one in state.comments if one.step == step]
        self.shown.update(one.id for one in said)
        return [line for one in said for line in comment_lines(one)]

    def took(self, started: datetime | None, ended: datetime | None, *, live: bool) -> str:
        """How long something took, or takes so far; no clock goes on where nobody executes the run."""
        live = live and not self.rests
        until = self.time if live else ended
        if started is None or until is None:
            return ""
        seconds = max(0.0, (until - started).total_seconds())
        return f"{duration(seconds)}{' so far' if live else ''}"
