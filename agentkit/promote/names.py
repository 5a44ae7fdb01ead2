"""What a statement binds, and which names of its module it uses: at once, or when something in it is called."""

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})


@dataclass(frozen=True)
class Uses:
    """The names of its module that a statement uses.

    Args:
        at_once: when it is executed; what a lambda in it uses is among it, since somebody may call it at once.
        later: when a function that it defines is called.
        quoted: in annotations that are texts; they need not be there.
    """

    at_once: frozenset[str]
    later: frozenset[str]
    quoted: frozenset[str]

    @property
    def only_quoted(self) -> frozenset[str]:
        """Those that no code uses."""
        return self.quoted - self.at_once - self.later

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.at_once | self.later | self.quoted))


def uses(node: ast.stmt) -> Uses:
    """Which names a statement of a module uses that it does not bind itself.

    Args:
        node: the statement.
    """
    table = symtable.symtable(ast.unparse(node), "<statement>", "exec")
    at_once = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    later: set[str] = set()
    for child in table.get_children():
        _scope(child, at_once, later, called=False)
    quoted = {name for text in _quoted(node) for name in _names_of(text)}
    own = binds(node) if isinstance(node, _DEFINITIONS) else set[str]()
    return Uses(frozenset(at_once - own), frozenset(later - own), frozenset(quoted - own))


def _scope(table: symtable.SymbolTable, at_once: set[str], later: set[str], *, called: bool) -> None:
    """Collect what a scope and those within it take from the module."""
    kind = str(table.get_type())
    is_class = "class" in kind
    if "function" in kind and table.get_name() not in _COMPREHENSIONS and table.get_name() != "lambda":
        called = True
    for symbol in table.get_symbols():
        shadowed = is_class and symbol.is_local() and symbol.is_referenced()  # `date: date`: the type is the module's
        if symbol.is_global() or shadowed:
            (later if called else at_once).add(symbol.get_name())
    for child in table.get_children():
        _scope(child, at_once, later, called=called)


def binds(node: ast.AST) -> set[str]:
    """The names that a statement binds in its module, wherever in it."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return set()
    found: set[str] = set()
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        found.add(node.id)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        found.add(node.name)
    elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return found  # its own names stay in it
    elif type(node).__name__ == "TypeAlias":  # `type X = …`, of Python 3.12
        return binds(cast("ast.AST", vars(node)["name"]))
    for child in ast.iter_child_nodes(node):
        found |= binds(child)
    return found


def _quoted(node: ast.AST) -> Iterator[str]:
    """The texts in a statement that are types."""
    for part in ast.walk(node):
        if isinstance(part, ast.arg) and part.annotation is not None:
            yield from _texts(part.annotation)
        elif isinstance(part, ast.AnnAssign):
            yield from _texts(part.annotation)
            if part.value is not None and ast.unparse(part.annotation).endswith("TypeAlias"):
                yield from _texts(part.value)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.returns is not None:
            yield from _texts(part.returns)
        elif isinstance(part, ast.Call) and ast.unparse(part.func).endswith("cast") and part.args:
            yield from _texts(part.args[0])


def _texts(annotation: ast.AST) -> Iterator[str]:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        yield annotation.value
    elif isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Literal"):
        return
    elif isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Annotated"):
        first = annotation.slice.elts[:1] if isinstance(annotation.slice, ast.Tuple) else []
        for part in first:
            yield from _texts(part)
    else:
        for part in ast.iter_child_nodes(annotation):
            yield from _texts(part)


def _names_of(text: str) -> set[str]:
    """The names in a type that is written as text."""
    try:
        parsed = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return set()
    names = {part.id for part in ast.walk(parsed) if isinstance(part, ast.Name)}
    return names.union(*(_names_of(inner) for inner in _texts(parsed.body)))
