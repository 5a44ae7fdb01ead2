"""The log as its user sees it: runs, what waits, SQL, pruning."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic_core import from_json

from agentkit import registry
from agentkit.errors import ConfigError, LogError, RunNotFound
from agentkit.events import RunStatus
from agentkit.policy import Budget
from agentkit.rows import Rows
from agentkit.runner.copying import copy_run
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.state import Approval
from agentkit.store import Store

_open: dict[str, "Log"] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  another thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Log:
    """An append-only log of runs. Get one with `ak.open_log()`.

    Args:
        store: where the events are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.exporter: Any = None  # an `agentkit.export.background.Exporter`, which is above this module

    @property
    def url(self) -> str:
        """What opens this log again."""
        return self.store.url

    def __repr__(self) -> str:
        return f"Log({self.url!r})"

    def run(self, run_id: str) -> Run:
        """A handle on a recorded run.

        Args:
            run_id: its id, or the beginning of it where that is unique.

        Raises:
            RunNotFound: there is none, or several begin so.
            ConfigError: it is no text.
        """
        if not isinstance(run_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  callers are not all checked
            raise ConfigError(f"{run_id!r} is no run's id; give the text, or its beginning; log.runs() lists them")
        found = self._ids(run_id)
        if not found:
            raise RunNotFound(f"no run {run_id!r} in the log {self.url}; log.runs() lists them")
        if len(found) > 1:
            first = "".join(f"\n  {one}" for one in sorted(found)[:10])
            raise RunNotFound(f"{len(found)} runs begin with {run_id!r} in the log {self.url}; say more of it:{first}")
        state = load_state(self.store, found[0], until=1)
        owner = registry.defined(state.name)
        return Run(self.store, found[0], definition=owner.definition if owner is not None else None)

    def _ids(self, prefix: str) -> list[str]:
        prefix = prefix.lower()
        if len(prefix) == 36:
            return [prefix] if self.store.read(prefix, until=1) else []
        if not prefix or set(prefix) - set("0123456789abcdef-"):  # what stands for anything in LIKE stands for no run
            return []
        digits = prefix.replace("-", "")
        if len(digits) > 32:
            return []
        rows = self.sql(  # the bounds let the log skip what lies before and after them
            "SELECT CAST(run_id AS VARCHAR) FROM events WHERE seq = 1 "
            "AND run_id BETWEEN CAST($first AS UUID) AND CAST($last AS UUID) AND CAST(run_id AS VARCHAR) LIKE $prefix",
            first=digits.ljust(32, "0"),
            last=digits.ljust(32, "f"),
            prefix=f"{prefix}%",
        )
        return [row[0] for row in rows]

    def runs(self, *, name: str | None = None, status: str | None = None, limit: int = 100) -> Rows:
        """The newest runs, one row each: the `runs` view.

        Args:
            name: only those of this agent or pipeline.
            status: only those with this recorded status.
            limit: at most so many.

        Raises:
            ConfigError: no run can have such a status.
        """
        _check_status(status, *get_args(RunStatus))
        newest = "ORDER BY started_at DESC, run_id DESC LIMIT $limit"
        if status is not None:
            named = "(CAST($name AS VARCHAR) IS NULL OR name = $name)"
            sql = f"SELECT * FROM runs WHERE status = $status AND {named} {newest}"  # noqa: S608  our own words
            return self.sql(sql, name=name, status=status, limit=limit)
        begun = self.sql(
            "SELECT CAST(run_id AS VARCHAR) FROM events WHERE type = 'run_started' "
            "AND (CAST($name AS VARCHAR) IS NULL OR name = $name) ORDER BY ts DESC, run_id DESC LIMIT $limit",
            name=name,
            limit=limit,
        )
        # a list in the text: with it, the events of other runs are not read, however many there are
        chosen = ", ".join(f"'{run_id}'" for (run_id,) in begun) or "NULL"
        return self.sql(f"SELECT * FROM runs WHERE run_id IN ({chosen}) {newest}", limit=limit)  # noqa: S608  as above

    def pending(self) -> list[Approval]:
        """Every approval that waits for a person, over all runs, oldest first."""
        rows = self.sql("SELECT DISTINCT CAST(run_id AS VARCHAR) FROM approvals WHERE verdict IS NULL")
        found: list[Approval] = []
        for (run_id,) in rows:
            try:
                state = load_state(self.store, run_id)
            except LogError as error:  # one run that cannot be read must not hide what the others wait for
                warnings.warn(f"run {run_id} is left out: {error}", stacklevel=2)
                continue
            given = self.store.answers(run_id)
            found += [state.approvals[key] for key in state.pending if key not in given]
        return sorted(found, key=lambda asked: asked.requested_at)

    def sql(self, sql: str, **parameters: Any) -> Rows:
        """Ask the log anything, read-only.

        Args:
            sql: one reading statement over the views `events`, `runs`, `steps`, `model_calls`, `tool_calls`,
                `decisions`, `approvals`, `comments`, `costs`, `errors`, `exports`; `$name` stands for a parameter.
            parameters: their values.

        Raises:
            QueryError: it does not only read, reaches outside the log, or is wrong.
        """
        return self.store.query(sql, parameters)

    @property
    def plot(self) -> Any:
        """Pictures of the log, `Figure`s of matplotlib: `.cost()`, `.latency()`, `.reliability()`, `.timeline(run)`.

        The rows behind each: `log.plot.cost.data()`, and so on. They need the extra `plot`.
        """
        return registry.load(registry.DISPLAYS["plots"])(self)

    def prune(
        self,
        runs: "Iterable[str | Run] | str | Run | None" = None,
        *,
        before: datetime | None = None,
        status: str | None = None,
    ) -> int:
        """Remove ended runs for good.

        Args:
            runs: the runs or their ids; or leave it out and choose by `before` and `status`.
            before: only those that ended before this time (UTC).
            status: only those that ended so: "succeeded", "failed" or "cancelled".

        Returns:
            How many runs were removed.

        Raises:
            LogError: a run named in `runs` has not ended, or another run begins with its events.
            ConfigError: nothing says which runs.
        """
        if runs is None and before is None and status is None:
            raise ConfigError("prune(runs=[…]) or prune(before=…, status=…): say which runs to remove")
        _check_status(status, "succeeded", "failed", "cancelled")
        needed = self._needed()
        if runs is None:
            chosen = [run_id for run_id in self._ended(before, status) if run_id not in needed]
        else:
            given = [runs] if isinstance(runs, str | Run) else list(runs)
            chosen = [run.run_id if isinstance(run, Run) else self.run(run).run_id for run in given]
            for run_id in chosen:
                self._refuse_to_prune(run_id, needed.get(run_id, set()) - set(chosen))
        self.store.prune(chosen)
        return len(chosen)

    def copy_to(self, other: "Log", runs: "Iterable[str | Run] | str | Run | None" = None) -> int:
        """Copy ended runs to another log, with the runs that they called and those that they begin with.

        A notebook's runs become a team's so: its log has them for SQL, for promotion, for whoever looks later. What the
        other log has already is not sent again, so an interrupted copy is simply made once more.

        Args:
            other: the other log.
            runs: the runs or their ids; all that ended where left out.

        Returns:
            How many runs were new there, or had new events.

        Raises:
            LogError: a run has not ended, or the other log has another one of its id.
            ConfigError: it is the same log.
        """
        if other.store is self.store:
            raise ConfigError(f"{self.url} is the log that these runs are in; open another one")
        given = self._ended(None, None) if runs is None else [runs] if isinstance(runs, str | Run) else list(runs)
        chosen = [run.run_id if isinstance(run, Run) else self.run(run).run_id for run in given]
        done: set[str] = set()
        return sum(copy_run(self.store, other.store, run_id, done) for run_id in chosen)

    def _ended(self, before: datetime | None, status: str | None) -> list[str]:
        rows = self.sql(
            "SELECT CAST(run_id AS VARCHAR) FROM runs WHERE status IN ('succeeded', 'failed', 'cancelled') "
            "AND (CAST($before AS TIMESTAMPTZ) IS NULL OR ended_at < $before) "
            "AND (CAST($status AS VARCHAR) IS NULL OR status = $status)",
            before=before,
            status=status,
        )
        return [row[0] for row in rows]

    def _needed(self) -> dict[str, set[str]]:
        """For each run that others begin with, or that a run which has not ended calls: which those are."""
        begun = self.sql(
            "SELECT CAST(run_id AS VARCHAR), body FROM events "
            "WHERE type = 'run_started' AND (CAST(body AS VARCHAR) LIKE '%\"origin\"%' "
            "OR CAST(body AS VARCHAR) LIKE '{\"$blob\"%')"  # a large body, which is kept in a file
        )
        called = self.sql(
            "SELECT CAST(p.run_id AS VARCHAR), CAST(c.run_id AS VARCHAR) FROM runs c "
            "JOIN runs p ON p.run_id = c.parent_run_id WHERE p.status NOT IN ('succeeded', 'failed', 'cancelled')"
        )
        needed: dict[str, set[str]] = {}
        for run_id, text in begun:
            body = from_json(text) if isinstance(text, str) else text
            if "$blob" in body:
                body = self.store.read(run_id, until=1)[0].body.model_dump()
            if body.get("origin"):
                needed.setdefault(body["origin"]["run_id"], set()).add(run_id)
        for run_id, child in called:
            needed.setdefault(child, set()).add(run_id)
        return needed

    def _refuse_to_prune(self, run_id: str, needed_by: set[str]) -> None:
        state = load_state(self.store, run_id)
        if not state.ended:
            raise LogError(f"run {run_id} has not ended ({state.status}); cancel it first")
        if needed_by:
            others = ", ".join(sorted(needed_by))
            raise LogError(
                f"other runs begin with the events of run {run_id}, or call it: prune {others} first, or too"
            )

    def close(self) -> None:
        """Make everything durable and let go of the log's files."""
        with _lock:
            for key, log in list(_open.items()):
                if log is self:
                    del _open[key]
        if self.exporter is not None:
            self.exporter.close()
            self.exporter = None
        self.store.close()

    def export_to(self, *targets: Any) -> None:  # names, and `agentkit.export.Target`s, which are above this module
        """Have runs exported from now on when they end, in the background; what was set before ends.

        Args:
            targets: "langfuse", "langsmith", "helicone", "otlp", or what `agentkit.export.target` gave. None ends it.

        Raises:
            ConfigError: one is not configured; the message names the variable.
        """
        exporter = registry.load(registry.EXPORTER)(self.store, targets, strict=True) if targets else None
        if self.exporter is not None:
            self.exporter.close()
        self.exporter = exporter


def _check_status(status: str | None, *known: str) -> None:
    if status is not None and status not in known:
        raise ConfigError(f"no run has the status {status!r} there; it is one of: {', '.join(known)}")


def open_log(url: str | Path | None = None, *, export: "str | Iterable[Any] | None" = None) -> Log:
    """Open a log, or make one.

    Args:
        url: a folder, `memory:` (or `:memory:`) or the URL of a store that is installed. None is `$AGENTKIT_LOG`, else
            the nearest `.agentkit/` upwards from the working directory, else a new one here (its path is printed once).
        export: where each run is sent when it ends, in the background: "langfuse", "langsmith", "helicone", "otlp",
            several of them, or what `agentkit.export.target` gave. None is `$AGENTKIT_EXPORT`, names with commas
            between them, else nowhere.

    Returns:
        The log: the same object for the same place, as long as it is open.

    Raises:
        LogUnwritable, LogTooNew: it cannot be used; the message says why.
        ConfigError: no store opens such a URL, or what `export` names is not configured.
    """
    if url is not None and not (isinstance(url, str | os.PathLike) and str(url).strip()):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{url!r} is no log; give a folder's path or a URL, or leave it out for the default one")
    place = str(url) if url is not None else default_place() or _new_place()
    if place == ":memory:":  # as DuckDB and SQLite have it
        place = "memory:"
    scheme = place.partition(":")[0] if ":" in place[2:] or place.startswith("memory:") else ""
    if scheme not in registry.STORES:
        known = ", ".join(sorted(name + ":" for name in registry.STORES if name))
        raise ConfigError(f"no store opens {place!r}; give a folder's path, or one of: {known}")
    key = place if scheme else str(Path(place).expanduser().resolve())
    with _lock:
        log = _open.get(f"{os.getpid()}:{key}")
        if log is not None and not scheme and not Path(key).is_dir():  # somebody removed it: that log is over
            with contextlib.suppress(LogError):
                log.store.close()
            log = None
        if log is None or scheme == "memory":
            log = Log(registry.load(registry.STORES[scheme])(key))
            _open[f"{os.getpid()}:{key}"] = log
            if export is None and (named := os.environ.get("AGENTKIT_EXPORT")):
                log.exporter = registry.load(registry.EXPORTER)(log.store, named.split(","), strict=False)
    if export is not None:
        log.export_to(*([export] if isinstance(export, str) else export))
    return log


def default_place() -> str | None:
    """Where the default log is: `$AGENTKIT_LOG`, else the nearest `.agentkit/` upwards; None where none is yet."""
    if named := os.environ.get("AGENTKIT_LOG"):
        return named
    here = Path.cwd()
    folders = (folder / ".agentkit" for folder in (here, *here.parents))
    return next((str(folder) for folder in folders if folder.is_dir()), None)


def _new_place() -> str:
    place = Path.cwd() / ".agentkit"
    print(f"agentkit: a new log in {place}", file=sys.stderr)  # noqa: T201  a file nobody asked for is said
    return str(place)


def pending(log: Log | None = None) -> Any:
    """Everything that waits for a person, over all runs of a log, oldest first; in a notebook a live inbox of cards.

    An answer resumes the run here where its agent or pipeline is defined here, else it says which command does.

    Args:
        log: where to look; the default log is opened where it is left out.

    Returns:
        An `Inbox`: its elements are approvals, at each look anew.
    """
    return registry.load(registry.DISPLAYS["inbox"])(log or open_log())


def resume(run_id: str, *, log: Log | None = None, deps: Any = None, budget: Budget | None = None) -> Run:
    """Go on with a run from wherever it stopped, in this process.

    Args:
        run_id: the run, or the beginning of its id.
        log: where it is; the default log when left out.
        deps: for `ctx.deps`.
        budget: a new budget.

    Returns:
        Its handle, executing.

    Raises:
        RunNotFound: no such run.
        ResumeError: its agent is not defined here and cannot be imported, or contradicts what is recorded.
        RunClaimed: another process executes it.
    """
    log = log or open_log()
    return log.run(run_id).resume(deps=deps, budget=budget)
