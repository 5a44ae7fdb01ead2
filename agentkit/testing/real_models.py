"""One switch that forbids real models: a test suite that turns it on cannot spend money."""

from collections.abc import Iterable

from agentkit import registry
from agentkit.errors import AgentKitError


class RealModelForbidden(AgentKitError):
    """A test asked for a model by name while real models are forbidden."""


def forbid_real_models(*, allow: Iterable[str] = ()) -> None:
    """Refuse every model that is asked for by name from now on; `Model` objects go on working.

    Call it once in `conftest.py`.

    Args:
        allow: prefixes of names that go on working, for example `local/`, whose models cost nothing.
    """
    kept = {prefix: registry.MODELS[prefix] for prefix in allow if prefix in registry.MODELS}
    registry.MODELS.clear()
    registry.MODELS.update({"": "agentkit.testing.real_models:refuse", **kept})


def refuse(name: str) -> None:
    """Stand in for every adapter.

    Raises:
        RealModelForbidden: always.
    """
    raise RealModelForbidden(
        f"real models are forbidden in these tests, and {name!r} is one; use ScriptedModel or FunctionModel"
    )
