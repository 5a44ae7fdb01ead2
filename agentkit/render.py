"""A run as a text tree: what it did, why, what it cost, and what it waits for.

`tree` is pure: states in, text out. Everything a model, a tool or a person wrote stays words (`agentkit.text`), and
stands in quotes or after a word of ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, cast

from agentkit.errors import RunNotFound
from agentkit.events import ErrorInfo, HistoryTrimmed
from agentkit.messages import Usage, is_media
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.state import Approval, CallStep, ModelStep, State
from agentkit.text import brief, call_text, cut, dollars, duration, one_line

WIDTH = 100
"""Columns of a line: what a notebook's cell and a terminal show without breaking it."""

_HEAD, _TAIL = 10, 40
"""Of a run with more model calls, so many of the first and of the last are shown."""

Children: TypeAlias = Callable[[str], State | None]


@dataclass(frozen=True, repr=False)
class Trace:
    """A run as a text tree, as it was when it was asked for: `print(run.trace)`.

    Args:
        text: the tree.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return {"text/plain": self.text}


def trace(run: Run) -> Trace:
    """The tree of a run, its child runs' trees nested.

    Args:
        run: a run, live or recorded.

    Returns:
        The tree; where the log cannot be read, one line that says so: a display never raises.
    """
    try:
        state = run.state
        text = tree(state, children=child_states(run), status=run.status, time=now())
    except Exception as error:  # noqa: BLE001  Python shows a repr that raises as a traceback of agentkit's
        text = f"✗ run {run.run_id} cannot be shown: {type(error).__name__}: {one_line(str(error), 500)}"
    return Trace(text)


def tree(
    state: State, *, children: Children | None = None, status: str | None = None, time: datetime | None = None
) -> str:
    """The text tree of a run.

    Args:
        state: the run.
        children: gives a child run's state by its id; None where it has not begun or cannot be read.
        status: the run's status, where it is known better than the log does: "interrupted".
        time: now, UTC: how long what has not ended takes so far; left out, that is not shown.

    Returns:
        Lines of at most `WIDTH` columns.
    """
    view = _View(children or (lambda _run_id: None), time)
    view.family(state)
    root = view.run(state, status or state.status)
    return "\n".join(cut(line, WIDTH) for line in root.lines("", "", ""))


@dataclass
class _Node:
    """A line, what is to be said about it, and what is below it."""

    line: str
    details: list[str] = field(default_factory=list[str])
    below: list["_Node"] = field(default_factory=list["_Node"])

    def lines(self, prefix: str, first: str, rest: str) -> Iterator[str]:
        yield f"{prefix}{first}{self.line}"
        stem = f"{prefix}{rest}{'│  ' if self.below else '   '}"
        yield from (f"{stem}{detail}" for detail in self.details)
        for node in self.below:
            last = node is self.below[-1]
            yield from node.lines(prefix + rest, "└─ " if last else "├─ ", "   " if last else "│  ")


@dataclass
class _View:
    """One rendering: the child runs it met, and the shortest way to say which approval is meant."""

    load: Callable[[str], State | None]
    time: datetime | None
    runs: dict[str, State | None] = field(default_factory=dict[str, State | None])
    pending: list[str] = field(default_factory=list[str])

    def family(self, state: State) -> None:
        """Load the run's child runs and theirs, each once, and collect what waits."""
        self.runs[state.run_id] = state
        self.pending += state.pending
        for call in state.calls.values():
            if call.child_run_id is not None and call.child_run_id not in self.runs:
                child = self.runs[call.child_run_id] = self.load(call.child_run_id)
                if child is not None:
                    self.family(child)

    def run(self, state: State, status: str) -> _Node:
        """The run's line, what it was given, its model calls, what it gave."""
        self.runs[state.run_id] = None  # where a damaged log makes a run its own ancestor, it is shown once
        usage = state.usage + state.child_usage
        calls = f"{usage.model_calls} model call{'' if usage.model_calls == 1 else 's'}"
        took = self.took(state.started_at, state.ended_at, live=status in {"running", "waiting"})
        name = f"{_RUN_MARKS.get(status, '·')} {one_line(state.name, 30)} {state.run_id[:13]}"
        node = _Node(_join(name, status, took, used(usage), calls), [f"input: {_given(state.input)}"])
        node.details += _origin(state)
        node.below = [*self.turns(state), *self.end(state)]
        return node

    def turns(self, state: State) -> Iterator[_Node]:
        """The model calls in order, each with its tool calls; of very many the first and the last."""
        models = list(state.models.values())
        left_out = len(models) - _HEAD - _TAIL
        for index, model in enumerate(models):
            if left_out > 1 and index == _HEAD:
                yield _Node(f"… {left_out} model calls are left out here; run.events() has them")
            if left_out <= 1 or not _HEAD <= index < _HEAD + left_out:
                yield self.model(state, model)
                yield from (_Node(_trim(trim)) for step, trim in state.trims if step == model.step)

    def model(self, state: State, model: ModelStep) -> _Node:
        """One model call and the tool calls it proposed."""
        status = model.status if model.status != "done" else ""
        took = self.took(model.started, model.ended, live=model.status in {"running", "waiting"})
        mark = _MODEL_MARKS[model.status] if not model.refusals else "✗"
        name = f"{mark} {model.step} {one_line(model.name, 40)}"
        line = _join(name, status, took, used(model.usage), _attempts(model.attempt))
        node = _Node(line, _failures(model.errors))
        if model.due is not None and model.status == "waiting":
            node.details.append(_due(model.due))
        if model.text and not (state.status == "succeeded" and model.step == state.turn):
            node.details.append(f"text: {brief(model.text)}")
        node.details += [f"refused by {one_line(name, 30)}: {brief(error.message)}" for name, error in model.refusals]
        node.below = [self.call(state, state.calls[step]) for step in model.calls]
        return node

    def call(self, state: State, call: CallStep) -> _Node:
        """One tool call, what became of it, and the run it started if it is an agent's."""
        words = {"done": "", "asked": "waits for a person", "cleared": "may run", "stuck": "in doubt"}
        arguments = call.arguments if call.arguments is not None else call.raw
        took = self.took(call.started, call.ended, live=call.status in {"running", "stuck"})
        mark, status = _call_mark(call), words.get(call.status, call.status)
        child = self.runs.get(call.child_run_id or "")
        if child is not None and call.status == "running":
            mark, status = _RUN_MARKS[child.status], child.status
        name = f"{mark} {call_text(one_line(call.name, 40), arguments, 60)}"
        node = _Node(_join(name, status, took, _attempts(call.attempt)))
        if call.why:
            node.details.append(f"why: {brief(call.why)}")
        if call.instead_of:
            node.details.append(f"instead of: {brief(call.instead_of)}")
        for asked in state.approvals.values():
            node.details += self.approval(asked) if asked.step == call.step else []
        node.details += _failures(call.errors if call.outcome != "rejected" else ())
        if call.due is not None and call.status == "waiting":
            node.details.append(_due(call.due))
        if call.effect == "unknown":
            node.details.append("effect unknown: it may have happened; a person is asked before this tool runs again")
        node.details += _notes(state, call.step)
        if call.outcome == "ok":
            told = f" (as {one_line(call.told_by, 30)} said)" if call.told_by else ""
            node.details.append(f"→ {brief(call.result)}{told}")
        if call.child_run_id is not None:
            node.below = [self.child(call.child_run_id)]
        return node

    def child(self, run_id: str) -> _Node:
        """The tree of a run that a call started."""
        state = self.runs.get(run_id)
        if state is None:
            return _Node(f"· run {run_id[:13]} has no events here")
        return self.run(state, state.status)

    def approval(self, asked: Approval) -> list[str]:
        """A question and its answer, or how to give one."""
        if asked.verdict is None:
            return self.question(asked)
        who = one_line(asked.who or "somebody", 30)
        words = {
            "approve": f"approved by {who}",
            "edit": f"approved by {who} with {brief(asked.edits)}",
            "reject": f"rejected by {who}",
            "answer": f"answered by {who}: {brief(asked.value)}",
            "happened": f"{who} said that it happened",
            "did_not": f"{who} said that it did not happen",
            "stop": f"stopped by {who}",
            "expired": "expired: nobody answered in time",
            "withdrawn": "withdrawn: the run was cancelled",
        }
        comment = f": {brief(asked.comment)}" if asked.comment else ""
        return [f"approval {asked.id[:4]}: {words.get(asked.verdict, asked.verdict)}{comment}"]

    def question(self, asked: Approval) -> list[str]:
        """What waits for a person, and what to type."""
        key = next(key for size in range(4, 65) if self.is_unique(key := asked.id[:size]))
        ways = {
            "call": f'run.approve("{key}"), or run.reject("{key}", reason=…)',
            "question": f'run.answer("{key}", …)',
            "in_doubt": f'run.resolve("{key}", "happened", result=…), or "did not", or "stop"',
            "budget": f'run.approve("{key}", edit={{"usd": …, "model_calls": …}}), or run.reject("{key}")',
            "loop": f'run.approve("{key}"), or run.reject("{key}")',
        }
        asks = [] if asked.kind == "call" else [f"asks: {brief(asked.prompt)}"]
        return [*_because(asked), *asks, f"approval {key}: {ways[asked.kind]}"]

    def is_unique(self, key: str) -> bool:
        """Whether at most one of the approvals that wait begins so."""
        return sum(pending.startswith(key) for pending in self.pending) <= 1

    def end(self, state: State) -> Iterator[_Node]:
        """What belongs to no call: questions about the run itself, notes, the output or the error, the grade."""
        marks = {None: "?", "reject": "✗", "stop": "✗"}
        for asked in state.approvals.values():
            if asked.step is None:
                yield _Node(f"{marks.get(asked.verdict, '✓')} {asked.kind}", self.approval(asked))
        for note in _notes(state, None):
            yield _Node(f"· {note}")
        if state.status == "succeeded":
            yield _Node(f"→ {brief(state.output)}")
        if state.error is not None:
            yield _Node(f"✗ {_message(state.error)}")
        if state.status == "cancelled":
            why = f": {one_line(state.stopped_why, 60)}" if state.stopped_why else ""
            yield _Node(f"✗ cancelled by {one_line(state.stopped_by or 'somebody', 40)}{why}")
        if state.grade is not None:
            why = f": {one_line(state.grade_why, 60)}" if state.grade_why else ""
            yield _Node(f"· graded {state.grade}{why}")

    def took(self, started: datetime | None, ended: datetime | None, *, live: bool) -> str:
        """How long something took, or takes so far."""
        until = self.time if live else ended
        if started is None or until is None:
            return ""
        seconds = max(0.0, (until - started).total_seconds())
        return f"{duration(seconds)}{' so far' if live else ''}"


_RUN_MARKS = {
    "running": "▸",
    "waiting": "↻",
    "paused": "?",
    "interrupted": "!",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "✗",
}
_MODEL_MARKS = {"running": "▸", "interrupted": "!", "failed": "✗", "waiting": "↻", "done": "✓"}
_CALL_MARKS = {"asked": "?", "running": "▸", "stuck": "!", "interrupted": "!", "failed": "✗", "waiting": "↻"}
_BECAUSE = {
    "effect_unknown": "an earlier call's effect is unknown",
    "parent_did_it": "the run this was forked from did it",
    "changed": "the tool or the arguments changed since they were approved",
    "in_doubt": "the process ended while it ran",
}


def _given(value: Any) -> str:
    """What a run was given; a picture or a file as its name, type and size."""
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not any(map(is_media, parts)):
        return brief(value)
    return one_line(", ".join(_file(part) if is_media(part) else brief(_text(part)) for part in parts), 80)


def _text(part: Any) -> Any:
    """A text among media: the user wrote a text, or a text part."""
    return cast("dict[str, Any]", part).get("text", part) if isinstance(part, dict) else part


def _file(part: dict[str, Any]) -> str:
    what = str(part["media_type"])
    if data := part.get("data"):
        size = len(data) * 3 // 4
        what += f", {size / 1000:,.0f} kB" if size >= 1000 else f", {size} bytes"
    name = part.get("url") or part.get("name")
    return f"{name} ({what})" if name else f"({what})"


def child_states(run: Run) -> Children:
    """What gives the states of a run's child runs, and of theirs, from the run's own log.

    Args:
        run: the run at the top.

    Returns:
        A function to give to `tree`, again and again: what has ended is read once.
    """
    known: dict[str, Run] = {run.run_id: run}
    ended: dict[str, State] = {}

    def load(run_id: str) -> State | None:
        if run_id in ended:
            return ended[run_id]
        if run_id not in known:  # one that began since
            known.update((below.run_id, below) for above in list(known.values()) for below in above.children())
        try:
            state = known[run_id].state
        except (KeyError, RunNotFound):  # its caller is on disk before it is
            return None
        if state.ended:
            ended[run_id] = state
        return state

    return load


def _call_mark(call: CallStep) -> str:
    if call.status == "done":
        return "✓" if call.outcome == "ok" else "✗"
    return _CALL_MARKS.get(call.status, "·")


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def used(usage: Usage) -> str:
    """Tokens and money as text; nothing where nothing is known to be used."""
    if not (usage.input_tokens or usage.output_tokens or usage.cost_usd is None or usage.cost_usd):
        return ""
    cost = "cost unknown" if usage.cost_usd is None else dollars(usage.cost_usd)
    return f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens · {cost}"


def _attempts(count: int) -> str:
    return f"{count} attempts" if count > 1 else ""


def _failures(errors: tuple[ErrorInfo, ...]) -> list[str]:
    """One line an attempt that failed; of very many the last ones."""
    return [f"✗ {_message(error)}" for error in errors[-_HEAD:]]


def _message(error: ErrorInfo) -> str:
    context = f" {brief(error.context)}" if error.context else ""
    return f"{_error(error.type, error.message)}{context}"


def _error(kind: str, message: str) -> str:
    return f"{one_line(kind, 40)}: {one_line(message, WIDTH)}"


def _because(asked: Approval) -> list[str]:
    """Why somebody has to look, where it is not the tool's own rule."""
    if asked.because is None or asked.because == "policy":
        return []
    return [f"asked because {one_line(_BECAUSE.get(asked.because, asked.because), 80)}"]


def _due(due: datetime) -> str:
    return f"↻ the next attempt is due at {due:%H:%M:%S} UTC"


def _trim(trim: HistoryTrimmed) -> str:
    return (
        f"· history trimmed from here on: the oldest messages left out ({trim.dropped}), "
        f"about {trim.tokens_before:,} → {trim.tokens_after:,} tokens"
    )


def _notes(state: State, step: str | None) -> list[str]:
    return [
        f"note: {one_line(text, 70)}{f' {brief(data)}' if data is not None else ''}"
        for where, text, data in state.notes
        if where == step or (step is None and where not in state.calls)
    ]


def _origin(state: State) -> list[str]:
    if state.origin is None:
        return []
    words = "forked from" if state.origin.kind == "fork" else "goes on after"
    return [f"{words} run {state.origin.run_id[:13]} at event {state.origin.seq}"]
