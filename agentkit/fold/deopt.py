"""What a deopt does to the pipeline's run, whose steps are over, and to the agent's, which goes on from there."""

from dataclasses import replace

from agentkit.errors import LogCorrupt
from agentkit.events import Deopted, Event, ParentWrite
from agentkit.fold.conversation import content, result_content, say
from agentkit.fold.handlers import on, step_of
from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from agentkit.state import State, UnknownEffect

WROTE = "Done already, before you were asked; do not do it again:"
"""How the agent is told of what no call of its own tools shows."""


@on(Deopted)
def _deopted(state: State, event: Event, body: Deopted) -> None:
    state.deopted, state.deopted_by = body, step_of(event)
    for key in state.pending:  # what they are about does not run any more
        asked = state.approvals[key]
        asked.verdict = "withdrawn"
        if asked.step is not None:
            state.calls[asked.step].status = "proposed"
    state.pending = []


def take_over(fresh: State, base: State) -> None:
    """Begin an agent's run with the results of the pipeline's so far, as if it had made the calls itself.

    Args:
        fresh: the agent's run, at its beginning.
        base: the pipeline's. Left as it is.
    """
    met = base.deopted
    if met is None:
        raise LogCorrupt(f"run {fresh.run_id} goes on after run {base.run_id}, which did not deopt")
    say(fresh, UserMessage(content=content(fresh.input)))
    known = {tool.offered.name for tool in fresh.header.tools}
    for number, made in enumerate((made for made in met.calls if made.name in known), 1):
        call, key = base.calls[made.step], f"made_{number}"
        say(fresh, AssistantMessage(tool_calls=(ToolCall(id=key, name=made.name, arguments=made.arguments),)))
        said = ToolMessage(call_id=key, name=made.name, content=result_content(call), is_error=call.outcome != "ok")
        say(fresh, said)
    unseen = [write for write in met.writes if write.name not in known]
    if unseen:
        say(fresh, UserMessage(content="\n".join([WROTE, *map(_told, unseen)])))
    fresh.parent_writes, fresh.written = base.parent_writes, met.writes
    fresh.unknown = _unknown(base, met)


def _told(write: ParentWrite) -> str:
    return f"{write.name}({canonical(write.arguments).decode()}): {canonical(write.outcome).decode()}"


def _unknown(base: State, met: Deopted) -> list[UnknownEffect]:
    """The writes of which nobody knows what they did, by the names of their tools."""
    made = {write.step: write for write in met.writes}
    return [
        replace(
            effect,
            step=f"{base.run_id}/{effect.step}",
            name=made[effect.step].name if effect.step in made else effect.name,
            arguments=made[effect.step].arguments if effect.step in made else effect.arguments,
        )
        for effect in base.unknown
    ]
