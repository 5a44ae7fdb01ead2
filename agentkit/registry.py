"""Adapters, displays and definitions by name; an adapter is imported when it is first asked for.

So a model, a log or a display is reached from below without an arrow up, and `import agentkit` stays light.
"""

import contextlib
import importlib
import weakref
from collections.abc import Callable
from typing import Any

from agentkit.errors import ConfigError

# scheme of a log's URL → function(url) that opens a store
STORES = {
    "": "agentkit.stores.embedded:open_store",
    "memory": "agentkit.stores.memory:open_store",
    "postgresql": "agentkit.stores.postgres:open_store",
    "postgres": "agentkit.stores.postgres:open_store",
}
# prefix of a model's name → function(name) that makes a model; "" is the adapter of last resort
MODELS = {
    "": "agentkit.models.litellm:open_model",
    "local/": "agentkit.models.local.model:open_model",
}
# what a pipeline asks where nobody named a model: function() → name
DEFAULT_MODEL = "agentkit.models.default:default_model"
# where a run can be looked at: function(run) → (name, URL) each
LINKS = "agentkit.export.links:links"
# what sends a log's runs to tracing systems: function(store, targets, strict=…) → an exporter
EXPORTER = "agentkit.export.background:attach"
# what shows a run or a pipeline: function(it) → something that displays itself
DISPLAYS = {
    "text": "agentkit.render:trace",
    "graph": "agentkit.graph:of_run",
    "pipeline": "agentkit.graph:of_pipeline",
    "notebook": "agentkit.notebook.show:bundle",
    "cell": "agentkit.notebook.show:display",
    "waiting": "agentkit.notebook.waiting:asker",
    "inbox": "agentkit.notebook.inbox:Inbox",
    "promotion": "agentkit.notebook.promotion:show_buttons",
    "plots": "agentkit.plot:Plots",
}

_definitions: "weakref.WeakValueDictionary[str, Any]" = weakref.WeakValueDictionary()


def load(target: str) -> Callable[..., Any]:
    """Import what `module:name` names.

    Args:
        target: for example `agentkit.stores.memory:open_store`.

    Returns:
        The function or object.

    Raises:
        ConfigError: there is no such module or name.
    """
    module, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load {target}: {error}") from error
    return found


_links: dict[str, Callable[[str], str | None]] = {}


def link(name: str, address: Callable[[str], str | None]) -> None:
    """Say where else a run is shown; a later one of that name takes the first one's place.

    Args:
        name: of the place, for example "Langfuse".
        address: gives a run's address there by its id; None of a run that is not there. It is asked again at each look.
    """
    _links[name] = address


def links(run_id: str) -> list[tuple[str, str]]:
    """Where else a run is shown: names and addresses, http(s) only.

    Args:
        run_id: the run.
    """
    found: list[tuple[str, str]] = []
    for name, address in _links.items():
        with contextlib.suppress(Exception):  # whatever an exporter's server does, the run is shown
            if (url := address(run_id)) is not None and url.startswith(("https://", "http://")):
                found.append((name, url))
    return found


def define(name: str, owner: Any) -> None:
    """Remember an agent or a pipeline by name, as long as it lives; a later one of that name takes its place.

    Args:
        name: the definition's name.
        owner: the `Agent` or `Pipeline`.
    """
    _definitions[name] = owner


def defined(name: str) -> Any | None:
    """The agent or pipeline of that name among those defined in this process, or None."""
    return _definitions.get(name)
