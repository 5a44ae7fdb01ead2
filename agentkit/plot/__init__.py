"""Pictures of a log: what it cost, what is slow, what fails and how failures add up, and one run over time.

Each is a function that gives a matplotlib `Figure`, and its `.data(…)` gives the same as `Rows`: SQL on the log's
events, the same on every store.
"""

from agentkit.log import Log
from agentkit.plot.cost import Cost
from agentkit.plot.latency import Latency
from agentkit.plot.reliability import Reliability
from agentkit.plot.timeline import Timeline

__all__ = ["Cost", "Latency", "Plots", "Reliability", "Timeline"]


class Plots:
    """The pictures of one log: `log.plot.cost()`, `.latency()`, `.reliability()` and `.timeline(run)`.

    Args:
        log: the log.
    """

    def __init__(self, log: Log) -> None:
        self.cost = Cost(log)
        self.latency = Latency(log)
        self.reliability = Reliability(log)
        self.timeline = Timeline(log)

    def __repr__(self) -> str:
        return "cost(), latency(), reliability(), timeline(run): figures; .data() of each: the rows behind it"
