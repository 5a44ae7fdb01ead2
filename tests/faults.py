"""What a provider can do to a call, and what a run makes of it: `uv run python tests/faults.py` prints the table."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from dialects import Reply
from fault_server import Cut, FaultServer, Raw, Silence, Status, nobody

import agentkit as ak
from agentkit.events import ModelFailed, ModelRequested, ModelResponded, RetryScheduled
from agentkit.testing import forbid_real_models

MODELS = {"openai": "openai/gpt-5-mini", "anthropic": "anthropic/claude-sonnet-4-5"}
KEY = "test-9f8e7d6c5b4a"  # of no shape that is known as a key's
QUICK = ak.Retry(max_attempts=3, initial=0.01, jitter="none")
CALL = (("find_order", '{"order_id": "A-1042"}'),)


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order by its number when a customer asks for it. Returns its status.

    Args:
        order_id: the order's number, for example "A-1042".
    """
    return {"order_id": order_id, "status": "sent"}


@dataclass(frozen=True)
class Fault:
    """One fault, met once; the provider is well again afterwards.

    Args:
        does: what the server does, or for each dialect what it does there.
        kind: what the failed attempt is called; None where no attempt fails.
        status: of the HTTP answer.
        charged: whether the failed attempt may have been charged, so that its estimate counts.
        final: whether the run fails of it.
        waits: seconds that the retry has to wait, at least.
        settings: of the agent.
        model_calls: how many the run takes in all, failed attempts left out.
    """

    does: Any
    kind: str | None
    status: int | None = None
    charged: bool = False
    final: bool = False
    waits: float = 0.0
    settings: tuple[tuple[str, Any], ...] = ()
    model_calls: int = 1

    def at(self, dialect: str) -> Any:
        """What the server does in a dialect."""
        return self.does[dialect] if isinstance(self.does, dict) else self.does


def _in_two_seconds() -> str:
    return formatdate(time.time() + 2, usegmt=True)


REFUSED = object()
TRUNCATED = Reply(text="", calls=(("find_order", '{"order_id": "A-10'),), finish="length")
SLOW_DOWN = {"kind": "rate_limit_error", "message": "Too many requests"}
OVERFLOW = {
    "openai": Status(
        400,
        "invalid_request_error",
        "This model's maximum context length is 272000 tokens. However, your messages resulted in 300000 tokens.",
        "context_length_exceeded",
    ),
    "anthropic": Status(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
}
FILTERED = {
    "openai": Status(400, "invalid_request_error", "The response was filtered by the policy", "content_filter"),
    "anthropic": Status(400, "invalid_request_error", "Output blocked by content filtering policy"),
}
NO_MONEY = {
    "openai": Status(429, "insufficient_quota", "You exceeded your current quota", "insufficient_quota"),
    "anthropic": Status(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
}
WRONG_KEY = {
    "openai": Status(401, "invalid_request_error", f"Incorrect API key provided: {KEY}.", "invalid_api_key"),
    "anthropic": Status(401, "authentication_error", f"invalid x-api-key: {KEY}"),
}

FAULTS = {
    "429, Retry-After in seconds": Fault(
        Status(429, **SLOW_DOWN, headers={"Retry-After": "1"}), "rate_limit", 429, waits=1
    ),
    "429, Retry-After as a date": Fault(
        Status(429, **SLOW_DOWN, headers={"Retry-After": _in_two_seconds}), "rate_limit", 429, waits=0.9
    ),
    "429, no Retry-After": Fault(Status(429, **SLOW_DOWN), "rate_limit", 429),
    "out of quota": Fault(NO_MONEY, "quota", final=True),
    "408": Fault(Status(408), "timeout", 408, charged=True),
    "500": Fault(Status(500, "api_error"), "server", 500),
    "502": Fault(Status(502), "server", 502),
    "502 with a page": Fault(Raw(b"<html>bad gateway</html>", "text/html", 502), "server", 502),
    "503": Fault(Status(503), "server", 503),
    "504": Fault(Status(504), "timeout", 504, charged=True),
    "529 overloaded": Fault(Status(529, "overloaded_error", "Overloaded"), "server", 529),
    "connection refused": Fault(REFUSED, "connection", final=True),
    "reset before the answer": Fault(Silence(reset=True), "connection", charged=True),
    "reset in mid-stream": Fault(Cut(how="reset"), "connection", charged=True),
    "closed in mid-stream": Fault(Cut(how="close"), "connection", charged=True),
    "ended in mid-stream": Fault(Cut(how="end"), "connection", charged=True),
    "error in mid-stream": Fault(Cut(how="error"), "server"),
    "stalled stream": Fault(Cut(how="stall", after=6), "timeout", charged=True, settings=(("idle_timeout", 0.3),)),
    "no answer": Fault(Silence(), "timeout", charged=True, settings=(("timeout", 0.5),)),
    "malformed JSON in a stream": Fault(Cut(how="garbage"), "connection", charged=True),
    "malformed JSON": Fault(
        Raw(b'{"id": "chatcmpl-1", "cho'), "connection", charged=True, settings=(("stream", False),)
    ),
    "malformed JSON, streaming": Fault(Raw(b'{"id": "chatcmpl-1", "cho'), "connection", charged=True),
    "a page instead of an answer": Fault(
        Raw(b"<html>hello</html>", "text/html"), "connection", charged=True, settings=(("stream", False),)
    ),
    "truncated tool arguments": Fault(TRUNCATED, None, model_calls=2),
    "content filter, as an error": Fault(FILTERED, "content_filter", 400, final=True),
    "content filter, as a finish": Fault(Reply(text="", finish="content_filter"), "content_filter", final=True),
    "context overflow": Fault(OVERFLOW, "context_overflow", 400, final=True),
    "400": Fault(Status(400, "invalid_request_error", "temperature is too hot"), "bad_request", 400, final=True),
    "422": Fault(Status(422, "invalid_request_error", "no such field"), "bad_request", 422, final=True),
    "wrong key (401)": Fault(WRONG_KEY, "auth", 401, final=True),
    "not allowed (403)": Fault(Status(403, "permission_error", "not for you"), "auth", 403, final=True),
    "no such model (404)": Fault(Status(404, "not_found_error", "model: gpt-99"), "bad_request", 404, final=True),
}


@dataclass
class Met:
    """What became of a run that met a fault."""

    run: ak.Run
    requests: int
    asked: int
    failed: list[ModelFailed]
    events: list
    estimate: float | None
    waits: list[float]

    @property
    def costs(self) -> list[float | None]:
        """What each attempt cost, the failed ones too."""
        return [event.cost_usd for event in self.events if isinstance(event.body, ModelFailed | ModelResponded)]


def meet(fault: Fault, dialect: str, log: ak.Log, *, times: int = 1, **agent: Any) -> Met:
    """Run an agent whose provider has a fault.

    Args:
        fault: which.
        dialect: the provider's.
        log: where the run is recorded.
        times: how many requests meet the fault.
        agent: further options of the agent.
    """
    with FaultServer([fault.at(dialect)] * times if fault.does is not REFUSED else []) as server:
        settings = {"api_base": server.url if fault.does is not REFUSED else nobody(), **dict(fault.settings)}
        options = {"tools": [find_order], "retry": QUICK, "settings": settings, **agent}
        run = ak.Agent("support", f"loopback/{MODELS[dialect]}", "Help with orders.", **options).run(
            "Where is A-1042?", log=log
        )
        with contextlib.suppress(ak.RunFailed):
            run.result(timeout=30)
        requests = len(server.requests)
    events = list(run.events())
    bodies = [event.body for event in events]
    return Met(
        run=run,
        requests=requests,
        asked=sum(isinstance(body, ModelRequested) for body in bodies),
        failed=[body for body in bodies if isinstance(body, ModelFailed)],
        events=events,
        estimate=next(body.reserved_usd for body in bodies if isinstance(body, ModelRequested)),
        waits=[body.delay for body in bodies if isinstance(body, RetryScheduled)],
    )


@contextlib.contextmanager
def keys() -> Iterator[None]:
    """A key for either provider, which a server on loopback does not look at."""
    names = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, KEY))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def row(name: str, fault: Fault, dialect: str, log: ak.Log) -> list[str]:
    """A line of the table."""
    met = meet(fault, dialect, log)
    first = met.failed[0] if met.failed else None
    costs = " + ".join("unknown" if cost is None else f"{cost:.6f}".rstrip("0").rstrip(".") for cost in met.costs)
    return [
        name,
        dialect,
        met.run.status,
        f"{met.asked}",
        f"{met.requests}",
        first.kind if first else "-",
        f"{met.waits[0]:.2f}" if met.waits else "-",
        costs + (" (first: estimate)" if first and first.cost_is_estimate else ""),
        first.error.message if first else "the model is told that its arguments are no JSON, and answers",
    ]


def main() -> None:
    """Print the table."""
    forbid_real_models()
    log = ak.open_log("memory:")
    head = [
        "fault, once",
        "dialect",
        "run",
        "attempts",
        "requests",
        "kind",
        "waits s",
        "cost in USD",
        "the log's error",
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    with keys():
        for name, fault in FAULTS.items():
            for dialect in MODELS:
                print("| " + " | ".join(row(name, fault, dialect, log)) + " |", flush=True)


if __name__ == "__main__":
    main()
