"""Finding what a command is about: a definition by where it is, a run by its id, a question by its own."""

import contextlib
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from agentkit import registry
from agentkit.agent import Agent
from agentkit.demo import job
from agentkit.errors import AgentKitError, ApprovalError, ConfigError, RunNotFound
from agentkit.log import Log
from agentkit.pipeline import Pipeline
from agentkit.runner import start
from agentkit.runner.answers import already_answered
from agentkit.runner.family import root_of
from agentkit.runner.run import Run
from agentkit.state import Approval


def definition_at(where: str) -> Agent | Pipeline:
    """The agent or the pipeline that `module:name`, or `path/file.py:name`, names.

    Args:
        where: for example "shop:support", or "shop.py" where it defines one.

    Raises:
        ConfigError: there is none; the message lists those that are there.
    """
    place, _, name = where.partition(":")
    found = {key: value for key, value in _names(place).items() if isinstance(value, Agent | Pipeline)}
    if name in found:
        return found[name]
    if not name and len(found) == 1:
        return next(iter(found.values()))
    raise ConfigError(_why_not(place, name, found))


def _why_not(place: str, name: str, found: dict[str, Agent | Pipeline]) -> str:
    """Why a place and a name lead to no definition, and what does."""
    if not found:
        return f"{place} defines no agent or pipeline; give the module whose variable holds one: module:name"
    listed = f"Agents and pipelines there: {', '.join(f'{place}:{key}' for key in found)}"
    if not name:
        return f"{place} defines {len(found)} of them; say which. {listed}"
    called = next((key for key, value in found.items() if value.name == name), None)
    meant = f"; the one that is called so is {place}:{called}" if called is not None else ""
    return f"no agent or pipeline {name!r} in {place}{meant}. {listed}"


def definitions_at(where: str) -> list[Agent | Pipeline]:
    """The agents and pipelines that `module:name` names, or all that a module defines.

    Args:
        where: for example "shop:support", "shop" or "pipelines/refund.py".

    Raises:
        ConfigError: there is none.
    """
    place, colon, _ = where.partition(":")
    if colon:
        return [definition_at(where)]
    found = {id(value): value for value in _names(place).values() if isinstance(value, Agent | Pipeline)}
    return list(found.values()) or [definition_at(where)]


def value_at(where: str) -> Any:  # whatever the user's tools take as ctx.deps
    """What `module:name` names; a function is called for it."""
    place, _, name = where.partition(":")
    names = _names(place)
    if name not in names:
        raise ConfigError(f"--deps {where}: {place} has no {name or 'name given'}; write module:name")
    value = names[name]
    return value() if callable(value) else value


def _names(place: str) -> dict[str, Any]:
    """What a module, given by its name or its file, defines; a run finds a file again by its folder in `sys.path`."""
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise ConfigError(f"there is no file {place}")
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        place = path.stem
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for the run's
            return dict(vars(importlib.import_module(place)))
    except ModuleNotFoundError as error:
        if error.name is not None and place.split(".", maxsplit=1)[0] == error.name.split(".", maxsplit=1)[0]:
            raise ConfigError(f"there is no module {place} here; give module:name, or path/file.py:name") from error
        raise ConfigError(f"{place} cannot be imported: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything, and exit
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
        ]
        where = f", line {lines[-1]}" if len(lines) > 1 else ""
        raise ConfigError(f"{place} cannot be imported: {type(error).__name__}{where}: {error}") from error


def run_by(log: Log, run_id: str | None) -> Run:
    """A run by the beginning of its id; the newest that no other run called where none is given.

    Raises:
        RunNotFound: there is none, or several begin so.
    """
    if run_id is None:
        rows = log.sql(
            "SELECT CAST(run_id AS VARCHAR) FROM runs WHERE parent_run_id IS NULL ORDER BY started_at DESC LIMIT 1"
        )
        if not rows:
            raise RunNotFound(f"no run in the log {log.url} yet; agentkit run module:agent starts one")
        return run_by(log, str(rows[0][0]))
    run = log.run(run_id)
    if define(run):
        run = log.run(run.run_id)
    run.through = "cli"
    return run


def unfinished(log: Log, run_id: str | None) -> Run:
    """The run to go on with: the one named, or the only one that has not ended.

    Raises:
        RunNotFound: none, or several: the message lists them.
    """
    if run_id is not None:
        return run_by(log, run_id)
    rows = log.sql(
        "SELECT CAST(run_id AS VARCHAR), name, status FROM runs WHERE parent_run_id IS NULL "
        "AND status IN ('running', 'waiting', 'paused') ORDER BY started_at DESC"
    )
    if len(rows) == 1:
        return run_by(log, rows[0][0])
    if not rows:
        raise RunNotFound(f"no run of the log {log.url} is unfinished")
    listed = "\n".join(f"  agentkit resume {row[0]}    {row[1]}, {row[2]}" for row in rows[:20])
    raise RunNotFound(f"{len(rows)} runs are unfinished; say which:\n{listed}")


def top_of(log: Log, run_id: str) -> Run:
    """The run at the top of those that wait for this one: it is the one that is resumed."""
    return run_by(log, root_of(log.store, log.run(run_id).state).run_id)


def define(run: Run) -> bool:
    """Have a run's agent at hand where that is possible: an answer is checked against its tools before it is given.

    The demo's is made of its run's input, which names the model; others are imported from where the run says they are.

    Returns:
        Whether it was not at hand before, and is now.
    """
    state = run.state
    if registry.defined(state.name) is not None or state.ended:
        return False
    if state.name == job.NAME:
        _kept.append(job.make_audit(state.input["model"]))
        return True
    with contextlib.suppress(AgentKitError):  # it is not here: whoever resumes says so, or checks the answer
        start.find_definition(state)
        return True
    return False


_kept: list[Agent] = []  # the registry holds agents weakly


def question_by(log: Log, key: str | None) -> Approval:
    """A pending question by the beginning of its id, or of its run's; the only one where nothing is given.

    Raises:
        ApprovalError: none, or several: the message lists them; or somebody answered it already, which it says.
    """
    pending = log.pending()
    if key is not None and not key.strip():
        raise ApprovalError("the question's id is empty; agentkit pending lists them")
    found = [asked for asked in pending if key is None or asked.id.startswith(key) or asked.run_id.startswith(key)]
    if len(found) == 1:
        return found[0]
    if key is not None and not found:
        _refuse_second_answer(log, key)
    if not pending:
        raise ApprovalError(f"nothing waits for a person in the log {log.url}")
    listed = "\n".join(f"  {asked}" for asked in (found or pending))
    if key is None:
        raise ApprovalError(f"{len(pending)} questions wait; say which by the beginning of its id:\n{listed}")
    what = f"{len(found)} waiting questions begin" if found else "no waiting question begins"
    raise ApprovalError(f"{what} with {key!r}:\n{listed}")


def _refuse_second_answer(log: Log, key: str) -> None:
    """Tell who was first, where one question's id begins so and somebody was."""
    rows = log.sql(
        "SELECT CAST(run_id AS VARCHAR), approval_id FROM approvals WHERE substr(approval_id, 1, $size) = $key",
        size=len(key),
        key=key,
    )
    if len(rows) != 1:
        return
    [(run_id, approval)] = rows
    first = log.store.answers(run_id).get(approval)
    if first is not None:
        raise already_answered(approval, first)
