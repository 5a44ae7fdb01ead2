"""Runs as a log has them, written by hand: fixed ids, fixed times, so that what is exported of them never changes.

`python tests/export_runs.py` writes what is exported of them to `tests/data/export/`, where a change wants it.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from agentkit.events import (
    ApprovalAnswered,
    ApprovalRequested,
    AskStarted,
    Body,
    Decided,
    ErrorInfo,
    Event,
    Header,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RetryScheduled,
    RunPausedEvent,
    RunResumed,
    RunStarted,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    ToolFact,
    ToolFailed,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.export import PROFILES, Service, to_spans
from agentkit.messages import ToolCall, ToolSchema

BEGAN = datetime(2026, 11, 28, 12, 0, 0, 123456, tzinfo=UTC)
SUPPORT = "01932e5c-0000-7000-8000-000000000001"
HELPER = "01932e5c-0000-7000-8000-000000000002"
TRIAGE = "01932e5c-0000-7000-8000-000000000003"
MODEL = "openai/gpt-5-mini"
SAID = 'Bestellung A-1042 kam kaputt an 😢, 寿司\u200d\n"Zitat" <b>&amp;</b>'


class Written:
    """A run that is being written down.

    Args:
        run_id: its id.
        parent: the run that called it.
        began: milliseconds after `BEGAN`.
    """

    def __init__(self, run_id: str, *, parent: str | None = None, began: float = 0.0) -> None:
        self.run_id = run_id
        self.parent = parent
        self.events: list[Event] = []
        self._now = began

    def add(self, body: Body, after: float = 1.0, **envelope: Any) -> Event:
        """One event more, so many milliseconds after the one before it."""
        self._now += after
        ts = BEGAN + timedelta(milliseconds=self._now)
        event = Event(
            run_id=self.run_id, seq=len(self.events) + 1, ts=ts, body=body, parent_run_id=self.parent, **envelope
        )
        self.events.append(event)
        return event

    def answer(self, step: str, text: str | None = None, *, after: float = 500.0, cost: float | None = 0.002, **more):
        """A model's answer."""
        envelope = {"attempt": more.pop("attempt", 1), "name": more.pop("name", MODEL)}
        tokens = {"input_tokens": more.pop("given", 120), "output_tokens": more.pop("made", 48)}
        more.setdefault("finish_reason", "tool_calls" if more.get("tool_calls") else "stop")
        body = ModelResponded(text=text, **more)
        return self.add(body, after, step=step, status="ok", duration_ms=after, cost_usd=cost, **envelope, **tokens)

    def request(self, step: str, *, attempt: int = 1, name: str = MODEL, **parameters: Any) -> Event:
        """A model is asked."""
        body = ModelRequested(request_sha256="0" * 64, messages=1, parameters=parameters)
        return self.add(body, step=step, attempt=attempt, name=name)

    def tool(
        self, step: str, arguments: Any, *, attempt: int = 1, child: str | None = None, after: float = 1.0
    ) -> Event:
        """A tool begins."""
        body = ToolStarted(
            call_id=f"call-{step}", arguments=arguments, idempotency_key=f"key-{step}", child_run_id=child
        )
        return self.add(body, after, step=step, attempt=attempt, name=step.split("/")[-2])

    def result(self, step: str, result: Any, *, attempt: int = 1, after: float = 20.0, **more: Any) -> Event:
        """A tool returns."""
        body = ToolSucceeded(call_id=f"call-{step}", result=result, **more)
        return self.add(
            body, after, step=step, attempt=attempt, name=step.split("/")[-2], status="ok", duration_ms=after
        )


def fact(name: str, *, writes: bool = False) -> ToolFact:
    """A tool that a run offered."""
    schema = {"type": "object", "properties": {"order_id": {"type": "string"}}}
    return ToolFact(
        offered=ToolSchema(name=name, description=f"Do {name}.", parameters=schema),
        source_sha256="1" * 64,
        writes=writes,
    )


def started(kind: str = "agent", **more: Any) -> RunStarted:
    """How a run begins."""
    return RunStarted(kind=kind, definition_sha256="2" * 64, **more)


def support(result: Any = None) -> list[Event]:
    """An agent's run with all that can happen to one: retries, parallel tools, a sub-agent, an approval, a pause.

    Args:
        result: what `find_order` gives; an order where it is left out.
    """
    run = Written(SUPPORT)
    header = Header(
        instructions="Help with orders.", tools=(fact("find_order"), fact("refund", writes=True), fact("helper"))
    )
    told = {"tags": ("shop", "eu"), "session": "chat-7", "user": "ann"}
    run.add(started(header=header, input=SAID, **told), 0, name="support", status="running")
    run.request("model/1", temperature=0.2, max_tokens=500, stop=["END"])
    busy = ErrorInfo(type="RateLimitError", message="429: slow down", retryable=True, traceback="Traceback …")
    run.add(
        ModelFailed(error=busy, kind="rate_limit"), 80, step="model/1", attempt=1, name=MODEL, status="error",
        duration_ms=80.0, cost_usd=0.0,
    )  # fmt: skip
    run.add(
        RetryScheduled(due=BEGAN + timedelta(seconds=1), delay=0.5, error="RateLimitError: 429: slow down"),
        step="model/1",
    )
    run.request("model/1", attempt=2, temperature=0.2, max_tokens=500, stop=["END"])
    calls = (
        ToolCall(id="call-1", name="find_order", arguments={"order_id": "A-1042"}, reported={"why": "to see it"}),
        ToolCall(id="call-2", name="find_order", arguments={"order_id": "ß"}),
        ToolCall(id="call-3", name="helper", arguments={"task": "be kind"}),
        ToolCall(id="call-4", name="refund", arguments={"order_id": "A-1042"}),
    )
    run.answer(
        "model/1", "Let me look.", attempt=2, tool_calls=calls, cached_tokens=40, cache_write_tokens=7,
        reasoning_tokens=12, response_id="resp-1", answered_by="gpt-5-mini-2026-08-07", cost=0.0021,
    )  # fmt: skip
    steps = ("tool/find_order/1", "tool/find_order/2", "tool/helper/1", "tool/refund/1")
    for call, step in zip(calls, steps, strict=True):
        body = Decided(
            action=call.name, call_id=call.id, why=call.reported.get("why"), offered=("find_order", "refund", "helper")
        )
        run.add(body, step=step, name=call.name)
    run.tool(steps[0], {"order_id": "A-1042"})
    run.tool(steps[1], {"order_id": "ß"}, after=0)
    run.tool(steps[2], {"task": "be kind"}, child=HELPER, after=0)
    run.result(steps[0], {"id": "A-1042", "total": 59.9} if result is None else result)
    lost = ErrorInfo(type="ConnectionError", message="reset by peer", retryable=True)
    run.add(
        ToolFailed(call_id="call-2", error=lost, retrying=True), step=steps[1], attempt=1, name="find_order",
        status="error", duration_ms=21.0,
    )  # fmt: skip
    run.add(RetryScheduled(due=BEGAN + timedelta(seconds=2), delay=0.1, error="ConnectionError"), step=steps[1])
    run.tool(steps[1], {"order_id": "ß"}, attempt=2, after=100)
    run.result(steps[1], None, attempt=2)
    run.result(steps[2], "Be kind.", after=900, child_usage={"input_tokens": 9, "cost_usd": 0.0001})
    run.add(
        ApprovalRequested(
            kind="call", prompt="Run refund?", arguments={"order_id": "A-1042"}, digest="d", because="policy"
        ),
        step=steps[3], name="refund", approval_id="ask-1",
    )  # fmt: skip
    run.add(RunPausedEvent(why="approval", waiting_for=("ask-1",)), status="paused")
    run.add(RunResumed(process="p2"), 60_000, name="support", status="running")
    run.add(
        ApprovalAnswered(verdict="approve", comment="seen it", who="bea", through="notebook", digest="d"),
        step=steps[3], name="refund", approval_id="ask-1",
    )  # fmt: skip
    run.tool(steps[3], {"order_id": "A-1042"})
    run.result(steps[3], {"refund_id": "r-1"})
    run.request("model/2", name="acme/unpriced-1")
    run.answer("model/2", "Done. 完了", name="acme/unpriced-1", cost=None, given=300, made=5)
    run.add(Decided(action="answer", offered=("find_order", "refund", "helper")), step="model/2", name="answer")
    run.add(RunSucceeded(output="Done. 完了"), status="succeeded")
    return [*run.events, *_helper()]


def _helper() -> list[Event]:
    run = Written(HELPER, parent=SUPPORT, began=700.0)
    told = {"tags": ("shop", "eu"), "session": "chat-7", "user": "ann", "parent_step": "tool/helper/1"}
    run.add(started(header=Header(instructions="Be kind."), input="be kind", **told), name="helper", status="running")
    run.request("model/1")
    run.answer("model/1", "Be kind.", given=9, made=3, cost=0.0001)
    run.add(Decided(action="answer"), step="model/1", name="answer")
    run.add(RunSucceeded(output="Be kind."), status="succeeded")
    return run.events


def triage() -> list[Event]:
    """A pipeline's run: a fan-out that asks, a failed attempt, a call that a person is asked about, a skipped step."""
    run = Written(TRIAGE)
    graph = {
        "label": {"needs": {"kind": "kind"}, "each": {"ticket": "tickets"}},
        "pay": {"needs": {"label": "label"}},
        "never": {"needs": {"pay": "pay"}, "when": ["pay"]},
    }
    run.add(
        started("pipeline", input={"tickets": ["broken", "late"], "kind": "short"}, config={"steps": graph}), 0,
        name="triage", status="running",
    )  # fmt: skip
    run.add(StepStarted(items=2), step="label", name="label")
    for index in (0, 1):
        run.add(StepStarted(input_sha256="3" * 64, idempotency_key=f"k{index}"), step=f"label[{index}]", attempt=1,
                name="label")  # fmt: skip
    _ask(run, "label[0]/ask/1", "Label: broken", "damage", header=Header())
    run.add(StepSucceeded(result="damage"), step="label[0]", attempt=1, name="label", status="ok", duration_ms=5.0)
    late = ErrorInfo(type="TimeoutError", message="too slow", retryable=True)
    run.add(StepFailed(error=late, retrying=True), step="label[1]", attempt=1, name="label", status="error")
    run.add(RetryScheduled(due=BEGAN + timedelta(seconds=1), delay=0.2, error="TimeoutError"), step="label[1]")
    run.add(StepStarted(input_sha256="3" * 64, idempotency_key="k1"), 200, step="label[1]", attempt=2, name="label")
    _ask(run, "label[1]/ask/1", "Label: late", "delay")
    run.add(StepSucceeded(result="delay"), step="label[1]", attempt=2, name="label", status="ok", duration_ms=5.0)
    run.add(StepSucceeded(gathered=True), step="label", name="label", status="ok")
    run.add(StepStarted(idempotency_key="k2"), step="pay", attempt=1, name="pay")
    run.add(
        ApprovalRequested(kind="call", prompt="Run refund?", arguments={"order_id": "A"}, digest="d"),
        step="pay/call/refund/1", name="refund", approval_id="ask-2",
    )  # fmt: skip
    run.add(RunPausedEvent(why="approval", waiting_for=("ask-2",)), status="paused")
    run.add(RunResumed(process="p2"), 5000, status="running")
    run.add(
        ApprovalAnswered(verdict="edit", edits={"order_id": "B"}, who="bea", digest="d"),
        step="pay/call/refund/1", name="refund", approval_id="ask-2",
    )  # fmt: skip
    run.add(StepStarted(idempotency_key="k2"), step="pay", attempt=1, name="pay")
    run.tool("pay/call/refund/1", {"order_id": "B"})
    run.result("pay/call/refund/1", {"refund_id": "r-2"})
    run.add(StepSucceeded(result={"refund_id": "r-2"}), step="pay", attempt=1, name="pay", status="ok", duration_ms=9.0)
    run.add(StepSkipped(because="when"), step="never", name="never")
    run.add(RunSucceeded(output={"refund_id": "r-2"}), status="succeeded")
    return run.events


def _ask(run: Written, step: str, prompt: str, said: str, *, header: Header | None = None) -> None:
    run.add(
        AskStarted(
            prompt=prompt, header=header, header_sha256=Header().sha256, request_sha256="4" * 64, models=(MODEL,)
        ),
        step=step, name="label",
    )  # fmt: skip
    run.request(f"{step}/model/1")
    run.answer(f"{step}/model/1", said, given=20, made=2, cost=0.0003)
    run.add(StepSucceeded(result=said), step=step, name="label", status="ok")


def long_run(calls: int = 2500) -> list[Event]:
    """An agent's run of about two spans a call."""
    run = Written("01932e5c-0000-7000-8000-000000000009")
    run.add(started(header=Header(tools=(fact("look"),)), input="go", config={"decisions": False}), 0, name="long")
    for number in range(1, calls + 1):
        call = ToolCall(id=f"c{number}", name="look", arguments={"order_id": str(number)})
        run.request(f"model/{number}")
        run.answer(f"model/{number}", tool_calls=(call,), after=1)
        run.tool(f"tool/look/{number}", {"order_id": str(number)})
        run.result(f"tool/look/{number}", number)
    run.add(RunSucceeded(output="ok"), status="succeeded")
    return run.events


GOLDEN = Path(__file__).parent / "data" / "export"
SERVICE = Service("shop", version="1.2", environment="production")


def decoded(name: str, profile: str) -> str:
    """What a target gets of a run, decoded: a span a line, the resource first."""
    sent = encode_spans(to_spans({"support": support, "triage": triage}[name](), profile, service=SERVICE))
    (resource,) = MessageToDict(sent)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    lines = [{"resource": resource["resource"], "scope": scope["scope"]}, *scope["spans"]]
    return "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for run in ("support", "triage"):
        for profile in PROFILES:
            (GOLDEN / f"{run}.{profile}.jsonl").write_text(decoded(run, profile), "utf-8")
