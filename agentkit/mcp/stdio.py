"""A server that is a process of ours: its command, its messages, and the last lines of its standard error."""

import asyncio
import os
import re
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from agentkit.errors import AgentKitError, ConfigError
from agentkit.mcp.place import redactor
from agentkit.redact import Redactor
from agentkit.text import cut, inert

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, TransportStreams
    from mcp.shared.message import SessionMessage

SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential|cookie", re.IGNORECASE)
"""What the name of an environment variable or an option that holds a secret looks like."""

_KEPT_LINES = 20  # of standard error: a Python traceback's end, or what a server says last
_SHOWN_LINES = 6
_LINE = 300  # characters of a line that are shown


@dataclass(frozen=True, slots=True, repr=False)
class Stdio:
    """How a server is started.

    Args:
        command: the program; `python` is the interpreter that runs this process.
        args: its arguments.
        env: added to the few variables that a server inherits (PATH, HOME, …).
        cwd: where it runs; None is here.
    """

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None

    @property
    def shown(self) -> str:
        """The command as it can be shown: without what follows an option that names a secret."""
        return " ".join([self.command, *self._plain_args()])

    @property
    def call(self) -> str:
        """How a user writes it."""
        return f"MCP.stdio({', '.join(map(repr, [self.command, *self._plain_args()]))})"

    def __repr__(self) -> str:
        return self.call

    @property
    def identity(self) -> list[str]:
        """What an approval is bound to: the command, wherever it is installed."""
        return ["stdio", Path(self.command).name, *self._plain_args()]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown: those of variables and options whose names say so."""
        hidden = [
            arg.partition("=")[2] or arg
            for arg, plain in zip(self.args, self._plain_args(), strict=True)
            if arg != plain
        ]
        return (*(value for name, value in self.env.items() if SECRET_NAME.search(name)), *hidden)

    def wire(self) -> "StdioWire":
        """A new process, once its streams are opened."""
        return StdioWire(self)

    def _plain_args(self) -> list[str]:
        plain: list[str] = []
        for before, arg in zip(("", *self.args), self.args, strict=False):
            name, equals, _ = arg.partition("=")
            if equals and name.startswith("-") and SECRET_NAME.search(name):
                plain.append(f"{name}=…")
            elif before.startswith("-") and "=" not in before and SECRET_NAME.search(before):
                plain.append("…")
            else:
                plain.append(Redactor().text(arg))
        return plain


class StdioWire:
    """One process: opened once, dead when its streams end.

    Args:
        server: how it is started.
    """

    def __init__(self, server: Stdio) -> None:
        self._server = server
        self._started = False
        self._stderr = LastLines()

    @asynccontextmanager
    async def streams(self, on_end: Callable[[], None]) -> "AsyncGenerator[TransportStreams]":
        """Start the process; end it, and what it started, when left.

        Args:
            on_end: called when the process has closed its output.
        """
        from mcp import StdioServerParameters, stdio_client

        server = self._server
        parameters = StdioServerParameters(
            command=sys.executable if server.command == "python" else server.command,
            args=list(server.args),
            env=dict(server.env),
            cwd=server.cwd,
        )
        async with AsyncExitStack() as stack:
            with self._stderr.sink() as sink:
                read, write = await stack.enter_async_context(stdio_client(parameters, errlog=sink))
            self._started = True
            yield _Watched(read, on_end), write

    def refusal(self, error: Exception) -> AgentKitError | None:
        """What is wrong with the command itself, which trying again cannot mend."""
        if self._started:
            return None
        if isinstance(error, FileNotFoundError):
            missing = str(error.filename or self._server.command)
            return ConfigError(
                f"{self._server.shown}: there is no {missing!r}; install the server where this process finds it (on "
                'PATH), or give the path of its program; a Python package is started as "python", "-m", "its_module"'
            )
        if isinstance(error, OSError | ValueError):
            return ConfigError(f"{self._server.shown}: cannot be started ({error})")
        return None

    async def last_words(self) -> str:
        """What the process said last on its standard error, for an error's message."""
        for _ in range(25):  # it may have died a moment ago: half a second for its last lines to arrive
            if self._stderr.ended.is_set():
                break
            await asyncio.sleep(0.02)
        hide = redactor(self._server).text  # before anything is cut: half a secret is as bad
        lines = [cut(inert(hide(line)), _LINE) for line in self._stderr.lines[-_SHOWN_LINES:]]
        return "; its last lines on stderr:" + "".join(f"\n  {line}" for line in lines) if lines else ""


class LastLines:
    """The end of what a process writes on its standard error: read at once, so that it never waits for a reader."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._kept: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def lines(self) -> list[str]:
        """The last lines that are not empty, as they came."""
        return [line for line in self._kept if line]

    def sink(self) -> TextIO:
        """A file for a process to write to; to be closed here once the process has it."""
        source, sink = os.pipe()
        threading.Thread(target=self._read, args=(source,), name="agentkit-mcp-stderr", daemon=True).start()
        return os.fdopen(sink, "w")

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb") as stream:
            for line in iter(lambda: stream.readline(4096), b""):
                self._kept.append(line.decode("utf-8", "replace").rstrip())
        self.ended.set()


class _Watched:
    """The messages of a process, and word of their end: the client tells only whoever asks next."""

    def __init__(self, stream: "ReadStream[SessionMessage | Exception]", on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    async def receive(self) -> "SessionMessage | Exception":
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> "ReadStream[SessionMessage | Exception]":
        return self

    async def __anext__(self) -> "SessionMessage | Exception":
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
