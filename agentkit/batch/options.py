"""What holds for every run of a batch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from agentkit.errors import ConfigError
from agentkit.runner.start import labels


@dataclass(frozen=True)
class MapOptions:
    """How a batch is done.

    Args:
        concurrency: how many runs execute at one time.
        on_error: "collect" keeps a failed item and goes on; "fail" begins nothing after the first.
        deps: for `ctx.deps`; never in the log.
        tags: recorded with every run.
        session: recorded with every run.
        user: recorded with every run.
        again: do everything anew, whatever is recorded.
        progress: show a bar while somebody waits; None: where there is a terminal or a notebook.
        submit: leave the runs to the log's workers.

    Raises:
        ConfigError: one of them cannot be used.
    """

    concurrency: int = 8
    on_error: Literal["collect", "fail"] = "collect"
    deps: Any = None
    tags: Iterable[str] = ()
    session: str | None = None
    user: str | None = None
    again: bool = False
    progress: bool | None = None
    submit: bool = False

    def __post_init__(self) -> None:
        if type(self.concurrency) is not int or self.concurrency < 1:
            raise ConfigError(f"concurrency={self.concurrency!r}: give the number of runs at one time, 1 or more")
        if self.on_error not in {"collect", "fail"}:
            raise ConfigError(f"on_error is 'collect' or 'fail', not {self.on_error!r}")
        if self.submit and self.deps is not None:
            raise ConfigError("submit=True leaves the runs to workers, and each has deps of its own: its --deps")
        object.__setattr__(self, "tags", labels(self.tags, self.session, self.user)["tags"])  # it may be a generator
