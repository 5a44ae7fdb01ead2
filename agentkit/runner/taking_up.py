"""Who goes on with a run that was answered: whoever has it, else this process, else nobody, with what to run."""

from typing import TYPE_CHECKING

from agentkit.errors import LogError, ResumeError, RunClaimed
from agentkit.runner import start
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.family import root_of
from agentkit.runner.watch import watch
from agentkit.store import Answer

if TYPE_CHECKING:
    from agentkit.runner.run import Run

_HERE = "the run goes on in this process"


def take_up(run: "Run", run_id: str, answers: dict[str, Answer]) -> tuple[str, Driver | None]:
    """See to it that somebody takes a run up, or say what to run.

    Args:
        run: the handle by which it was answered.
        run_id: the run that asked: this one, or one that it called.
        answers: what was answered, by approval.

    Returns:
        Who goes on with it, in words; and the driver of the run at the top, where another one was resumed for it.
    """
    if engine().call(lambda: watch.tell(run_id, answers)):
        return _HERE, None
    root = root_of(run.store, run.state)
    holder = run.store.holder(root.run_id)
    noting = holder is not None and holder.activity == "noting"  # which is no going on
    if holder is not None and not noting and (holder.process != run.store.process or holder.activity == "executing"):
        return f"{holder} goes on with the run", None
    if root.submitted and root.is_kept:
        return (
            f"run {root.run_id} was paused: run.resume() goes on with it, run.resume(submit=True) has workers do it",
            None,
        )
    if root.submitted:
        try:
            if run.store.queue.wake(root.run_id):
                return f"a worker goes on with the run; `{root.worker_command}` starts one", None
        except LogError as error:  # the answer is in the log, where workers look again
            return f"a worker goes on with the run in some minutes: it cannot be told at once ({error})", None
    try:
        if root.run_id == run.run_id:
            run.resume()
            return _HERE, None
        return _HERE, start.resume(run.store, root.run_id, start.find_definition(root))
    except RunClaimed as claimed:
        return f"{claimed.holder} goes on with the run", None
    except ResumeError as error:
        return str(error), None
