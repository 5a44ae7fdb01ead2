"""What a run that gave no output raises."""

from agentkit.errors import ResumeError, RunCancelled, RunError, RunFailed, RunPaused
from agentkit.runner.answers import why_paused
from agentkit.state import Approval, State


def still(state: State, timeout: float | None) -> str:
    """What a run does that somebody waited for long enough.

    Args:
        state: the run's.
        timeout: seconds that they waited.
    """
    if state.queued or (state.submitted and state.status == "paused"):
        return f"run {state.run_id} still waits for a worker after {timeout} s: `{state.worker_command}` starts one"
    return f"run {state.run_id} is still {state.status} after {timeout} s"


def without_output(state: State, pending: list[Approval]) -> RunError | ResumeError:
    """The error that says why there is no output.

    Args:
        state: of a run that did not succeed, and that nobody executes.
        pending: what it waits for, the questions of its child runs too.
    """
    run_id, usage = state.run_id, state.usage + state.child_usage
    if state.status == "failed":
        error = state.error
        message = f"{error.type}: {error.message}" if error else "failed"
        return RunFailed(message, run_id=run_id, usage=usage, error=error)
    if state.status == "cancelled":
        who = f" by {state.stopped_by}" if state.stopped_by else ""
        why = f": {state.stopped_why}" if state.stopped_why else ""
        return RunCancelled(f"run {run_id} was cancelled{who}{why}", run_id=run_id, usage=usage)
    if state.status == "paused":
        return RunPaused(why_paused(state, pending), run_id=run_id, usage=usage, pending=pending)
    return ResumeError(f"run {run_id} is interrupted: nobody executes it. ak.resume({run_id!r}) goes on")
