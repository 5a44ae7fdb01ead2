"""Generated code as ruff leaves it: imports sorted, formatted, with the settings of where it is to be."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 30.0  # ruff takes milliseconds
_SETTINGS = ("pyproject.toml", "ruff.toml", ".ruff.toml")


def tidy(text: str, path: Path, *, beside: Sequence[str] = ()) -> str:
    """Sort a module's imports and format it; as it is where there is no ruff, or it fails.

    Args:
        text: the module.
        path: where it is to be.
        beside: modules and packages that it imports and that are written together with it.
    """
    ruff = find_ruff()
    if ruff is None:
        return text
    where = path.resolve()
    here = next((folder for folder in where.parents if folder.exists()), Path.cwd())
    named = ["--stdin-filename", str(where)]
    root = _root(where)
    roots = {root, root / "src"}
    own = [name for name in beside if where.parent in roots or any((folder / name).is_dir() for folder in roots)]
    known = ["--config", f"lint.isort.known-first-party={own!r}"] if own else []
    sort = [ruff, "check", "--quiet", "--exit-zero", "--select=I", "--fix-only", *known, *named, "-"]
    return run_ruff([ruff, "format", "--quiet", *named, "-"], run_ruff(sort, text, here), here)


def find_ruff() -> str | None:
    """The formatter beside this Python, or on the path; None where there is none."""
    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.exists() else shutil.which("ruff")


def _root(path: Path) -> Path:
    """The folder that ruff looks for one's own modules in: that of its settings."""
    return next((folder for folder in path.parents if any((folder / name).exists() for name in _SETTINGS)), path.parent)


def run_ruff(command: Sequence[str], text: str, folder: Path) -> str:
    """What a command of ruff makes of a text in a folder; the text as it is where it fails."""
    try:
        done = subprocess.run(  # noqa: S603  a formatter: beside this Python, or on the path
            command, input=text.encode(), capture_output=True, timeout=_SECONDS, check=False, cwd=folder
        )
    except (OSError, subprocess.TimeoutExpired):
        return text
    return done.stdout.decode() if done.returncode == 0 and done.stdout else text
