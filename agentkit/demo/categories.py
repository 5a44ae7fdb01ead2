"""The four categories of licences, and the category of an SPDX expression."""

import functools
import json
from collections.abc import Iterable
from importlib import resources
from typing import Any, Literal, TypeAlias, get_args

Category: TypeAlias = Literal["permissive", "weak copyleft", "strong copyleft", "proprietary"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
"""From the freest to the strictest."""

# the categories of ScanCode's index, which license-expression carries
_SCANCODE: dict[str, Category] = {
    "Permissive": "permissive",
    "Public Domain": "permissive",
    "Copyleft Limited": "weak copyleft",
    "Copyleft": "strong copyleft",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "Free Restricted": "proprietary",
    "Source-available": "proprietary",
}
_OURS: dict[str, Category] = {  # CeCILL is written as the GPL's counterpart in French law, CeCILL-C as the LGPL's
    "CECILL-1.0": "strong copyleft",
    "CECILL-1.1": "strong copyleft",
    "CECILL-2.0": "strong copyleft",
    "CECILL-2.1": "strong copyleft",
    "CECILL-C": "weak copyleft",
}


def of_expression(text: str) -> Category | None:
    """The category of an SPDX licence expression.

    Of a choice (OR) it is the freest option's, of a sum (AND) the strictest part's; a copyleft licence with an
    exception is weak copyleft.

    Args:
        text: for example "MIT OR GPL-2.0-only".

    Returns:
        The category; None where the text is no valid expression, or holds a licence that nobody has put into one.

    Example:
        >>> of_expression("MIT AND LGPL-2.1-or-later"), of_expression("GPLv2")
        ('weak copyleft', None)
    """
    from license_expression import ExpressionError

    if not text.strip() or len(text) > 500:
        return None
    try:
        parsed = _licensing().parse(text, validate=True)
    except (ExpressionError, AttributeError):  # 30.4 raises AttributeError for "Apache License, Version 2.0"
        return None
    return None if parsed is None else _of_parsed(parsed)


def freest(categories: Iterable[Category]) -> Category:
    """The freest of some categories."""
    return min(categories, key=CATEGORIES.index)


def strictest(categories: Iterable[Category]) -> Category:
    """The strictest of some categories."""
    return max(categories, key=CATEGORIES.index)


def _of_parsed(node: Any) -> Category | None:  # license-expression has no types
    kind = type(node).__name__
    if kind in {"AND", "OR"}:
        parts: list[Category | None] = [_of_parsed(part) for part in node.args]
        known: list[Category] = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return strictest(known) if kind == "AND" else freest(known)
    if kind == "LicenseWithExceptionSymbol":
        category = _of_key(node.license_symbol.key)
        return (
            "weak copyleft" if category == "strong copyleft" and _is_weakening(node.exception_symbol.key) else category
        )
    return _of_key(node.key)


def _is_weakening(exception: str) -> bool:
    """Whether an exception lets others link or bundle: a promise to forgive breaches (GPL-CC) does not."""
    return _index().get(exception) in {"weak copyleft", "permissive"} and exception != "GPL-CC-1.0"


def _of_key(key: str) -> Category | None:
    return _OURS.get(key) or _index().get(key)


@functools.cache  # it makes 2,500 objects
def _licensing() -> Any:  # license-expression has no types
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@functools.cache
def _index() -> dict[str, Category]:
    """SPDX key → category, for the licences that have one."""
    file = resources.files("license_expression") / "data" / "scancode-licensedb-index.json"
    return {
        key: _SCANCODE[licence["category"]]
        for licence in json.loads(file.read_text("utf-8"))
        if licence["category"] in _SCANCODE
        for key in (licence.get("spdx_license_key"), *licence.get("other_spdx_license_keys", []))
        if key
    }
