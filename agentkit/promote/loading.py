"""Generated code, made here and now."""

import re
import types
from typing import Any

from agentkit.open_model import as_model
from agentkit.promote.code import Module, write_module
from agentkit.promote.plan import Plan


def load_module(module: Module, name: str, model: Any = None) -> Any:
    """Execute generated code.

    Args:
        module: the code.
        name: the pipeline's.
        model: a name or a `Model` for the steps that ask one; the agent's own when left out.

    Returns:
        The `ak.Pipeline`.
    """
    made = types.ModuleType(re.sub(r"\W", "_", name))
    source = module.source
    vars(made).update(module.bare)
    if model is not None:
        vars(made)["MODEL"] = as_model(model)
        source = re.sub(r"model=[\w.]+\.definition\.models\[0\]", "model=MODEL", source)
    exec(compile(source, f"<{name}>", "exec"), vars(made))  # noqa: S102  our own code, made of checked pieces
    return made.pipeline


def load_plan(plan: Plan, owner: Any, name: str) -> Any:
    """A plan's pipeline for a look at what it does, under a name of its own: the real one keeps its own.

    Args:
        plan: the plan.
        owner: the agent.
        name: the pipeline's.

    Returns:
        The `ak.Pipeline`.
    """
    return load_module(write_module(plan, owner.definition, owner, name=name, heading=f"{name}."), name)
