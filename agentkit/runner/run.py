"""The handle on a run: look at it, answer it, stop it, go on with it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator
from copy import copy
from typing import Any, Literal

from agentkit import registry
from agentkit.definition import Definition, check_budget
from agentkit.errors import ApprovalError, ConfigError, LogBusy, ResumeError, RunClaimed
from agentkit.events import Event, Verdict
from agentkit.fold import fold
from agentkit.jsonvalue import as_json
from agentkit.messages import Usage
from agentkit.policy import Budget
from agentkit.redact import Redactor
from agentkit.runner import comments, start
from agentkit.runner.answers import Answered, check_put, current_user, new_answer, put_answer
from agentkit.runner.audience import OnEvent, OnText
from agentkit.runner.closing import cancel_here, check_grade, pause_here, record_grade
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.family import caller_of, root_of
from agentkit.runner.finding import find_question
from agentkit.runner.fork import fork as begin_fork
from agentkit.runner.here import Here
from agentkit.runner.load import Loaded, definition_of, load_state, open_questions, read_events, status_of
from agentkit.runner.outcome import still, without_output
from agentkit.runner.prompt import Prompt, rebuild_prompt
from agentkit.runner.recorder import now
from agentkit.runner.results import result_of
from agentkit.runner.taking_up import take_up
from agentkit.runner.terminal import ask
from agentkit.runner.waiting import SLICE, pausing, until_settled, wait_for_a_person
from agentkit.runner.watch import watch
from agentkit.state import Approval, Comment, State
from agentkit.store import Answer, Store
from agentkit.text import inert

_WENT_ON = object()  # a paused run was taken up again while somebody looked at it: wait on


class Run:
    """One execution of an agent, here or in another process, live or long over.

    `run.result()` and `await run` give its output; in a notebook the run displays itself.
    """

    def __init__(
        self, store: Store, run_id: str, *, driver: Driver | None = None, definition: Definition | None = None
    ) -> None:
        self._store = store
        self._here = Here(driver)
        self._definition = driver.definition if driver is not None else definition
        self._loaded = Loaded()
        self.run_id = run_id
        self.through = "python"  # what answers given by this handle are recorded to have come through

    @property
    def _driver(self) -> Driver | None:
        return self._here.driver

    @property
    def _redactor(self) -> Redactor:
        return self._definition.redactor if self._definition is not None else Redactor()

    def redacted(self, text: str) -> str:
        """A text without what looks like a secret, or what the run's agent names as one."""
        return self._redactor.text(text)

    @property
    def state(self) -> State:
        """A snapshot of the run: the fold of its events so far."""
        return self._here.state() or self._loaded.state(self._store, self.run_id)

    @property
    def status(self) -> str:
        """Its recorded status; or interrupted: recorded as running, and not held. What waits for a worker waits."""
        state = self.state
        return state.status if self._here.executing is not None else status_of(self._store, state)

    @property
    def store(self) -> Store:
        """The log that the run is in."""
        return self._store

    def follow(self, on_event: OnEvent, on_text: OnText) -> Callable[[], None] | None:
        """Be told of every event of the run and its child runs, and of streamed text (run, step, piece); be quick.

        Returns:
            What ends that; None where this process does not execute the run.
        """
        driver = self._driver
        return engine().call(lambda: driver.audience.follow(on_event, on_text)) if driver is not None else None

    @property
    def is_here(self) -> bool:
        """Whether this process executes the run, or did so last and watches for answers to it."""
        return self._here.driver is not None or self._here.root is not None

    def by(self, through: str) -> "Run":
        """The same run, for answers that come through something else than Python."""
        same = copy(self)
        same.through = through
        return same

    @property
    def output(self) -> Any:
        """What the run ended with, as its definition's output type where that is known here; None before."""
        state = self.state
        return self._output(state) if state.status == "succeeded" else None

    def _output(self, state: State) -> Any:
        definition = self._definition
        return state.output if definition is None else definition.output.from_json(state.output)

    @property
    def usage(self) -> Usage:
        """What the run and its finished child runs used, every attempt included."""
        state = self.state
        return state.usage + state.child_usage

    @property
    def cost(self) -> float | None:
        """US dollars; None when a price was unknown."""
        return self.usage.cost_usd

    def look_again(self) -> State:
        """The state with what anybody said of the run since it ended here: what a display shows."""
        state = self.state
        if self._driver is not None and state.ended:
            with contextlib.suppress(LogBusy):  # it is shown, and what was said since another time
                if new := self.events(after=state.seq):
                    state = fold(new, state)
                    self._driver.take_state(state)
        return state

    @property
    def comments(self) -> list[Comment]:
        """What people said about the run and its steps, oldest first."""
        return comments.of(self._store, self.look_again())

    @property
    def pending(self) -> list[Approval]:
        """What the run and its child runs wait for from a person, oldest first; what is answered is not among it."""
        asked = open_questions(self._store, self.state)
        given = {run_id: self._store.answers(run_id) for run_id in {approval.run_id for approval in asked}}
        waiting = [approval for approval in asked if approval.id not in given[approval.run_id]]
        return sorted(waiting, key=lambda approval: approval.requested_at)

    @property
    def trace(self) -> Any:
        """The run as a printable tree."""
        return registry.load(registry.DISPLAYS["text"])(self)

    @property
    def graph(self) -> Any:
        """The run as its graph: a pipeline's steps with their status, or an agent's way from tool to tool."""
        return registry.load(registry.DISPLAYS["graph"])(self)

    @property
    def links(self) -> list[tuple[str, str]]:
        """Where else the run is shown, by its export or by who said so here: a name and an http(s) URL each."""
        return [*registry.links(self.run_id), *registry.load(registry.LINKS)(self)]

    def __getitem__(self, step: str) -> Any:
        """The result of a pipeline's step or item ("classify[17]"). Raises `ConfigError` where it has none."""
        return result_of(self.state, self._definition, step)

    @property
    def progress(self) -> dict[str, tuple[float, float | None]]:
        """How far the steps are that say so by `ctx.progress`, while the run executes here: done, and in all."""
        return self._driver.progress if self._driver is not None else {}

    def children(self) -> "list[Run]":
        """The runs that this run's tools started, in the order of their calls."""
        calls = self.state.calls.values()
        return [
            Run(self._store, call.child_run_id, definition=self._child(call.step, call.name))
            for call in calls
            if call.child_run_id is not None
        ]

    def _child(self, step: str, name: str) -> Definition | None:
        tool = self._definition.tool_at(step, name) if self._definition is not None else None
        return tool.child if tool is not None else None

    def events(self, after: int = 0) -> list[Event]:
        """The run's own events with a seq over `after`."""
        return read_events(self._store, self.run_id, after)

    def replay(self, until: int | None = None) -> State:
        """Fold the recorded events, up to `until` (a seq), and call nothing."""
        return load_state(self._store, self.run_id, until=until)

    def prompt(self, step: str) -> Prompt:
        """Rebuild what a model call was given.

        Args:
            step: its path, for example "model/3".

        Raises:
            ConfigError: no such model call.
        """
        return rebuild_prompt(self._store, self.run_id, step)

    def __repr__(self) -> str:
        return str(self.trace)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return registry.load(registry.DISPLAYS["notebook"])(self)

    def _ipython_display_(self) -> None:
        registry.load(registry.DISPLAYS["cell"])(self)

    # waiting ---------------------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the run ended, and return its output.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            RunPaused: it waits for a person; `.pending` lists for what.
            RunFailed: it ended without an output; `.error`, `.usage`.
            RunCancelled: somebody ended it.
            ResumeError: it is interrupted: nobody executes it.
            LogError: the log broke while it ran here.
            TimeoutError: it is still running.
            ConfigError: called in an async tool or check, where waiting would stop every run: `await` it there.
        """
        if engine().here:
            raise ConfigError("waiting here would stop every run of this process: write `await run` in async code")
        deadline = None if timeout is None else time.monotonic() + timeout
        with pausing(self):
            while True:
                while not self._is_settled():
                    if deadline is not None and time.monotonic() >= deadline:
                        raise TimeoutError(still(self.state, timeout))
                    self._nap(deadline)
                if (outcome := self._outcome()) is not _WENT_ON:
                    return outcome

    def _nap(self, deadline: float | None) -> None:
        self._here.nap(SLICE if deadline is None else min(SLICE, max(0.0, deadline - time.monotonic())))

    def _is_settled(self) -> bool:
        if self._here.executing is not None or self._here.error is not None:
            return self._here.executing is None
        status = self.status
        if status == "paused":
            return not self._is_taken_up()
        return status not in {"running", "waiting"}

    def _is_taken_up(self) -> bool:
        """Whether a paused run has an answer that who watches it, or a worker, is about to find."""
        state = self.state
        answered = len(self.pending) < len(open_questions(self._store, state))
        theirs = state.submitted and not state.is_kept
        return answered and (self._here.goes_on or theirs or self._store.holder(self.run_id) is not None)

    def _outcome(self) -> Any:
        if self._here.error is not None:
            raise self._here.error
        state = self.state
        if state.status in {"running", "waiting"} and self.status != "interrupted":
            return _WENT_ON
        if state.status == "succeeded":
            return self._output(state)
        raise without_output(state, self.pending if state.status == "paused" else [])

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Any:
        with pausing(self):
            while True:
                await until_settled(self._driver, self._is_settled)
                if (outcome := await asyncio.to_thread(self._outcome)) is not _WENT_ON:
                    return outcome

    def wait(self, timeout: float | None = None) -> Any:
        """As `result`, but asks for what the run waits for: by its card in a notebook, or in the terminal.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            RunPaused: there is nobody to ask; it says how to answer from elsewhere. The rest as `result`.
        """
        return wait_for_a_person(self, timeout)

    def ask(self, asked: Approval) -> None:
        """Put one question of `pending` to the person at the terminal, and give their answer."""
        verdict, more = ask(asked)
        try:
            self._give(asked, verdict, through="terminal" if self.through == "python" else self.through, **more)
        except ApprovalError as error:  # a wrong edit is asked for again; who lost is told
            print(f"  {inert(str(error))}")  # noqa: T201  wait() talks to the person who called it

    # answering -------------------------------------------------------------------------------------------------------

    def approve(
        self,
        id: str | None = None,
        *,
        edit: dict[str, Any] | None = None,
        comment: str | None = None,
    ) -> Answered:
        """Let a call run, as it is or with edited arguments; or set a new budget in all (`edit={"usd": 1.0}`).

        Args:
            id: the approval's id or the beginning of it; may be left out when one is pending.
            edit: arguments to replace.
            comment: recorded.

        Raises:
            ApprovalError: nothing is pending, several are and no id was given, or somebody else answered first.
        """
        return self._give(find_question(self, id), "edit" if edit else "approve", edits=edit, comment=comment)

    def reject(self, id: str | None = None, *, reason: str | None = None) -> Answered:
        """Say no; the model sees the reason and goes on."""
        return self._give(find_question(self, id), "reject", comment=reason)

    def answer(self, id: str | None, value: Any) -> Answered:
        """Answer a question, or give a call's result instead of running it."""
        return self._give(find_question(self, id), "answer", value=as_json(value, "answer"))

    def resolve(
        self,
        id: str | None,
        what: Literal["happened", "did not", "did_not", "stop"],
        *,
        result: Any = None,
    ) -> Answered:
        """Say what became of a step in doubt.

        Args:
            id: the approval's id.
            what: "happened" (with this result), "did not" (it runs now), or "stop" (the run is cancelled).
            result: what the step returned when it happened.
        """
        verdicts: dict[str, Verdict] = {"happened": "happened", "did not": "did_not", "stop": "stop"}
        verdict = verdicts.get(str(what).replace("_", " "))
        if verdict is None:
            raise ApprovalError(f"a step in doubt happened, did not, or the run is to stop; not {what!r}")
        return self._give(find_question(self, id), verdict, value=as_json(result, "result"))

    def _give(self, asked: Approval, verdict: Verdict, *, through: str | None = None, **more: Any) -> Answered:
        definition = definition_of(self._store, self.state, self._definition, asked.run_id)
        given = new_answer(verdict, through or self.through, **more)
        given = (self._redactor | definition.redactor if definition else self._redactor).fact(given)
        check_put(asked, given, definition)
        put_answer(self._store, asked, given)
        then, root = take_up(self, asked.run_id, {asked.id: given})
        if root is not None:
            self._here = Here(self._driver, root)
        return Answered(asked.id, verdict, then)

    # steering --------------------------------------------------------------------------------------------------------

    def cancel(self, why: str | None = None) -> None:
        """End the run; effects that cannot be stopped are waited for and recorded.

        Raises:
            ConfigError: it has ended already.
        """
        state = self.state
        if state.ended:
            raise ConfigError(f"run {self.run_id} has ended already ({state.status})")
        given = self._control("stop", current_user(), why)
        self._store.answer(self.run_id, "cancel", given)
        holder = self._store.holder(self.run_id)
        if holder is not None and holder.activity == "executing":
            self._tell("cancel", given)
            return
        cancel_here(self, state, given, self._redactor)

    def pause(self) -> None:
        """Stop after what is in flight, and have no worker take it; `resume()` goes on. One that rests is left so."""
        state = self.state
        if state.status in {"running", "waiting"} and not (state.submitted and pause_here(self, self._redactor)):
            name = f"pause-{self.state.activation}"
            answer = self._control("stop", current_user(), None)
            self._store.answer(self.run_id, name, answer)
            self._tell(name, answer)

    def _control(self, verdict: Verdict, who: str | None, why: str | None) -> Answer:
        return self._redactor.fact(
            Answer(verdict=verdict, answered_at=now(), who=who, comment=why, through=self.through)
        )

    def _tell(self, name: str, answer: Answer) -> None:
        engine().call(lambda: watch.tell(self.run_id, {name: answer}))

    def resume(self, *, budget: Budget | None = None, deps: Any = None, submit: bool = False) -> "Run":
        """Go on with a run that is paused or interrupted, in this process.

        Args:
            budget: a new budget.
            deps: for `ctx.deps`; what the run was started with here is kept when it is left out.
            submit: leave it to the workers of the log instead.

        Returns:
            This run.

        Raises:
            ResumeError: the definition is not here, contradicts the recorded events, the run has ended, or another
                run called it and goes on with it.
            RunClaimed: another process executes it.
            ConfigError: it is executing here, and did not ask for another budget; or that is no `ak.Budget`.
        """
        check_budget(budget)
        state = self.state
        if state.ended:
            raise ResumeError(f"run {self.run_id} has ended ({state.status}); fork it, or start a new run")
        if caller_of(self._store, state) is not None:  # alone it would not know the budget they share
            root = root_of(self._store, state).run_id
            raise ResumeError(f"run {self.run_id} was called by another and goes on with it: ak.resume({root!r})")
        driver = self._driver
        if driver is not None and deps is not None:
            driver.deps = deps
        if driver is not None and not driver.settled.is_set():
            self._raise_budget(budget)
            return self
        holder = self._store.holder(self.run_id)
        if holder is not None and holder.activity == "executing":
            raise RunClaimed(self.run_id, str(holder))
        if submit:
            self._here = Here(start.hand_over(self._store, state, driver, budget), self._here.root)
            return self
        if driver is not None:
            driver.settled.clear()
            engine().spawn(driver.resume(budget))
            return self
        definition = self._definition or start.find_definition(state)
        driver = start.resume(self._store, self.run_id, definition, deps=deps, budget=budget)
        self._here = Here(driver, self._here.root)
        self._definition = definition
        if state.submitted:  # workers see to it that it ends, should this process not
            self._store.queue.wake(self.run_id)
        return self

    def _raise_budget(self, budget: Budget | None) -> None:
        """Give more to a run that is executing, if it asks for it."""
        if budget is None:
            return
        asked = next((asked for asked in self.pending if asked.kind == "budget"), None)
        if asked is None:
            raise ConfigError(f"run {self.run_id} is executing; run.pause() it, then give it another budget")
        self._give(asked, "edit", edits=budget.model_dump())

    def fork(self, at: int | str | None = None, *, agent: Any = None, input: Any = None, deps: Any = None) -> "Run":
        """Begin a new run that shares this one's events.

        Args:
            at: the last shared seq; nothing may be in flight there. Of a pipeline also a step or an item of one
                ("classify[17]"): that, and what needs it, is done again; left out, what failed, or changed since.
            agent: the `Agent` or `Pipeline` that goes on; the run's own, as it is defined now, by default.
            input: inputs of a pipeline that are other ones; what needs them is done again.
            deps: for `ctx.deps`.

        Returns:
            The new run, executing.

        Raises:
            ForkError: not there.
        """
        definition = agent.definition if agent is not None else start.newest_definition(self.state, self._definition)
        driver = begin_fork(self._store, self.run_id, at, definition, given=input, deps=deps)
        return Run(self._store, driver.run_id, driver=driver)

    def grade(self, verdict: Literal["good", "bad"], why: str | None = None) -> None:
        """Judge an ended run; promotion learns from those graded good. Raises `ConfigError` where it has not ended."""
        check_grade(self.state, verdict)
        if self._driver is not None:
            self._driver.settled.wait()
        record_grade(self._store, self.run_id, verdict, why, self._redactor)
        self.look_again()

    def comment(self, text: str, step: str | None = None, *, by: str | None = None) -> Comment:
        """Leave words on the run, or on one of its steps, for whoever looks at it; nothing acts on them.

        Args:
            text: at most 10,000 characters; more, or none, or a step that is not there, raises `ConfigError`.
            step: its path, for example "tool/refund/2"; None is the run itself.
            by: whose words they are; None is who runs this process.
        """
        state = self.state
        said = comments.new_comment(state, text, step, by, self.through)
        kept = comments.leave(self._store, state, said, self._redactor)
        self.look_again()
        return kept
