"""What a pipeline's fork takes from the run that it begins with: all but the steps that it does again."""

from collections.abc import Iterable

from agentkit.definition import DEOPT
from agentkit.fold.calls import index_of
from agentkit.state import State


def take_steps(fresh: State, base: State, again: Iterable[str]) -> None:
    """Take another run's steps, in place.

    Args:
        fresh: the fork's state, at its beginning.
        base: the state that it begins with; given away.
        again: the steps, and the items of fan-outs, that are done again.
    """
    fresh.again = tuple(again)
    gone = {*fresh.again, DEOPT}  # an agent that took over did so for that run: this one's guards hold, or fail again

    def stays(path: str) -> bool:
        step = path.partition("/")[0]
        return step not in gone and step.partition("[")[0] not in gone

    fresh.calls = {path: call for path, call in base.calls.items() if stays(path)}
    fresh.models = {path: model for path, model in base.models.items() if stays(path)}
    fresh.asks = {path: ask for path, ask in base.asks.items() if stays(path)}
    fresh.inner = {path: called for path, called in base.inner.items() if stays(path)}
    fresh.fans = {path: fan for path, fan in base.fans.items() if stays(path)}
    fresh.skipped = {path: why for path, why in base.skipped.items() if stays(path)}
    fresh.judged = {path: verdict for path, verdict in base.judged.items() if stays(path)}
    fresh.approvals = {
        key: asked
        for key, asked in base.approvals.items()
        if asked.verdict is not None and (asked.step is None or stays(asked.step))
    }
    fresh.headers, fresh.offered = base.headers, base.offered
    fresh.unknown = [effect for effect in base.unknown if stays(effect.step)]
    for path in fresh.again:
        if path.partition("[")[0] not in gone:
            _reopen(fresh, path)
    fresh.open_calls = [path for path, call in fresh.calls.items() if call.status != "done"]


def _reopen(fresh: State, path: str) -> None:
    """One item of a fan-out is done again: the fan-out has not ended any more."""
    index, step = index_of(path), path.partition("[")[0]
    fan, group = fresh.fans.get(step), fresh.calls.get(step)
    if index is None or fan is None or group is None:
        return
    if index not in fan.open:
        fan.done -= 1
    fan.open[index] = None
    fan.failed = [failed for failed in fan.failed if failed != index]
    group.status, group.outcome, group.result, group.error = "proposed", None, None, None
    group.started, group.ended = None, None  # what it took is what the items take that are done now
