"""A real kernel, without a server or a browser: what its cells print, raise and ask, and its stop button."""

import os
import queue
import sys
import time
from contextlib import contextmanager

from jupyter_client.manager import KernelManager


class Kernel:
    """One kernel.

    Args:
        client: of `jupyter_client`.
        manager: likewise.
    """

    def __init__(self, client, manager):
        self.client, self.manager = client, manager
        self.answers = []  # to what cells ask by `input()`; where there are none, nobody is there
        self.asked = []

    def start(self, code, *, person=False):
        """Begin to execute a cell; its message's id."""
        return self.client.execute(code, allow_stdin=person)

    def run(self, code, *, person=False):
        """Execute a cell; what it printed, what it showed, and its error's name and message, if any."""
        return self.end(self.start(code, person=person))

    def end(self, message, *, seconds=60):
        """Wait for a cell's end."""
        said, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            self._answer()
            try:
                told = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            if told["parent_header"].get("msg_id") != message:
                continue
            kind, content = told["msg_type"], told["content"]
            if kind == "stream":
                said += content["text"]
            elif kind in {"execute_result", "display_data"}:
                said += content["data"].get("text/plain", "")
            elif kind == "error":
                said += f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return said
        raise TimeoutError(said)

    def _answer(self):
        try:
            question = self.client.get_stdin_msg(timeout=0)
        except queue.Empty:
            return
        self.asked.append(question["content"]["prompt"])
        if self.answers:
            self.client.input(self.answers.pop(0))

    def asks(self):
        """Wait until a cell asks by `input()`."""
        until = time.monotonic() + 30
        while not self.asked and time.monotonic() < until:
            self._answer()
            time.sleep(0.05)
        assert self.asked

    def interrupt(self):
        """The stop button."""
        self.manager.interrupt_kernel()


@contextmanager
def kernel(folder, **env):
    """A kernel whose cells run in a folder."""
    manager = KernelManager()
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(cwd=str(folder), env={**os.environ, "IPYTHONDIR": str(folder / "ipython"), **env})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=90)
        yield Kernel(client, manager)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
