"""A module's text as its top-level blocks: functions, classes, assignments, each with the comments above it."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field

from agentkit.promote.imports import Import

DOCSTRING = "the docstring"

_COUNTS = re.compile(r"\b\d+( of \d+)?( recorded)? runs?( of \d+)?\b")


@dataclass(slots=True)
class Text:
    """A module.

    Args:
        blocks: what stands in it but for its imports, by name: "the function pay", "the constant LIMIT".
        imports: the imported names.
        heading: the text of the import statements.
        gaps: how many empty lines stand before each block.
    """

    blocks: dict[str, str] = field(default_factory=dict[str, str])
    gaps: dict[str, int] = field(default_factory=dict[str, int])
    imports: set[Import] = field(default_factory=set[Import])
    heading: str = ""


def split(source: str) -> Text:
    """A module's text in its blocks.

    Args:
        source: the text.

    Raises:
        SyntaxError: it is no Python.
    """
    found = Text()
    lines = source.splitlines()
    heading: list[str] = []
    end = 0
    nodes = ast.parse(source).body
    for place, node in enumerate(nodes):
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        begin = end
        while begin < first - 1 and not lines[begin].strip():
            begin += 1
        gap = begin - end
        if place == len(nodes) - 1:
            last = len(lines)
        text = "\n".join(lines[begin:last]).rstrip()
        end = last
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.imports |= set(_imported(node))
            heading.append(text)
        else:
            name = _free(_name(node, is_first=place == 0), found.blocks)
            found.blocks[name], found.gaps[name] = text, gap
    found.heading = "\n".join(heading)
    return found


def equal(one: str | None, other: str | None) -> bool:
    """Whether two blocks are the same code and comments."""
    return one == other or (one is not None and other is not None and _words(one) == _words(other))


def same(one: str | None, other: str | None) -> bool:
    """Whether two blocks say the same: layout and how many runs there were aside."""
    return one == other or (one is not None and other is not None and _meaning(one) == _meaning(other))


def _meaning(block: str) -> list[str]:
    return [_COUNTS.sub("n runs", text) for text in _words(block)]


def _words(block: str) -> list[str]:
    """The code without its layout, and the comments."""
    tokens = tokenize.generate_tokens(io.StringIO(block + "\n").readline)
    return [ast.dump(ast.parse(block)), *(token.string for token in tokens if token.type == tokenize.COMMENT)]


def _name(node: ast.stmt, *, is_first: bool) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return f"the function {name}"
        case ast.ClassDef(name=name):
            return f"the class {name}"
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
            return f"the value {name}"
        case ast.Expr(value=ast.Constant(value=str())) if is_first:
            return DOCSTRING
        case _:
            return f"the line {ast.unparse(node).splitlines()[0]}"


def _free(name: str, taken: dict[str, str]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for one in node.names:
        if isinstance(node, ast.Import):
            yield Import(one.name, None, one.asname)
        else:
            yield Import("." * node.level + (node.module or ""), one.name, one.asname)
