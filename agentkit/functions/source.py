"""The source of a function: as it is written, and what of it a digest is taken of."""

import ast
import functools
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


@functools.lru_cache(maxsize=4096)
def essence(text: str) -> str:
    """What source says, the same for every way to format it: comments, quotes, parentheses and lines do not count.

    Args:
        text: of a function; what is no Python by itself, some lambdas' lines, stays as it is.

    Example:
        >>> essence("x = ['a', ]  # a list") == essence('x = ["a"]')
        True
    """
    try:
        return _said(ast.parse(text))
    except (SyntaxError, ValueError):
        return text


def _said(part: Any) -> str:
    """A part of a syntax tree without what is empty: so it is the same in versions of Python that know more fields."""
    if isinstance(part, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(part) if value not in (None, []) and name != "kind")
        return f"{type(part).__name__}({','.join(f'{name}={_said(value)}' for name, value in fields)})"
    return f"[{','.join(map(_said, cast('list[Any]', part)))}]" if isinstance(part, list) else repr(part)


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
