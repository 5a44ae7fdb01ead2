"""Two runs side by side: where they part, and what each cost."""

from agentkit.comparison.compared import Comparison, Pair, Side, compare

__all__ = ["Comparison", "Pair", "Side", "compare"]
