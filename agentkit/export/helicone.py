"""Helicone's manual logger: one request for each attempt, call, decision and approval.

Its OpenTelemetry endpoints give spans ids of their own and lose the tree; the logger keeps both, through the ids of
requests and the path within a session. It works costs out itself; ours is a property beside them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from agentkit.events import ModelFailed, ModelRequested, ModelResponded
from agentkit.export.attributes import span_name
from agentkit.export.content import Content
from agentkit.export.ids import request_id
from agentkit.export.messages import openai_answer, openai_prompt, openai_tools
from agentkit.export.nodes import Node
from agentkit.export.post import Packet
from agentkit.export.providers import provider_and_model

if TYPE_CHECKING:
    from agentkit.export.targets import Target

Json = dict[str, Any]

_STATUS = {
    "rate_limit": 429,
    "auth": 401,
    "timeout": 408,
    "bad_request": 400,
    "not_found": 404,
    "content_filter": 400,
    "context_overflow": 400,
    "quota": 429,
}
"""What a provider answers to each kind of failure; whatever else failed on its side is a 500."""


def packets(nodes: Iterable[Node], target: "Target") -> Iterator[Packet]:
    """The requests that log a run.

    Args:
        nodes: the run's.
        target: Helicone.
    """
    for node in nodes:
        is_model = node.kind == "model"
        said = _model(node, target.content) if is_model else _custom(node, target.content)
        path = "/oai/v1/log" if is_model else "/custom/v1/log"
        meta = _meta(node, target)
        body = {
            "providerRequest": {"url": "custom-model-nopath", "json": said[0], "meta": meta},
            "providerResponse": {"json": said[1], "status": _status(node), "headers": meta},
            "timing": {"startTime": _moment(node.start), "endTime": _moment(node.end or node.start)},
        }
        yield Packet(target.url + path, to_json(body), "application/json", meta)


def _meta(node: Node, target: "Target") -> dict[str, str]:
    """Id, session and properties: the same in the headers and in the body, where each of its servers looks."""
    run = node.run
    found = {
        "Helicone-Request-Id": request_id(run.run_id, node.opened.seq),
        "Helicone-Session-Id": run.root_run_id,
        "Helicone-Session-Name": run.root_name,
        "Helicone-Session-Path": _path(node),
        "Helicone-Property-Kind": node.kind,
        "Helicone-Property-Run": run.run_id,
        "Helicone-Property-Event": str(node.opened.seq),
    }
    cost = node.closed.cost_usd if node.kind == "model" and node.closed is not None else None
    optional = {
        "Helicone-User-Id": run.user,
        "Helicone-Property-Session": run.session,
        "Helicone-Property-Tags": ",".join(run.tags) or None,
        "Helicone-Property-Step": node.step,
        "Helicone-Property-Attempt": node.opened.attempt,
        "Helicone-Property-Cost-Usd": cost,
        "Helicone-Property-Environment": target.service.environment,
        "Helicone-Property-Verdict": node.facts.get("agentkit.approval.verdict"),
    }
    found.update({name: str(value) for name, value in optional.items() if value is not None})
    return {name: _header(value) for name, value in found.items()}


def _header(value: str) -> str:
    """A text that a header can hold: what is no printable ASCII is escaped as Python would."""
    return value.encode("ascii", "backslashreplace").decode().replace("\r", " ").replace("\n", " ").strip()


def _path(node: Node) -> str:
    """The names from the root down to the node: how a session's requests are nested."""
    names: list[str] = []
    above: Node | None = node
    while above is not None:
        names.append(span_name(above).replace("/", "-").replace(" ", "-"))
        above = above.parent
    return "/" + "/".join(reversed(names))


def _status(node: Node) -> int:
    """What happened, as a status: a failed attempt must not look like an answer."""
    body = node.closed.body if node.closed is not None else None
    if isinstance(body, ModelFailed):
        return _STATUS.get(body.kind, 500)
    return 500 if node.error is not None else 200


def _moment(moment: datetime) -> Json:
    return {"seconds": int(moment.timestamp()), "milliseconds": moment.microsecond // 1000}


def _model(node: Node, content: Content) -> tuple[Json, Json]:
    _, model = provider_and_model(node.name)
    asked = node.opened.body
    request: Json = {"model": model, **(asked.parameters if isinstance(asked, ModelRequested) else {})}
    request["messages"] = openai_prompt(node.prompt, content) if node.prompt is not None else []
    if node.prompt is not None and node.prompt.request.tools:
        request["tools"] = openai_tools(node.prompt.request)
    event = node.closed
    body = event.body if event is not None else None
    if event is None or not isinstance(body, ModelResponded):
        return request, _error(node, content)
    given, made = event.input_tokens or 0, event.output_tokens or 0
    answer: Json = {
        "id": body.response_id or request_id(node.run.run_id, node.opened.seq),
        "object": "chat.completion",
        "created": int(node.start.timestamp()),
        "model": body.answered_by or model,
        "choices": [{"index": 0, "message": _said(body, content), "finish_reason": body.finish_reason or "stop"}],
        "usage": {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
            "prompt_tokens_details": {"cached_tokens": body.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": body.reasoning_tokens},
        },
    }
    return request, answer


def _said(body: ModelResponded, content: Content) -> Json:
    return openai_answer(body, content) if content.mode != "none" else {"role": "assistant", "content": None}


def _error(node: Node, content: Content) -> Json:
    if node.error is None:
        return {"error": {"type": "Interrupted", "message": None}}
    return {"error": {"type": node.error.type, "message": content.text(node.error.message)}}


def _custom(node: Node, content: Content) -> tuple[Json, Json]:
    given, gave = content.value(node.input), content.value(node.output)
    failed = _error(node, content) if node.error is not None else {}
    if node.kind == "tool":
        return (
            {"_type": "tool", "toolName": node.name, "input": given},
            {"_type": "tool", "toolName": node.name, "output": gave, **failed},
        )
    name = span_name(node)
    return (
        {"_type": "data", "name": name, "input": given},
        {"_type": "data", "name": name, "output": gave, **failed},
    )
