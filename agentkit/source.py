"""A digest of a function's source: how a resumed run and an approval see that a tool is no longer the same."""

import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any, cast

from agentkit.errors import EncodingError
from agentkit.ids import digest
from agentkit.jsonvalue import as_json
from agentkit.signature import fixed_by_partials, plain_function


def source_digest(function: Callable[..., Any]) -> str:
    """A sha256 that changes when the function's source does, and is the same in every process.

    Where there is no source (code made by `exec`), it is taken of the compiled code, which another Python version may
    compile differently. What partials fix counts too, as far as it is JSON.
    """
    plain = plain_function(function)
    try:
        text = textwrap.dedent(inspect.getsource(plain))
    except (OSError, TypeError, SyntaxError, IndexError):  # no file, or it changed since
        text = _code_text(getattr(plain, "__code__", None))
    fixed = {name: _fact(value) for name, value in sorted(fixed_by_partials(function).items())}
    if fixed:
        text += digest(fixed)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _fact(value: Any) -> Any:
    """A value for a digest: as JSON, or only its type where it is none (a client, a connection)."""
    try:
        return as_json(value, "it")
    except EncodingError:
        return type(value).__qualname__


def _code_text(code: types.CodeType | None) -> str:
    """Compiled code as text without what differs between processes: addresses, file names, the order of sets."""
    return "" if code is None else "\n".join(_code_lines(code))


def _code_lines(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_kwonlyargcount))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_lines(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, cast("frozenset[object]", constant))))
        else:
            yield repr(constant)
