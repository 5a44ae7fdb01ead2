"""The half that needs no model: which packages say plainly what their licence is."""

from agentkit.demo.categories import Category, of_expression, strictest
from agentkit.demo.packages import Package, classifier_name, said
from agentkit.demo.reading import categories, categories_of_all

_SHORT = 60
"""Characters: a longer field holds prose, not a licence's name."""


def plain_category(package: Package) -> tuple[Category, str] | None:
    """The category of a package whose metadata is clean.

    It is where an SPDX expression says so, or a licence's plain name that the classifiers agree with; and its licence
    files do not contradict it.

    Args:
        package: what it says.

    Returns:
        The category, and the words that say so; None where somebody has to read.
    """
    found = _by_expression(package.expression) or _by_field(package)
    return None if found is None or _contradicted(package, found[0]) else found


def _by_expression(text: str | None) -> tuple[Category, str] | None:
    category = of_expression(text or "")
    return None if category is None else (category, (text or "").strip())


def _by_field(package: Package) -> tuple[Category, str] | None:
    """The older field where it is an expression, or a name that the classifiers agree with, or silent beside them."""
    field = said(package.license)
    classifiers = [classifier_name(line) for line in package.classifiers]
    classified = categories_of_all(classifiers)
    if field is not None:
        exact = _by_expression(field)
        named = categories(field) if len(field) <= _SHORT else frozenset[Category]()
        if exact is not None and classified <= {exact[0]}:
            return exact
        if len(named) != 1 or named != classified:
            return None
    if len(classified) == 1 and len(classifiers) == 1:
        return next(iter(classified)), field or classifiers[0]
    return None


def _contradicted(package: Package, category: Category) -> bool:
    """Whether the licence files speak of something else, or of something stricter too.

    An expression of the field made for it (PEP 639) is its authors' sum of all files, so that only what is not free at
    all contradicts it; what another field says, every stricter word.
    """
    found = categories_of_all(package.texts.values())
    if not found:
        return any(text.strip() for text in package.texts.values()) and package.expression is None
    if package.expression is not None:
        return "proprietary" in found - {category}
    return category not in found or any(strictest((category, other)) != category for other in found)
