"""Other processes for tests: they run what they are told, and can be stopped or killed at a fail point."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import psutil

from agentkit import failpoints

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["agentkit.stores.embedded.warehouse", "agentkit.testing.store_contract", "duckdb"])


class Actor:
    """A process that has a log open.

    Inside it there are `store`, `event`, `answer`, `claims`, and `claim(run_id, new=False)`, `append(run_id, count=1)`,
    `release(run_id)`, `write(run_ids)` and `stop_at(point, nth=1)`.

    Args:
        place: the log's folder, or the URL of a PostgreSQL database.
        options: of the store.
    """

    def __init__(self, place, **options):
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs, str(place), options), daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid
        assert self.told() == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def __call__(self, code, **more):
        """Run an expression, or statements, there and give its value, or raise what it raised."""
        self.start(code, **more)
        return self.told()

    def start(self, code, **more):
        """Begin to run an expression there."""
        self._pipe.send((code, more))

    def told(self):
        """Wait for what was started."""
        if not self._pipe.poll(60):
            raise TimeoutError(f"process {self.pid} does not answer")
        value = self._pipe.recv()
        if isinstance(value, Exception):
            raise value
        return value

    def acked_until_killed(self, seconds):
        """Let `write` go on for a while after its first event, kill it, and give each run's last acknowledged seq."""
        acked = {}
        self._pipe.poll(30)
        end = time.monotonic() + seconds
        try:
            while True:
                if time.monotonic() > end:
                    self._process.kill()
                if self._pipe.poll(0.01):
                    run_id, seq = self._pipe.recv()
                    acked[run_id] = seq
        except (EOFError, OSError):  # it is dead, and everything it told was read
            self.kill()
            return acked

    def wait_stopped(self):
        """Wait until the process stopped itself at its fail point; False when it never came there."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if psutil.Process(self.pid).status() == psutil.STATUS_STOPPED:
                return True
            if self._pipe.poll():
                return False
            time.sleep(0.002)
        raise TimeoutError(f"process {self.pid} neither stopped nor answered")

    def stop(self):
        """Stop it wherever it is."""
        os.kill(self.pid, signal.SIGSTOP)
        assert self.wait_stopped()

    def go_on(self):
        """Continue a stopped process."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        """End it at once, stopped or not."""
        self._process.kill()
        self._process.join(20)


def _store(place, options):
    if place.startswith("postgresql:"):
        from agentkit.stores.postgres import PostgresStore
        from agentkit.stores.postgres.connections import Place

        return PostgresStore(Place.of(place), **options)
    from agentkit.stores.embedded import EmbeddedStore

    return EmbeddedStore(Path(place), **options)


def _serve(pipe, place, options):
    from agentkit.testing.store_contract import answer, event

    store = _store(place, options)
    claims = {}

    def claim(run_id, new=False):
        claims[run_id] = store.claim(run_id, new=new)
        return claims[run_id].head

    def append(run_id, count=1):
        claimed = claims[run_id]
        events = [event(run_id, claimed.head + 1 + n) for n in range(count)]
        store.append(claimed, events).result(60)
        return claimed.head

    def release(run_id):
        store.release(claims.pop(run_id))

    names = {"store": store, "event": event, "answer": answer, "claims": claims, "pipe": pipe}

    def write(run_ids):
        """Append to every run, in a thread each, and tell each event that was acknowledged, until killed."""

        def loop(run_id):
            claim(run_id)
            while True:
                acked = append(run_id)
                with telling:
                    pipe.send((run_id, acked))

        telling = threading.Lock()
        threads = [threading.Thread(target=loop, args=(run_id,)) for run_id in run_ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    names |= {"write": write, "claim": claim, "append": append, "release": release, "stop_at": _stop_at}
    pipe.send("ready")
    while True:
        try:
            code, more = pipe.recv()
        except EOFError:
            return
        try:
            told = eval(code, names | more) if "\n" not in code else exec(code, names | more)
        except Exception as error:
            told = error
        pipe.send(told)


def _stop_at(point, nth=1):
    left = [nth]

    def handler(name):
        if name == point:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(0.02)  # the signal may go to another thread: this one must not get any further

    failpoints.arm(handler)
