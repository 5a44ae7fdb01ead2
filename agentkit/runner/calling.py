"""What a step does through its context: asking models and calling tools, each recorded and never done twice.

A step runs again from its beginning when its process died, when it failed and is tried again, and when a person had to
be asked in the middle of it. What it called before is then found by the callee, the arguments and the occurrence:
after a crash or a question everything recorded is used again; on a new try what wrote is, and the rest is done anew.
"""

import asyncio
import concurrent.futures
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from agentkit.decide import GateCall, WaitUntil, go_on_with_call
from agentkit.definition import AgentDefinition, AskOptions, InvalidArguments, ToolSpec
from agentkit.errors import AskFailed, CallFailed, ConfigError, Rejected
from agentkit.events import AskStarted, ErrorInfo
from agentkit.ids import digest
from agentkit.jsonvalue import as_json
from agentkit.redact import find_marker
from agentkit.runner import tool_calls
from agentkit.runner.ask_agent import agent_of
from agentkit.runner.asking import Asking
from agentkit.runner.engine import engine
from agentkit.runner.recorder import now
from agentkit.state import Ask, CallStep

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation


class Parked(BaseException):
    """The step has to make way: a person is asked, or the run is to stop. It goes on from its beginning."""


class StepCalls:
    """The calls of one step while its function runs.

    Args:
        act: the pipeline's activation.
        step: the step's path.
        tool: the step's work.
    """

    def __init__(self, act: "Activation", step: str, tool: ToolSpec) -> None:
        self._act = act
        self._step = step
        self._may_run_again = not tool.writes or tool.idempotent
        self._used: set[str] = set()
        self._left = dict.fromkeys(act.state.inner.get(step, ()))  # of earlier entries, and not made again yet
        self._last: dict[str, int] = {}
        for path in self._left:
            kind, _, number = path.rpartition("/")
            self._last[kind] = max(self._last.get(kind, 0), int(number))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._own = asyncio.current_task()
        self._stopped = self._over = False
        self._children: set[str] = set()
        self.parked = False

    # from the step's own thread --------------------------------------------------------------------------------------

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have the engine do the work, and wait for what comes of it; in the thread of a step's function."""
        if engine().here:
            work.close()
            raise ConfigError(
                f"{self._step} is async, and waiting in it would stop every run: annotate `ctx: ak.AsyncContext` and "
                "write `await ctx.ask(…)`, `await ctx.call(…)`"
            )
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        engine().loop.call_soon_threadsafe(self._begin, work, done)
        return done.result()

    def _begin(self, work: Coroutine[Any, Any, Any], done: "concurrent.futures.Future[Any]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._hand_over(ended, done))

    def _hand_over(self, task: "asyncio.Task[Any]", done: "concurrent.futures.Future[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            done.set_exception(Parked())
        elif (error := task.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(task.result())

    def stop(self) -> None:
        """Have the calls under way end, and no other begin, so that the function that waits for them comes back."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """The function is back: what it left running ends too; where it made way for a person, in its own time."""
        self._over = True
        if not self.parked:
            self.stop()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        act = self._act
        if running := [act.tasks[path] for path in self._used if path in act.tasks]:
            await asyncio.wait(running)
        for path in self._used & act.parked.keys():
            self._children |= act.parked.pop(path)
        asked = any(path in act.state.calls and act.state.calls[path].status == "asked" for path in self._used)
        self.parked = self.parked or asked or bool(self._children)

    def make_way(self) -> None:
        """The step ended without an outcome: see to it that it is entered again."""
        act = self._act
        if self._children:
            act.parked[self._step] = frozenset(self._children)
        elif act.state.calls[self._step].status in {"running", "stuck"}:  # no question stands for it in the log
            act.made_way.add(self._step)

    def progress(self, done: float, total: float | None) -> None:
        """Show how far the step is."""
        self._act.progress[self._step] = (done, total)

    # asking ----------------------------------------------------------------------------------------------------------

    async def ask(self, prompt: Any, output: Any, options: AskOptions) -> Any:
        """Ask a model; see `Context.ask`."""
        self._enter()
        agent = await agent_of(self._act, self._step, output, options)
        said = as_json(prompt, "prompt")
        sha256 = digest([agent.header.sha256, [model.name for model in agent.models], said])
        ask = self._asked_before(sha256) or self._begin_ask(agent, said, sha256)
        self._use(ask.step)
        if not await Asking(self._act, ask.step, agent, may_stop=self._may_run_again).run():
            self._park()
        if ask.outcome == "ok":
            return agent.output.from_json(ask.result)
        raise AskFailed(ask.error or ErrorInfo(type="AskFailed", message="no model answered"))

    def _asked_before(self, sha256: str) -> Ask | None:
        state = self._act.state
        asks = (state.asks[path] for path in self._left if path in state.asks)
        return next((ask for ask in asks if ask.request_sha256 == sha256 and self._is_of_this_try(ask)), None)

    def _use(self, path: str) -> None:
        self._used.add(path)
        self._left.pop(path, None)

    def _next_path(self, kind: str) -> str:
        """The path of another ask or call; those of earlier entries, in whatever order they began, keep theirs."""
        self._last[kind] = self._last.get(kind, 0) + 1
        return f"{kind}/{self._last[kind]}"

    def _is_of_this_try(self, recorded: "Ask | CallStep") -> bool:
        return recorded.generation == self._act.state.calls[self._step].failures

    def _begin_ask(self, agent: AgentDefinition, prompt: Any, sha256: str) -> Ask:
        state = self._act.state
        path = self._next_path(f"{self._step}/ask")
        header = agent.header
        self._act.record(
            AskStarted(
                prompt=prompt,
                header=header if header.sha256 not in state.headers else None,
                header_sha256=header.sha256,
                request_sha256=sha256,
                models=tuple(model.name for model in agent.models),
            ),
            step=path,
            name=agent.name,
        )
        return state.asks[path]

    # calling ---------------------------------------------------------------------------------------------------------

    async def call(self, tool: ToolSpec, arguments: Mapping[str, Any]) -> Any:
        """Call a tool; see `Context.call`."""
        self._enter()
        act = self._act
        if not isinstance(tool, ToolSpec):  # pyright: ignore[reportUnnecessaryIsInstance]  a function, most often
            what = getattr(tool, "__name__", None) or repr(tool)
            raise ConfigError(f"ctx.call takes a tool, not {what}: decorate the function with @ak.tool")
        given = act.recorder.redactor.value(as_json(dict(arguments), tool.schema.name))
        if tool.kind != "question" and (marker := find_marker(given)) is not None:  # a person may be shown it
            raise ConfigError(f"ctx.call({tool.schema.name}): {tool_calls.REDACTED.format(marker)}")
        try:
            logged = tool.arguments_json(tool.validate(given))
        except InvalidArguments as error:
            raise ConfigError(f"ctx.call({tool.schema.name}): {_first(error)}") from error
        path = self._called_before(tool, logged) or self._next_path(f"{self._step}/call/{tool.schema.name}")
        act.inner[path] = (tool, logged)
        if path not in act.state.calls:
            act.diverged[path] = self._unmatched_writes() if tool.writes else []
        self._use(path)
        await self._go_on(path, tool)
        return self._result(act.state.calls[path], tool)

    def _called_before(self, tool: ToolSpec, arguments: dict[str, Any]) -> str | None:
        state = self._act.state
        for path in self._left:
            call = state.calls.get(path)
            if call is None or call.name != tool.schema.name:
                continue
            is_it = call.raw == arguments or (
                call.raw is None and call.cleared_digest == tool_calls.call_digest(tool, arguments)
            )
            unfinished_or_done = call.status != "done" or call.outcome == "ok"
            if is_it and (self._is_of_this_try(call) or (call.writes and unfinished_or_done)):
                return path
        return None

    def _unmatched_writes(self) -> list[str]:
        """The writes of an earlier entry that this one has not made: it takes another way than it did."""
        calls = self._act.state.calls
        found = [path for path in self._left if path in calls]
        return [path for path in found if calls[path].writes and calls[path].attempt and calls[path].outcome != "error"]

    async def _go_on(self, path: str, tool: ToolSpec) -> None:
        """Until the call has ended; it waits for a person by ending the step."""
        act = self._act
        while (call := act.call(path)).status != "done":
            if path in act.tasks:
                await asyncio.wait([act.tasks[path]])
                if path in act.parked:  # a child run of it waits for a person
                    self._children |= act.parked.pop(path)
                    self._park()
                continue
            self._go_on_or_park()
            if call.child_run_id is not None and call.status == "running":
                act.start(path, tool_calls.run_child(act, path))
                continue
            action = next(go_on_with_call(act.state, call, tool, now()), None)
            if action is None:
                self._park()
            elif isinstance(action, WaitUntil):
                await asyncio.sleep(min(0.2, max(0.0, (action.due - now()).total_seconds())))
            elif call.status == "proposed" and act.diverged.get(path):
                act.perform(GateCall(path, "diverged"))
            else:
                act.perform(action)

    def _result(self, call: CallStep, tool: ToolSpec) -> Any:
        if call.outcome == "ok":
            read = getattr(tool, "result_value", None)  # what an agent or a server gives is JSON as it is
            return call.result if read is None else read(call.result)
        error = call.error or ErrorInfo(type="Error", message="it failed")
        if call.outcome == "rejected":
            raise Rejected(call.name, error.message)
        raise CallFailed(call.name, error, call.effect or "none")

    # making way ------------------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        """A call begins, in the step's own task or in one that it made."""
        if self._over and not self.parked:
            raise ConfigError(
                f"{self._step} has ended: wait for what it asks and calls before its function returns (in an "
                "`async def`, await it)"
            )
        task = asyncio.current_task()
        if task is not None and task is not self._own and task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._go_on_or_park()

    def _go_on_or_park(self) -> None:
        """Between two calls is where a step can stop for a run that is to pause, or waits for more budget."""
        act = self._act
        if self.parked or self._stopped or act.cancelled_by is not None or (act.pause_asked and self._may_run_again):
            self._park()

    def _park(self) -> NoReturn:
        self.parked = True
        raise Parked(f"{self._step} makes way")


def _first(error: InvalidArguments) -> str:
    problem = error.errors[0] if error.errors else {"problem": "the arguments do not fit"}
    return ": ".join(str(part) for part in (problem.get("path"), problem.get("problem")) if part)
