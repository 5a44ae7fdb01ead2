"""Which code is its user's own, and which comes from a package, with the version of it."""

import functools
import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


@functools.cache
def _library() -> tuple[str, ...]:
    """Where Python's own modules are."""
    return tuple(str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib"))


def is_own(module: str) -> bool:
    """Whether a module is its user's: neither Python's, nor an installed package's, nor agentkit's.

    Args:
        module: its name; one that was never imported, code made by `exec` say, is its user's.
    """
    if module == "agentkit" or module.startswith("agentkit."):
        return module.startswith("agentkit.demo.")  # it is written as a user's would be
    if module in sys.builtin_module_names or module.partition(".")[0] in sys.stdlib_module_names:
        return module == "__main__"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return not _INSTALLED.search(file) and not file.startswith(_library())


@functools.cache
def package(module: str) -> str:
    """The package that a module is of, with its version: "pydantic 2.12.0"; Python's own modules have none.

    Args:
        module: its name.
    """
    root = module.partition(".")[0]
    try:
        return root if root in sys.stdlib_module_names else f"{root} {metadata.version(root)}"
    except (metadata.PackageNotFoundError, ValueError):
        return f"{root} {getattr(sys.modules.get(root), '__version__', '')}".strip()
