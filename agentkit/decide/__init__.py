"""What a run does next: a pure function of its definition, its state and the time.

It performs nothing and asks user code nothing. What is random, or somebody's verdict, is an event before it matters
here. The runner performs the actions, appends what came of them, folds, and asks again; an empty answer means: nothing
until something in flight ends, a person answers, or another run does.
"""

from datetime import datetime

from agentkit.decide.actions import (
    AcceptAnswer,
    Action,
    AskBudget,
    AskDeopt,
    AskInDoubt,
    CallModel,
    CloseFan,
    FailRun,
    FinishRun,
    GateCall,
    JudgeWhen,
    LoseModelCall,
    OpenFan,
    RecordDecision,
    RecordDeopt,
    RefuseCall,
    ScheduleRetry,
    SettleCall,
    SkipStep,
    StartCall,
    StopLoop,
    StopRun,
    TrimHistory,
    WaitUntil,
)
from agentkit.decide.agent import decide_agent
from agentkit.decide.calls import go_on_with_call
from agentkit.decide.pipeline import decide_pipeline
from agentkit.definition import AgentDefinition, Definition
from agentkit.state import State

__all__ = [
    "AcceptAnswer",
    "Action",
    "AskBudget",
    "AskDeopt",
    "AskInDoubt",
    "CallModel",
    "CloseFan",
    "FailRun",
    "FinishRun",
    "GateCall",
    "JudgeWhen",
    "LoseModelCall",
    "OpenFan",
    "RecordDecision",
    "RecordDeopt",
    "RefuseCall",
    "ScheduleRetry",
    "SettleCall",
    "SkipStep",
    "StartCall",
    "StopLoop",
    "StopRun",
    "TrimHistory",
    "WaitUntil",
    "decide",
    "go_on_with_call",
]


def decide(definition: Definition, state: State, now: datetime) -> list[Action]:
    """The next actions of a run.

    Args:
        definition: the agent or the pipeline.
        state: the fold of the run's events. Left as it is.
        now: the time, UTC.

    Returns:
        What can be begun now, in order. Empty when the run ended, or when it waits.
    """
    if state.ended:
        return []
    if state.stopped_by is not None:
        return [StopRun(state.stopped_by)]
    if isinstance(definition, AgentDefinition):
        return decide_agent(definition, state, now)
    return decide_pipeline(definition, state, now)
