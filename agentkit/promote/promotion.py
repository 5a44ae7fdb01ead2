"""What comes of recorded runs: a pipeline with its tests, or the reasons why there is none."""

import importlib
import re
import types
from collections.abc import Sequence
from typing import Any

from agentkit.errors import ConfigError
from agentkit.open_model import as_model
from agentkit.promote.code import Module, write_module
from agentkit.promote.layout import formatted
from agentkit.promote.plan import Plan
from agentkit.promote.variants import Selection, Variant, table
from agentkit.rows import Rows


class Promotion:
    """What an agent's recorded runs give: a readable pipeline, or an honest refusal.

    Args:
        owner: the agent.
        selection: which runs are examples.
        variants: the paths that they took.
        plan: the pipeline; None where it is refused.
        refused: why there is none; empty where there is one.
    """

    def __init__(
        self,
        owner: Any,
        selection: Selection,
        variants: Sequence[Variant],
        plan: Plan | None,
        refused: Sequence[str],
    ) -> None:
        self.agent = owner
        self.selection = selection
        self.plan = plan
        self.refused = list(refused)
        self.left_out = dict(selection.left_out)
        self._variants = list(variants)
        self._module: Module | None = None

    @property
    def variants(self) -> Rows:
        """The paths that the runs took, the most frequent first."""
        return table(self._variants, self.selection.seen, len(self.selection.traces))

    @property
    def name(self) -> str:
        """What the pipeline is called in the log."""
        return f"{self.agent.name}_pipeline"

    @property
    def source(self) -> str:
        """The module.

        Raises:
            ConfigError: there is none; the message has the reasons.
        """
        return self._written().source

    def load(self, model: Any = None) -> Any:
        """The pipeline, made here and now.

        Args:
            model: for the steps that ask one: a name or a `Model`; the agent's own when left out.

        Returns:
            An `ak.Pipeline`.

        Raises:
            ConfigError: the runs were refused; the message has the reasons.
        """
        module = types.ModuleType(re.sub(r"\W", "_", self.name))
        written = self._written()
        source = written.source
        vars(module).update(written.bare)
        if model is not None:
            vars(module)["MODEL"] = as_model(model)
            source = re.sub(r"model=[\w.]+\.definition\.models\[0\]", "model=MODEL", source)
        exec(compile(source, f"<promoted from {self.agent.name}>", "exec"), vars(module))  # noqa: S102  our own code, made of checked pieces
        return module.pipeline

    def _written(self) -> Module:
        if self.plan is None:
            raise ConfigError("nothing is promoted: " + "; ".join(self.refused))
        if self._module is None:
            raw = write_module(
                self.plan, self.agent.definition, self.agent, name=self.name, heading=self._heading(self.plan)
            )
            self._module = Module(formatted(raw.source), raw.bare)
        return self._module

    def _heading(self, plan: Plan) -> str:
        count = len(plan.runs)
        lines = [
            f"What the agent {self.agent.name} does, as a pipeline.",
            "",
            f"Made by agentkit from {count} recorded run{'' if count == 1 else 's'} of {self.selection.seen}.",
        ]
        if plan.doubts:
            lines += ["", *(f"- {doubt}." for doubt in plan.doubts)]
        return "\n".join(lines) + "\n"


def installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
