"""The stores that a process has open: one a place, closed when it ends, others in a forked child."""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A store as far as it is kept here."""

    closed: bool

    def close(self) -> None:
        """Give everything back."""
        ...

    def become_child(self) -> None:
        """In a forked child: let go of what is the parent's, and be a process of its own from now on."""
        ...


S = TypeVar("S", bound=Closable)


class Opened(Generic[S]):
    """The stores of one kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_place: weakref.WeakValueDictionary[str, S] = weakref.WeakValueDictionary()
        self._all: weakref.WeakSet[S] = weakref.WeakSet()
        atexit.register(self._close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._become_child)

    def at(self, place: str, make: Callable[[], S]) -> S:
        """The store of a place as long as it is open, else a new one.

        Args:
            place: what tells one from another.
            make: makes it.
        """
        with self._lock:
            store = self._by_place.get(place)
            if store is None or store.closed:
                store = self._by_place[place] = make()
            return store

    def add(self, store: S) -> None:
        """Close a store when the process ends, also one that was not opened by its place."""
        self._all.add(store)

    def _close(self) -> None:
        for store in list(self._all):
            store.close()

    def _become_child(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it
        for store in list(self._all):
            store.become_child()
