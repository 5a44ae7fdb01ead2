"""A run in the systems that teams look at already: Langfuse, LangSmith, Helicone, anything that speaks OpenTelemetry.

The log is what happened; this makes spans of it, and sends them outside of the run, which never waits for it.
"""

from agentkit.export.content import Content, ContentMode
from agentkit.export.ids import request_id, span_id, trace_id
from agentkit.export.profiles import LANGFUSE, LANGSMITH, OTLP, PROFILES, Profile
from agentkit.export.recorded import Recorded, gather
from agentkit.export.spans import Service, to_spans
from agentkit.export.targets import Target, target

__all__ = [
    "LANGFUSE",
    "LANGSMITH",
    "OTLP",
    "PROFILES",
    "Content",
    "ContentMode",
    "Profile",
    "Recorded",
    "Service",
    "Target",
    "gather",
    "request_id",
    "span_id",
    "target",
    "to_spans",
    "trace_id",
]
