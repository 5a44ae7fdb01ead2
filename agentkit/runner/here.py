"""What a process has of a run: who executes it here, or did so last. In a forked child, nothing of its parent's."""

import os
import time
from dataclasses import dataclass, field

from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.state import State


@dataclass(frozen=True)
class Here:
    """The drivers behind a handle on a run.

    A forked child has its parent's handles, and none of the threads that do what their drivers say: it has no driver
    until it resumes a run itself.

    Args:
        of_run: executes the run here, or did so last and watches for answers to it; None where no driver here did.
        of_root: was resumed here so that the run goes on, which it called.
        pid: the process whose drivers they are.
    """

    of_run: Driver | None = None
    of_root: Driver | None = None
    pid: int = field(default_factory=os.getpid)

    @property
    def driver(self) -> Driver | None:
        """The run's, where it is this process's."""
        return self.of_run if self.pid == os.getpid() else None

    @property
    def root(self) -> Driver | None:
        """That of the run at the top, where it is this process's and was resumed for this run."""
        return self.of_root if self.pid == os.getpid() else None

    @property
    def executing(self) -> Driver | None:
        """The run's, while it executes the run."""
        driver = self.driver
        return driver if driver is not None and not driver.settled.is_set() else None

    @property
    def goes_on(self) -> bool:
        """Whether somebody here takes the run up when it is answered."""
        return self.driver is not None or (self.root is not None and not self.root.settled.is_set())

    @property
    def error(self) -> BaseException | None:
        """What broke when the run was executed here last."""
        return self.driver.error if self.driver is not None else None

    def state(self) -> State | None:
        """The run's state while it executes here, and after it ended here; None where the log has to be read."""
        driver = self.driver
        if driver is None or not driver.has_state:
            return None
        if not driver.settled.is_set():
            return engine().call(driver.snapshot)
        return driver.live_state if driver.live_state.ended else None

    def nap(self, seconds: float) -> None:
        """Wait for so long, or until the run does not execute here any more."""
        if (driver := self.executing) is not None:
            driver.settled.wait(seconds)
        else:
            time.sleep(seconds)
