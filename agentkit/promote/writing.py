"""Values and names as Python source."""

import re
from typing import Any, cast


def literal(value: Any) -> str:
    """A JSON value as Python, texts in double quotation marks."""
    if isinstance(value, str):
        written = repr(value)
        return written if '"' in value else '"' + written[1:-1].replace("\\'", "'") + '"'
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{literal(name)}: {literal(item)}" for name, item in found.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in cast("list[Any]", value)) + "]"
    return repr(value)


def first_sentence(text: str) -> str:
    """The first sentence of a text, as it can stand in a docstring; nothing where there is none."""
    line = text.strip().partition("\n")[0]
    sentence = line.partition(". ")[0].rstrip(".")
    return sentence.replace("\\", "\\\\").replace('"""', "'''") + "." if sentence else ""


def raw(pattern: str) -> str:
    """A pattern as a raw string."""
    return f'r"{pattern}"' if '"' not in pattern else repr(pattern)


def field_code(base: str, path: tuple[str, ...], by_key: tuple[bool, ...]) -> str:
    """The Python for a path of fields."""
    for name, keyed in zip(path, by_key, strict=True):
        base += f"[{literal(name)}]" if keyed else f".{name}"
    return base


def singular_of(name: str) -> str:
    """What one of several things of this name is called: one of lines is a line; "item" where nothing says."""
    name = re.sub(r"\W", "_", name)
    endings = (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("xes", "x"), ("ss", "ss_one"), ("s", ""))
    for ending, instead in endings:
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + instead
    return "item"


def plural_of(name: str) -> str:
    """What several things are called, each of which has this name: a line is one of lines."""
    if name.endswith("s"):
        return name
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("ch", "sh", "x", "z")) else "s")


def text_piece(text: str) -> str:
    """Constant words as they stand in an f-string between double quotation marks."""
    for character, instead in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("{", "{{"), ("}", "}}")):
        text = text.replace(character, instead)
    return text
