"""A run's owner in this process: one activation after the other, and the watch for answers between them."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from agentkit import failpoints, registry
from agentkit.decide import decide
from agentkit.definition import Definition
from agentkit.errors import AgentKitError, RunClaimed
from agentkit.events import ApprovalAnswered, Event, RunCancelledEvent, RunResumed, RunStarted
from agentkit.fold import advance
from agentkit.messages import Usage
from agentkit.policy import Budget
from agentkit.redact import Redactor
from agentkit.runner import comments, observe, settled
from agentkit.runner.activation import Activation
from agentkit.runner.answers import withdraw
from agentkit.runner.audience import Audience
from agentkit.runner.claiming import claim_run
from agentkit.runner.engine import engine
from agentkit.runner.family import Family
from agentkit.runner.load import check_definition, load_state
from agentkit.runner.meter import Meter
from agentkit.runner.recorder import Recorder, now
from agentkit.runner.resuming import names_of_pauses, resumed
from agentkit.runner.threads import threads
from agentkit.runner.watch import watch
from agentkit.state import Approval, State
from agentkit.store import Answer, Claim, Store

FAIL_POINTS = ("run.claimed", "run.started", "run.resumed", "run.released")


class Driver:
    """Executes a run here. All but the constructor, `settled` and `error` belong to the engine's thread.

    Args:
        store: the log.
        run_id: the run.
        definition: the agent or the pipeline.
        deps: for `ctx.deps`.
        parent: the driver of the run that called this one.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        definition: Definition,
        *,
        deps: Any = None,
        parent: "Driver | None" = None,
    ) -> None:
        self.store = store
        self.run_id = run_id
        self.definition = definition
        self.deps = deps
        self.parent = parent
        self.redactor: Redactor = definition.redactor if parent is None else definition.redactor | parent.redactor
        self.audience = Audience(run_id, parent.audience if parent is not None else None)
        self.children: dict[str, Driver] = {}
        self.settled = threading.Event()  # nothing is executing: look at `state` and `error`
        self.error: BaseException | None = None
        self.before: Driver | None = None  # who followed the run until this one took it over
        self.for_worker = False  # no person asked for this: what a person paused stays so
        self._keeps = False  # nor did one leave the run to the workers just now: the same holds of the children
        self._state: State | None = None
        self._activation: Activation | None = None
        self._busy = False
        self._again = False
        self._noting = False
        self._pauses = {"pause-1"}  # what stops the activation, where somebody puts it into the inbox
        self._inbox: dict[str, Answer] = {}
        self._waiters: list[Callable[[], None]] = []

    # what it is ------------------------------------------------------------------------------------------------------

    @property
    def live_state(self) -> State:
        """The run's state as it stands, to be looked at and not kept."""
        assert self._state is not None, "the run has not started"
        return self._state

    def snapshot(self) -> State:
        """The run's state, to be kept."""
        return self.live_state.copy()

    @property
    def root(self) -> "Driver":
        """The driver of the run that was started by a person."""
        return self if self.parent is None else self.parent.root

    @property
    def has_state(self) -> bool:
        """Whether the run's first event is recorded or was read."""
        return self._state is not None

    @property
    def rests(self) -> bool:
        """Whether nothing changes the run's state here, and all of it is recorded."""
        return self._state is not None and not self._busy and self._activation is None and self.error is None

    def child(self, step: str, definition: Definition, run_id: str) -> "Driver":
        """The driver of the child run that a step calls."""
        if step not in self.children:
            self.children[step] = Driver(self.store, run_id, definition, deps=self.deps, parent=self)
        child = self.children[step]
        child.deps, child.definition, child.for_worker = self.deps, definition, self._keeps
        return child

    @property
    def progress(self) -> dict[str, tuple[float, float | None]]:
        """How far the steps that execute are, where they say so."""
        return dict(self._activation.progress) if self._activation is not None else {}

    def pending(self) -> list[Approval]:
        """Everything this run and its unfinished children wait for, oldest first."""
        if self._state is None:
            return []
        own = [self._state.approvals[key] for key in self._state.pending]
        below = [asked for child in self.children.values() if child.has_state for asked in child.pending()]
        return sorted([*own, *below], key=lambda asked: asked.requested_at)

    def can_go_on(self, meter: Meter | None = None) -> bool:
        """Whether a paused run has something to do: an answer came for it or a child, or there is budget again."""
        state = self.live_state
        if self.for_worker and state.is_kept:
            return "cancel" in self._inbox
        if "cancel" in self._inbox or any(key in self._inbox for key in state.pending):
            return True
        now_ = now()
        if any((due := state.approvals[key].expires) is not None and due <= now_ for key in state.pending):
            return True
        if meter is not None and state.budget_reached is not None and meter.refuses(0.0) is None:
            return state.budget_reached.get("budget") != meter.budget.model_dump(mode="json")
        below = [child for child in self.children.values() if child.has_state and not child.live_state.ended]
        return any(child.can_go_on(meter) for child in below)

    # listening -------------------------------------------------------------------------------------------------------

    def take_state(self, state: State) -> None:
        """Show a state that was recorded past this driver: an ended run that was graded."""
        self._state = state

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call once, when nothing is executing any more."""
        if self.settled.is_set():
            call()
        else:
            self._waiters.append(call)

    def _publish(self, event: Event) -> None:
        observe.tell(self, event)
        self.audience.tell(event)

    # driving ---------------------------------------------------------------------------------------------------------

    async def start(self, recorder: Recorder) -> None:
        """Execute a new run after its first event."""
        await self._drive(self._first(recorder))

    async def resume(self, budget: Budget | None = None) -> None:
        """Go on with a run: claim it, read what others did to it, and execute it until it ends or waits again."""
        await self._drive(self._next(budget))

    async def advance(self, started: Callable[[], RunStarted], *, meter: Meter) -> None:
        """Execute a child run as far as it goes; begin it where its first event was never recorded."""
        claim = await threads.run(lambda: claim_run(self.store, self.run_id))
        if claim.head == 0:
            meter.count(self.run_id, Usage())
            await self._first(self.begin(claim, *await self._beginning(claim, started)), meter)
        else:
            await self._take_up(claim, None, meter)

    async def _beginning(self, claim: Claim, started: Callable[[], RunStarted]) -> tuple[RunStarted, State | None]:
        """A child run's first event, and the state that it begins with, if any."""
        try:
            body = started()
            if body.origin is None:
                return body, None
            origin = body.origin
            return body, await threads.run(lambda: load_state(self.store, origin.run_id, until=origin.seq))
        except BaseException:
            self._release(claim)
            raise

    async def _drive(self, work: Any) -> None:
        """Run one activation; keep what it raises for whoever asks, and tell those who wait."""
        if self._busy:
            self._again = True
            work.close()
            return
        self._busy = True
        self.settled.clear()
        self.error = None
        elsewhere = False
        try:
            await work
        except BaseException as error:  # noqa: BLE001  there is nobody above: the handle raises it
            elsewhere = isinstance(error, RunClaimed) and self._state is not None  # the log tells what becomes of it
            self.error = None if elsewhere else error
            if elsewhere:  # what was folded here and not written did not happen
                with contextlib.suppress(AgentKitError):
                    self._state = await threads.run(lambda: load_state(self.store, self.run_id))
        finally:
            self._busy = False
            again, self._again = self._again and not elsewhere, False
            done = elsewhere or self.error is not None or self.live_state.ended
            if not done and (again or self.can_go_on()):
                engine().spawn(self.resume())
            else:
                self._settle()

    def _settle(self) -> None:
        if self._state is None or self._state.ended or self.error is not None:
            watch.forget(self)
            if self.before is not None and isinstance(self.error, RunClaimed):
                watch.follow(self.before)
        if self.error is not None and not watch.follows(self.run_id):
            with contextlib.suppress(AgentKitError):
                self.store.unwatch(self.run_id)
        self.settled.set()
        waiters, self._waiters = self._waiters, []
        for call in waiters:
            call()

    def begin(self, claim: Claim, started: RunStarted, base: State | None = None) -> Recorder:
        """Record a new run's first event, in whatever thread: who started it can look it up at once.

        Raises:
            EncodingError: something of what was given is not JSON; the claim is given back.
        """
        recorder = Recorder(self.store, claim, base, self._publish, self.redactor)
        try:
            parent = self.parent.run_id if self.parent is not None else None
            recorder.record(started, name=self.definition.name, status="running", parent_run_id=parent)
        except BaseException:
            self._release(claim)
            raise
        self._state = recorder.state
        failpoints.hit("run.started")
        return recorder

    async def _first(self, recorder: Recorder, meter: Meter | None = None) -> None:
        try:
            await self._execute(recorder, meter or Meter(self.live_state.budget))
        finally:
            self._release(recorder.claim)

    async def _next(self, budget: Budget | None) -> None:
        try:
            claim = await threads.run(lambda: claim_run(self.store, self.run_id))
        except RunClaimed:  # another activation was quicker: from its state on, the log tells what becomes of the run
            self._state = self._state or await threads.run(lambda: load_state(self.store, self.run_id))
            raise
        await self._take_up(claim, budget, None)

    async def _take_up(self, claim: Claim, budget: Budget | None, meter: Meter | None) -> None:
        try:
            failpoints.hit("run.claimed")
            state = self._state
            if state is None or state.seq != claim.head:
                state = await threads.run(lambda: load_state(self.store, self.run_id))
            self._state = state
            if meter is not None:
                meter.count(self.run_id, state.usage + state.child_usage)
            if state.ended:
                return
            self._take_redefinition()
            check_definition(self.definition, state)
            watch.follow(self)
            self._inbox.update(await threads.run(lambda: self.store.answers(self.run_id)))
            if not self._worth_it(state, budget, meter):
                return
            recorder = Recorder(self.store, claim, state, self._publish, self.redactor)
            self._pauses = names_of_pauses(state, for_worker=self.for_worker)
            self._keeps = self.for_worker and not (state.queued and state.paused_why is None)
            event = resumed(self.store, self.definition, state, budget)
            recorder.record(event, name=self.definition.name, status="running")
            failpoints.hit("run.resumed")
            if meter is None:
                meter = Meter(state.budget)
                meter.add(state.usage + state.child_usage)
            self._answer_budget(recorder, budget, meter)
            await self._execute(recorder, meter)
        finally:
            self._release(claim)

    def _take_redefinition(self) -> None:
        """Go on with the agent as it is defined now: a cell that was executed again replaces what it defined."""
        owner: Any = registry.defined(self.definition.name) if self.parent is None else None
        if owner is not None and owner.definition.place == self.definition.place:
            self.definition = owner.definition

    def _worth_it(self, state: State, budget: Budget | None, meter: Meter | None) -> bool:
        """Whether taking the run up changes anything; a paused run that still waits is left as it is."""
        if self.for_worker and state.is_kept:
            return "cancel" in self._inbox
        if state.status != "paused" or budget is not None or self.can_go_on(meter):
            return True
        if any(key in self._inbox for key in ("cancel", f"pause-{state.activation}")):
            return True
        trial = state.copy()
        event = Event(run_id=state.run_id, seq=state.seq + 1, ts=now(), body=RunResumed())
        return bool(decide(self.definition, advance(trial, event), now()))

    def _answer_budget(self, recorder: Recorder, budget: Budget | None, meter: Meter) -> None:
        """A raised budget answers the question for more; a child takes up what its parent was given."""
        state = recorder.state
        for key in list(state.pending):
            if state.approvals[key].kind == "budget" and budget is not None:
                answer = Answer(verdict="edit", edits=budget.model_dump(), answered_at=now(), through="resume")
                won = self.store.answer(self.run_id, key, answer)
                self._inbox[key] = won
                if won == answer:
                    recorder.record(
                        ApprovalAnswered(verdict="edit", edits=budget.model_dump(), through="resume"),
                        approval_id=key,
                        name="budget",
                    )
        meter.budget = state.budget if self.parent is None else meter.budget

    async def _execute(self, recorder: Recorder, meter: Meter) -> None:
        activation = Activation(
            self.definition,
            recorder,
            deps=self.deps,
            meter=meter,
            family=Family(self, meter),
            on_text=self.audience.tell_text,
        )
        activation.inbox.update(self._inbox)
        self._activation = activation
        self._control(self._inbox)
        watch.follow(self)
        try:
            await activation.run()
        finally:
            self._activation = None

    def _release(self, claim: Claim) -> None:
        state = self._state
        waits = state is not None and state.status == "paused" and self.error is None
        with contextlib.suppress(AgentKitError):  # what broke the log was raised already
            self.store.release(claim, watch=waits)
        failpoints.hit("run.released")
        settled.tell(self.store, state)

    # messages from others --------------------------------------------------------------------------------------------

    def deliver(self, answers: dict[str, Answer]) -> None:
        """Take answers that arrived in the inbox: wake the activation, or begin one."""
        fresh = {key: answer for key, answer in answers.items() if key not in self._inbox}
        if fresh:
            self._inbox.update(fresh)
            if self._activation is not None:
                self._activation.inbox.update(fresh)
                self._control(fresh)
        self.wake()
        watch.current(self.root).stir()
        self._note()

    def wake(self) -> None:
        """Have what executes here, and above it, look again: the run may execute, or be parked in one that does."""
        if self._activation is not None:
            self._activation.wake()
        if self.parent is not None:
            self.parent.wake()

    def stir(self) -> None:
        """Go on if there is something to go on with."""
        if self._activation is not None:
            self._activation.wake()
        elif self._state is not None and not self._state.ended and self.can_go_on():
            if self._busy:
                self._again = True
            else:
                self.settled.clear()
                engine().spawn(self.resume())

    def _note(self) -> None:
        """While nothing executes the run, have what people said recorded; nobody goes on with it for that."""
        idle = not (self._busy or self._noting or self._state is None) and self._activation is None and not self.error
        if idle and comments.left(self._inbox, self.live_state):
            self._noting = True
            engine().spawn(self._take_comments())

    async def _take_comments(self) -> None:
        try:
            with contextlib.suppress(AgentKitError):  # where another activation has the run, that one records them
                holder = await threads.run(lambda: self.store.holder(self.run_id))
                if holder is not None and holder.process != self.store.process:
                    return
                claim = await threads.run(lambda: self.store.claim(self.run_id, activity="noting"))
                try:
                    await self._record_comments(claim)
                finally:
                    self.store.release(claim, watch=self.live_state.status == "paused")
        finally:
            self._noting = False

    async def _record_comments(self, claim: Claim) -> None:
        if self.live_state.seq != claim.head:
            self._state = await threads.run(lambda: load_state(self.store, self.run_id))
        recorder = Recorder(self.store, claim, self.snapshot(), self._publish, self.redactor)
        comments.absorb(recorder, dict(self._inbox))
        await recorder.durable()
        self._state = recorder.state

    def _control(self, answers: dict[str, Answer]) -> None:
        if "cancel" in answers:
            self.cancel(answers["cancel"].who, answers["cancel"].comment)
        if self._activation is not None and not self._pauses.isdisjoint(answers):
            self.pause()

    def pause(self, *, handing_over: bool = False) -> None:
        """Have the running activation, and those of its children, stop after what is in flight.

        Args:
            handing_over: no person asked for it; another process is to go on.
        """
        for child in self.children.values():
            child.pause(handing_over=handing_over)
        if self._activation is not None:
            asked = self._activation.pause_asked and not self._activation.handing_over  # a person's word stands
            self._activation.handing_over = handing_over and not asked
            self._activation.pause_asked = True
            self._activation.wake()

    def let_go(self) -> bool:
        """Stop watching a run that waits, so that whoever comes first goes on with it.

        Returns:
            False where it executes, or was answered and goes on here.
        """
        if not self.settled.is_set():
            return False
        watch.forget(self)
        return True

    async def end(self, who: str | None, why: str | None) -> None:
        """End a paused run, and those below it, as cancelled."""
        for child in self.children.values():
            if child.has_state:
                await child.end(who, why)
        if self.live_state.ended:
            return
        claim = await threads.run(lambda: claim_run(self.store, self.run_id))
        try:
            if self.live_state.seq != claim.head:
                self._state = await threads.run(lambda: load_state(self.store, self.run_id))
            if not self.live_state.ended:
                recorder = Recorder(self.store, claim, self.live_state, self._publish, self.redactor)
                withdraw(recorder)
                recorder.record(RunCancelledEvent(who=who, why=why), name=self.definition.name, status="cancelled")
                await recorder.durable()
        finally:
            self._release(claim)

    def cancel(self, who: str | None, why: str | None) -> None:
        """Have the activation that is running, or about to, end the run."""
        if self._activation is not None:
            self._activation.cancelled_by = (who, why)
            self._activation.wake()
        else:
            self._inbox["cancel"] = Answer(verdict="stop", who=who, comment=why, answered_at=now())
