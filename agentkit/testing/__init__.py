"""What tests of agents need, and agentkit's own use: models without a provider, fail points, a store's contract."""

from agentkit.testing.fail_points import FailPoints, all_fail_points
from agentkit.testing.models import (
    FunctionModel,
    RecordedModel,
    RequestDiffers,
    ScriptedModel,
    UnconsumedTurns,
    UnexpectedTurn,
    call,
)
from agentkit.testing.real_models import RealModelForbidden, forbid_real_models

__all__ = [
    "FailPoints",
    "FunctionModel",
    "RealModelForbidden",
    "RecordedModel",
    "RequestDiffers",
    "ScriptedModel",
    "UnconsumedTurns",
    "UnexpectedTurn",
    "all_fail_points",
    "call",
    "forbid_real_models",
]
