"""Agents: a model, instructions and tools, made once and run many times."""

import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

from agentkit import registry
from agentkit.batch import Batch, MapOptions
from agentkit.definition import AgentDefinition, Check, Model, Output, ToolSpec, check_lists
from agentkit.errors import ConfigError
from agentkit.ids import digest
from agentkit.jsonvalue import as_json
from agentkit.log import Log, open_log
from agentkit.open_model import as_model
from agentkit.policy import Budget, Retry
from agentkit.redact import Redactor, refuse_secret_settings
from agentkit.runner.run import Run
from agentkit.runner.start import start, submit
from agentkit.tools.linting import warn_about
from agentkit.tools.sub_agent import SubAgent

Toollike: TypeAlias = "ToolSpec | Agent"


class Agent:
    """A model that works with tools until it has an answer.

    Args:
        name: what it is called in the log; a run is resumed by it.
        model: a name that litellm knows ("openai/gpt-5-mini", "anthropic/claude-sonnet-4-5", "ollama/llama3"), with the
            provider's key in its environment variable; or a `Model` object.
        instructions: the system prompt.
        tools: functions decorated with `ak.tool`, or other agents.
        output: what a run ends with: `str`, or a type pydantic can validate.
        checks: functions of the output (and, with a second parameter, of the run's tool results) that raise, or
            return False, to have the model try again.
        budget: what a run may use; by default 50 model calls.
        retry: for model calls; a tool has its own.
        fallback: models to try in this order when the first has failed for good.
        max_reasks: how often in a row the model may be told that its answer or its arguments are wrong.
        decisions: "on" asks the model for the reason of each call; "off" does not.
        history_tokens: about how many tokens of messages a prompt may hold before the oldest turns are left out.
        approval_expires: seconds after which an approval nobody answered counts as a no; None is never.
        settings: passed to the model: temperature, max_tokens, seed, api_base, … With models by name also `timeout`
            (seconds for one attempt, 600), `idle_timeout` (seconds between two pieces of an answer, 120), `stream`,
            `json_schema` (False asks for the output's form in words) and `tool_choice` ("auto", "none", "required" or
            a tool's name; a choice that forces a call holds until one was made).
        redact: what is secret beside what looks like it (API keys, tokens, passwords in URLs, `SecretStr`): names of
            fields, and compiled patterns of text. It never reaches the log, nor a model.

    Raises:
        ConfigError: an option cannot be used; the message says what to write instead.

    Warns:
        AgentKitWarning: where tools could be easier to use right (see `ak.lint`).
    """

    def __init__(  # noqa: PLR0913  one keyword an option: they are what a notebook shows on Shift-Tab
        self,
        name: str,
        model: "str | Model",
        instructions: str = "",
        *,
        tools: Sequence[Toollike] = (),
        output: Any = str,
        checks: Sequence[Check] = (),
        budget: Budget | None = None,
        retry: Retry | None = None,
        fallback: Sequence["str | Model"] = (),
        max_reasks: int = 3,
        decisions: Literal["on", "off"] = "on",
        history_tokens: int | None = None,
        approval_expires: float | None = None,
        settings: Mapping[str, Any] | None = None,
        redact: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        check_lists(name, settings, tools=tools, checks=checks, fallback=fallback)
        _check_options(name, instructions, decisions, checks)
        self.name = name
        specs = [_as_tool(tool, name) for tool in tools]
        warn_about(specs, stacklevel=3)
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        self._definition = AgentDefinition(
            name=name,
            instructions=instructions,
            models=tuple(as_model(chosen) for chosen in (model, *fallback)),
            tools=_by_name(specs, name),
            output=_output(output, name),
            checks=tuple(checks),
            budget=Budget() if budget is None else budget,
            retry=Retry() if retry is None else retry,
            max_reasks=max_reasks,
            decisions=decisions == "on",
            history_tokens=history_tokens,
            approval_expires=approval_expires,
            parameters=MappingProxyType(dict(settings or {})),
            redactor=make_redactor(name, redact, settings or {}),
            place=caller.f_globals.get("__name__") if caller is not None else None,
        )
        self._resolved: AgentDefinition | None = None
        registry.define(name, self)

    @property
    def definition(self) -> AgentDefinition:
        """Everything the runner needs to know, resolved."""
        if self._resolved is None or not self._resolved.is_current:
            plain = replace(self._definition)
            module = find_module(self, plain.place)
            sha256 = digest([plain.name, plain.sent])
            self._resolved = replace(plain, module=module, sha256=sha256)
        return self._resolved

    def run(
        self,
        input: Any,
        *,
        after: "Run | str | None" = None,
        deps: Any = None,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
    ) -> Run:
        """Start a run in the background and return at once.

        Args:
            input: what the user says: text, a list of texts and `ak.media(…)`, or any JSON value.
            after: an ended run whose conversation goes on.
            deps: reaches tools as `ctx.deps`, and never the log.
            budget: what this run may use; the agent's own when left out.
            tags: recorded, to find the run by.
            session: recorded.
            user: recorded.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.

        Returns:
            The run: `.result()`, `await run`, `.pending`, `.approve()`, `.trace`, …

        Raises:
            LogError: the log cannot be used; nothing was started.
            EncodingError: the input or the answer's schema is not JSON.
            ConfigError: the input is empty, or an option cannot be used.
        """
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        given = _said(input, self.name)
        log = log if isinstance(log, Log) else open_log(log)
        store = log.store
        driver = start(
            store,
            definition,
            given,
            deps=deps,
            after=_to_go_on(log, after),
            tags=tags,
            session=session,
            user=user,
        )
        return Run(store, driver.run_id, driver=driver)

    def submit(
        self,
        input: Any,
        *,
        after: "Run | str | None" = None,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
    ) -> Run:
        """Leave a run to the workers of the log (`agentkit worker module:name`), which import the agent.

        Args:
            input: as `run` takes it.
            after: an ended run whose conversation goes on.
            budget: what this run may use; the agent's own when left out.
            tags: recorded, to find the run by.
            session: recorded.
            user: recorded.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.

        Returns:
            The run, waiting for a worker: `.result()`, `await run`, `.pending`, `.approve()` as if it executed here.

        Raises:
            ConfigError: no worker could import the agent: it is defined in a notebook, a script or a function. Or the
                input is empty, or an option cannot be used.
            LogError: the log cannot be used; nothing was submitted.
            EncodingError: the input or the answer's schema is not JSON.
        """
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        given = _said(input, self.name)
        log = log if isinstance(log, Log) else open_log(log)
        run_id = submit(
            log.store,
            definition,
            given,
            after=_to_go_on(log, after),
            tags=tags,
            session=session,
            user=user,
        )
        return Run(log.store, run_id, definition=definition)

    def map(  # noqa: PLR0913  one keyword an option: they are what a notebook shows on Shift-Tab
        self,
        items: Iterable[Any],
        *,
        concurrency: int = 8,
        on_error: Literal["collect", "fail"] = "collect",
        deps: Any = None,
        budget: Budget | None = None,
        tags: Iterable[str] = (),
        session: str | None = None,
        user: str | None = None,
        log: "Log | str | None" = None,
        again: bool = False,
        progress: bool | None = None,
        submit: bool = False,
    ) -> Batch:
        """Start a run for each input in the background, a few at a time, and return at once; see `Pipeline.map`.

        Args:
            items: inputs as `run` takes them, read as runs begin.
            concurrency: how many runs execute at one time.
            on_error: "collect" leaves an `ak.Failed` in the place of an item that failed; "fail" begins no more items.
            deps: reaches tools as `ctx.deps`, and never the log.
            budget: what each run may use; the agent's own when left out.
            tags: recorded with every run.
            session: recorded with every run.
            user: recorded with every run.
            log: where it is recorded, or its URL; `ak.open_log()` when left out.
            again: True does everything anew.
            progress: whether a bar shows while `result()` waits; by default on a terminal and in a notebook.
            submit: True leaves all the runs to the workers of the log; `concurrency` limits what executes here only.

        Returns:
            The batch: `.result()`, `await batch`, `.counts`, `.failed`, `.pending`, `.retry()`, `.rows`, …

        Raises:
            ConfigError: an option cannot be used; or it is to be submitted, and no worker could import the agent.
            LogError: the log cannot be used; nothing was started.
        """
        definition = self.definition if budget is None else replace(self.definition, budget=budget)
        options = MapOptions(concurrency, on_error, deps, tags, session, user, again, progress, submit)
        log = log if isinstance(log, Log) else open_log(log)
        return Batch(log, definition, items, lambda item: as_json(_said(item, self.name), "input"), options)

    def as_tool(self, description: str | None = None, *, name: str | None = None) -> SubAgent:
        """This agent as a tool of another: its runs are children of that agent's.

        Args:
            description: what the other model is told about it; the instructions' first line by default.
            name: the tool's name; the agent's by default.
        """
        return SubAgent(self.definition, description=description, name=name)

    def __repr__(self) -> str:
        models = ", ".join(model.name for model in self._definition.models)
        tools = ", ".join(self._definition.tools) or "no tools"
        return f"Agent({self.name!r}, {models}, {tools})"


def _check_options(name: Any, instructions: Any, decisions: str, checks: Sequence[Check]) -> None:
    if not name or not isinstance(name, str):
        raise ConfigError("an agent needs a name, a text: its runs are found and resumed by it")
    if not isinstance(instructions, str):
        raise ConfigError(f"{name}: instructions={instructions!r}; give the system prompt, a text")
    if decisions not in {"on", "off"}:
        raise ConfigError(f"{name}: decisions is 'on' or 'off', not {decisions!r}")
    if wrong := [check for check in checks if not callable(check)]:
        raise ConfigError(f"{name}: a check is a function of the output, not {wrong[0]!r}")


def _said(given: Any, owner: str) -> Any:
    """An input as it is; one that says nothing is refused: a model would answer it all the same."""
    if _is_empty(given):
        raise ConfigError(f"{owner}: the input is empty ({given!r}); say what the agent is to do")
    return given


def _is_empty(given: Any) -> bool:
    if isinstance(given, str):
        return not given.strip()
    return given is None or (isinstance(given, list | tuple) and len(cast("list[Any]", given)) == 0)


def _to_go_on(log: Log, after: "Run | str | None") -> str | None:
    """The id of the run whose conversation goes on."""
    return after.run_id if isinstance(after, Run) else None if after is None else log.run(after).run_id


def make_redactor(name: str, redact: Iterable[str | re.Pattern[str]], settings: Mapping[str, Any]) -> Redactor:
    """What takes secrets out of the log, for an agent or a pipeline; settings that hold one are refused."""
    redactor = Redactor(redact)
    refuse_secret_settings(name, settings, redactor)
    return redactor


def _as_tool(tool: Any, owner: str) -> ToolSpec:
    if isinstance(tool, Agent):
        return tool.as_tool()
    if isinstance(tool, ToolSpec):
        return tool
    what = getattr(tool, "__name__", None) or repr(tool)
    advice = "decorate the function with @ak.tool"
    if callable(getattr(tool, "tools", None)):
        advice = "it has some: give tools=[*server.tools()]"
    elif isinstance(tool, list | tuple):
        advice = "put a * before it: tools=[*those, …]"
    raise ConfigError(f"{owner}: {what} is not a tool; {advice}")


def _by_name(tools: Sequence[ToolSpec], owner: str) -> Mapping[str, ToolSpec]:
    by_name: dict[str, ToolSpec] = {}
    for tool in tools:
        if tool.schema.name in by_name:
            raise ConfigError(
                f"{owner}: two tools are named {tool.schema.name!r}; give one another name=, or a prefix= "
                "where it is an MCP server's"
            )
        by_name[tool.schema.name] = tool
    return MappingProxyType(by_name)


def _output(output: Any, owner: str) -> Output:
    try:
        return Output(output)
    except Exception as error:  # pydantic raises several kinds for what it cannot describe
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(
            f"{owner}: output={output!r} has no JSON schema ({reason}); give str or a pydantic model"
        ) from error


def find_module(owner: Any, module: str | None) -> str | None:
    """`module:name` where another process can import an agent or a pipeline; None for a notebook or a script."""
    if module is None or module == "__main__" or module not in sys.modules:
        return None
    names = [name for name, value in vars(sys.modules[module]).items() if value is owner]
    return f"{module}:{names[0]}" if names else None
