"""A pipeline beside its agent: it reads what there is, its writes are predicted and compared with what the agent did.

It writes nothing. Its runs are in a log of their own, in memory, so that no query over the user's log counts them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agentkit.definition.predicting import predicting
from agentkit.errors import RunError, RunFailed, RunPaused
from agentkit.log import Log, open_log
from agentkit.promote.comparison import Compared, ComparedWrite, Ended, compare
from agentkit.promote.predicted import predicted
from agentkit.promote.predictions import Predictions, RecordedWrite, same
from agentkit.promote.shadow_report import Shadow
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.runner.start import start
from agentkit.state import CallStep, State
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.pipeline import Pipeline


def shadow(
    pipeline: "Pipeline",
    items: Iterable[Any],
    *,
    deps: Any = None,
    log: "Log | str | None" = None,
    concurrency: int = 8,
) -> Shadow:
    """Run a pipeline without its writes, and compare what it would have written with what its agent wrote.

    Its reads are done now, its questions are put to its model now; no write is done. A write that the agent did with
    the same arguments gives the result that it gave then; at any other the pipeline ends, since nobody knows what it
    would bring.

    Args:
        pipeline: what would take the agent's place.
        items: recorded runs of the agent, as `Run`s or by their ids; or inputs, as `Pipeline.map` takes them, of which
            the writes are predicted and compared with nothing.
        deps: reaches steps as `ctx.deps`.
        log: where the recorded runs are, where ids are given; `ak.open_log()` when left out.
        concurrency: how many are run at one time.

    Returns:
        What was compared: `.rows`, `.writes`, `.bound`, and a report that shows itself.

    Raises:
        PipelineError: the steps do not fit together.
        ConfigError: an item is no run and no input of the pipeline.
        RunNotFound: no run of that id.
    """
    own = open_log("memory:")
    found: list[Compared] = []
    rest = iter(items)
    with predicting():
        while some := [_Item(pipeline, item, log) for item in islice(rest, max(1, concurrency))]:
            begun = [item.begin(own, deps) for item in some]
            found += [item.end(run) for item, run in zip(some, begun, strict=True)]
    return Shadow(pipeline.name, found, own)


class _Item:
    """One input, and the agent's run on it where there is one.

    Args:
        pipeline: what is run on it.
        given: a run, the id of one, or an input.
        log: where that is.
    """

    def __init__(self, pipeline: "Pipeline", given: Any, log: "Log | str | None") -> None:
        self._pipeline = pipeline
        self._agent: State | None = None
        run = _run(given, log)
        if run is not None:
            self._agent = run.state
            given = self._agent.input
        self._input = pipeline.read(pipeline.as_inputs(given))
        recorded = list(_writes(run.store, self._agent)) if run is not None and self._agent is not None else []
        self._predictions = Predictions(recorded, pipeline.definition.redactor)

    def begin(self, log: Log, deps: Any) -> Run | None:
        """Run it without its writes; not where the agent's run is nothing to compare with."""
        if self._agent is not None and self._agent.status != "succeeded":
            return None
        definition = predicted(self._pipeline.definition, self._predictions)
        driver = start(log.store, definition, self._input, deps=deps, tags=("shadow",))
        return Run(log.store, driver.run_id, driver=driver)

    def end(self, run: Run | None) -> Compared:
        """Wait for it, and compare."""
        agent = self._agent
        plain = Compared(self._input, agent_run=agent.run_id if agent is not None else None)
        if run is None:
            why = f"the agent's run is {agent.status}" if agent is not None else ""
            return replace(plain, verdict="left out", why=why)
        ended, why = _outcome(run, self._predictions)
        usage = run.usage
        plain = replace(plain, run_id=run.run_id, why=why, cost_usd=usage.cost_usd, model_calls=usage.model_calls)
        if agent is None:
            made = tuple(
                ComparedWrite("predicted", one.name, one.step, one.arguments) for one in self._predictions.made
            )
            return replace(plain, verdict="predicted" if ended in {"ended", "succeeded"} else ended, writes=made)
        output = same(run.state.output, agent.output) if ended == "succeeded" else None
        return compare(replace(plain, output_equal=output), ended, self._predictions)


def _run(given: Any, log: "Log | str | None") -> Run | None:
    """The recorded run that an item is; None where it is an input."""
    if isinstance(given, Run):
        return given
    if not isinstance(given, str):
        return None
    try:
        run_id = str(UUID(given))
    except ValueError:
        return None
    return (log if isinstance(log, Log) else open_log(log)).run(run_id)


def _writes(store: Store, state: State) -> Iterator[RecordedWrite]:
    """The writes that an agent's run did, in order, those of its sub-agents too."""
    names = {tool.offered.name for tool in state.header.tools if tool.writes}
    for call in state.calls.values():
        if call.child_run_id is not None:
            yield from _writes(store, load_state(store, call.child_run_id))
        elif call.name in names and call.attempt >= 1 and call.outcome == "ok":
            yield RecordedWrite(call.name, _asked(state, call), call.result)


def _asked(state: State, call: CallStep) -> Any:
    """What the agent asked for; where a person edited it, what it was before."""
    asked = state.approvals.get(call.approval or "")
    return asked.arguments if call.edited and asked is not None else call.arguments


def _outcome(run: Run, predictions: Predictions) -> tuple[Ended, str]:
    """How a shadow run ended, and why it did so early."""
    try:
        run.result()
    except RunPaused as paused:
        asked = "; ".join(str(one) for one in paused.pending)
        run.cancel("a shadow run asks nobody")
        return "asked", asked
    except RunFailed as failed:
        if run.state.deopted is None:
            return "failed", str(failed)
        return ("ended", "") if any(made.equal is None for made in predictions.made) else ("deopt", str(failed))
    except RunError as error:
        return "failed", str(error)
    return "succeeded", ""
