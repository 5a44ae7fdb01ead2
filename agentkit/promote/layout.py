"""Generated code as a formatter leaves it."""

import shutil
import subprocess
import sys


def formatted(source: str) -> str:
    """The source as `ruff format` has it; as it is where ruff is not installed."""
    command = _ruff()
    if command is None:
        return source
    done = subprocess.run(  # noqa: S603  a formatter that is installed, on text from us
        [*command, "format", "--isolated", "--line-length", "120", "--stdin-filename", "promoted.py", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout if done.returncode == 0 else source


def _ruff() -> list[str] | None:
    found = shutil.which("ruff")
    if found is not None:
        return [found]
    try:
        import ruff  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
    except ImportError:
        return None
    return [sys.executable, "-m", "ruff"]
