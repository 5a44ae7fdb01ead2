"""The imports of a written module: each name once, in the order in which formatters sort them."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_WIDTH = 88  # columns: what formatters take where nobody says another width


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name.

    Args:
        module: the module, absolute.
        name: what is taken from it; None imports the module itself.
        alias: what it is called here, where that differs.
        typing_only: whether only annotations use it.
    """

    module: str
    name: str | None = None
    alias: str | None = None
    typing_only: bool = False


def write_imports(imports: Iterable[Import]) -> str:
    """The import statements, in sections: the standard library, other people's, one's own.

    Args:
        imports: what to import, in any order.

    Returns:
        Lines; "" where there is nothing.
    """
    wanted = set(imports)
    blocks = [_block([one for one in wanted if not one.typing_only])]
    typed = _block([one for one in wanted if one.typing_only])
    if typed:
        blocks = [_block([*(one for one in wanted if not one.typing_only), Import("typing", "TYPE_CHECKING")])]
        blocks.append("if TYPE_CHECKING:\n" + "\n".join(f"    {line}" if line else "" for line in typed.split("\n")))
    return "\n\n".join(block for block in blocks if block)


def _block(imports: list[Import]) -> str:
    sections: dict[int, list[Import]] = {}
    for one in imports:
        sections.setdefault(_section(one.module), []).append(one)
    return "\n\n".join("\n".join(_lines(sections[number])) for number in sorted(sections))


def _lines(imports: list[Import]) -> list[str]:
    """`import x` lines, then a `from x import …` line for each module; what gets another name has a line of its own."""
    whole = sorted((one for one in imports if one.name is None), key=lambda one: (one.module.lower(), one.alias or ""))
    lines = [f"import {one.module}{f' as {one.alias}' if one.alias else ''}" for one in whole]
    parts = [one for one in imports if one.name is not None]
    for module in sorted({one.module for one in parts}, key=lambda module: (module.lower(), module)):
        of_it = sorted((one for one in parts if one.module == module), key=_member)
        plain = [one.name or "" for one in of_it if one.alias is None]
        lines += [_from(module, plain)] if plain else []
        lines += [f"from {module} import {one.name} as {one.alias}" for one in of_it if one.alias is not None]
    return lines


def _from(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    listed = "".join(f"    {name},\n" for name in names)
    return f"from {module} import (\n{listed})"


def _member(one: Import) -> tuple[int, str, str]:
    """Constants first, then classes, then the rest, as isort has it."""
    name = one.name or ""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name, one.alias or ""


def _section(module: str) -> int:
    """Of which section an import is: 2 other people's, 3 one's own, which is in the project's folder or its `src`."""
    root = module.partition(".")[0]
    if root == "__future__":
        return 0
    if root in sys.stdlib_module_names:
        return 1
    here = Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").exists()), here)
    folders = [part for folder in {here, project} for part in (folder, folder / "src")]
    return 3 if any((folder / root).is_dir() or (folder / f"{root}.py").exists() for folder in folders) else 2
