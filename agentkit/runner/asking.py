"""A question that a pipeline's step puts to a model: a small conversation, recorded in the pipeline's run.

It goes on as an agent's run does, with the same retries, fallbacks, checks and limits: what it records has the path of
the ask before its own.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentkit.decide import (
    AcceptAnswer,
    Action,
    CallModel,
    FailRun,
    LoseModelCall,
    ScheduleRetry,
    WaitUntil,
)
from agentkit.decide.agent import decide_agent
from agentkit.definition import AgentDefinition
from agentkit.events import Body, Event, RunFailedEvent, RunSucceeded, StepFailed, StepSucceeded
from agentkit.runner import model_calls, records
from agentkit.runner.recorder import now
from agentkit.state import Ask, State

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation


class Asking:
    """One ask as it goes on in this process; to the code that calls models it is what a run's activation is.

    Args:
        act: the pipeline's activation.
        path: the ask's, for example `facts/ask/1`.
        agent: whom it asks for what.
        may_stop: whether the step can stop for a run that is to pause, and be entered again.
    """

    def __init__(self, act: "Activation", path: str, agent: AgentDefinition, *, may_stop: bool) -> None:
        self._act = act
        self._path = path
        self._may_stop = may_stop
        self.agent = agent
        self.meter = act.meter
        self.recorder = act.recorder
        self.tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def ask(self) -> Ask:
        """What is recorded of it."""
        return self._act.state.asks[self._path]

    @property
    def state(self) -> State:
        """Its conversation."""
        talk = self.ask.conversation
        assert talk is not None, "it has ended"
        return talk

    @property
    def pause_asked(self) -> bool:
        """Whether the run is to stop after what is in flight: that is a whole step, where it writes."""
        return self._act.pause_asked and self._may_stop

    @property
    def can_go_on(self) -> bool:
        """Whether the run has the budget for it, and nobody wants it to stop."""
        return self._act.state.budget_reached is None and not self.pause_asked

    def path_of(self, step: str) -> str:
        """A model step's path in the run."""
        return f"{self._path}/{step}"

    def on_text(self, step: str, piece: str) -> None:
        """Show a piece of text as it comes."""
        self._act.on_text(self.path_of(step), piece)

    def record(self, body: Body, **envelope: Any) -> Event:
        """Record something of the conversation in the run; its end is a step's."""
        if isinstance(body, RunSucceeded):
            return self._end(StepSucceeded(result=body.output), "ok")
        if isinstance(body, RunFailedEvent):
            return self._end(StepFailed(error=body.error), "error")
        envelope["step"] = self.path_of(envelope["step"])
        return self._act.record(body, **envelope)

    def _end(self, body: Body, status: str) -> Event:
        return self._act.record(body, step=self._path, name=self.agent.name, status=status)

    def start(self, step: str, work: Coroutine[Any, Any, None]) -> None:
        """Perform an effect."""
        self.tasks[step] = asyncio.get_running_loop().create_task(work)

    async def run(self) -> bool:
        """Go on until there is an answer, or none to be had; False where the run has to wait for a person first."""
        try:
            while self.ask.outcome is None:
                if not self.can_go_on:
                    return False
                due = self._begin(decide_agent(self.agent, self.state, now()))
                await self._wait(due)
        finally:
            await self._bring_back()
        return True

    def _begin(self, actions: list[Action]) -> datetime | None:
        due: datetime | None = None
        for action in actions:
            match action:
                case WaitUntil():
                    due = action.due
                case CallModel():
                    model_calls.begin(self, action)
                case LoseModelCall():
                    model_calls.lose(self, action.step)
                case ScheduleRetry():
                    records.schedule_model_retry(self, action.step)
                case AcceptAnswer():
                    self.start(action.step, model_calls.accept(self, action.step))
                case FailRun():
                    self.record(RunFailedEvent(error=action.error))
                case _:  # an ask has no tools and no history to trim
                    raise AssertionError(f"an ask does not {action}")
        return due

    async def _wait(self, due: datetime | None) -> None:
        """Until what is in flight has ended, or something is due; who pauses the run does not wait for that."""
        if self.tasks:
            tasks, self.tasks = self.tasks, {}
            try:
                await asyncio.gather(*tasks.values())
            except BaseException:
                self.tasks = tasks  # to be brought back
                raise
        while due is not None and self.can_go_on and (left := (due - now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 0.2))  # in slices, to see that the run is to pause

    async def _bring_back(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        if self.tasks:
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
