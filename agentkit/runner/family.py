"""The child runs of an activation, sub-agents that tools of the run call; and who called whom."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agentkit.definition import DEOPT, Definition, PipelineDefinition
from agentkit.errors import RunCancelled, RunFailed, RunPaused
from agentkit.events import BudgetReached, Origin, RunStarted
from agentkit.messages import Usage
from agentkit.runner.load import load_state
from agentkit.runner.meter import Meter
from agentkit.state import State
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.runner.driver import Driver


class Family:
    """Starts and resumes child runs, which share the parent's budget, deps and claim on this process.

    Args:
        parent: the driver of the run whose tools call sub-agents.
        meter: the budget that all of them share.
    """

    def __init__(self, parent: "Driver", meter: Meter) -> None:
        self._parent = parent
        self._meter = meter

    async def execute(self, step: str, definition: Definition, run_id: str, arguments: Any) -> tuple[Any, Usage]:
        """Go on with a child run, or begin it, until it ends.

        Returns:
            Its output as JSON, and what it and its own children used.

        Raises:
            RunPaused: it waits for a person.
            RunFailed, RunCancelled: it ended without an output.
        """
        child = self._parent.child(step, definition, run_id)
        meter = self._meter if self._shares_budget else Meter(definition.budget, above=self._meter)
        await child.advance(lambda: child_started(self._parent, step, definition, arguments), meter=meter)
        state = child.live_state
        usage = state.usage + state.child_usage
        if state.status == "succeeded":
            return state.output, usage
        if state.status == "failed":
            message = f"{definition.name}: {state.error.message if state.error else 'failed'}"
            raise RunFailed(message, run_id=run_id, usage=usage, error=state.error)
        if state.status == "cancelled":
            raise RunCancelled(f"{definition.name} was cancelled", run_id=run_id, usage=usage)
        raise RunPaused(f"{definition.name} waits for a person", run_id=run_id, usage=usage)

    @property
    def _shares_budget(self) -> bool:
        """An agent's sub-agents have no budget but its own; a pipeline's agents keep theirs, within the pipeline's."""
        return self._parent.definition.kind == "agent"

    def own_limit(self, step: str) -> BudgetReached | None:
        """The limit of its own that a pipeline's child ran into: nobody is asked to raise it."""
        reached = None if self._shares_budget else self.budget_reached(step)
        own = self._parent.children[step].definition.budget.model_dump(mode="json")
        return reached if reached is not None and reached.budget == own else None

    def pending(self, steps: Iterable[str]) -> list[str]:
        """The approvals that parked children, and theirs, wait for."""
        return [asked.id for step in steps for asked in self._parent.children[step].pending()]

    def answered(self, steps: Iterable[str]) -> bool:
        """Whether a child that is parked can go on: it has an answer, or its budget was raised."""
        return any(self._parent.children[step].can_go_on(self._meter) for step in steps)

    def take_state(self, step: str, state: State) -> None:
        """Show what became of a child that was ended past its driver."""
        if (child := self._parent.children.get(step)) is not None:
            child.take_state(state)

    def is_broke(self, step: str) -> bool:
        """Whether the child stopped because the budget is used up."""
        return self.budget_reached(step) is not None

    def budget_reached(self, step: str) -> BudgetReached | None:
        """The limit that a child ran into, as the parent records it."""
        reached = self._parent.children[step].live_state.budget_reached
        return BudgetReached.model_validate(reached) if reached is not None else None

    def wrote(self, step: str) -> bool:
        """Whether the child did, or may have done, what a second call of the sub-agent would do again."""
        state = self._parent.children[step].live_state
        writes = {tool.offered.name for tool in state.header.tools if tool.writes}
        begun = [call for call in state.calls.values() if (call.name in writes or call.writes) and call.attempt >= 1]
        return bool(state.unknown) or any(call.outcome == "ok" or call.status != "done" for call in begun)

    def unknown(self, step: str) -> str | None:
        """What nobody knows of the child's writes; None where all is known."""
        state = self._parent.children[step].live_state
        told = [f"{effect.name} ({effect.step}): {effect.error}" for effect in state.unknown]
        return f"in run {state.run_id}: {'; '.join(told)}" if told else None

    def cancel(self, step: str, by: tuple[str | None, str | None]) -> bool:
        """Have the child that a step is executing end itself; False where the step executes none."""
        child = self._parent.children.get(step)
        if child is not None:
            child.cancel(*by)
        return child is not None

    async def end(self, parked: Iterable[str], by: tuple[str | None, str | None]) -> None:
        """End the children that are parked: nobody will answer for them any more."""
        for step in parked:
            await self._parent.children[step].end(*by)


def child_started(parent: "Driver", step: str, definition: Definition, arguments: Any) -> RunStarted:
    """How a child run begins: its input is the call's single argument, or all of them."""
    state = parent.live_state
    one = definition.kind == "agent" and len(arguments) == 1
    given = next(iter(arguments.values())) if one else arguments
    if isinstance(definition, PipelineDefinition):
        given = definition.inputs.to_json(definition.inputs.validate(arguments))  # with its defaults
    after = Origin(kind="deopt", run_id=state.run_id, seq=state.seq) if step == DEOPT else None
    labels: dict[str, Any] = {"session": state.session, "user": state.user, "tags": state.tags}
    return run_started(definition, given, parent_step=step, origin=after, **labels)


def run_started(definition: Definition, given: Any, *, item: dict[str, Any] | None = None, **more: Any) -> RunStarted:
    """The first event's body for a definition and an input; `item` says which one of a batch it is."""
    return RunStarted(
        kind=definition.kind,
        module=definition.module,
        definition_sha256=definition.sha256,
        header=definition.header,
        input=given,
        config=definition.config if item is None else {**definition.config, "map": item},
        **more,
    )


def caller_of(store: Store, state: State) -> State | None:
    """The run that called this one and has not gone on since; None where nobody waits for it."""
    if state.parent_run_id is None or not store.read(state.parent_run_id, until=1):
        return None
    caller = load_state(store, state.parent_run_id)
    calls = caller.calls.values()
    waits = any(call.child_run_id == state.run_id and call.status != "done" for call in calls)
    return caller if waits and not caller.ended else None


def root_of(store: Store, state: State) -> State:
    """The run at the top of those that wait for this one: who resumes it resumes them all, within its budget."""
    while (caller := caller_of(store, state)) is not None:
        state = caller
    return state
