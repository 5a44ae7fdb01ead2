"""The budget as it runs: what a run and its child runs used and hold reserved."""

from dataclasses import dataclass, field
from typing import Literal

from agentkit.messages import Usage
from agentkit.policy import Budget


@dataclass(slots=True)
class Meter:
    """Shared by a run and its child runs; only the engine's thread touches it.

    A child run of a pipeline has a meter of its own above that one: its agent's own budget holds for it too.

    Args:
        budget: the limits.
        used_usd: spent so far; None once a price was unknown.
        used_calls: attempts at model calls so far.
        reserved_usd: estimates of the calls in flight.
        counted: the child runs whose use is in here.
        above: the meter of the run that this one's is a part of, where it has a budget of its own.
    """

    budget: Budget
    used_usd: float | None = 0.0
    used_calls: int = 0
    reserved_usd: float = 0.0
    counted: set[str] = field(default_factory=set[str])
    above: "Meter | None" = None

    def add(self, usage: Usage) -> None:
        """Count what was used before this activation."""
        self.used_calls += usage.model_calls
        self._spend(usage.cost_usd)

    def count(self, run_id: str, usage: Usage) -> None:
        """Count what a child run used before it was taken up, once: from then on each of its calls is counted."""
        if run_id not in self.counted:
            self.counted.add(run_id)
            self.add(usage)
        if self.above is not None:
            self.above.count(run_id, usage)

    def refused_by(self, estimate_usd: float | None) -> "Meter | None":
        """The meter whose budget does not allow the next call: this one, or one above it."""
        if self.refuses(estimate_usd) is not None:
            return self
        return self.above.refused_by(estimate_usd) if self.above is not None else None

    def refuses(self, estimate_usd: float | None) -> Literal["usd", "model_calls", "price_unknown"] | None:
        """Which limit the next call would break, if any: an unknown price breaks a usd limit."""
        if self.budget.model_calls is not None and self.used_calls >= self.budget.model_calls:
            return "model_calls"
        if self.budget.usd is None:
            return None
        if estimate_usd is None or self.used_usd is None:
            return "price_unknown"
        if self.used_usd + self.reserved_usd + estimate_usd > self.budget.usd + 1e-9:  # sums of cents are not exact
            return "usd"
        return None

    def reserve(self, estimate_usd: float | None) -> None:
        """Hold an estimate for a call that begins; it counts as a call from now on."""
        self.used_calls += 1
        self.reserved_usd += estimate_usd or 0.0
        if self.above is not None:
            self.above.reserve(estimate_usd)

    def settle(self, estimate_usd: float | None, cost_usd: float | None) -> None:
        """Replace an estimate by what the call cost (None = unknown)."""
        self.reserved_usd = max(0.0, self.reserved_usd - (estimate_usd or 0.0))
        self._spend(cost_usd)
        if self.above is not None:
            self.above.settle(estimate_usd, cost_usd)

    def _spend(self, cost_usd: float | None) -> None:
        self.used_usd = None if cost_usd is None or self.used_usd is None else self.used_usd + cost_usd
