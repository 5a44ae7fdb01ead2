"""agentkit: prototype agents in a notebook, keep every step in a log, promote what settled to a pipeline."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.advice import advise
    from agentkit.agent import Agent
    from agentkit.comparison import compare
    from agentkit.definition import AsyncContext, Call, Context
    from agentkit.errors import (
        AgentKitError,
        ApprovalError,
        AskFailed,
        CallFailed,
        ConfigError,
        Deopt,
        ForkError,
        LogError,
        PipelineError,
        QueryError,
        Rejected,
        ResumeError,
        RunCancelled,
        RunFailed,
        RunPaused,
        ToolError,
    )
    from agentkit.export.instrument import instrument
    from agentkit.export.langfuse_datasets import langfuse_dataset
    from agentkit.export.langfuse_prompts import langfuse_prompt
    from agentkit.failed import Failed
    from agentkit.guards import agree, guard, only
    from agentkit.log import Log, open_log, pending, resume
    from agentkit.mcp.server import MCP
    from agentkit.messages import Usage
    from agentkit.models.default import default_model
    from agentkit.models.limits import limit
    from agentkit.parts import media
    from agentkit.pipeline import Pipeline
    from agentkit.policy import Budget, Retry
    from agentkit.promote import promote
    from agentkit.quotation import Quotation
    from agentkit.rows import Rows
    from agentkit.runner.run import Run
    from agentkit.tools import Tool, tool
    from agentkit.tools.linting import lint
    from agentkit.tools.question import ask_person

__version__ = "0.1.0.dev0"

_WHERE = {
    "Agent": "agentkit.agent",
    "AgentKitError": "agentkit.errors",
    "ApprovalError": "agentkit.errors",
    "AskFailed": "agentkit.errors",
    "AsyncContext": "agentkit.definition",
    "Budget": "agentkit.policy",
    "Call": "agentkit.definition",
    "CallFailed": "agentkit.errors",
    "ConfigError": "agentkit.errors",
    "Context": "agentkit.definition",
    "Deopt": "agentkit.errors",
    "Failed": "agentkit.failed",
    "ForkError": "agentkit.errors",
    "Log": "agentkit.log",
    "LogError": "agentkit.errors",
    "MCP": "agentkit.mcp.server",
    "Pipeline": "agentkit.pipeline",
    "PipelineError": "agentkit.errors",
    "QueryError": "agentkit.errors",
    "Quotation": "agentkit.quotation",
    "Rejected": "agentkit.errors",
    "ResumeError": "agentkit.errors",
    "Retry": "agentkit.policy",
    "Rows": "agentkit.rows",
    "Run": "agentkit.runner.run",
    "RunCancelled": "agentkit.errors",
    "RunFailed": "agentkit.errors",
    "RunPaused": "agentkit.errors",
    "Tool": "agentkit.tools",
    "ToolError": "agentkit.errors",
    "Usage": "agentkit.messages",
    "advise": "agentkit.advice",
    "agree": "agentkit.guards",
    "ask_person": "agentkit.tools.question",
    "compare": "agentkit.comparison",
    "default_model": "agentkit.models.default",
    "guard": "agentkit.guards",
    "instrument": "agentkit.export.instrument",
    "langfuse_dataset": "agentkit.export.langfuse_datasets",
    "langfuse_prompt": "agentkit.export.langfuse_prompts",
    "limit": "agentkit.models.limits",
    "lint": "agentkit.tools.linting",
    "media": "agentkit.parts",
    "only": "agentkit.guards",
    "open_log": "agentkit.log",
    "pending": "agentkit.log",
    "promote": "agentkit.promote",
    "resume": "agentkit.log",
    "tool": "agentkit.tools",
}

__all__ = [  # noqa: RUF022  as sorted() has it: MCP is a class, no constant
    "Agent",
    "AgentKitError",
    "ApprovalError",
    "AskFailed",
    "AsyncContext",
    "Budget",
    "Call",
    "CallFailed",
    "ConfigError",
    "Context",
    "Deopt",
    "Failed",
    "ForkError",
    "Log",
    "LogError",
    "MCP",
    "Pipeline",
    "PipelineError",
    "QueryError",
    "Quotation",
    "Rejected",
    "ResumeError",
    "Retry",
    "Rows",
    "Run",
    "RunCancelled",
    "RunFailed",
    "RunPaused",
    "Tool",
    "ToolError",
    "Usage",
    "advise",
    "agree",
    "ask_person",
    "compare",
    "default_model",
    "guard",
    "instrument",
    "langfuse_dataset",
    "langfuse_prompt",
    "limit",
    "lint",
    "media",
    "only",
    "open_log",
    "pending",
    "promote",
    "resume",
    "tool",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import agentkit` alone stays light."""
    if name not in _WHERE:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext agentkit` in a notebook: from then on `%%log` runs SQL on the log, and `%log` says what there is."""
    import importlib

    importlib.import_module("agentkit.notebook.magic").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext agentkit`: what `load_ipython_extension` did is undone."""
    import importlib

    importlib.import_module("agentkit.notebook.magic").unload(shell)
