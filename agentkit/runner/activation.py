"""One activation: decide → perform → append → fold, again, until the run ends or waits for a person."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from agentkit import failpoints
from agentkit.decide import (
    AcceptAnswer,
    Action,
    AskBudget,
    AskDeopt,
    AskInDoubt,
    CallModel,
    CloseFan,
    FailRun,
    FinishRun,
    GateCall,
    JudgeWhen,
    LoseModelCall,
    OpenFan,
    RecordDecision,
    RecordDeopt,
    RefuseCall,
    ScheduleRetry,
    SettleCall,
    SkipStep,
    StartCall,
    StopLoop,
    StopRun,
    TrimHistory,
    WaitUntil,
    decide,
)
from agentkit.decide.pipeline import end_failed
from agentkit.definition import AgentDefinition, Definition, PipelineDefinition, ToolSpec
from agentkit.errors import LogError
from agentkit.events import RunCancelledEvent, RunFailedEvent, RunPausedEvent
from agentkit.runner import answers, comments, deopt, model_calls, orphans, questions, records, steps, tool_calls
from agentkit.runner.calling import StepCalls
from agentkit.runner.engine import engine
from agentkit.runner.family import Family
from agentkit.runner.meter import Meter
from agentkit.runner.recorder import Recorder, now
from agentkit.state import CallStep
from agentkit.store import Answer

FAIL_POINTS = (
    "run.paused",
    "run.ended",
    *model_calls.FAIL_POINTS,
    *tool_calls.FAIL_POINTS,
    *questions.FAIL_POINTS,
    *answers.FAIL_POINTS,
    *steps.FAIL_POINTS,
    *deopt.FAIL_POINTS,
)
_KEPT_AFTER = 0.1
"""Seconds after which what was recorded is written, while a step that need not wait for that goes on."""


class Activation:
    """Executes one run in this process while it holds the claim. Lives on the engine's thread.

    `record` is its recorder's, and so is `state`: one object, which each recorded event advances.

    Args:
        definition: the agent or the pipeline.
        recorder: writes the run's events.
        deps: what the user passed for `ctx.deps`.
        meter: the budget, shared with the parent and the children.
        family: the runs that tools of this run start.
        on_text: told of streamed text: step, piece.
    """

    def __init__(
        self,
        definition: Definition,
        recorder: Recorder,
        *,
        deps: Any,
        meter: Meter,
        family: Family,
        on_text: Callable[[str, str], None],
    ) -> None:
        self.definition = definition
        self.recorder = recorder
        self.record = recorder.record
        self.state = recorder.state
        self.deps = deps
        self.meter = meter
        self.family = family
        self.on_text = on_text
        self.inbox: dict[str, Answer] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.parked: dict[str, frozenset[str]] = {}  # a step → the steps of the child runs that it waits for
        self.made_way: set[str] = set()  # the steps that stopped between two calls, for more budget or a pause
        self.inner: dict[str, tuple[ToolSpec, dict[str, Any]]] = {}  # what steps call, with which arguments
        self.calls: dict[str, StepCalls] = {}  # what the functions of steps that run call and ask
        self.progress: dict[str, tuple[float, float | None]] = {}
        self.cached: dict[str, dict[str, tuple[str, int, datetime]]] = {}  # results of other runs, by step and input
        self.diverged: dict[str, list[str]] = {}
        self.default_model: asyncio.Future[Any] | None = None  # for asks that name none
        self.cancelled_by: tuple[str | None, str | None] | None = None
        self.pause_asked = False
        self.handing_over = False  # the pause is no person's: another process is to go on
        self._woken = False
        self._sleeper: asyncio.Future[None] | None = None
        self._keeping: asyncio.TimerHandle | None = None

    @property
    def alone(self) -> bool:
        """Whether no other run executes, so that the only step of this one may hold up the loop for a moment."""
        return engine().executing == 1 and len(self.tasks) == 1

    @property
    def agent(self) -> AgentDefinition:
        """The definition of a run that is an agent's."""
        assert isinstance(self.definition, AgentDefinition), "only an agent's run asks a model by itself"
        return self.definition

    def path_of(self, step: str) -> str:
        """A model step's path in the run."""
        return step

    def call(self, step: str) -> CallStep:
        """A call; one of a pipeline that nothing was recorded of yet is as it begins."""
        return self.state.calls.get(step) or steps.fresh_call(self, step)

    def tool(self, step: str) -> ToolSpec:
        """What a call calls."""
        tool = self.known_tool(step)
        assert tool is not None, f"{step} calls something that is not there"
        return tool

    def known_tool(self, step: str) -> ToolSpec | None:
        """What a call calls; None for a call that a step made, until it makes it again."""
        if step in self.inner:
            return self.inner[step][0]
        return self.definition.tool_at(step, self.call(step).name)

    def given(self, call: CallStep) -> Any:
        """The arguments of a call as it was proposed: by the model, by the graph, or by the step that makes it."""
        if call.step in self.inner:
            return self.inner[call.step][1]
        return steps.arguments_of(self, call.step) if call.is_step else call.raw

    def diverged_from(self, step: str) -> list[str]:
        """The writes that a step made when it ran before, and has not made again."""
        return self.diverged.get(step, [])

    def take_on_reject(self, step: str, reason: str) -> bool:
        """Begin what a pipeline plans for a step that a person rejected; False where that is to fail."""
        return steps.take_on_reject(self, step, reason)

    def wake(self) -> None:
        """Look again: an answer came, or somebody wants the run to pause or stop."""
        self._woken = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def start(self, step: str, work: Coroutine[Any, Any, None]) -> None:
        """Perform a step's effect beside the others; what it raises ends the activation."""
        self.tasks[step] = asyncio.get_running_loop().create_task(self._perform_effect(work))

    async def _perform_effect(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self.wake()  # from within the task: a callback of it would cost every step a round of the loop

    async def run(self) -> None:
        """Go on until the run ended or waits; then everything is on disk.

        Raises:
            LogError: the log broke; what needed it was not performed.
        """
        engine().executing += 1
        try:
            while await self._advance():
                pass
            comments.absorb(self.recorder, self.inbox)  # what came meanwhile
            if self.state.status == "failed":
                await orphans.end_children(self)
            await self.recorder.durable()
            failpoints.hit("run.ended" if self.state.ended else "run.paused")
        finally:
            if self._keeping is not None:
                self._keeping.cancel()
            await self._bring_back()
            engine().executing -= 1

    async def _advance(self) -> bool:
        """One round. False when there is nothing left to do in this activation."""
        if comments.absorb(self.recorder, self.inbox):
            await self.recorder.durable()  # others are to see it, whatever a step in flight takes
        self._collect()
        answers.absorb(self)
        self._unpark()
        if self.cancelled_by is not None:
            return await self._cancel()
        seq = self.state.seq
        due = None if self.pause_asked else self._begin(decide(self.definition, self.state, now()))
        if self.state.ended:
            return False
        if self.state.seq != seq or self.cancelled_by is not None:
            return True
        if self.tasks or due is not None:
            await self._wait(due)
            return True
        if self._answered():
            return True
        if self.pause_asked or not self._fails():
            self._pause()
        return False

    def _fails(self) -> bool:
        """End a pipeline's run that failed while all that goes on in it are child runs that wait for a person."""
        if not self.parked or not isinstance(self.definition, PipelineDefinition):
            return False
        actions = end_failed(self.definition, self.state)
        for action in actions:
            self.perform(action)
        return bool(actions)

    def _begin(self, actions: list[Action]) -> datetime | None:
        """Begin what was decided; return when the earliest wait ends."""
        due: datetime | None = None
        for action in actions:
            if isinstance(action, WaitUntil):
                due = action.due if due is None else min(due, action.due)
            elif getattr(action, "step", None) not in self.tasks and getattr(action, "step", None) not in self.parked:
                self.perform(action)
        return due

    def perform(self, action: Action) -> None:  # noqa: C901, PLR0912  one line an action: a table would hide the types
        """Begin one action."""
        match action:
            case CallModel():
                model_calls.begin(self, action)
            case JudgeWhen():
                self.start(action.step, steps.judge(self, action.step))
            case SkipStep():
                steps.skip(self, action)
            case OpenFan():
                steps.open_fan(self, action.step)
            case CloseFan():
                steps.close_fan(self, action.step)
            case RecordDeopt():
                deopt.record(self, action.step)
            case AskDeopt():
                deopt.ask_person(self)
            case FinishRun():
                steps.finish(self)
            case LoseModelCall():
                model_calls.lose(self, action.step)
            case StartCall():
                tool_calls.begin(self, action)
            case GateCall():
                questions.gate(self, action)
            case AskInDoubt():
                questions.ask_in_doubt(self, action.step)
            case SettleCall():
                answers.settle(self, action.step)
            case RefuseCall():
                records.refuse_unknown_tool(self, action.step)
            case ScheduleRetry():
                records.schedule_retry(self, action.step)
            case RecordDecision():
                records.decision(self, action.step)
            case StopLoop():
                questions.stop_loop(self, action)
            case AskBudget():
                questions.ask_budget(self)
            case TrimHistory():
                records.trim(self, action.keep_from)
            case AcceptAnswer():
                self.start(action.step, model_calls.accept(self, action.step))
            case FailRun():
                answers.withdraw(self.recorder)
                self.record(RunFailedEvent(error=action.error), status="failed")
            case StopRun():
                self.cancelled_by = (action.who, None)
            case WaitUntil():
                pass

    async def _wait(self, due: datetime | None) -> None:
        """Until something in flight ends, something is due, or somebody wakes us."""
        if self.state.pending or not self.tasks:  # a question is on disk before anybody is to answer it
            await self.recorder.durable()
        if not self._woken:
            loop = asyncio.get_running_loop()
            if self._keeping is None:
                self._keeping = loop.call_later(_KEPT_AFTER, self._keep)
            self._sleeper = loop.create_future()
            if due is None:
                await self._sleeper
            else:
                await asyncio.wait([self._sleeper], timeout=max(0.0, (due - now()).total_seconds()))
        self._woken, self._sleeper = False, None

    def _keep(self) -> None:
        """What takes longer is seen by others, and survives this process, though nothing waits for the disk."""
        self._keeping = None
        with contextlib.suppress(LogError):  # who needs the disk next is told
            self.recorder.keep()

    def _collect(self) -> None:
        """Forget finished tasks; an error that got out of one is the log's, or our own fault: raise it."""
        for step, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[step]
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    def _answered(self) -> bool:
        return any(key in self.inbox for key in self.state.pending) or self.family.answered(self._below)

    def _unpark(self) -> None:
        """A child whose questions were answered goes on, and so does a step that made way for more budget."""
        if self.parked:
            for step in [step for step, below in self.parked.items() if self.family.answered(below)]:
                below = self.parked.pop(step)
                self.start(step, tool_calls.run_child(self, step) if step in below else steps.enter_again(self, step))
        if self.made_way and self.state.budget_reached is None and not self.pause_asked:
            while self.made_way:
                step = self.made_way.pop()
                self.start(step, steps.enter_again(self, step))

    @property
    def _below(self) -> list[str]:
        """The steps of the child runs that something here waits for."""
        return [step for below in self.parked.values() for step in below]

    def _pause(self) -> None:
        """Write down for whom the run waits; where that is recorded already, nothing changed."""
        waiting = (*self.state.pending, *self.family.pending(self._below))
        if self.handing_over:
            status = "paused" if waiting else "waiting"
            self.record(RunPausedEvent(why="handover", waiting_for=waiting), status=status)
            return
        if self.pause_asked:
            why = "asked"
        elif any(self.state.approvals[key].kind == "budget" for key in self.state.pending) or self._child_is_broke():
            why = "budget"
        else:
            why = "approval" if self.state.pending else "child"
        if self.state.status != "paused":
            self.record(RunPausedEvent(why=why, waiting_for=waiting), status="paused")

    def _child_is_broke(self) -> bool:
        return self.state.parent_run_id is not None and self.state.budget_reached is not None

    async def _cancel(self) -> bool:
        """Stop what can be stopped, wait for the threads that cannot, and end the run."""
        assert self.cancelled_by is not None
        for step, task in self.tasks.items():
            if not self.family.cancel(step, self.cancelled_by):
                task.cancel()
        self._stop_calls()
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))
            self.tasks.clear()
        await self.family.end(self._below, self.cancelled_by)
        answers.withdraw(self.recorder)
        if not self.state.ended:
            who, why = self.cancelled_by
            self.record(RunCancelledEvent(who=who, why=why), status="cancelled")
        return False

    async def _bring_back(self) -> None:
        """Whatever ended the activation, no effect of it outlives it."""
        for task in self.tasks.values():
            task.cancel()
        self._stop_calls()
        if self.tasks:
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()

    def _stop_calls(self) -> None:
        """Have the functions of steps that wait for a model or a tool come back: their threads cannot be cancelled."""
        for calls in self.calls.values():
            calls.stop()
