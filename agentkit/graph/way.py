"""The way that an agent's run took: turn by turn what it called, whom it asked, what was refused.

The order is that of the log: what the model called in one turn stands side by side, whatever ended first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from agentkit.state import Approval, CallStep, ModelStep, State


class Place(NamedTuple):
    """Where a run can be, by the kind of the place and what it is called."""

    kind: Literal["start", "tool", "person", "check", "more", "end"]
    called: str

    @property
    def name(self) -> str:
        """The node's name: a tool may be called as a person's question is."""
        return f"{self.kind} {self.called}"


START, END = Place("start", "start"), Place("end", "end")


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """A run came to a place, and left it.

    Args:
        place: where it was.
        failed: whether that ended in an error, a refusal, or a person's no.
        call: the call that it was for, if any.
        asked: the question that was put there, if it is a person's place.
        why: what a check said against an answer.
    """

    place: Place
    failed: bool = False
    call: CallStep | None = None
    asked: Approval | None = None
    why: str = ""


Branch: TypeAlias = tuple[Stop, ...]
"""What one call led through: the questions before it, the tool, the question whether it happened."""

_NO = {"reject", "stop", "expired", "withdrawn"}
_OF_THE_RUN = {"budget": "more budget?", "loop": "go on?", "deopt": "go on with the agent?"}


def turns(state: State) -> Iterator[list[Branch]]:
    """The turns of a run, each as the branches that began together.

    Args:
        state: an agent's run.
    """
    asked = _by_step(state)
    loose = sorted(asked.pop(None, []), key=lambda one: one.requested_at)
    for model in state.models.values():
        while loose and model.started is not None and loose[0].requested_at <= model.started:
            yield [(_question(loose.pop(0)),)]
        yield from _of_model(state, model, asked)
    yield from ([(_question(one),)] for one in loose)


def _of_model(state: State, model: ModelStep, asked: dict[str | None, list[Approval]]) -> Iterator[list[Branch]]:
    if model.calls:
        yield [_branch(state.calls[step], asked.get(step, [])) for step in model.calls]
    for check, error in model.refusals:
        yield [(Stop(Place("check", check), failed=True, why=error.message),)]


def _by_step(state: State) -> dict[str | None, list[Approval]]:
    found: dict[str | None, list[Approval]] = {}
    for one in state.approvals.values():
        found.setdefault(one.step, []).append(one)
    return found


def _question(asked: Approval) -> Stop:
    """A question about the run itself."""
    return Stop(Place("person", _OF_THE_RUN.get(asked.kind, asked.kind)), asked.verdict in _NO, asked=asked)


def _branch(call: CallStep, questions: Sequence[Approval]) -> Branch:
    stops: list[Stop] = []
    tool = Stop(Place("tool", call.name), call.outcome == "error", call)
    for asked in questions:
        if asked.kind == "in_doubt":  # it had begun
            stops += [] if tool in stops else [tool]
            stops.append(Stop(Place("person", f"{call.name}: did it happen?"), asked.verdict in _NO, asked=asked))
        else:
            called = call.name if asked.kind == "question" else f"{call.name}?"
            stops.append(Stop(Place("person", called), asked.verdict in _NO, asked=asked))
    began_again = bool(questions) and questions[-1].kind == "in_doubt" and questions[-1].verdict == "did_not"
    if not questions or began_again or (call.attempt and tool not in stops):
        stops.append(tool)
    return tuple(stops)
