"""What tests of agents need, and agentkit's own use: models without a provider, recorded runs, fail points, stores."""

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
from agentkit.testing.replays import RecordedRun, recorded_runs

__all__ = [
    "FailPoints",
    "FunctionModel",
    "RealModelForbidden",
    "RecordedModel",
    "RecordedRun",
    "RequestDiffers",
    "ScriptedModel",
    "UnconsumedTurns",
    "UnexpectedTurn",
    "all_fail_points",
    "call",
    "forbid_real_models",
    "recorded_runs",
]
