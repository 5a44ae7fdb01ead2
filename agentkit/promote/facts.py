"""What a pipeline or an agent is, as JSON: by this a written module is compared with what it was written from."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from agentkit.definition import AgentDefinition, Definition, PipelineDefinition, StepDefinition, ToolSpec


def facts(definition: Definition) -> dict[str, Any]:
    """Its steps or tools, options and schemas; not its models, which another process may choose anew.

    Args:
        definition: of a pipeline or an agent.

    Returns:
        JSON.
    """
    return _pipeline(definition) if isinstance(definition, PipelineDefinition) else _agent(definition)


def _pipeline(definition: PipelineDefinition) -> dict[str, Any]:
    return {
        "kind": "pipeline",
        "name": definition.name,
        "input": definition.inputs.schema(),
        "output": definition.output.json_schema,
        "output_of": list(definition.output.steps),
        "steps": {name: _step(step) for name, step in definition.steps.items()},
        **_limits(definition),
    }


def _agent(definition: AgentDefinition) -> dict[str, Any]:
    return {
        "kind": "agent",
        "name": definition.name,
        "instructions": definition.instructions,
        "output": definition.output.schema.json_schema if definition.output.schema is not None else None,
        "tools": {name: _tool(tool) for name, tool in definition.tools.items()},
        "checks": [_named(check) for check in definition.checks],
        "decisions": definition.decisions,
        "history_tokens": definition.history_tokens,
        **_limits(definition),
    }


def _limits(definition: Definition) -> dict[str, Any]:
    return {
        "budget": definition.budget.model_dump(mode="json"),
        "retry": definition.retry.model_dump(mode="json"),
        "max_reasks": definition.max_reasks,
        "approval_expires": definition.approval_expires,
        "settings": {name: repr(value) for name, value in definition.parameters.items()},
    }


def _step(step: StepDefinition) -> dict[str, Any]:
    return {
        "needs": {need.parameter: need.source for need in step.needs},
        "each": [step.each.parameter, step.each.source] if step.each is not None else None,
        "when": [need.source for need in step.when.needs] if step.when is not None else None,
        "concurrency": step.concurrency,
        "on_error": step.on_error,
        "on_reject": _named(step.on_reject),
        "cache": step.cache,
        "gives": step.gives,
        **_tool(step.tool),
    }


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "does": tool.kind,
        "schema": tool.schema.model_dump(mode="json"),
        "writes": tool.writes,
        "idempotent": tool.idempotent,
        "approve": _named(tool.approve),
        "retry": tool.retry.model_dump(mode="json"),
        "retry_on": sorted(kind.__qualname__ for kind in tool.retry_on),
        "timeout": tool.timeout,
        "child": facts(tool.child) if tool.child is not None else None,
    }


def _named(value: Any) -> Any:
    """An option as JSON: a function by its name."""
    return f"function {getattr(value, '__name__', type(value).__name__)}" if callable(value) else value


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, a sentence each.

    Args:
        before: what was promoted.
        after: what the module defines.
        path: where in both this is.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        one, other = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
        for key in dict.fromkeys([*one, *other]):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        if list(one) != list(other) and set(one) == set(other) and path in {"steps", "tools"}:
            yield f"{path}: their order is {', '.join(one)} here, and {', '.join(other)} in the module"
    elif before != after:
        yield f"{path}: {before!r} here, {after!r} in the module"
