"""Whether a name still has the value that its statement gives, as far as its text alone can tell."""

import ast
from collections.abc import Callable, Mapping
from typing import Any, cast

from agentkit.promote.source_of import Statement
from agentkit.redact import Redactor
from agentkit.text import one_line


def why_changed(statement: Statement, name: str, names: Mapping[str, Any], redactor: Redactor) -> str | None:
    """Why a statement does not give the value that a name has; None also where that cannot be told from its text."""
    node, value = statement.node, names.get(name)
    simple = isinstance(node, ast.AnnAssign) or (isinstance(node, ast.Assign) and len(node.targets) == 1)
    target = (
        node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
    )
    expression = getattr(node, "value", None)
    if not simple or not isinstance(target, ast.Name) or expression is None:
        return None
    try:
        given = _value_of(expression, names)
    except _Unknown:
        return None
    if type(given) is type(value) and (given == value or repr(given) == repr(value)):
        return None
    now, before = (one_line(redactor.text(repr(one)), 60) for one in (value, given))
    return f"its statement gives {before}, and it is {now} by now; execute it again, or write the value that is meant"


class _Unknown(Exception):
    """What an expression gives cannot be told without executing it."""


_EMPTY: dict[str, Callable[[], Any]] = {"set": set, "dict": dict, "list": list, "tuple": tuple, "frozenset": frozenset}


def _value_of(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What an expression of constants gives; raises `_Unknown` where it is more."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
            return kind([_value_of(part, names) for part in parts])
        case ast.Dict(keys=keys, values=values) if all(keys):
            return {
                _value_of(cast("ast.expr", key), names): _value_of(value, names)
                for key, value in zip(keys, values, strict=True)
            }
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _EMPTY and name not in names:
            return _EMPTY[name]()
        case ast.UnaryOp() | ast.BinOp():
            return _number(node, names)
        case _:
            raise _Unknown


def _number(node: ast.UnaryOp | ast.BinOp, names: Mapping[str, Any]) -> Any:
    """What plus, minus, times and divided by make of numbers."""
    operands = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
    values = [_value_of(one, names) for one in operands]
    if not all(isinstance(one, int | float) for one in values) or isinstance(
        getattr(node, "op", None), ast.Pow | ast.LShift
    ):
        raise _Unknown
    try:
        return eval(compile(ast.Expression(node), "<statement>", "eval"), {"__builtins__": {}})  # noqa: S307  numbers only
    except ArithmeticError as error:
        raise _Unknown from error
