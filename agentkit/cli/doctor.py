"""`agentkit doctor`: what is configured, what is there, what is wrong, and how to mend it."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

import agentkit
from agentkit.agent import as_model
from agentkit.cli.options import AsJson, LogUrl, the_log
from agentkit.cli.screen import out
from agentkit.errors import AgentKitError, ConfigError, ModelNotFound
from agentkit.log import Log
from agentkit.models import weights
from agentkit.models.default import PROVIDERS, choose
from agentkit.stores.embedded.filesystem import network_file_system

if TYPE_CHECKING:
    from agentkit.export.targets import Target

_MIN_FREE = 500_000_000
"""Bytes: below that a log of a few days, or a local model, may not fit."""

EXTRAS = {
    "lab": ("jupyterlab", "JupyterLab"),
    "local": ("xllamacpp", "models on this machine"),
    "mcp": ("mcp", "MCP servers as tools"),
    "langfuse": ("langfuse", "traces in Langfuse"),
    "otel": ("opentelemetry.sdk", "traces over OpenTelemetry"),
    "postgres": ("psycopg", "a log in PostgreSQL"),
    "plot": ("matplotlib", "pictures from the log"),
}
"""Each extra, the module that it brings, and what it is for."""


@dataclass(frozen=True)
class Check:
    """What one check found.

    Args:
        what: what was looked at.
        state: "ok", "note" (nothing is wrong), "warning" or "error".
        found: what is there.
        mend: what to do about it.
    """

    what: str
    state: Literal["ok", "note", "warning", "error"]
    found: str
    mend: str | None = None


def doctor(json: AsJson = False, log: LogUrl = None) -> None:
    """Say what is configured, which models and extras are there, what is wrong, and how to mend it."""
    checks = [check for group in (_system, _extras, _models) for check in group()]
    checks += _log(log)
    checks += _exports()
    if json:
        out([asdict(check) for check in checks])
    else:
        for check in checks:
            _print(check)
    raise typer.Exit(1 if any(check.state == "error" for check in checks) else 0)


def _exports() -> Iterator[Check]:
    """The tracing systems that the environment configures; none of the others is asked."""
    from agentkit.export.targets import configured, target

    for name in configured():
        try:
            where = target(name)
        except ConfigError as error:
            yield Check(f"export {name}", "error", str(error), "set it, or unset the others of this system")
            continue
        yield from _reached(name, where)


def _reached(name: str, where: "Target") -> Iterator[Check]:
    from agentkit.export.reach import SKEW, reach

    found = reach(where)
    if not found.ok:
        yield Check(f"export {name}", "error", f"{where.key} {found.found}", "look at its address and its key")
        return
    key = "the key is accepted" if found.key_known else "its key is only checked when something is sent"
    yield Check(f"export {name}", "ok", f"{where.key} {found.found}; {key}")
    if found.skew is not None and abs(found.skew) > SKEW:
        ahead = "ahead of" if found.skew > 0 else "behind"
        what = f"{where.key} is {abs(found.skew):.0f} s {ahead} this machine: runs seem to happen at another time"
        yield Check(f"clock {name}", "warning", what, "set this machine's clock (NTP)")


_MARKS = {"ok": "✓", "note": "·", "warning": "!", "error": "✗"}


def _print(check: Check) -> None:
    out(f"{_MARKS[check.state]} {check.what}: {check.found}")
    if check.mend:
        out(f"    → {check.mend}")


def _system() -> Iterator[Check]:
    yield Check("agentkit", "ok", f"{agentkit.__version__}, Python {platform.python_version()}, {platform.platform()}")
    names = ("duckdb", "pydantic", "litellm", "ipywidgets", "anywidget")
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        yield Check("packages", "error", f"missing: {', '.join(missing)}", "pip install jupyter-agentkit")
    else:
        yield Check("packages", "ok", ", ".join(f"{name} {metadata.version(name)}" for name in names))


def _extras() -> Iterator[Check]:
    for extra, (module, purpose) in EXTRAS.items():
        if _is_there(module):
            yield Check(f"extra {extra}", "ok", purpose)
        else:
            yield Check(
                f"extra {extra}", "note", f"not installed ({purpose})", f"pip install 'jupyter-agentkit[{extra}]'"
            )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False


def _models() -> Iterator[Check]:
    keys = [variable for variable, _ in PROVIDERS if os.environ.get(variable)]
    yield Check("providers' keys", "ok" if keys else "note", ", ".join(f"${key}" for key in keys) or "none is set")
    here = [one.name for one in weights.installed()]
    pull = None if here else "agentkit models list"
    yield Check("models on this machine", "ok" if here else "note", ", ".join(here) or "none yet", pull)
    try:
        choice = choose()
    except ModelNotFound as error:
        yield Check("default model", "warning", "none", str(error))
        return
    try:
        as_model(choice.name)
        if choice.name.startswith("local/") and choice.to_pull is None and not choice.name.endswith(".gguf"):
            weights.find(choice.name)
    except AgentKitError as error:
        yield Check("default model", "error", f"{choice.name} ({choice.why}): {error}")
    else:
        yield Check("default model", "ok", f"{choice.name}: {choice.why}", choice.better and f"better: {choice.better}")


def _log(url: str | None) -> Iterator[Check]:
    try:
        log = the_log(url)
    except ConfigError as error:
        yield Check("log", "note", str(error))
        return
    except AgentKitError as error:
        yield Check("log", "error", str(error))
        return
    yield from _attempt("log", lambda: _contents(log))
    if "://" in log.url:
        yield from _attempt("log server", lambda: _server(log))
    place = Path(log.url)
    if place.is_dir():
        yield _writable(place)
        yield _disk(place)
        yield _file_system(place)


def _attempt(what: str, look: Callable[[], Check]) -> Iterator[Check]:
    try:
        yield look()
    except AgentKitError as error:
        yield Check(what, "error", str(error))


def _contents(log: Log) -> Check:
    counts = dict(log.sql("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status").rows)
    runs = ", ".join(f"{count} {status}" for status, count in counts.items()) or "no runs yet"
    waits = len(log.pending())
    if waits:
        return Check("log", "note", f"{log.url}: {runs}; {waits} questions wait for a person", "agentkit pending")
    return Check("log", "ok", f"{log.url}: {runs}")


def _server(log: Log) -> Check:
    version, role = (log.sql(sql)[0][0] for sql in ("SHOW server_version", "SELECT current_user"))
    said = f"PostgreSQL {version}, as {role}"
    if log.sql("SHOW is_superuser")[0][0] == "on":
        return Check(
            "log server",
            "warning",
            f"{said}, a superuser: nothing but a look at its words keeps SQL that people write within the log",
            "give the log a role of its own, with rights on its schema alone, and a statement_timeout",
        )
    return Check("log server", "ok", said)


def _writable(place: Path) -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-"):
            return Check("log folder", "ok", "can be written")
    except OSError as error:
        return Check(
            "log folder", "error", f"cannot be written: {error.strerror or error}", "chmod it, or set $AGENTKIT_LOG"
        )


def _disk(place: Path) -> Check:
    free = shutil.disk_usage(place).free
    if free < _MIN_FREE:
        mend = "free some space; `agentkit prune` removes ended runs"
        return Check("disk", "warning", f"{free / 1e6:,.0f} MB are free", mend)
    return Check("disk", "ok", f"{free / 1e9:,.0f} GB are free")


def _file_system(place: Path) -> Check:
    kind = network_file_system(place)
    if kind is None:
        return Check("file system", "ok", "local")
    return Check(
        "file system",
        "warning",
        f"the log is on a network file system ({kind}), where locks and syncs may not hold",
        "keep the log on a local disk ($AGENTKIT_LOG), or use PostgreSQL for a team",
    )
