"""Types and objects as generated code names them, with the imports that this takes."""

import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel

from agentkit.functions.signature import NOTHING
from agentkit.promote.computed import Each
from agentkit.promote.expressions import Element, Expr, Field, Index, Only, Pick, Root, literal


class Imports:
    """The modules that generated code needs, and what their objects are called in it.

    Args:
        taken: the names of inputs and steps: a module of that name is called something else.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = frozenset(taken)
        self.typing: set[str] = set()
        self.plain: set[str] = set()
        self.models = False  # whether it makes pydantic models of its own
        self.fields = False  # whether their fields are described
        self.bare: dict[str, Any] = {}  # of a notebook: they have no module to come from
        self._modules: dict[str, str] = {}

    def module(self, name: str) -> str:
        """What a module is called: its last name, or more of it where that is taken."""
        if name not in self._modules:
            taken = self._taken | self.called
            names = (name.rpartition(".")[2], name.replace(".", "_"), f"{name.replace('.', '_')}_module")
            self._modules[name] = next((one for one in names if one not in taken), names[-1])
        return self._modules[name]

    @property
    def called(self) -> set[str]:
        """What the modules so far are called."""
        return set(self._modules.values())

    def lines(self) -> list[str]:
        """The import statements, sorted as isort has them: standard library, others."""
        standard = [f"import {name}" for name in sorted(self.plain)]
        if "datetime" in self.typing:
            standard.append("from datetime import datetime")
        standard += [_import(one, called) for one, called in self._modules.items() if _is_standard(one)]
        standard.sort(key=lambda line: (line.startswith("from"), line))
        names = sorted(self.typing - {"datetime"})
        if names:
            standard.append(f"from typing import {', '.join(names)}")
        others = ["import agentkit as ak"]
        if self.models:
            others.append(f"from pydantic import BaseModel{', Field' if self.fields else ''}")
        for module, called in sorted(self._modules.items()):
            if not _is_standard(module):
                others.append(_import(module, called))
        return [*standard, *([""] if standard else []), *others]

    def thing(self, value: Any, module: str | None, name: str) -> str:
        """An object by its module and name."""
        if module is None or module == "__main__" or module not in sys.modules:
            self.bare[name.partition(".")[0]] = value
            return name
        return f"{self.module(module)}.{name}"

    def type(self, annotation: Any) -> str:
        """A type as source; a text is source already."""
        if isinstance(annotation, str):
            return annotation
        if annotation is NOTHING or annotation is Any:
            self.typing.add("Any")
            return "Any"
        if annotation is None or annotation is type(None):
            return "None"
        if annotation in _BARE:
            self.typing.add("Any")
            return _BARE[annotation]
        origin, parts = get_origin(annotation), get_args(annotation)
        if origin is None:
            return self._class(annotation)
        if origin is Annotated:
            return self.type(parts[0])
        if origin is Literal:
            self.typing.add("Literal")
            return f"Literal[{', '.join(literal(part) for part in parts)}]"
        if origin in {Union, types.UnionType}:
            return " | ".join(self.type(part) for part in parts)
        inner = ", ".join("..." if part is Ellipsis else self.type(part) for part in parts)
        return f"{self._class(origin)}[{inner}]"

    def _class(self, found: Any) -> str:
        module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
        if name is None or module is None or module == "typing":
            self.typing.add("Any")
            return "Any"
        if module == "builtins":
            return name
        if "<locals>" in name:
            self.typing.add("Any")
            return "Any"
        return self.thing(found, module, name)


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _import(module: str, called: str) -> str:
    parent, _, last = module.rpartition(".")
    if not parent:
        return f"import {module}" if called == module else f"import {module} as {called}"
    return f"from {parent} import {last}" + (f" as {called}" if called != last else "")


_BARE: Mapping[Any, str] = {dict: "dict[str, Any]", list: "list[Any]", tuple: "tuple[Any, ...]", set: "set[Any]"}


def type_of(expression: Expr, known: Mapping[str, Any]) -> Any:
    """The static type of an expression, as far as the types of what it is made of say; `Any` where they do not.

    Args:
        expression: a path.
        known: the types of names.
    """
    match expression:
        case Root(name) | Element(name):
            return known.get(name, Any)
        case Field(base, name, by_key):
            return _field_type(plain(type_of(base, known)), name, by_key=by_key)
        case Index(base, _) | Only(base) | Pick(base, _):
            return element_type(type_of(base, known))
        case Each(base, Element(), _, _):
            return type_of(base, known)
        case _:
            return Any


def plain(annotation: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return plain(parts[0]) if len(parts) == 1 else annotation
    return annotation


def _field_type(owner: Any, name: str, *, by_key: bool) -> Any:
    if by_key:
        if get_origin(owner) is dict and len(get_args(owner)) == 2:
            return get_args(owner)[1]
        hints: Mapping[str, Any] = getattr(owner, "__annotations__", {}) if isinstance(owner, type) else {}
        return hints.get(name, Any)
    if isinstance(owner, type) and issubclass(owner, BaseModel) and name in owner.model_fields:
        return owner.model_fields[name].annotation
    try:
        return typing.get_type_hints(cast("Any", owner)).get(name, Any)
    except (TypeError, NameError):
        return Any


def element_type(annotation: Any) -> Any:
    """The type of a list's elements."""
    found = plain(annotation)
    if get_origin(found) in {list, Sequence} and get_args(found):
        return get_args(found)[0]
    return Any


def input_type(values: Sequence[Any]) -> Any:
    """The type of an input, as the runs show it."""
    kinds: set[Any] = {type(value) for value in values}
    optional = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {int, float}:
        kinds = {float}
    found: Any = Any
    if len(kinds) == 1:
        found = kinds.pop()
        if found is dict:
            found = dict[str, Any]
        elif found is list:
            found = _list_type([item for value in values if value for item in cast("list[Any]", value)])
    return found | None if optional and found is not Any else found


def _list_type(items: Sequence[Any]) -> Any:
    inner: Any = input_type(items) if items else Any
    return list[inner]
