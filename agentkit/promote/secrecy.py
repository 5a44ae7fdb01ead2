"""What must not be in a file: secrets, by their look and by their names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from agentkit.promote.source_of import Statement
from agentkit.redact import SECRET_NAME, Redactor


def why_secret(statement: Statement, redactor: Redactor) -> str | None:
    """Why a statement must not be in a file: it holds a secret, or a text whose name says that it is one."""
    texts = [part.value for part in ast.walk(statement.node) if isinstance(part, ast.Constant)]
    plain = [one.decode("latin-1") if isinstance(one, bytes) else one for one in texts if isinstance(one, str | bytes)]
    if any(redactor.text(one) != one for one in (*plain, *_comments(statement.text))):
        return "it holds what looks like a secret; read it from the environment, or give it as run(deps=…)"
    for name, value in _named(statement.node):
        if isinstance(value, str) and SECRET_NAME.search(name) and _may_be_secret(value):
            return f"`{name}` has a text, and its name says that it is secret; read it from the environment"
    return None


def _named(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Names and the constants that they are given."""
    for part in ast.walk(node):
        if isinstance(part, ast.keyword) and part.arg and isinstance(part.value, ast.Constant):
            yield part.arg, part.value.value
        elif isinstance(part, ast.Assign | ast.AnnAssign) and isinstance(part.value, ast.Constant):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            yield from ((one.id, part.value.value) for one in targets if isinstance(one, ast.Name))


def _may_be_secret(text: str) -> bool:
    """A name's text such as "TOKEN" or "the user's token" is none."""
    return len(text) >= 6 and any(map(str.isdigit, text)) and not re.search(r"\s|://", text)


def _comments(text: str) -> list[str]:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    return [token.string for token in tokens if token.type == tokenize.COMMENT]
