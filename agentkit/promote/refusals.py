"""What cannot be written into a module: a value that its source does not give again."""

import ast
import functools
import io
import re
import socket
import subprocess
import types
from asyncio import Future
from collections.abc import Iterator
from typing import Any, cast

from agentkit.batch import Batch
from agentkit.promote.source_of import Statement
from agentkit.runner.run import Run
from agentkit.text import one_line

_DEPS = "open it where a run begins and give it as run(deps=…): a step has it as ctx.deps"
_HISTORY = re.compile(r"_+|_i+|_i?[0-9]+|In|Out|_[doi]h")
"""What IPython calls inputs and outputs of cells."""

_LIVE: tuple[type, ...] = (io.IOBase, socket.socket, subprocess.Popen, types.GeneratorType, Future)
_DEEP = 4  # how far a value is looked into for a live one


def of_history(name: str) -> bool:
    """Whether a name is one that a notebook itself gives to a cell's input or output."""
    return _HISTORY.fullmatch(name) is not None


def why_no_source(statement: Statement) -> str | None:
    """Why a statement that gives a name its value cannot stand in a module by itself."""
    match statement.node:
        case ast.For() | ast.AsyncFor() | ast.While():
            return "a loop gives it its value; write it as one statement, for example as a comprehension"
        case ast.With() | ast.AsyncWith():
            return f"it belongs to a `with` block, which is over; {_DEPS}"
        case ast.AugAssign() | ast.Delete():
            return f"`{_one_line(statement.node)}` changes it; write its value as one statement"
        case ast.If(test=test) if _is_main(test):
            return "only a script's `if __name__ == '__main__'` gives it its value; move it out of there"
        case ast.Assign() | ast.AnnAssign() | ast.If() | ast.Try() | ast.FunctionDef() | ast.ClassDef():
            return _asks(statement.node)
        case ast.AsyncFunctionDef():
            return None
        case node if type(node).__name__ == "TypeAlias":
            return None
        case node:
            return f"`{_one_line(node)}` gives it its value on the way; write it as a statement of its own"


def _asks(node: ast.stmt) -> str | None:
    """Why what a statement executes at once cannot be done again: it asks somebody, or the notebook."""
    for part in _at_once(node):
        if isinstance(part, ast.Await):
            return "a module cannot await; make a step of what does"
        if not isinstance(part, ast.Call):
            continue
        called = ast.unparse(part.func)
        if called == "input" or called.rpartition(".")[2] == "getpass":
            return f"{called}() asks a person for it; make it an input of the pipeline, or an environment variable"
        if called.startswith("get_ipython"):
            return "a notebook's magic gives it its value; write it in Python"
    return None


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    """What is executed with a statement: all of it but functions' bodies."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        decorators = getattr(node, "decorator_list", ())
        for part in (*decorators, *node.args.defaults, *(one for one in node.args.kw_defaults if one)):
            yield from _at_once(part)
        return
    for child in ast.iter_child_nodes(node):
        yield from _at_once(child)


def why_live(value: Any) -> str | None:
    """Why a value is not one that source gives again: a connection, a file, a run."""
    found = next(_live(value, _DEEP), None)
    if found is None:
        return None
    what, holder = found
    kind = f"{type(what).__module__}.{type(what).__qualname__}".removeprefix("builtins.")
    if isinstance(what, Run | Batch):
        return f"it is what a run gave ({kind}); make what is needed of it an input of the pipeline"
    said = f"it holds `{holder}`, a live {kind}" if holder else f"it is a live {kind}"
    return f"{said}; {_DEPS}"


def _live(value: Any, depth: int, holder: str = "") -> Iterator[tuple[Any, str]]:
    """What is live in a value, with the name that a function has it by."""
    is_connection = not isinstance(value, type | types.ModuleType) and all(
        callable(getattr(type(value), method, None))  # pyright: ignore[reportUnknownArgumentType]
        for method in ("cursor", "commit", "close")
    )
    if is_connection or isinstance(value, (*_LIVE, Run, Batch)):
        yield value, holder
    elif depth:
        for name, inner in _held(value):
            yield from _live(inner, depth - 1, name or holder)


def _held(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function holds that is not in its module: its closure, a partial's arguments, a method's object."""
    if isinstance(value, functools.partial):
        held = cast("functools.partial[Any]", value)
        yield from (("", inner) for inner in (held.func, *held.args))
        yield from held.keywords.items()
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
        yield "", value.__func__
    elif isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:  # not yet set
                continue
        if (wrapped := getattr(value, "__wrapped__", None)) is not None:
            yield "", wrapped
    elif isinstance(getattr(value, "function", None), types.FunctionType):  # a tool
        yield "", value.function
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (("", inner) for inner in cast("tuple[Any, ...]", tuple(value))[:100])  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, dict):
        yield from (("", inner) for inner in [*cast("dict[Any, Any]", value).values()][:100])


def _is_main(test: ast.expr) -> bool:
    return "__name__" in ast.unparse(test)


def _one_line(node: ast.stmt) -> str:
    return one_line(ast.unparse(node).partition("\n")[0], 60)
