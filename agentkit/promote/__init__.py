"""Promotion: what was prototyped becomes code that stands alone."""

import sys
import types
from typing import Any, Literal

from agentkit import registry
from agentkit.agent import Agent
from agentkit.errors import ConfigError
from agentkit.pipeline import Pipeline
from agentkit.promote.module import PromotedModule, promote_module

__all__ = ["PromotedModule", "promote"]

_OF_RUNS = "agentkit.promote.recorded:promote_runs"


def promote(
    what: Pipeline | Agent,
    runs: Any = None,  # whatever `promote_runs` reads: runs, their ids
    *,
    to: Literal["pipeline", "module"] | None = None,
    log: Any = None,  # a `Log`, or its URL
    **options: Any,  # those of `promote_runs`
) -> Any:
    """Make code that stands alone of what was prototyped.

    A pipeline, or with `to="module"` an agent and its tools, becomes one module: the source of its steps and tools, and
    the imports and names that they need, wherever in a notebook they were written.

    Args:
        what: a pipeline; or an agent, whose recorded runs become a pipeline.
        runs: of an agent: the runs to learn from.
        to: "module" writes an agent down as it is.
        log: where an agent's runs are; `ak.open_log()` when left out.
        options: of an agent's promotion to a pipeline.

    Returns:
        For a module: an object that shows its source, with `.source` and `.write(path)`.

    Raises:
        PromotionError: what cannot be written: each object, what needs it, and what to do.
        PipelineError: the pipeline's steps do not fit together.
        ConfigError: it is no pipeline or agent, or an option does not belong to it.
    """
    if not isinstance(what, Pipeline | Agent):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{type(what).__name__} cannot be promoted: give a pipeline or an agent")
    if isinstance(what, Agent) and to != "module":
        return registry.load(_OF_RUNS)(what, runs, log=log, **options)
    if to == "pipeline" or runs is not None or log is not None or options:
        raise ConfigError(
            f"{what.name}: runs, log and their options are for what an agent's runs become; leave them out"
        )
    return promote_module(what)


class _Package(types.ModuleType):
    """This package, called like its function: `ak.promote(…)` is the same whether it was imported before or not."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call `promote`."""
        return promote(*args, **options)


sys.modules[__name__].__class__ = _Package
