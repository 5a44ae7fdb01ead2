"""The source of a function as text: what a digest of it is taken of."""

import inspect
import textwrap
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

_known: "weakref.WeakKeyDictionary[Callable[..., Any], str]" = weakref.WeakKeyDictionary()


def own_text(function: types.FunctionType) -> str:
    """A function's source, decorators included; the same in every process.

    Where there is no source (code made by `exec`), it is the compiled code, which another Python version may compile
    differently.

    Args:
        function: a plain one.
    """
    text = _known.get(function)
    if text is None:
        text = _known[function] = _read(function)
    return text


def _read(function: types.FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function.__code__))
    except (OSError, TypeError, SyntaxError, IndexError):  # no file, or it changed since
        return "\n".join(_code_lines(function.__code__))


def _code_lines(code: types.CodeType) -> Iterator[str]:
    """Compiled code as text without what differs between processes: addresses, file names, the order of sets."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_kwonlyargcount))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_lines(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, cast("frozenset[object]", constant))))
        else:
            yield repr(constant)
