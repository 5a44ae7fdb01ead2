"""Another program that has the log's DuckDB file open."""

import contextlib
import subprocess
import sys


@contextlib.contextmanager
def foreign_tool(path, mode="writes"):
    """One that has it open for reading only, or as `duckdb log.duckdb` and DBeaver have it: nobody else gets in."""
    code = (
        f"import duckdb; c = duckdb.connect({str(path)!r}, read_only={mode == 'reads'}); print(1, flush=True); input()"
    )
    tool = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert tool.stdout.readline() == "1\n"
        yield
    finally:
        tool.communicate("\n")
