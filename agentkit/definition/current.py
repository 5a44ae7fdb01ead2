"""A digest of an agent or a pipeline as its code is now, for what has it as a step or a tool."""

from agentkit.definition.agent import AgentDefinition
from agentkit.definition.pipeline import PipelineDefinition
from agentkit.ids import digest


def current_digest(definition: AgentDefinition | PipelineDefinition) -> str:
    """A sha256 of what it is, and of what its tools or steps do now: what one of them uses may be another since.

    Args:
        definition: the agent or the pipeline.
    """
    header = definition.header.model_dump(mode="json")
    for fact, tool in zip(header["tools"], definition.tools.values(), strict=True):
        fact["source_sha256"] = tool.source_sha256
    return digest([definition.name, header, definition.config])
