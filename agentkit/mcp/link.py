"""The way to one server that outlives its sessions, and the loop on which all of them live.

The loop is not the engine's: a server that floods its client, or a result of many megabytes, then delays other servers
and no run; and whatever thread asks for tools, the engine's included, can wait for them.
"""

import asyncio
import atexit
import concurrent.futures
import os
import weakref
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import ConfigError, ServerUnavailable, ToolError
from agentkit.ids import digest
from agentkit.jsonvalue import clean
from agentkit.mcp.connection import Connection, SessionForgotten, living
from agentkit.mcp.place import Place
from agentkit.runner.engine import Engine, PerProcess

if TYPE_CHECKING:
    import mcp_types

T = TypeVar("T")

_SECONDS_AT_EXIT = 10.0  # longer than any server takes to be ended by force


class Link:
    """A server, connected when it is needed, and again when it was lost.

    Args:
        place: where it is.
        timeout: seconds to connect.
    """

    def __init__(self, place: Place, timeout: float) -> None:
        self.place = place
        self._timeout = timeout
        self._closed = False
        self._reset()

    @property
    def connection(self) -> Connection | None:
        """The connection of this process, dead or alive."""
        return self._held[0] if self._held and self._pid == os.getpid() else None

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._held: list[Connection] = []  # at most one; when nobody can use this link any more, it is closed
        weakref.finalize(self, _forget, self._held).atexit = False  # at exit all are closed, and waited for
        self._connecting: asyncio.Task[Connection] | None = None

    def open(self) -> "tuple[Mapping[str, mcp_types.Tool], list[str | None]]":
        """Connect where there is no connection, from any thread, also after `close`.

        Returns:
            The server's tools by name, and what it calls itself.

        Raises:
            ConfigError, ServerUnavailable: as `Connection.open`.
        """
        self._closed = False
        return wait(self._ask())

    async def _ask(self) -> "tuple[Mapping[str, mcp_types.Tool], list[str | None]]":
        connection = await self._connected()
        try:
            return await connection.tools(), connection.server
        except SessionForgotten:
            connection = await self._connected()  # which lists them
            return await connection.tools(), connection.server

    def close(self) -> None:
        """End the connection, and the server where it is a process of ours."""
        self._closed = True
        if (connection := self.connection) is not None:
            wait(connection.close())

    async def call(self, name: str, sha256: str, arguments: dict[str, Any]) -> "mcp_types.CallToolResult":
        """Call a tool, from the engine's loop or any other.

        Args:
            name: the server's name for it.
            sha256: what it was when the agent was made.
            arguments: validated.

        Raises:
            ToolError: nothing happened: the tool is another one now, or the server refused.
            ServerUnavailable: the server was lost; its `sent` says whether the call may have reached it.
        """
        future = asyncio.run_coroutine_threadsafe(self._call(name, sha256, arguments), loop().loop)
        return await asyncio.wrap_future(future)

    async def _call(self, name: str, sha256: str, arguments: dict[str, Any]) -> "mcp_types.CallToolResult":
        try:
            return await self._call_once(name, sha256, arguments)
        except SessionForgotten:
            pass
        try:
            return await self._call_once(name, sha256, arguments)
        except SessionForgotten as error:
            raise ServerUnavailable(f"{self.place.shown} forgets its sessions at once ({error})", sent=False) from error

    async def _call_once(self, name: str, sha256: str, arguments: dict[str, Any]) -> "mcp_types.CallToolResult":
        try:
            connection = await self._connected()
        except ConfigError as error:  # no second attempt can mend it
            raise ToolError(str(error)) from error
        tool = (await connection.tools()).get(name)
        if tool is None or fingerprint(tool, self.place, connection.server) != sha256:
            now = "does not exist any more" if tool is None else "is not what it was when this agent was made"
            raise ToolError(f"{name} of {self.place.shown} {now}: call .tools() again and make the agent anew")
        return await connection.call(name, arguments)

    async def _connected(self) -> Connection:
        """The live connection; those who need it at the same moment share one attempt."""
        if self._pid != os.getpid():  # a forked child has no server of its own yet
            self._reset()
        if self._closed:
            raise ConfigError(
                f"{self.place.call} is closed: run the agent inside its `with`, or leave `with` out, and it stays open "
                "until .close() or the end of the process"
            )
        if self._connecting is not None:
            return await asyncio.shield(self._connecting)
        if (connection := self.connection) is not None and connection.alive:
            return connection
        self._connecting = asyncio.create_task(self._connect())
        self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())  # all may have given up
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Connection:
        try:
            connection = Connection(self.place, self._timeout)
            self._held[:] = [connection]
            await connection.open()
        finally:
            self._connecting = None
        if self._closed:  # while it was being opened
            await connection.close()
        return connection


def fingerprint(tool: "mcp_types.Tool", place: Place, server: list[str | None]) -> str:
    """A digest of everything that a server says of a tool, and of who says it.

    Args:
        tool: as the server listed it.
        place: where the server is.
        server: what it calls itself.
    """
    fact = tool.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"icons", "meta"})
    return digest(clean([place.identity, server, fact]))


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the servers' loop and wait for it, from any other thread."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop().loop)
    try:
        while not future.done():
            concurrent.futures.wait([future], 0.2)  # in slices, so that interrupting the kernel works
    except BaseException:
        future.cancel()
        raise
    return future.result()


_loop = PerProcess("agentkit-mcp")


def loop() -> Engine:
    """The process's loop for servers; a forked child gets one of its own."""
    return _loop.get()


async def _close_all() -> None:
    await asyncio.gather(*(connection.close() for connection in living))


def _forget(held: list[Connection]) -> None:
    """End the connection of a link that is gone, without waiting: this runs wherever the last reference ended."""
    if held and held[0] in living:
        loop().spawn(held[0].close())


@atexit.register
def _at_exit() -> None:
    """No server outlives the process that started it."""
    if (made := _loop.made) is not None:
        future = asyncio.run_coroutine_threadsafe(_close_all(), made.loop)
        concurrent.futures.wait([future], _SECONDS_AT_EXIT)
