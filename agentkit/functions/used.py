"""A digest of a function and of what it uses in its user's own code: with it, what the function does may change.

Names are followed: helpers, constants, classes with their fields and methods, what closures and partials hold,
defaults, annotations, and what those use in turn. Packages count by name and version. What has no stable value, a
client or a connection say, counts by its type; an agent or a pipeline by its name; what a function imports when it is
called, by that name. A list or a dict counts as what it holds when the digest is asked for; one that a followed
function writes into is its memory and no part of what it does: it counts by its type.
"""

import copy
import hashlib
import inspect
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from agentkit.functions.code_names import changed_names, names_of
from agentkit.functions.own_code import is_own, package
from agentkit.functions.pieces import MOST, held_by, members_of, parts_of, stable_text
from agentkit.functions.source import essence, own_text

_MISSING = object()
_WATCHED = 1_000_000  # characters of a container's text up to which it is seen when its entries change
_WORD = re.compile(r"[A-Za-z_]\w*")


class Used:
    """The digest of a function and of all that it uses.

    It is taken when it is first asked for, and anew where a name that was followed has another value by now.

    Args:
        function: a function, a bound method, a partial, or an object with `__call__`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._walk: _Walk | None = None

    @property
    def sha256(self) -> str:
        """64 hex digits, the same in every process."""
        if self._walk is None or not self._walk.holds():
            self._walk = _walk(self._function)
        return self._walk.sha256


def _walk(function: Callable[..., Any]) -> "_Walk":
    """Follow a function; again as long as what was followed turns out to be written into."""
    memory: set[tuple[int, str]] = set()
    while True:
        known = len(memory)
        walk = _Walk(function, memory)
        if len(memory) == known:
            return walk


class _Walk:
    """Everything that is reached from a function, as lines of text in an order that only the code decides.

    Args:
        function: where to begin.
        memory: the names, each with its namespace's id, that followed functions write into; what is found is added.
    """

    def __init__(self, function: Callable[..., Any], memory: set[tuple[int, str]]) -> None:
        self._memory = memory
        self._digest = hashlib.sha256()
        self._numbers: dict[int, int] = {}  # of what was reached already, by its id
        self._kept: list[Any] = []  # an id is one's own as long as one lives
        self._names: list[tuple[Mapping[str, Any], str, Any]] = []
        self._copies: list[tuple[Any, Any]] = []
        self._open: deque[tuple[str, Any]] = deque([("", function)])
        while self._open:
            label, value = self._open.popleft()
            try:
                self._visit(label, value)
            except Exception:  # noqa: BLE001  a proxy raises whatever is asked of it: it counts by its type
                self._line(label, type(value).__qualname__)
        self.sha256 = self._digest.hexdigest()

    def holds(self) -> bool:
        """Whether every name still has the value that was followed, and every container what it held."""
        try:
            same = all(now == then for now, then in self._copies)
        except Exception:  # noqa: BLE001  what a user's values say when they are compared
            return False
        return same and all(names.get(name, _MISSING) is value for names, name, value in self._names)

    def _line(self, label: str, *facts: str) -> None:
        self._digest.update("\0".join((label, *facts, "\n")).encode("utf-8", "backslashreplace"))

    def _visit(self, label: str, value: Any) -> None:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return self._line(label, type(value).__name__, repr(value))
        if id(value) in self._numbers:
            return self._line(label, "again", str(self._numbers[id(value)]))
        number = self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        match value:
            case types.FunctionType():
                self._function(label, value, number)
            case types.ModuleType():
                self._line(label, package(value.__name__))
            case type():
                self._class(label, cast("type[Any]", value), number)
            case _:
                self._other(label, value, number)
        return None

    def _later(self, number: int, parts: Mapping[str, Any]) -> None:
        self._open.extend((f"{number}.{name}", part) for name, part in parts.items())

    # functions -------------------------------------------------------------------------------------------------------

    def _function(self, label: str, function: types.FunctionType, number: int) -> None:
        module = str(function.__globals__.get("__name__", ""))
        wrapped = {"wraps": inner} if (inner := getattr(function, "__wrapped__", None)) is not None else {}
        if not is_own(module):
            self._line(label, package(module), function.__qualname__)
            return self._later(number, wrapped)
        text = own_text(function)
        self._line(label, "function", essence(text))
        changed = changed_names(text)
        chains = names_of(function.__code__)
        self._memory.update((id(function.__globals__), chain[0]) for chain in chains if chain[0] in changed)
        for chain in chains:
            self._name(number, function.__globals__, chain)
        held: dict[str, Any] = {
            name: type(part) if name in changed else part for name, part in held_by(function).items()
        }
        self._later(number, {**held, **wrapped})
        return self._annotations(number, function, function.__globals__)

    def _name(self, number: int, names: Mapping[str, Any], chain: tuple[str, ...]) -> None:
        """A name of a module, and through a module of the user's own the attributes that are taken of it."""
        name, *attributes = chain
        if name.startswith("__"):  # what a module is called here, and where it is
            return None
        value = names.get(name, _MISSING)
        if (id(names), name) in self._memory:
            return self._later(number, {name: type(value)})
        self._names.append((names, name, value))
        if value is _MISSING:
            return None
        if isinstance(value, types.ModuleType) and attributes and is_own(value.__name__):
            return self._name(number, vars(value), tuple(attributes))
        return self._later(number, {name: value})

    def _annotations(self, number: int, owner: Any, names: Mapping[str, Any]) -> None:
        for name, annotation in inspect.get_annotations(owner).items():
            if isinstance(annotation, str):
                for word in dict.fromkeys(_WORD.findall(annotation)):
                    self._name(number, names, (word,))
            else:
                self._later(number, {f"{name}:": annotation})

    # classes ---------------------------------------------------------------------------------------------------------

    def _class(self, label: str, kind: type[Any], number: int) -> None:
        if not is_own(kind.__module__):
            return self._line(label, package(kind.__module__), kind.__qualname__)
        self._line(label, "class", kind.__name__, inspect.cleandoc(kind.__doc__ or ""))
        names = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else dict[str, Any]()
        self._later(number, {f"base {at}": base for at, base in enumerate(kind.__bases__) if base is not object})
        self._later(number, dict(members_of(kind)))
        return self._annotations(number, kind, names)

    # values ----------------------------------------------------------------------------------------------------------

    def _other(self, label: str, value: Any, number: int) -> None:
        kind = cast("type[Any]", type(value))
        parts = parts_of(value)
        if parts is not None:
            self._line(label, kind.__qualname__)
            return self._later(number, parts)
        text = stable_text(value)
        self._line(label, kind.__qualname__, text if text is not None else "")
        if text is not None and len(text) <= _WATCHED and isinstance(value, list | dict | set | bytearray):
            self._copies.append((cast("Any", value), copy.deepcopy(cast("Any", value))))
        elif text is None and isinstance(value, list | tuple | dict) and len(cast("list[Any]", value)) <= MOST:
            self._container(number, value)
        if is_own(kind.__module__):  # its methods may be called
            self._later(number, {"class": kind})
        return None

    def _container(self, number: int, value: Any) -> None:
        """What a container holds that is no plain value: functions, classes."""
        self._copies.append((value, copy.copy(value)))
        items: list[tuple[Any, Any]] = [*(value.items() if isinstance(value, dict) else enumerate(value))]  # pyright: ignore[reportUnknownArgumentType]
        self._later(number, {str(key) if isinstance(key, str | int) else "": item for key, item in items})
