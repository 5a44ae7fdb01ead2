"""A worker: executes the runs that were submitted to a log, a few at a time, until it is stopped.

What is to be done next is in the log's queue, and what happened in the runs' events; a worker keeps nothing of its own.
So any number of them share the work, on as many machines as reach the log, and where one is killed another goes on:
from the last event, as every resume does. A run that waits for a person holds no place.

The queue says only when a run is to be looked at. What is asleep is looked at again within minutes all the same, so a
process that dies between an answer and its word to the queue makes a run late, and never lost.
"""

from agentkit.worker.work import Worker

__all__ = ["Worker"]
