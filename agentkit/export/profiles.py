"""What each tracing system is told beyond the base: one small function each. Where they are silent, the base is enough.

What each of them makes of these attributes was established on the systems themselves; a surprising one has its reason
beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ConfigError
from agentkit.events import Decided, ModelResponded
from agentkit.export.attributes import Attributes, as_json, is_failure, usage
from agentkit.export.content import Content
from agentkit.export.experiments import experiment_attributes
from agentkit.export.messages import openai_answer, openai_prompt, openai_tools
from agentkit.export.nodes import Kind, Node


@dataclass(frozen=True)
class Profile:
    """One kind of target.

    Args:
        name: what the command line and the ledger call it.
        extras: what it is told of a node beyond the base.
        without: attributes of the base that it is better off without.
    """

    name: str
    extras: Callable[[Node, Content], Attributes]
    without: Callable[[Node], frozenset[str]] = lambda _node: frozenset()


def _plain(node: Node, _content: Content) -> Attributes:
    """Our cost, in OpenInference's word for it and in MLflow's, which counts by its own prices where it is told none.

    Phoenix shows the attribute, and beside it a cost of its own, which counts cached tokens by its own prices.
    """
    cost = node.closed.cost_usd if node.kind == "model" and node.closed is not None else None
    return {} if cost is None else {"llm.cost.total": cost, "mlflow.llm.cost": as_json({"total_cost": cost})}


# Langfuse ------------------------------------------------------------------------------------------------------------

_LANGFUSE_TYPES: Mapping[Kind, str] = {
    "run": "agent",
    "model": "generation",
    "tool": "tool",
    "step": "chain",
    "ask": "chain",
    "decision": "chain",
    "approval": "guardrail",
}
_META = "langfuse.observation.metadata"


def _langfuse(node: Node, content: Content) -> Attributes:
    is_workflow = node.kind == "run" and node.run.kind == "pipeline"
    found: Attributes = {
        "langfuse.observation.type": "chain" if is_workflow else _LANGFUSE_TYPES[node.kind],
        **_langfuse_trace(node),
        **experiment_attributes(node.run.begun, content=content),
        **_told(node, content, _META),
    }
    if node.kind == "run" and node.parent is None and node.run.caller is None:
        found["langfuse.internal.is_app_root"] = True
    if node.warning is not None and node.error is None:
        found["langfuse.observation.level"] = "WARNING"
        found["langfuse.observation.status_message"] = node.warning
    if node.kind == "model":
        found.update(_langfuse_generation(node, content))
    return found


def _langfuse_trace(node: Node) -> Attributes:
    """A row there is one span: what a trace is called and tagged with stands on each of them."""
    run = node.run
    found: Attributes = {"langfuse.trace.name": run.root_name}
    if run.tags:
        found["langfuse.trace.tags"] = run.tags
    if run.session is not None:
        found["langfuse.session.id"] = run.session
    if run.user is not None:
        found["langfuse.user.id"] = run.user
    return found


def _langfuse_generation(node: Node, content: Content) -> Attributes:
    found: Attributes = {}
    if "agentkit.prompt.version" in node.facts:  # what stood in for a prompt that could not be read is no version of it
        found["langfuse.observation.prompt.name"] = node.facts["agentkit.prompt.name"]
        found["langfuse.observation.prompt.version"] = node.facts["agentkit.prompt.version"]
    cost = node.closed.cost_usd if node.closed is not None else None
    if is_failure(node):  # without these the server counts the prompt's tokens and makes up a price
        found["gen_ai.usage.input_tokens"] = 0
        found["gen_ai.usage.output_tokens"] = 0
        found.update(usage(node))
        cost = cost or 0.0
    if cost is not None:
        found["langfuse.observation.cost_details"] = as_json({"total": cost})
    if content.mode == "none":
        return found
    if node.prompt is not None:  # of the conventions' parts no tool calls are taken out there; of this shape they are
        said: dict[str, Any] = {"messages": openai_prompt(node.prompt, content)}
        if node.prompt.request.tools:
            said["tools"] = openai_tools(node.prompt.request)
        found["langfuse.observation.input"] = as_json(said)
    body = node.closed.body if node.closed is not None else None
    if isinstance(body, ModelResponded):
        found["langfuse.observation.output"] = as_json(openai_answer(body, content))
    return found


def _without_values(node: Node) -> frozenset[str]:
    """A tool's arguments and result are in the conventions' own attributes, and need not be sent twice."""
    twice = {"input.value", "output.value", "input.mime_type", "output.mime_type"}
    return frozenset(twice) if node.kind == "tool" else frozenset()


# LangSmith -----------------------------------------------------------------------------------------------------------

_LANGSMITH_KINDS: Mapping[Kind, str] = {"model": "llm", "tool": "tool"}


def _langsmith(node: Node, content: Content) -> Attributes:
    run = node.run
    found: Attributes = {
        "langsmith.span.kind": _LANGSMITH_KINDS.get(node.kind, "chain"),
        **_told(node, content, "langsmith.metadata"),
    }
    if run.tags:
        found["langsmith.span.tags"] = ", ".join(run.tags)
    if run.session is not None:
        found["langsmith.metadata.session_id"] = run.session
        found["langsmith.metadata.thread_id"] = run.session
    if run.user is not None:
        found["langsmith.metadata.user_id"] = run.user
    if node.kind == "model":
        found.update(_langsmith_llm(node, content))
    elif node.kind == "tool":
        texts = {"gen_ai.prompt": content.text(node.input), "gen_ai.completion": content.text(node.output)}
        found.update({name: text for name, text in texts.items() if text is not None})
    return found


def _langsmith_llm(node: Node, content: Content) -> Attributes:
    found: Attributes = {}
    if (used := _usage_metadata(node)) is not None:
        found["langsmith.usage_metadata"] = as_json(used)
    if content.mode == "none":
        return found
    if node.prompt is not None:
        found["gen_ai.prompt"] = as_json({"messages": openai_prompt(node.prompt, content)})
    body = node.closed.body if node.closed is not None else None
    if isinstance(body, ModelResponded):
        found["gen_ai.completion"] = as_json({"messages": [openai_answer(body, content)]})
    return found


def _usage_metadata(node: Node) -> dict[str, Any] | None:
    """The only way in which cached and reasoning tokens, and our own cost, get there."""
    event = node.closed
    if event is None:
        return None
    given, made = event.input_tokens or 0, event.output_tokens or 0
    used: dict[str, Any] = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    body = event.body
    if isinstance(body, ModelResponded):
        read = {"cache_read": body.cached_tokens, "cache_creation": body.cache_write_tokens}
        if any(read.values()):
            used["input_token_details"] = {name: count for name, count in read.items() if count}
        if body.reasoning_tokens:
            used["output_token_details"] = {"reasoning": body.reasoning_tokens}
    if event.cost_usd is not None:
        used["total_cost"] = event.cost_usd
    return used


# both ----------------------------------------------------------------------------------------------------------------


def _told(node: Node, content: Content, prefix: str) -> Attributes:
    """A decision's reason and an approval's verdict where people filter by them."""
    if node.kind == "approval":
        return {f"{prefix}.verdict": str(node.facts.get("agentkit.approval.verdict", "pending"))}
    body = node.opened.body
    if not isinstance(body, Decided):
        return {}
    found: Attributes = {f"{prefix}.alternatives": as_json(list(body.offered))}
    reason = content.text(body.why)
    return found if reason is None else {**found, f"{prefix}.decision_reason": reason}


OTLP = Profile("otlp", _plain)
LANGFUSE = Profile("langfuse", _langfuse, _without_values)
LANGSMITH = Profile("langsmith", _langsmith)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (OTLP, LANGFUSE, LANGSMITH)}


def profile_named(name: str) -> Profile:
    """A profile by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PROFILES:
        raise ConfigError(f"no export profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]
