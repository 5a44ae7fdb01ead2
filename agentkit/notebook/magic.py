"""`%log` and `%%log`: SQL on the log in a cell, its parameters taken from the notebook's variables by name.

%load_ext agentkit
%log
%%log -o slow
SELECT name, duration_ms FROM tool_calls WHERE duration_ms > $limit ORDER BY duration_ms DESC
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit.errors import AgentKitError, QueryError
from agentkit.log import Log, default_place, open_log
from agentkit.notebook import completion
from agentkit.notebook.guide import columns_of_view, guide
from agentkit.notebook.namespace import FRAMES, frame, parameters
from agentkit.notebook.table import show_table
from agentkit.stores.views import COLUMNS
from agentkit.text import inert

_OPTION = re.compile(r"(?P<name>-o|--out|--log|--frame)(?:\s+|=)(?P<value>\"[^\"]*\"|'[^']*'|\S+)\s*")


class MagicError(QueryError):
    """What was wrong with a `%%log` cell. A notebook shows its words, and no traceback of agentkit's."""

    def _render_traceback_(self) -> list[str]:
        return [inert(f"QueryError: {self}")]


@dataclass(frozen=True)
class _Asked:
    """A cell, read: its options and its SQL."""

    sql: str
    out: str | None = None
    log: str | None = None
    frame: str | None = None


def load(shell: Any) -> None:  # IPython has no types
    """Give a shell the magics and their completion."""
    shell.register_magic_function(LogMagic(shell).log, "line_cell", "log")
    completion.load(shell)


def unload(shell: Any) -> None:  # as above
    """Take them away again."""
    completion.unload(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("log", None)


class LogMagic:
    """The magics of one shell.

    Args:
        shell: IPython's.
    """

    def __init__(self, shell: Any) -> None:  # as above
        self._shell = shell

    def log(self, line: str, cell: str | None = None) -> None:
        """Run SQL on the log, read-only.

        %log                      the views, and their columns
        %log runs                 the columns of a view
        %log SELECT …             one line of SQL
        %%log                     SQL below it, on as many lines as it takes

        $name in the SQL is the Python variable `name`: a text, a number, a time, a list of those, or a run.

        Options, before the SQL:
        -o NAME                   keep the result as the variable NAME; `_` is it, too
        --log PATH                another log: a folder, a URL, or a variable that holds one
        --frame pandas            what the result is: pandas, polars or rows; else the one that is installed
        """
        try:
            self._answer(_read(line, cell))
        except MagicError:
            raise
        except AgentKitError as error:
            raise MagicError(str(error)) from error

    def _answer(self, asked: _Asked) -> None:
        show = sys.modules["IPython"].display.display
        if not asked.sql:
            show(guide(), raw=True)
        elif asked.sql.lower() in COLUMNS:
            show(columns_of_view(asked.sql.lower()), raw=True)
        else:
            self._query(asked, show)

    def _query(self, asked: _Asked, show: Any) -> None:  # as above
        names = self._shell.user_ns
        rows = self._log(asked.log).store.query(asked.sql, parameters(asked.sql, names))
        kept = frame(rows, asked.frame)
        if asked.out is not None:
            names[asked.out] = kept
        self._shell.displayhook.update_user_ns(kept)  # `_` and `Out[n]`, as of a cell that ends with a value
        show_table(rows, show, live=bool(getattr(getattr(self._shell, "kernel", None), "_allow_stdin", False)))

    def _log(self, named: str | None) -> Log:
        if named is None:
            if default_place() is None:
                raise QueryError("there is no log in this folder or above yet, and a run makes one; or: --log PATH")
            return open_log()
        found = self._shell.user_ns.get(named)
        if isinstance(found, Log):
            return found
        if ":" not in named and not Path(named).expanduser().exists():
            raise QueryError(f"--log {named}: there is no such folder, and no variable of that name holds a log")
        return open_log(named)


def _read(line: str, cell: str | None) -> _Asked:
    given: dict[str, str] = {}
    rest = line.strip()
    while match := _OPTION.match(rest):
        given[match["name"].lstrip("-")] = match["value"].strip("\"'")
        rest = rest[match.end() :]
    if rest.startswith("-") and not rest.startswith("-- "):
        raise QueryError(f"%%log has no option {rest.split()[0]}; it takes -o NAME, --log PATH and --frame KIND")
    out = given.get("o", given.get("out"))
    if out is not None and not out.isidentifier():
        raise QueryError(f"-o {out}: the result is kept as a variable, and that is no variable's name")
    kind = given.get("frame")
    if kind is not None and kind not in FRAMES:
        raise QueryError(f"--frame {kind}: the result is one of {', '.join(FRAMES)}")
    sql = f"{rest}\n{cell or ''}".strip()
    if cell is not None and not sql:
        raise QueryError("there is no SQL below %%log; %log alone lists the views")
    return _Asked(sql, out, given.get("log"), kind)
