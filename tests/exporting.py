"""What tests of exporting share: ended runs, targets on loopback, and what has to have arrived in the end."""

import agentkit as ak
from agentkit.export import Target, to_spans
from agentkit.export.backlog import backlog
from agentkit.export.delivery import Delivery
from agentkit.testing import ScriptedModel

QUICK = (0.01, 0.01)


def an_agent():
    """An agent that answers at once."""
    return ak.Agent("support", ScriptedModel(["Done."] * 100), "Help with orders.")


def runs_in(log, count):
    """So many ended runs."""
    agent = an_agent()
    made = [agent.run(f"hello {number}", log=log) for number in range(count)]
    for run in made:
        run.result(20)
    return made


def to(server, name="otlp", **options):
    """A target on the capture server."""
    return Target(name, f"{server.url}/v1/traces", {"Authorization": "Bearer k"}, **{"timeout": 1.0, **options})


def deliver(log, where, **options):
    """Send what is still to be sent."""
    delivery = Delivery(log.store, where, pauses=QUICK, **options)
    try:
        return delivery.send(backlog(log.store, where, again=options.get("again", False)))
    finally:
        delivery.close()


def ledger(log, where):
    """Status, HTTP status and requests of each run."""
    lines = log.store.exports.read(where.key)
    return {run_id: (line.status, line.http_status, line.attempts) for run_id, line in lines.items() if run_id}


def all_spans(runs):
    """What the target has to have in the end."""
    found = [span for run in runs for span in to_spans(run)]
    return {(format(s.context.trace_id, "032x"), format(s.context.span_id, "016x"), s.start_time) for s in found}
