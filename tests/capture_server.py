"""A tracing system on loopback: keeps what it was sent, and answers as told: all of it, a part, never, not now."""

import gzip
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Args:
        code: the status.
        rejected: spans that are not taken although the status says so.
        body: the answer's, in place of the usual one.
        kind: its type.
        headers: sent with it.
        taken: whether what was sent is kept all the same.
        how: "hang" reads the request and sends nothing, "reset" kills the connection, "lose" does so after keeping it.
    """

    code: int = 200
    rejected: int = 0
    body: bytes | None = None
    kind: str = "application/x-protobuf"
    headers: dict = field(default_factory=dict)
    how: str = "answer"


TAKEN = Answer()
LANGFUSE = Answer(body=b"{}", kind="application/json; charset=utf-8")
HANG = Answer(how="hang")
RESET = Answer(how="reset")
LOSE = Answer(how="lose")


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    headers: dict
    body: bytes
    answer: Answer

    @property
    def spans(self) -> list[Any]:
        """The spans of an OTLP request."""
        found = ExportTraceServiceRequest.FromString(self.body)
        return [span for resource in found.resource_spans for scope in resource.scope_spans for span in scope.spans]


class CaptureServer:
    """The server; it runs in threads of its own from `with` on.

    Args:
        script: what each request gets, in order; after the last, every request gets the usual answer.
        usual: the usual answer.
        limit: bytes of a request, decompressed; what is larger gets 413.
    """

    def __init__(self, script: Iterable[Answer] = (), *, usual: Answer = TAKEN, limit: int | None = None) -> None:
        self.script = deque(script)
        self.usual = usual
        self.limit = limit
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.capture = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base of every path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def taken(self) -> list[Request]:
        """The requests that were taken, in part or as a whole."""
        return [request for request in self.requests if request.answer.code == 200 and request.answer.how != "reset"
                and request.answer.how != "hang"]  # fmt: skip

    def spans(self) -> Counter:
        """How often each span was taken, by its trace, its id and its start."""
        kept: Counter = Counter()
        for request in self.taken:
            found = request.spans
            kept.update(_key(span) for span in found[: len(found) - request.answer.rejected])
        return kept

    def next(self, path: str, headers: dict, body: bytes) -> Answer:
        """Take a request, and what it gets."""
        with self._lock:
            answer = self.script.popleft() if self.script else self.usual
            if self.limit is not None and len(body) > self.limit:
                answer = Answer(413, body=b"too large", kind="text/plain")
            self.requests.append(Request(path, headers, body, answer))
        return answer

    def wait_for(self, count: int, timeout: float = 20.0) -> None:
        """Until so many requests came."""
        until = time.monotonic() + timeout
        while len(self.requests) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.requests) >= count, f"{len(self.requests)} requests came"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _key(span: Any) -> tuple[str, str, int]:
    return span.trace_id.hex(), span.span_id.hex(), span.start_time_unix_nano


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    capture: CaptureServer

    def handle_error(self, *_arguments: object) -> None:
        """A client that goes away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._take(b"")

    def do_POST(self) -> None:
        self._take(self.rfile.read(int(self.headers["Content-Length"])))

    def _take(self, data: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = gzip.decompress(data) if headers.get("content-encoding") == "gzip" else data
        answer = self.server.capture.next(self.path, headers, body)
        if answer.how == "hang":
            self.server.capture.closing.wait(30)
        elif answer.how in {"reset", "lose"}:
            self._reset()
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        content = answer.body if answer.body is not None else _usual(answer)
        self.send_response_only(answer.code)
        if "Date" not in answer.headers:
            self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def _usual(answer: Answer) -> bytes:
    if answer.code != 200:
        return b"no"
    found = ExportTraceServiceResponse()
    if answer.rejected:
        found.partial_success.rejected_spans = answer.rejected
        found.partial_success.error_message = "too old"
    if "json" in answer.kind:
        partial = {"rejectedSpans": str(answer.rejected), "errorMessage": "too old"} if answer.rejected else {}
        return json.dumps({"partialSuccess": partial}).encode()
    return found.SerializeToString()
