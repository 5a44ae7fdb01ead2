"""Weights in memory and the one thread that asks them: loaded once a process, asked one request after the other."""

import asyncio
import atexit
import contextlib
import ctypes
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit.errors import ModelError
from agentkit.models.local.runtime import open_server

_GOODBYE_SECONDS = 2.0  # what ending the process waits for a generation to notice; it looks after every token


@dataclass(frozen=True, slots=True)
class Generation:
    """What one request to the weights gave. `finish_reason` is "stop", or "length" where the room ran out."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(slots=True)
class _Job:
    """A request and the way back to who asked. Its pieces end with None."""

    body: Mapping[str, Any]
    loop: asyncio.AbstractEventLoop
    pieces: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue["str | None"])
    given_up: threading.Event = field(default_factory=threading.Event)
    result: Generation | None = None
    error: Exception | None = None

    def tell(self, piece: str | None) -> None:
        """Hand a piece over to the loop of who asked; nobody is told when that loop is gone."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)


class Engine:
    """One weights file. Use `engine(path)`: a process has one of each.

    A request that is given up ends at its next token, and the following one begins: the weights keep nothing of it.

    Args:
        path: the GGUF file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._now: _Job | None = None
        self._server: Any = None  # xllamacpp has no types
        self._ending = False
        threading.Thread(target=self._serve, name="agentkit-local", daemon=True).start()

    def warm(self) -> None:
        """Load the weights in the background, if they are not; an error waits for whoever asks first."""
        self._jobs.put(None)

    async def generate(
        self, body: Mapping[str, Any], on_text: Callable[[str], None] | None = None
    ) -> Generation:  # body is llama.cpp's JSON
        """Ask once; earlier requests come first.

        Args:
            body: a chat completion request as llama.cpp's server takes it, without what concerns streaming.
            on_text: called with each piece as it comes, on the caller's loop.

        Raises:
            ModelError: the weights cannot be loaded, or the request is refused.
        """
        job = _Job(body, asyncio.get_running_loop())
        self._jobs.put(job)
        try:
            while (piece := await job.pieces.get()) is not None:
                if on_text is not None:
                    on_text(piece)
        finally:
            job.given_up.set()
        if job.error is not None:
            raise job.error
        assert job.result is not None, "a job ends with a result or an error"
        return job.result

    def _serve(self) -> None:
        while not self._ending:
            job = self._jobs.get()
            if job is not None and job.given_up.is_set():
                continue
            self._now = job
            try:
                self._load()
                if job is not None:
                    job.result = self._answer(job)
            except Exception as error:  # noqa: BLE001  it belongs to whoever asked; a failed warm-up is tried again
                if job is not None:
                    job.error = error
            self._now = None
            if job is not None:
                job.tell(None)

    def _load(self) -> None:
        if self._server is None:
            self._server = open_server(self.path, api_key=secrets.token_urlsafe(32))

    def _answer(self, job: _Job) -> Generation:
        reader = _Reader(job)
        options = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        self._server.handle_chat_completions({**job.body, **options}, reader.take)
        if reader.error is not None:
            raise reader.error
        return reader.generation()

    def end(self) -> None:
        """Stop what is being generated and wait for it a moment: a process must not end in the middle of a token."""
        self._ending = True
        until = time.monotonic() + _GOODBYE_SECONDS
        while (job := self._now) is not None and time.monotonic() < until:
            job.given_up.set()
            time.sleep(0.01)

    def abandon(self) -> None:
        """After a fork: the server's threads are not here, so its destructor would wait for ever. It is never run."""
        if self._server is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))


class _Reader:
    """Takes llama.cpp's chunks as they come and puts the answer together."""

    def __init__(self, job: _Job) -> None:
        self.error: ModelError | None = None
        self._job = job
        self._text: list[str] = []
        self._finish = "length"
        self._usage: dict[str, Any] = {}

    def take(self, chunk: dict[str, Any]) -> bool:
        """One chunk, or an error. True ends the generation."""
        if "error" in chunk:
            self.error = _error(chunk["error"])
            return True
        for choice in chunk.get("choices", ()):
            piece = choice.get("delta", {}).get("content")
            if piece:
                self._text.append(piece)
                self._job.tell(piece)
            self._finish = choice.get("finish_reason") or self._finish
        self._usage = chunk.get("usage") or self._usage
        return self._job.given_up.is_set()

    def generation(self) -> Generation:
        return Generation(
            text="".join(self._text),
            finish_reason=self._finish,
            input_tokens=self._usage.get("prompt_tokens", 0),
            output_tokens=self._usage.get("completion_tokens", 0),
            cached_tokens=self._usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
        )


def _error(said: Mapping[str, Any]) -> ModelError:
    """A refusal of llama.cpp's server as ours."""
    status = said.get("code")
    if said.get("type") == "exceed_context_size_error":
        return ModelError(
            f"the prompt has {said.get('n_prompt_tokens')} tokens and the local model reads {said.get('n_ctx')}; give "
            "it less text, set history_tokens on the agent, or raise $AGENTKIT_LOCAL_CONTEXT",
            kind="context_overflow",
            status=status,
        )
    kind = "bad_request" if status == 400 else "server"
    return ModelError(f"the local model refused the request: {said.get('message')}", kind=kind, status=status)


_engines: dict[Path, Engine] = {}
_lock = threading.Lock()


def engine(path: Path) -> Engine:
    """The process's engine for a weights file.

    Args:
        path: the file; two names of one file share an engine.
    """
    path = path.resolve()
    with _lock:
        if path not in _engines:
            _engines[path] = Engine(path)
        return _engines[path]


@atexit.register
def _end() -> None:
    for one in _engines.values():
        one.end()


def _forget_after_fork() -> None:
    global _lock  # noqa: PLW0603  the parent's thread may have held it
    _lock = threading.Lock()
    if not _engines:
        return
    for one in _engines.values():
        one.abandon()
    _engines.clear()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc: what runs first at exit ends the child, before llama.cpp waits there for ever
        libc.on_exit(libc._exit, None)  # noqa: SLF001  that is the C function's name


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
