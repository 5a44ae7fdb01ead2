"""From a model's name to the model, through the adapter that knows such names."""

from typing import Any

from agentkit import registry
from agentkit.definition import Model
from agentkit.errors import ConfigError, ModelNotFound


def as_model(model: Any) -> Model:
    """A model by name, through the adapter whose prefix it has; a `Model` object is one already.

    Args:
        model: a name, or a `Model`.

    Raises:
        ModelNotFound: no adapter answers to the name.
        ConfigError: it is neither.
    """
    if isinstance(model, Model):
        return model
    if not isinstance(model, str):
        raise ConfigError(f"{model!r} is no model: give a name, or an object with `name`, `respond` and `price`")
    prefixes = sorted((prefix for prefix in registry.MODELS if model.startswith(prefix)), key=len, reverse=True)
    if not prefixes:
        raise ModelNotFound(
            f"no adapter answers to the model {model!r} (agentkit.registry.MODELS has no fitting prefix)"
        )
    return registry.load(registry.MODELS[prefixes[0]])(model)
