"""Small pieces that many tests of pipelines are made of."""

import threading
import time
from collections import deque

import agentkit as ak
from agentkit.testing import FunctionModel

READY = FunctionModel(lambda _request: "5")
"""A model that always says a number."""


_kept = deque(maxlen=8)


def kept(pipeline):
    """The pipeline, which stays defined for a while: a test may hold on to its run only, and resume that."""
    _kept.append(pipeline)
    return pipeline


def pipeline_of(*steps, name="p", **options):
    """A pipeline with the input `x` of these functions, each with its options: `f` or `(f, {…})`."""
    made = kept(ak.Pipeline(name, input={"x": int}, **{"model": READY, **options}))
    for step in steps:
        work, more = step if isinstance(step, tuple) else (step, {})
        made.step(work, **more)
    return made


def cut(log, run, end):
    """A log that ends where a process died: right before the first event for which `end` is true."""
    events = run.events()
    last = next(at for at, event in enumerate(events) if end(event))
    left = ak.open_log("memory:")
    claim = left.store.claim(run.run_id, new=True)
    left.store.append(claim, events[:last]).result(20)
    left.store.release(claim)
    return left


def until(kind, step):
    """The end of a cut: before this event of this step."""
    return lambda event: event.type == kind and event.step == step


class Gate:
    """Holds up a function until the test lets it go on."""

    def __init__(self):
        self.there, self.go_on = threading.Event(), threading.Event()

    def __call__(self):
        self.there.set()
        assert self.go_on.wait(20), "nobody let it go on"


def events_of(run, kind):
    """(step, body) of a run's events of one type."""
    return [(event.step, event.body) for event in run.events() if event.type == kind]


def wait_until(true, seconds=20):
    """Look again and again until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.005)
