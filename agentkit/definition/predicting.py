"""Where writes are only predicted: what is done in the place of a tool that writes and is called as a function.

A context variable says so in the code of the steps concerned, and in all that they await, call and ask. Threads that
such code makes itself know nothing of it: while writes are predicted anywhere in the process, a write from a thread of
unknown origin is refused. A write too few is an error that somebody sees, and one too many is done.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any, TypeAlias

from agentkit.errors import ConfigError

Instead: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]

INSTEAD: ContextVar[Instead | None] = ContextVar("instead", default=None)
"""Takes the tool and the arguments of the call; None where writes are done."""

_lock = threading.Lock()
_here = 0  # so many predict writes in this process


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  another thread of the parent may have held it; how many predict stays on the safe side
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def predicting() -> Generator[None]:
    """While it is open, writes are predicted somewhere in this process."""
    global _here  # noqa: PLW0603  one count a process, as there is one process
    with _lock:
        _here += 1
    try:
        yield
    finally:
        with _lock:
            _here -= 1


def instead_of_write(name: str) -> Instead | None:
    """What is done instead of a write that code calls as a function; None where it is done.

    Args:
        name: the tool's.

    Raises:
        ConfigError: nobody knows whether this thread belongs to what is only predicted.
    """
    instead = INSTEAD.get()
    if instead is None and _here and not _is_known(threading.current_thread()):
        raise ConfigError(
            f"{name} writes, and a pipeline runs in this process whose writes are only predicted: its code may have "
            "made this thread. Call it when that has ended, or make the thread by asyncio.to_thread"
        )
    return instead


def _is_known(thread: threading.Thread) -> bool:
    """Whether what a thread does is known: the caller's own, or one of the runner's, which take the variable along."""
    return thread is threading.main_thread() or thread.name.startswith("agentkit")


def refuse_runs() -> None:
    """Refuse to start a run where writes are predicted: nobody could keep it from writing.

    Raises:
        ConfigError: the code of such a step starts one.
    """
    if INSTEAD.get() is not None:
        raise ConfigError(
            "a step whose writes are only predicted cannot start a run of its own, which would write: make the agent "
            "or the pipeline a step, or call it by ctx.call(agent.as_tool(), …)"
        )
