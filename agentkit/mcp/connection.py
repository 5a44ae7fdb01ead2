"""One live session with a server, in one task of its own, and what its errors mean."""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from agentkit.errors import ConfigError, ServerUnavailable, ToolError
from agentkit.json_schema import Checker
from agentkit.jsonvalue import clean_text
from agentkit.mcp.place import Place, redactor
from agentkit.mcp.streamable_http import ANSWER, Answer
from agentkit.policy import Retry

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client, MCPError

_MOST_SECONDS_TO_END = (
    8.0  # the package's own: 0.5 to write what is left, 2 each to end by itself, by SIGTERM, by SIGKILL
)
_RELISTEN = Retry(initial=0.5, max=60)  # a server that is away is asked again, ever less often
_LONGEST_ERROR = 4000  # characters of a server's error that are told
_MAY_COME_RIGHT = frozenset({408, 425, 429})  # HTTP: too slow, too early, too many requests

living: "set[Connection]" = set()
"""The sessions of this process that have not ended, those that nobody waits for too: none may outlive it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=living.clear)  # they are the parent's


class SessionForgotten(Exception):
    """The server does not know this session: it did nothing, and a new session will do."""


class Connection:
    """One session: opened once, never again when it is over.

    The session lives in one task, which enters and leaves everything: anyio's cancel scopes must not change tasks. It
    has to be made, and used, on the loop that `agentkit.mcp.link` runs.

    Args:
        place: where the server is.
        timeout: seconds to connect and to list its tools.
    """

    def __init__(self, place: Place, timeout: float) -> None:
        import anyio

        self._shown = place.shown
        self._timeout = timeout
        self._wire = place.wire()
        self._redactor = redactor(place)
        self._client: Client | None = None
        self._error: Exception | None = None
        self._stale = False
        self._odd_line = ""
        self._answer = Answer()
        self._opened = asyncio.Event()
        self._over = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._live())
        living.add(self)
        self._tools: dict[str, mcp_types.Tool] = {}

    @property
    def alive(self) -> bool:
        """Whether it can be used, as far as is known."""
        return not self._over.is_set()

    @property
    def server(self) -> list[str | None]:
        """What the server calls itself, and its version."""
        info = self._live_client.server_info
        return [info.name, info.version] if info is not None else []

    @property
    def _live_client(self) -> "Client":
        assert self._client is not None, "open() came first"
        return self._client

    async def open(self) -> None:
        """Wait until it can be used.

        Raises:
            ConfigError: the command or the address is wrong.
            ServerUnavailable: the server ended, refused, or gave no answer in time.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._opened.wait(), self._timeout)
        if self._client is not None and self.alive:
            return
        late = not self._opened.is_set()
        words = await self._last_words()
        self._scope.cancel()
        if late:
            raise ServerUnavailable(
                f"{self._shown} gave no answer within {self._timeout:g} s; give a longer connect_timeout= if it needs "
                f"it{words}",
                sent=False,
            )
        error = self._error or ConnectionError("it ended")
        if (refusal := self._wire.refusal(error)) is not None:
            raise refusal from None
        raise ServerUnavailable(f"{self._shown} is not there: {self._text(error)}{words}", sent=False) from None

    async def close(self) -> None:
        """End the session, and the server where it is a process of ours; at most some seconds."""
        if not self._opened.is_set():
            self._scope.cancel()
        self._over.set()
        await asyncio.wait([self._task], timeout=_MOST_SECONDS_TO_END)

    async def tools(self) -> "Mapping[str, mcp_types.Tool]":
        """The server's tools by name, listed again where it said that they changed.

        Raises:
            ServerUnavailable: it could not be asked.
            SessionForgotten: it did nothing; a new session will do.
        """
        from mcp import MCPError

        if not self._stale:
            return self._tools
        self._stale = False
        answer = _new_answer()
        try:
            self._tools = await asyncio.wait_for(self._list(self._live_client), self._timeout)
        except MCPError as error:
            failure = await self._failure(error, answer)
        except TimeoutError:
            failure = TimeoutError(f"{self._shown} did not list its tools within {self._timeout:g} s")
        else:
            return self._tools
        self._stale = True
        raise (
            failure if isinstance(failure, SessionForgotten) else ServerUnavailable(str(failure), sent=False)
        ) from None

    async def call(self, name: str, arguments: dict[str, Any]) -> "mcp_types.CallToolResult":
        """Call one of the server's tools.

        Raises:
            ServerUnavailable: it was lost in mid-call, or answered that it cannot serve now.
            SessionForgotten: it did nothing; a new session will do.
            ToolError: it refused the call; nothing happened.
            MCPError: anything else that the server says.
            RuntimeError: what it says is not what it promised.
        """
        from mcp import MCPError

        answer = _new_answer()
        try:
            return await self._live_client.call_tool(name, arguments)
        except MCPError as error:
            failed = error
        except (RuntimeError, ValueError) as error:  # an answer that its own schema, or the protocol, does not allow
            raise RuntimeError(
                f"{self._shown} gave an answer that it must not give: {self._told(str(error))}"
            ) from None
        raise await self._failure(failed, answer) from None

    async def _failure(self, error: "MCPError", answer: Answer) -> Exception:
        """What an error says of the call: lost, refused, or broken in the server."""
        from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT

        message = self._told(error.message)
        status = answer.status or 0
        if error.code == CONNECTION_CLOSED or answer.lost:
            await asyncio.wait([self._task], timeout=0.0 if answer.lost else 0.1)  # what ended it says more
            reason = answer.lost or (self._text(self._error) if self._error is not None else message)
            lost = f"{self._shown} was lost during the call" if answer.sent else f"{self._shown} cannot be reached"
            return ServerUnavailable(f"{lost}: {reason}{await self._last_words()}", sent=answer.sent)
        if status >= 500:
            return ServerUnavailable(f"{self._shown} answered {status}: {message}")
        if error.code == REQUEST_TIMEOUT:
            return TimeoutError(f"{self._shown}: {message}")
        if error.code in {INVALID_PARAMS, METHOD_NOT_FOUND}:
            return ToolError(message, code=error.code)
        if status == 404:
            self._over.set()
            return SessionForgotten(message)
        if status >= 400:
            return ToolError(f"{self._shown} {_refused(status)}", retryable=status in _MAY_COME_RIGHT, status=status)
        return type(error)(error.code, message)

    def _text(self, error: Exception) -> str:
        """An error in words: what HTTP said while connecting, where it said something."""
        words = str(error) or type(error).__name__
        refused = self._answer.status is not None and self._answer.status >= 400
        return self._told(self._answer.lost or (_refused(self._answer.status) if refused else words))

    def _told(self, text: str) -> str:
        """What a server says as it can be told: cut, and without the secrets that it was given."""
        return self._redactor.text(clean_text(text))[:_LONGEST_ERROR]

    async def _last_words(self) -> str:
        return self._odd_line + await self._wire.last_words()

    # the session's own task ------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Hold the session until it is to end, or ends."""
        self._answer = _new_answer()
        try:
            with self._scope:
                async with self._session() as client:
                    self._tools = await self._list(client)
                    self._client = client
                    self._opened.set()
                    await self._stay(client)
        except Exception as error:  # noqa: BLE001  the transports raise what they like, in groups
            self._error = _innermost(error)
        finally:
            self._over.set()
            self._opened.set()
            living.discard(self)

    @asynccontextmanager
    async def _session(self) -> "AsyncGenerator[Client]":
        from mcp import Client, Implementation

        import agentkit

        _quiet()
        client = Client(
            self._wire.streams(self._over.set),
            client_info=Implementation(name="agentkit", version=agentkit.__version__),
            message_handler=self._hear,
            cache=None,  # the tools are kept here, and listed again when the server says so
        )
        async with client:
            client.session.validate_tool_result = self._check_result  # the package's own runs the server's patterns
            yield client

    async def _check_result(self, name: str, result: "mcp_types.CallToolResult") -> None:
        """Refuse a result that its tool's own schema does not allow.

        Raises:
            ValueError: with what is wrong.
        """
        tool = self._tools.get(name)
        if tool is None or tool.output_schema is None:
            return
        if result.structured_content is None and "structured_content" not in result.model_fields_set:
            raise ValueError(f"{name} has a schema of its results, and gave no structured content")
        for error in Checker(tool.output_schema).errors(result.structured_content):
            raise ValueError(error.message)

    async def _list(self, client: "Client") -> "dict[str, mcp_types.Tool]":
        """Every page of the server's tools."""
        from mcp import MCPError
        from mcp_types import METHOD_NOT_FOUND

        found: dict[str, mcp_types.Tool] = {}
        cursors: list[str | None] = [None]
        try:
            while True:
                page = await client.list_tools(cursor=cursors[-1])
                found |= {tool.name: tool for tool in page.tools if tool.name not in found}
                if not page.next_cursor or page.next_cursor in cursors:  # one that repeats would never end
                    return found
                cursors.append(page.next_cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:  # a server without tools
                return {}
            raise

    async def _stay(self, client: "Client") -> None:
        import anyio

        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_changes, client)
            await self._over.wait()
            group.cancel_scope.cancel()

    async def _follow_changes(self, client: "Client") -> None:
        """Ask to be told when the tools change, which the protocol did unasked until 2025."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        offered = client.server_capabilities.tools
        pause = _RELISTEN.initial
        while offered is not None and offered.list_changed:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    pause = _RELISTEN.initial
                    async for _ in changes:
                        self._stale = True
            except ListenNotSupportedError:
                return
            except (MCPError, SubscriptionLost):
                pause = min(pause * _RELISTEN.factor, _RELISTEN.max)
            self._stale = True  # what changes while nobody listens is not told later
            await asyncio.sleep(pause)

    async def _hear(self, message: Any) -> None:
        """What the server says unasked: that its tools changed, or what is no message at all."""
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self._stale = True
        elif isinstance(message, ValueError) and not self._odd_line and not self._opened.is_set():
            said = re.search(r"input_value=(.{0,200}?), input_type", str(message), re.DOTALL)
            line = self._redactor.text(said[1]) if said else "something else"
            self._odd_line = f"; its standard output is for MCP's messages only, and it wrote {line}"


def load_package() -> None:
    """Import the `mcp` package.

    Raises:
        ConfigError: it is not there, with what to install.
    """
    try:
        from mcp import Client
    except ImportError as error:
        raise ConfigError(f"MCP servers need the extra mcp: pip install 'jupyter-agentkit[mcp]' ({error})") from error
    del Client


def _new_answer() -> Answer:
    """Where the requests that this task makes from now on note what became of them."""
    answer = Answer()
    ANSWER.set(answer)
    return answer


def _refused(status: int | None) -> str:
    """An HTTP status in words, with what to look at."""
    hint = {401: "; look at headers=", 403: "; look at headers=", 404: "; look at the address"}.get(status or 0, "")
    return f"answered {status}{hint}"


def _quiet() -> None:
    """Keep the package's warnings out of the notebook; a program's own logging still gets them."""
    for name in ("mcp", "client"):  # its session logs under the second name
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _innermost(error: BaseException) -> Exception:
    """The first error in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error if isinstance(error, Exception) else ConnectionError(type(error).__name__)
