"""The source of a user's names: the statements of a module, a script or a notebook's cells, as they were executed."""

import ast
import io
import linecache
import sys
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from agentkit.functions.signature import plain_function
from agentkit.functions.written import Written
from agentkit.promote.names import binds

_PYTHON_MAGICS = frozenset({"time", "capture", "prun"})
"""Magics whose text is Python that runs in the notebook's own names."""

_NO_LINES = frozenset({"<timed exec>", "<timed eval>", "<stdin>", "<string>"})
"""What code is called whose text nobody kept by that name."""


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement outside of any function.

    Args:
        node: its syntax.
        text: its source, with the comments that belong to it.
        place: where it stands, in words: "In [3], line 2".
        order: where it stands among all: a later execution is larger.
        binds: the names that it binds.
    """

    node: ast.stmt
    text: str
    place: str
    order: tuple[int, int]
    binds: frozenset[str]

    def is_same(self, node: ast.stmt) -> bool:
        """Whether it says what another statement says."""
        return type(self.node) is type(node) and ast.dump(self.node) == ast.dump(node)


@dataclass
class Sources:
    """The statements behind a namespace, in the order in which they ran.

    Args:
        module: the namespace's name; `__main__` in a notebook and a script.
        names: the namespace.
        title: what it is, in words: "a notebook", "shop.py".
        statements: all of them.
        docstring: the module's own.
    """

    module: str
    names: dict[str, Any]  # whatever the user's names hold
    title: str
    statements: list[Statement] = field(default_factory=list[Statement])
    docstring: str | None = None

    @property
    def postponed(self) -> bool:
        """Whether annotations are not evaluated: `from __future__ import annotations`."""
        nodes = [one.node for one in self.statements if "annotations" in one.binds]
        return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in nodes)

    def binding(self, name: str) -> Statement | None:
        """The statement that gave a name its value: the newest; of a function's, the one whose code it has."""
        found = [one for one in self.statements if name in one.binds]
        value = self.names.get(name)
        plain = plain_function(value) if callable(value) else None
        code = getattr(plain, "__code__", None)
        if len(found) != 1 and code is not None and getattr(plain, "__globals__", {}).get("__name__") == self.module:
            exact = self.at(code.co_filename, code.co_firstlineno)
            if exact is not None and name in exact.binds:
                return exact
        return found[-1] if found else None

    def after(self, statement: Statement) -> list[Statement]:
        """What ran after a statement."""
        return [one for one in self.statements if one.order > statement.order]

    def first(self, statement: Statement) -> tuple[int, int]:
        """Where its names were first bound: what is executed again keeps its place."""
        return min((one.order for one in self.statements if statement.binds & one.binds), default=statement.order)

    def declared(self, where: Written | None, name: str) -> Statement | None:
        """The statement that declared a step."""
        if where is None or where.file in _NO_LINES:
            return self.binding(name)
        return self.at(where.file, where.line)

    def at(self, file: str, line: int) -> Statement | None:
        """The statement that holds a line of a file or a cell."""
        text = "".join(linecache.getlines(file))
        node = next((one for one in _parse(text) if first_line(one) <= line <= (one.end_lineno or line)), None)
        if node is None:
            return None
        same = [one for one in self.statements if one.is_same(node)]
        if not same:  # a script that `%run` ran
            self.statements[:0] = statements_of(text, Path(file).name, -1)
            same = [one for one in self.statements if one.is_same(node)]
        return same[-1]


def sources_of(module: str) -> Sources:
    """The statements behind a module of this process, a notebook's cells where it is one.

    Args:
        module: its name in `sys.modules`.
    """
    home = sys.modules[module]
    shell = _shell(vars(home))
    if shell is not None:
        sources = Sources(module, vars(home), "the notebook")
        for number, text in enumerate(shell.history_manager.input_hist_parsed):
            sources.statements += statements_of(text, f"In [{number}]", number, shell)
        return sources
    file = getattr(home, "__file__", None) or ""
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file))
    title = Path(file).name or module
    sources = Sources(module, vars(home), title, statements_of(text, title, 0))
    sources.docstring = _docstring(text)
    return sources


def _shell(names: dict[str, Any]) -> Any:
    """The IPython whose names these are; it is untyped."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if shell is not None and shell.user_ns is names else None


def statements_of(text: str, label: str, number: int, shell: Any = None) -> list[Statement]:
    """The statements of a module or a cell; none where it is no Python.

    Args:
        text: its source, magics transformed to calls.
        label: how its places are called.
        number: the order of its execution.
        shell: the notebook's IPython, to read what magics ran.
    """
    lines, comments = text.split("\n"), _comments(text)
    body = _parse(text)
    found: list[Statement] = []
    for at, node in enumerate(body):
        ran = _ran_by_magic(node)
        if shell is not None and ran is not None:
            inner = statements_of(shell.transform_cell(ran), label, number, shell)
            found += [_moved(one, len(found) + place) for place, one in enumerate(inner)]
            continue
        after = body[at + 1] if at + 1 < len(body) else None
        source = _text(lines, comments, node, after)
        place = f"{label}, line {node.lineno}"
        found.append(Statement(node, source, place, (number, len(found)), frozenset(binds(node))))
    return found


def _moved(one: Statement, place: int) -> Statement:
    return Statement(one.node, one.text, one.place, (one.order[0], place), one.binds)


def _parse(text: str) -> Sequence[ast.stmt]:
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError):
        return ()


def _docstring(text: str) -> str | None:
    """A module's docstring as it is written."""
    body = _parse(text)
    first = body[0] if body else None
    return ast.get_source_segment(text, first) if isinstance(first, ast.Expr) and _is_text(first.value) else None


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _ran_by_magic(node: ast.stmt) -> str | None:
    """The Python that a magic such as %time ran."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    if call.func.attr not in {"run_cell_magic", "run_line_magic"} or not all(map(_is_text, call.args)):
        return None
    magic, *_, code = [str(cast("ast.Constant", one).value) for one in call.args]
    return code if magic in _PYTHON_MAGICS else None


def first_line(node: ast.stmt) -> int:
    """A statement's first line, its decorators' where it has some."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])


def _comments(text: str) -> dict[int, int]:
    """Line → column, of each comment."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


def _text(lines: Sequence[str], comments: dict[int, int], node: ast.stmt, after: ast.stmt | None) -> str:
    """A statement with the comments above and behind it, and with the text below that describes its value."""
    begin, end = first_line(node), node.end_lineno or node.lineno
    rest = lines[end - 1].encode()[node.end_col_offset or 0 :].decode().strip()
    if node.col_offset or (rest and not rest.startswith("#")):  # one of several on a line
        return ast.unparse(node)
    described = isinstance(after, ast.Expr) and _is_text(after.value) and after.lineno == end + 1
    if described and after is not None and isinstance(node, ast.Assign | ast.AnnAssign):
        end = after.end_lineno or end
    while begin > 1 and comments.get(begin - 1) == 0 and not _is_mark(lines[begin - 2]):
        begin -= 1
    return "\n".join(lines[begin - 1 : end])


def _is_mark(comment: str) -> bool:
    """Whether a comment is an editor's: a cell's beginning, a script's first line."""
    return comment.startswith(("#!", "# %%", "#%%", "# In[", "# -*-"))


def without_decorators(statement: Statement, unwanted: Callable[[ast.expr], bool]) -> Statement:
    """A function's statement without some of its decorators; any other as it is.

    Args:
        statement: the statement.
        unwanted: says which to take out.
    """
    node = statement.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return statement
    out = [one for one in node.decorator_list if unwanted(one)]
    if not out:
        return statement
    begin = first_line(node)
    above = statement.text.split("\n")
    shift = begin - 1 - (len(above) - ((node.end_lineno or begin) - begin + 1))  # comments stand above
    gone = {line - 1 - shift for one in out for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}
    text = "\n".join(line for at, line in enumerate(above) if at not in gone)
    return Statement(ast.parse(text).body[0], text, statement.place, statement.order, statement.binds)
