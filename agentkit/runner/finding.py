"""Finding the question that somebody wants to answer."""

from typing import TYPE_CHECKING

from agentkit.errors import ApprovalError
from agentkit.runner.answers import already_answered
from agentkit.state import Approval

if TYPE_CHECKING:
    from agentkit.runner.run import Run


def find_question(run: "Run", approval: str | None) -> Approval:
    """The pending question of a run, or of its child runs, whose id begins so; the only one where none is named.

    Raises:
        ApprovalError: none, or several, which it lists; or somebody was first, which it says. Or it is no id.
    """
    if approval is not None and not (isinstance(approval, str) and approval.strip()):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ApprovalError(
            f"{approval!r} is no approval's id; give the text, or its beginning, or leave it out where one is pending; "
            "run.pending lists them"
        )
    pending = run.pending
    found = [asked for asked in pending if asked.id.startswith(approval or "")]
    if len(found) == 1:
        return found[0]
    if approval and not found:
        _refuse_second_answer(run, approval)
    if not pending:
        raise ApprovalError(f"run {run.run_id} waits for nobody ({run.status})")
    listed = "\n".join(f"  {asked}" for asked in pending)
    if approval is None:
        raise ApprovalError(f"{len(pending)} approvals are pending; say which:\n{listed}")
    raise ApprovalError(f"{len(found)} pending approvals begin with {approval!r}; pending:\n{listed}")


def _refuse_second_answer(run: "Run", approval: str) -> None:
    """Tell who was first, where somebody was."""
    for one in (run, *run.children()):
        for key, given in one.store.answers(one.run_id).items():
            if key.startswith(approval) and key in one.state.approvals:
                raise already_answered(key, given)
