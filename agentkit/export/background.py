"""Exporting by itself: each run of a log when it ends, in the background, never slowing or failing it."""

import atexit
import contextlib
import importlib
import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence

from agentkit.errors import AgentKitError, ConfigError
from agentkit.events import RunStatus
from agentkit.export.courier import PAUSED_LONG, Courier, say
from agentkit.export.spans import need_opentelemetry
from agentkit.export.targets import Target, target
from agentkit.runner import settled
from agentkit.store import Store

_AT_EXIT = 5.0


def at_exit() -> float:
    """Seconds that a process which ends waits at most for what is still to be sent; the log keeps the rest.

    `$AGENTKIT_EXPORT_FLUSH` says another number, for a job that should wait longer or not at all.
    """
    try:
        return max(0.0, float(os.environ.get("AGENTKIT_EXPORT_FLUSH", _AT_EXIT)))
    except ValueError:
        return _AT_EXIT


class Exporter:
    """Sends a log's runs when they end. `ak.open_log(export=["langfuse"])` makes one.

    Args:
        store: the log.
        targets: where to.
        paused_long: seconds after which a run that waits for a person is shown as far as it is; not in LangSmith and
            Helicone, which take a run once.
    """

    def __init__(self, store: Store, targets: Sequence[Target], *, paused_long: float = PAUSED_LONG) -> None:
        self.couriers = [Courier(store, one, say, paused_long=paused_long) for one in targets]
        self._leave = settled.listen(store, self._settled)
        _exporters.add(self)

    @property
    def targets(self) -> list[Target]:
        """Where runs are sent."""
        return [courier.target for courier in self.couriers]

    def _settled(self, run_id: str, status: RunStatus) -> None:
        for courier in self.couriers:
            courier.settled(run_id, status)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all that ended was sent, what an earlier process left as well.

        Args:
            timeout: seconds.

        Returns:
            Whether everything was sent.
        """
        until = time.monotonic() + timeout
        sent = [courier.flush(max(0.0, until - time.monotonic())) for courier in self.couriers]
        return all(sent)

    def close(self, timeout: float | None = None) -> None:
        """Send what is still to be sent, for so many seconds at most; what is left is sent by a later process.

        Args:
            timeout: seconds; as long as the end of a process waits where it is left out.
        """
        self._leave()
        _exporters.discard(self)
        until = time.monotonic() + (at_exit() if timeout is None else timeout)
        for courier in self.couriers:
            courier.close(max(0.0, until - time.monotonic()))


def attach(store: Store, wanted: "Iterable[str | Target]", *, strict: bool) -> Exporter | None:
    """Have a log's runs exported from now on.

    Args:
        store: the log.
        wanted: targets by name, or made by `target`.
        strict: raise what is wrong; else say it once, and export to the others.

    Returns:
        The exporter; None where there is nothing left to export to.

    Raises:
        ConfigError: a target is not configured, or a package is missing.
        LogUnwritable: it cannot be recorded that exporting begins.
    """
    targets: list[Target] = []
    for one in wanted:
        try:
            targets.append(_ready(one))
        except ConfigError as error:
            if strict:
                raise
            say(f"{error}; nothing is exported there")
    if targets:  # what the first run's export needs is there when it ends, and opening the log does not wait for it
        threading.Thread(target=_warm, name="agentkit export warm-up", daemon=True).start()
    try:
        return Exporter(store, targets) if targets else None
    except AgentKitError as error:
        if strict:
            raise
        say(f"{error}; nothing is exported")
        return None


def _warm() -> None:
    with contextlib.suppress(ImportError):
        importlib.import_module("httpx")


def _ready(wanted: "str | Target") -> Target:
    found = wanted if isinstance(wanted, Target) else target(wanted.strip())
    if found.name != "helicone":
        need_opentelemetry()
    return found


_exporters: "weakref.WeakSet[Exporter]" = weakref.WeakSet()


def _close_all() -> None:
    """At the end of the process, before the logs are closed: they were opened earlier, and exits run backwards."""
    until = time.monotonic() + at_exit()
    for exporter in list(_exporters):
        with contextlib.suppress(Exception):
            exporter.close(max(0.0, until - time.monotonic()))


atexit.register(_close_all)
