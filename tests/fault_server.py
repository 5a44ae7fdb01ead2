"""A provider on loopback: speaks the OpenAI and the Anthropic dialect, streams, counts requests, and fails as told."""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

from dialects import DIALECTS, Reply


@dataclass(frozen=True)
class Status:
    """An HTTP error with the provider's own body.

    Args:
        code: the status.
        kind: the error's type in the body.
        message: the error's text.
        detail: the error's code, where the dialect has one.
        headers: sent with it; a callable is called when it is sent.
    """

    code: int
    kind: str = "server_error"
    message: str = "something went wrong"
    detail: str | None = None
    headers: dict = field(default_factory=dict)


USUAL = Reply()
LONG = Reply(text="It is on its way and will be there by the end of the week.")


@dataclass(frozen=True)
class Cut:
    """A stream that ends too early, or an answer whose connection does.

    Args:
        after: how many events are sent before.
        how: "reset" kills the connection, "close" ends it in the midst of a body, "end" ends the body properly,
            "stall" sends nothing more, "error" sends an error event, "garbage" an event that is no JSON.
    """

    after: int = 3
    how: Literal["reset", "close", "end", "stall", "error", "garbage"] = "reset"
    reply: Reply = LONG


@dataclass(frozen=True)
class Raw:
    """A body that is sent as it is, whatever was asked for."""

    body: bytes
    content_type: str = "application/json"
    code: int = 200


@dataclass(frozen=True)
class Silence:
    """The request is read, and nothing comes back; "reset" kills the connection instead."""

    reset: bool = False


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    headers: dict
    body: dict
    at: float


class FaultServer:
    """The server; it runs in threads of its own from `with` on.

    Args:
        script: what each request gets, in order: a `Reply`, a fault, or a function of the request's body that returns
            one. After the last, every request gets the usual answer.
        usual: the usual answer.
        delay: seconds that each answer takes.
    """

    def __init__(self, script: Iterable = (), *, usual: Reply = USUAL, delay: float = 0.0) -> None:
        self.script = deque(script)
        self.usual = usual
        self.delay = delay
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._at_once = 0
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.faults = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """What `api_base` is set to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def plan(self, *answers: object) -> None:
        """Add to the script."""
        self.script.extend(answers)

    def next(self, request: Request) -> object:
        """Take a request, and what it gets."""
        with self._lock:
            self.requests.append(request)
            answer = self.script.popleft() if self.script else self.usual
        return answer(request.body) if callable(answer) else answer

    def busy(self, change: int) -> None:
        """Count the requests that are being answered at the moment."""
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    faults: FaultServer

    def handle_error(self, *_arguments: object) -> None:
        """A client that goes away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        faults = self.server.faults
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        faults.busy(1)
        try:
            answer = faults.next(Request(self.path, headers, body, time.monotonic()))
            if faults.delay:
                time.sleep(faults.delay)
            self._answer(answer, body)
        finally:
            faults.busy(-1)

    def _answer(self, answer: object, body: dict) -> None:
        dialect = next(dialect for path, dialect in DIALECTS.items() if path in self.path)
        model = body.get("model", "")
        if isinstance(answer, Status):
            content = dialect.error(answer.kind, answer.message, answer.detail)
            self._send(answer.code, json.dumps(content).encode(), headers=answer.headers)
        elif isinstance(answer, Raw):
            self._send(answer.code, answer.body, answer.content_type)
        elif isinstance(answer, Silence):
            self._reset() if answer.reset else self.server.faults.closing.wait(30)
        elif isinstance(answer, Cut):
            self._cut(answer, dialect, model, body)
        elif body.get("stream"):
            self._begin_stream()
            self.wfile.write(b"".join(_chunk(event) for event in dialect.stream(answer, model, body)) + _chunk(b""))
        else:
            self._send(200, json.dumps(dialect.whole(answer, model)).encode())

    def _cut(self, cut: Cut, dialect: object, model: str, body: dict) -> None:
        self._begin_stream()
        for _, event in zip(range(cut.after), dialect.stream(cut.reply, model, body), strict=False):
            self.wfile.write(_chunk(event))
        if cut.how in {"error", "garbage"}:
            event = dialect.error_event("Overloaded") if cut.how == "error" else b'data: {"id": "chatcmpl-1", "cho\n\n'
            self.wfile.write(_chunk(event))
        if cut.how in {"end", "error", "garbage"}:
            self.wfile.write(_chunk(b""))
            return
        self.wfile.flush()
        if cut.how == "stall":
            self.server.faults.closing.wait(30)
        elif cut.how == "reset":
            time.sleep(0.05)  # a reset throws away what the other side has not read yet
            self._reset()
        self.close_connection = True

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send(self, code: int, content: bytes, kind: str = "application/json", headers: dict | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value() if callable(value) else value)
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def nobody() -> str:
    """An address on loopback where nothing listens."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{port.getsockname()[1]}"
