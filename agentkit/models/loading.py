"""litellm takes seconds to import: a thread does it while the user goes on, and whoever needs it waits for that."""

import asyncio
import contextlib
import importlib
import logging
import os
import sys
import threading
from concurrent.futures import Future
from typing import Any, cast

from agentkit.errors import ConfigError

Litellm = Any  # the module; its own annotations are partial

_lock = threading.Lock()
_loading: "Future[Litellm] | None" = None


def warm() -> "Future[Litellm]":
    """Begin importing litellm in a thread, once; the future has the module."""
    global _loading  # noqa: PLW0603  a process imports a module once
    with _lock:
        if _loading is None:
            _loading = Future()
            _loading.set_running_or_notify_cancel()  # who gives up waiting must not cancel it for all others
            threading.Thread(target=_load, args=(_loading,), name="agentkit-litellm", daemon=True).start()
        return _loading


async def loaded() -> Litellm:
    """litellm, as soon as it is imported; other runs go on meanwhile.

    Raises:
        ConfigError: it cannot be imported here.
    """
    loading = warm()
    return loading.result() if loading.done() else await asyncio.wrap_future(loading)


def at_hand() -> Litellm | None:
    """The module where it is imported already, by whomever."""
    if _loading is not None and _loading.done() and _loading.exception() is None:
        return _loading.result()
    module = sys.modules.get("litellm")
    return module if module is not None and hasattr(module, "get_llm_provider") and _loading is None else None


def _load(loading: "Future[Litellm]") -> None:
    try:
        loading.set_result(_import())
    except BaseException as error:  # noqa: BLE001  whoever waits is told
        failure = ConfigError(
            f"litellm cannot be imported ({error}); mend it with `pip install -U litellm`, and start Python anew"
        )
        failure.__cause__ = error
        loading.set_exception(failure)


def _import() -> Litellm:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else the import asks the network, three times
    import litellm

    litellm.suppress_debug_info = True  # else each error prints where to give feedback
    if "LITELLM_LOG" not in os.environ:
        for name in ("LiteLLM", "LiteLLM Router"):  # what it would log is in the error that is raised, and in our log
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.suppress(Exception):  # else the first call does it, 0.8 s in which no other run goes on
        cast("Litellm", litellm).token_counter(model="gpt-5-mini", text="")
        importlib.import_module("litellm.proxy._types")
    return litellm


def _after_fork() -> None:
    """A child of a process in the midst of the import can never import it: the lock's owner is not there."""
    global _lock, _loading  # noqa: PLW0603  the parent's thread may have held the one, and never ends the other
    _lock = threading.Lock()
    if _loading is not None and not _loading.done():
        _loading = Future()
        _loading.set_exception(
            ConfigError("this process was forked while litellm was being imported; fork later, or start it with spawn")
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
