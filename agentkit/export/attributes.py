"""What every OTLP target is told of a node: agentkit's own facts, GenAI semantic conventions, OpenInference kinds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from pydantic_core import to_json

from agentkit.events import ModelFailed, ModelRequested, ModelResponded
from agentkit.export.content import Content
from agentkit.export.ids import span_id
from agentkit.export.messages import openai_tools, parts_of_answer, parts_of_prompt
from agentkit.export.nodes import Kind, Node, Scalar
from agentkit.export.providers import provider_and_model

Attributes: TypeAlias = dict[str, Scalar | Sequence[str]]

OPENINFERENCE: Mapping[Kind, str] = {
    "run": "AGENT",
    "model": "LLM",
    "tool": "TOOL",
    "step": "CHAIN",
    "ask": "CHAIN",
    "decision": "CHAIN",
    "approval": "GUARDRAIL",
}

_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}


def span_name(node: Node) -> str:
    """The span's name: few different ones, so that systems can group by it."""
    run = "invoke_workflow" if node.run.kind == "pipeline" else "invoke_agent"
    names = {"run": run, "model": "chat", "tool": "execute_tool"}
    if node.kind == "decision":
        return "decision"
    shown = provider_and_model(node.name)[1] if node.kind == "model" else node.name
    return f"{names.get(node.kind, node.kind)} {shown}".rstrip()


def base(node: Node, content: Content) -> Attributes:
    """The attributes that all targets get."""
    found: Attributes = {"openinference.span.kind": _openinference(node), **_identity(node), **node.facts}
    if node.error is not None:
        found["error.type"] = node.error.type
    found.update(_OF_KIND[node.kind](node, content))
    return found


def _openinference(node: Node) -> str:
    return "CHAIN" if node.kind == "run" and node.run.kind == "pipeline" else OPENINFERENCE[node.kind]


def _identity(node: Node) -> Attributes:
    run = node.run
    found: Attributes = {
        "agentkit.run.id": run.run_id,
        "agentkit.event.id": f"{run.run_id}/{node.opened.seq}",
        "agentkit.event.kind": node.opened.type,
        "gen_ai.conversation.id": run.session or run.root_run_id,
    }
    optional: dict[str, Any] = {
        "agentkit.step": node.step,
        "agentkit.attempt": node.opened.attempt,
        **_before(node),
        "agentkit.parent_run.id": run.parent_run_id,
        "session.id": run.session,
        "user.id": run.user,
        "agentkit.tags": run.tags or None,
    }
    found.update({name: value for name, value in optional.items() if value is not None})
    return found


def _before(node: Node) -> Attributes:
    """The attempt before it: one that failed, or one that made way for a person."""
    before = node.before
    if before is None:
        return {}
    named = format(span_id(before.run.run_id, before.opened.seq), "016x")
    return {"agentkit.retry_of" if before.error is not None else "agentkit.continues": named}


def _of_run(node: Node, content: Content) -> Attributes:
    run = node.run
    if run.kind == "pipeline":
        found: Attributes = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": run.name}
    else:
        found = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": run.name}
    if run.origin is not None:
        found["agentkit.origin.kind"] = run.origin.kind
        found["agentkit.origin.run.id"] = run.origin.run_id
    return found | in_and_out(node, content)


def in_and_out(node: Node, content: Content) -> Attributes:
    """`input.value` and `output.value`, with their types."""
    found: Attributes = {}
    for name, value in (("input", node.input), ("output", node.output)):
        text = content.text(value)
        if text is not None:
            found[f"{name}.value"] = text
            found[f"{name}.mime_type"] = "text/plain" if isinstance(value, str) else "application/json"
    return found


def _of_model(node: Node, content: Content) -> Attributes:
    provider, model = provider_and_model(node.name)
    found: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": model,
        **_parameters(node),
        **usage(node),
        **_answered(node),
    }
    cost = node.closed.cost_usd if node.closed is not None else None
    if cost is not None:
        found["agentkit.cost.total_usd"] = cost
    elif isinstance(node.closed and node.closed.body, ModelResponded):
        found["agentkit.cost.unknown"] = True
    return found | _messages(node, content)


def _parameters(node: Node) -> Attributes:
    body = node.opened.body
    given = body.parameters if isinstance(body, ModelRequested) else {}
    numbers = {name: given.get(key) for key, name in _PARAMETERS.items()}
    found: Attributes = {name: value for name, value in numbers.items() if isinstance(value, int | float)}
    stop = given.get("stop")
    if isinstance(stop, str | list) and stop:
        found["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else cast("list[str]", stop)
    return found


def usage(node: Node) -> Attributes:
    """Tokens as the provider counted them: those of the prompt include what was read from a cache."""
    event = node.closed
    if event is None or (event.input_tokens is None and event.output_tokens is None):
        return {}
    found: Attributes = {
        "gen_ai.usage.input_tokens": event.input_tokens or 0,
        "gen_ai.usage.output_tokens": event.output_tokens or 0,
    }
    body = event.body
    if isinstance(body, ModelResponded):
        finer = {
            "cache_read.input_tokens": body.cached_tokens,
            "cache_creation.input_tokens": body.cache_write_tokens,
            "reasoning.output_tokens": body.reasoning_tokens,
        }
        found.update({f"gen_ai.usage.{name}": count for name, count in finer.items() if count})
    return found


def _answered(node: Node) -> Attributes:
    body = node.closed.body if node.closed is not None else None
    if not isinstance(body, ModelResponded):
        return {}
    found: Attributes = {"gen_ai.response.model": body.answered_by or provider_and_model(node.name)[1]}
    if body.response_id is not None:
        found["gen_ai.response.id"] = body.response_id
    if body.finish_reason is not None:
        found["gen_ai.response.finish_reasons"] = [body.finish_reason]
    return found


def _messages(node: Node, content: Content) -> Attributes:
    if content.mode == "none":
        return {}
    found: Attributes = {}
    body = node.closed.body if node.closed is not None else None
    if node.prompt is not None:
        request = node.prompt.request
        found["gen_ai.input.messages"] = as_json(parts_of_prompt(node.prompt, content))
        if request.instructions:
            said = content.text(request.instructions, content.in_prompt)
            found["gen_ai.system_instructions"] = as_json([{"type": "text", "content": said}])
        if request.tools:
            found["gen_ai.tool.definitions"] = as_json(openai_tools(request))
    if isinstance(body, ModelResponded):
        found["gen_ai.output.messages"] = as_json(parts_of_answer(body, content))
    return found


def as_json(value: Any) -> str:
    """JSON as an attribute's text."""
    return to_json(value).decode()


def _of_tool(node: Node, content: Content) -> Attributes:
    found: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": node.name,
        "gen_ai.tool.type": "function",
    }
    if "agentkit.call.id" in node.facts:
        found["gen_ai.tool.call.id"] = node.facts["agentkit.call.id"]
    for name, value in (("arguments", node.input), ("result", node.output)):
        text = content.text(value)
        if text is not None:
            found[f"gen_ai.tool.call.{name}"] = text
    return found | in_and_out(node, content)


def _of_decision(node: Node, content: Content) -> Attributes:
    return {"agentkit.decision.action": node.name} | in_and_out(node, content)


_OF_KIND: Mapping[Kind, Callable[[Node, Content], Attributes]] = {
    "run": _of_run,
    "model": _of_model,
    "tool": _of_tool,
    "step": in_and_out,
    "ask": in_and_out,
    "decision": _of_decision,
    "approval": in_and_out,
}


def is_failure(node: Node) -> bool:
    """Whether a model call's attempt brought no answer."""
    return node.kind == "model" and (node.closed is None or isinstance(node.closed.body, ModelFailed))
