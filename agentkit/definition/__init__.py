"""What the core and the runner need to know of what a user built: protocols and plain values."""

from typing import TypeAlias

from agentkit.definition.agent import REPORTED, AgentDefinition
from agentkit.definition.context import AskOptions, AsyncContext, Calls, Context, calling_through
from agentkit.definition.limits import check_budget, check_count, check_lists
from agentkit.definition.parts import (
    Approve,
    Call,
    Check,
    InvalidArguments,
    KeptPrompt,
    Model,
    Output,
    QueuedModel,
    ToolSpec,
)
from agentkit.definition.pipeline import (
    DEOPT,
    InputValues,
    Need,
    OnReject,
    Outcome,
    PipelineDefinition,
    StepDefinition,
    Values,
    When,
)

Definition: TypeAlias = AgentDefinition | PipelineDefinition

__all__ = [
    "DEOPT",
    "REPORTED",
    "AgentDefinition",
    "Approve",
    "AskOptions",
    "AsyncContext",
    "Call",
    "Calls",
    "Check",
    "Context",
    "Definition",
    "InputValues",
    "InvalidArguments",
    "KeptPrompt",
    "Model",
    "Need",
    "OnReject",
    "Outcome",
    "Output",
    "PipelineDefinition",
    "QueuedModel",
    "StepDefinition",
    "ToolSpec",
    "Values",
    "When",
    "calling_through",
    "check_budget",
    "check_count",
    "check_lists",
]
