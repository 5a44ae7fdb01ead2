"""The golden runs, put into a log and exported by agentkit's own exporter; and what their spans say of them."""

from dataclasses import replace

import export_runs

import agentkit as ak
from agentkit.export import target, to_spans
from agentkit.export.backlog import backlog
from agentkit.export.delivery import Delivery

GOLDEN = {"support": export_runs.support, "triage": export_runs.triage}


def spans_of(golden, profile="otlp"):
    """A golden run's spans."""
    return to_spans(GOLDEN[golden](), profile)


def parents(spans):
    """Each span's id with its parent's."""
    return {(_hex(span.context), span.parent and _hex(span.parent)) for span in spans}


def kinds(spans):
    """Each span's id with its OpenInference kind."""
    return {_hex(span.context): span.attributes["openinference.span.kind"] for span in spans}


def _hex(context):
    return format(context.span_id, "016x")


def recorded(golden):
    """A log in memory that holds a golden run and those that it called."""
    log = ak.open_log("memory:")
    by_run = {}
    for event in GOLDEN[golden]():
        by_run.setdefault(event.run_id, []).append(event)
    for run_id, events in by_run.items():
        claim = log.store.claim(run_id, new=True)
        log.store.append(claim, events).result()
        log.store.release(claim)
    return log


def export(golden, name="otlp", *, times=1):
    """Send a golden run to the target that the environment names; again as if it had never been sent."""
    log, where = recorded(golden), replace(target(name), timeout=60.0)  # the first request imports half the server
    for _ in range(times):
        delivery = Delivery(log.store, where, again=True)
        outcome = delivery.send(backlog(log.store, where, again=True))
        assert (outcome.sent, outcome.down, outcome.problems) == (1, None, []), outcome
        delivery.close()
    log.close()
