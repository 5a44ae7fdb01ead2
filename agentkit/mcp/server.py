"""`ak.MCP`: a server as its user sees it."""

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from agentkit.definition import Approve
from agentkit.errors import ConfigError
from agentkit.mcp.connection import load_package
from agentkit.mcp.link import Link
from agentkit.mcp.place import Place
from agentkit.mcp.stdio import Stdio
from agentkit.mcp.streamable_http import StreamableHttp
from agentkit.mcp.tool import Choice, MCPTool
from agentkit.policy import Retry
from agentkit.tools import NAME, check_approve

if TYPE_CHECKING:
    import mcp_types

T = TypeVar("T")

_LONGEST_NAME = 64  # what OpenAI, Anthropic and Google all take


class MCP:
    """An MCP server, whose tools an agent can use: `MCP.stdio(command, …)` or `MCP.http(url)`.

    It is connected at the first `tools()`, or by `with`; lost, it is connected again at the next call. It is closed by
    the end of `with`, by `close()`, or at the latest when the process ends; a server that was started ends with it.

    The server sees the arguments of its calls and nothing else of a run. What it says of its tools are claims: of one
    you do not trust, say `tools(writes=True, approve=True)`. A call that its tool reports as failed counts as not done.
    Arguments and results are checked against the server's schemas, all but the regular expressions in them: the model
    sees these, and only the server runs them.

    Args:
        place: where the server is.
        connect_timeout: seconds to start or reach it and to list its tools.
        max_result: characters of JSON of one result that reach log and model; what is longer is cut. None is no limit.

    Raises:
        ConfigError: the extra `mcp` is not installed, or an option cannot be used.
    """

    def __init__(self, place: Place, *, connect_timeout: float = 30.0, max_result: int | None = 50_000) -> None:
        if not connect_timeout > 0:
            raise ConfigError(f"{place.call}: connect_timeout={connect_timeout!r}; give seconds above 0")
        if max_result is not None and max_result < 1:
            raise ConfigError(f"{place.call}: max_result={max_result!r}; give a number of characters, or None")
        load_package()
        self._place = place
        self._max_result = max_result
        self._link = Link(place, connect_timeout)

    @classmethod
    def stdio(
        cls,
        command: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        connect_timeout: float = 30.0,
        max_result: int | None = 50_000,
    ) -> Self:
        """A server that is started here and talks over its standard input and output.

        Args:
            command: the program; "python" is the interpreter that runs this process.
            args: its arguments.
            env: what it gets beside the few variables that a server inherits (PATH, HOME, USER, …). Secrets belong
                here: they reach neither the log nor a `repr`.
            cwd: the folder it runs in; None is this process's.
            connect_timeout: seconds to start it and to list its tools.
            max_result: characters of JSON of one result; what is longer is cut. None is no limit.

        Example:
            >>> MCP.stdio("python", "-m", "mcp_server_time", env={"TOKEN": "abc"})
            MCP.stdio('python', '-m', 'mcp_server_time')
        """
        place = Stdio(command, args, dict(env or {}), None if cwd is None else str(cwd))
        return cls(place, connect_timeout=connect_timeout, max_result=max_result)

    @classmethod
    def http(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 30.0,
        max_result: int | None = 50_000,
    ) -> Self:
        """A server that runs elsewhere, over streamable HTTP.

        Args:
            url: its address, for example "http://127.0.0.1:8000/mcp".
            headers: sent with each request; they reach neither the log nor a `repr`.
            connect_timeout: seconds to reach it and to list its tools.
            max_result: characters of JSON of one result; what is longer is cut. None is no limit.

        Example:
            >>> MCP.http("https://me:word@example.org/mcp?key=abc", headers={"Authorization": "Bearer abc"})
            MCP.http('https://example.org/mcp')
        """
        return cls(StreamableHttp(url, dict(headers or {})), connect_timeout=connect_timeout, max_result=max_result)

    def tools(
        self,
        *names: str,
        prefix: str = "",
        writes: bool | Mapping[str, bool] | None = None,
        idempotent: bool | Mapping[str, bool] | None = None,
        approve: "Approve | Mapping[str, Approve] | None" = None,
        retry: Retry | None = None,
        timeout: float | None = 300.0,
    ) -> list[MCPTool]:
        """The server's tools, for `Agent(tools=[…])`.

        What a tool does is taken of the server's hints: `readOnlyHint` makes a read, which is retried and runs beside
        others; anything else is a write, `idempotentHint` one that may be retried. A write of which nothing more is
        known is never retried, and once its effect is unknown a person is asked before the next one. A write that says
        `destructiveHint: true` asks a person before each call.

        Args:
            names: which tools, by the server's names; all where none is named.
            prefix: put before each name that the model sees.
            writes: True or False for all, or by the server's name: takes the place of `readOnlyHint`.
            idempotent: likewise, of `idempotentHint`.
            approve: likewise, of `destructiveHint`: True, False, or a function of the call.
            retry: how reads and idempotent writes are tried again; None is `Retry()`.
            timeout: seconds for one attempt; None is no limit.

        Returns:
            One tool each, in the server's order.

        Raises:
            ConfigError: the server cannot be started, has no such tool, two get the same name, or an option is wrong.
            ServerUnavailable: it ended, refused, or gave no answer in time.
        """
        offered, server = self._link.open()
        chosen = self._chosen(names, offered)
        _check_options(self._place.call, prefix, approve, timeout)
        for option, value in (("writes", writes), ("idempotent", idempotent), ("approve", approve)):
            if isinstance(value, Mapping):
                self._check_names(option, cast("Mapping[str, Any]", value), [tool.name for tool in chosen])
        named = {tool.name: _valid_name(prefix + tool.name) for tool in chosen}
        self._refuse_clashes(named)
        return [
            MCPTool(
                tool,
                server,
                self._link,
                Choice(
                    name=named[tool.name],
                    writes=_of(writes, tool.name),
                    idempotent=_of(idempotent, tool.name),
                    approve=_of(approve, tool.name),
                    retry=retry,
                    timeout=timeout,
                    max_result=self._max_result,
                ),
            )
            for tool in chosen
        ]

    def close(self) -> None:
        """End the connection, and the server where it was started here, which may take some seconds.

        `tools()` opens it again.
        """
        self._link.close()

    def __enter__(self) -> Self:
        self._link.open()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return self._place.call

    def _chosen(self, names: Sequence[str], offered: "Mapping[str, mcp_types.Tool]") -> "list[mcp_types.Tool]":
        if not offered:
            raise ConfigError(f"{self._place.call} offers no tools")
        self._check_names("tools", names, list(offered))
        return [tool for name, tool in offered.items() if not names or name in names]

    def _check_names(self, option: str, given: Iterable[str], known: list[str]) -> None:
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                meant = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"
                raise ConfigError(f"{self._place.call}: {option} names {name!r}, and there is no such tool; {meant}")

    def _refuse_clashes(self, named: Mapping[str, str]) -> None:
        first: dict[str, str] = {}
        for theirs, ours in named.items():
            other = first.setdefault(ours, theirs)
            if other != theirs:
                raise ConfigError(
                    f"{self._place.call}: {other!r} and {theirs!r} would both be called {ours!r}; take one of them "
                    f"alone, with another prefix: .tools({theirs!r}, prefix='other_')"
                )


def _of(option: "T | Mapping[str, T] | None", name: str) -> T | None:
    """What an option says of one tool."""
    return cast("Mapping[str, T]", option).get(name) if isinstance(option, Mapping) else option


def _check_options(owner: str, prefix: str, approve: Any, timeout: float | None) -> None:
    if prefix and not NAME.fullmatch(prefix):
        raise ConfigError(f"{owner}: prefix={prefix!r}; give letters, digits, _ and -, a letter first, at most 64")
    for value in cast("Mapping[str, Any]", approve).values() if isinstance(approve, Mapping) else (approve,):
        if value is not None:
            check_approve(owner, value)
    if timeout is not None and not timeout > 0:
        raise ConfigError(f"{owner}: timeout={timeout!r}; give seconds above 0, or None for no limit")


def _valid_name(name: str) -> str:
    """A server's name for a tool as one that every provider takes: MCP allows dots, slashes and 128 characters."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not re.match(r"[A-Za-z_]", plain):
        plain = f"_{plain}"
    if len(plain) > _LONGEST_NAME:
        plain = f"{plain[: _LONGEST_NAME - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return plain
