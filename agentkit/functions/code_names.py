"""The names that a function takes from outside: with the attributes it takes of them, and those that it changes."""

import ast
import dis
import functools
import types
import weakref
from collections.abc import Iterator

_known: "weakref.WeakKeyDictionary[types.CodeType, tuple[tuple[str, ...], ...]]" = weakref.WeakKeyDictionary()
_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_CHANGING = frozenset(
    {"add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert"}
    | {"intersection_update", "move_to_end", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault"}
    | {"sort", "symmetric_difference_update", "update"}
)
"""The methods by which Python's containers are changed."""


def names_of(code: types.CodeType) -> tuple[tuple[str, ...], ...]:
    """Which names of its module code uses, that of the functions within it too.

    Args:
        code: of a function.

    Returns:
        Each name once, sorted, followed by the attributes that are taken of it at once: `("shop", "rates", "get")`.
    """
    found = _known.get(code)
    if found is None:
        found = _known[code] = tuple(sorted(set(_chains(code))))
    return found


def _chains(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    chain: list[str] = []
    for instruction in dis.get_instructions(code):
        if chain and instruction.opname in _ATTRIBUTE:
            chain.append(str(instruction.argval))
            continue
        if chain:
            yield tuple(chain)
        chain = [str(instruction.argval)] if instruction.opname in _GLOBAL else []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _chains(constant)


@functools.lru_cache(maxsize=4096)
def changed_names(text: str) -> frozenset[str]:
    """The names whose values a function changes: `global` ones, and containers that it writes into.

    Args:
        text: the function's source; of what is no Python, nothing is known.

    Example:
        >>> sorted(changed_names("def f(x): seen.append(x); best[x] = other[x]"))
        ['best', 'seen']
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a lambda's lines need not be a whole statement
        return frozenset()
    return frozenset(name for node in ast.walk(tree) for name in _changed(node))


def _changed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        yield from _root(node.func.value)
    elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield from _root(node.value)


def _root(node: ast.expr) -> Iterator[str]:
    """The name at the beginning of `name.part[0]`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
